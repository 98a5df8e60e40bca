//! Jobs that wait for jobs of their own pool.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use aiopool::{Job, JobError, JobHandle, Pool};
use futures_util::StreamExt;
use futures_util::future::{join, join_all, select};
use tokio::sync::Notify;
use tokio::task::block_in_place;

use crate::common::{
    Count, Gate, Log, assert_whole, current_thread, for_both, in_time, let_others_run,
    multi_thread, on_both, until,
};

#[test]
fn a_job_may_wait_for_jobs_of_its_pool_by_each_verb_though_all_slots_are_held() {
    let verbs: [(&str, Verb<usize>); 9] = [
        ("exec", |pool| {
            Box::pin(async move { pool.exec(async { 1 }).await.unwrap() })
        }),
        ("spawn", |pool| {
            Box::pin(async move { pool.spawn(async { 1 }).await.await.unwrap() })
        }),
        ("spawn_n", |pool| {
            Box::pin(async move { pool.spawn_n(async { 1 }).await.unwrap() })
        }),
        ("map_n", |pool| {
            Box::pin(async move {
                let ended = join_all(pool.map_n(0..40, |_| async { 1 })).await;
                ended.into_iter().map(Result::unwrap).sum::<usize>() - 39
            })
        }),
        ("map", |pool| {
            Box::pin(async move {
                let ended = pool.map(0..3, |_| async { 1 }).await;
                ended.into_iter().map(Result::unwrap).sum::<usize>() - 2
            })
        }),
        ("itermap", |pool| {
            Box::pin(async move {
                let ended: Vec<_> = pool.itermap(0..3, |_| async { 1 }).collect().await;
                ended.into_iter().map(Result::unwrap).sum::<usize>() - 2
            })
        }),
        ("itermap_ordered", |pool| {
            Box::pin(async move {
                let ended = pool.itermap_ordered(0..3, |_| async { 1 }).ahead(1);
                let ended: Vec<_> = ended.collect().await;
                ended.into_iter().map(Result::unwrap).sum::<usize>() - 2
            })
        }),
        ("cancel", |pool| {
            Box::pin(async move {
                let mut child = pool.spawn_n(pending::<()>());
                pool.cancel([&mut child]).await.0
            })
        }),
        ("a callback", |pool| {
            Box::pin(async move {
                let inner = pool.clone();
                let job = async {}
                    .with_callback(|_| async move { inner.exec(async { 1 }).await.unwrap() });
                pool.exec(job).await.unwrap()
            })
        }),
    ];
    on_both(async move || {
        for size in [1, 2] {
            for (verb, nested) in verbs {
                let pool = Pool::new(size);
                let parents = pool.map_n(0..3, |_| nested(pool.clone()));
                let others = pool.map_n(0..3, |_| async {});
                for parent in parents {
                    assert_eq!(parent.await.unwrap(), 1, "{verb}");
                }
                for other in others {
                    other.await.unwrap();
                }
                assert_whole(&pool).await;
            }
        }
    });
}

#[test]
fn jobs_may_wait_for_each_other_at_any_depth() {
    on_both(async || {
        for size in [1, 3] {
            let pool = Pool::new(size);
            assert_eq!(pool.exec(deep(pool.clone(), 200)).await.unwrap(), 200);
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn a_job_of_all_slots_and_of_a_key_may_wait_for_others_like_it() {
    on_both(async || {
        let pool = Pool::builder(3).per_key(1).build();
        let inner = pool.clone();
        let parent = async move {
            let child = |n| async move { n }.key("a").weight(3);
            pool.map(0..4, child)
                .await
                .into_iter()
                .map(Result::unwrap)
                .sum::<usize>()
        };
        assert_eq!(inner.exec(parent.key("a").weight(3)).await.unwrap(), 6);
        assert_whole(&inner).await;
    });
}

#[test]
fn children_stand_at_the_front_so_that_few_parents_are_open() {
    on_both(async || {
        let (pool, open, most) = (Pool::new(4), Arc::default(), Arc::<AtomicUsize>::default());
        let roots = pool.map_n(0..4_000, |_| {
            tree(pool.clone(), 3, Arc::clone(&open), most.clone())
        });
        for root in roots {
            root.await.unwrap();
        }
        assert!(most.load(SeqCst) <= 5 * 4 * 3, "{most:?}");
        assert_whole(&pool).await;
    });
}

#[test]
fn a_parent_that_is_done_with_waiting_goes_on_before_others_start() {
    on_both(async || {
        let (pool, log, gate) = (Pool::new(1), Log::new(), Gate::new());
        let parent = {
            let (pool, log) = (pool.clone(), log.clone());
            async move {
                pool.exec(adding(&log, "child")).await.unwrap();
                log.add("parent");
            }
        };
        let parent = pool.spawn_n(parent);
        // The first may have the slot of the child before the parent has been woken.
        let others = pool.map_n(0..3, |_| {
            let (log, passed) = (log.clone(), gate.passed());
            async move {
                passed.await;
                log.add("other");
            }
        });
        let_others_run().await;
        gate.open();
        parent.await.unwrap();
        join_all(others).await;
        let log = log.take();
        let parent = log.iter().position(|entry| *entry == "parent");
        assert!(parent <= Some(2), "{log:?}");
    });
}

#[test]
fn what_a_job_only_queues_stands_at_the_back() {
    on_both(async || {
        let (pool, log, gate) = (Pool::new(1), Log::new(), Gate::new());
        let parent = {
            let (pool, log, passed) = (pool.clone(), log.clone(), gate.passed());
            async move {
                passed.await;
                pool.spawn_n(adding(&log, "child")).await.unwrap();
                log.add("parent");
            }
        };
        let parent = pool.spawn_n(parent);
        let other = pool.spawn_n(adding(&log, "other"));
        gate.open();
        parent.await.unwrap();
        other.await.unwrap();
        assert_eq!(log.take(), ["other", "child", "parent"]);
    });
}

#[test]
fn a_job_that_waits_is_outside_and_no_more_jobs_are_polled_than_have_slots() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let parents = pool.map_n(0..2, |_| {
            let (pool, passed) = (pool.clone(), gate.passed());
            async move { pool.exec(passed).await.unwrap() }
        });
        until(|| pool.active() == 2 && pool.stats().outside == 2).await;
        let_others_run().await;
        let stats = pool.stats();
        assert_eq!((stats.active, stats.outside, stats.waiting), (2, 2, 0));
        assert_eq!((pool.len(), pool.is_empty()), (4, false));
        gate.open();
        join_all(parents).await;
        assert_eq!(pool.stats().succeeded, 4);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_waits_for_two_is_polled_once_for_the_end_of_each() {
    on_both(async || {
        let (pool, polls, gates) = (Pool::new(3), Count::new(), [Gate::new(), Gate::new()]);
        let (inner, counted) = (pool.clone(), polls.clone());
        let passed = [gates[0].passed(), gates[1].passed()];
        let mut both = Box::pin(async move { join_all(passed.map(|job| inner.exec(job))).await });
        let job = pool.spawn_n(poll_fn(move |cx| {
            counted.add();
            both.as_mut().poll(cx).map(|ended| ended.len())
        }));
        for (gate, left) in gates.iter().zip([2, 1]) {
            until(|| (pool.active(), pool.stats().outside) == (left, 1)).await;
            let_others_run().await;
            gate.open();
        }
        assert_eq!(job.await.unwrap(), 2);
        assert_eq!(polls.get(), 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_woken_by_something_else_goes_on_though_the_other_job_has_not_ended() {
    on_both(async || {
        let (pool, notify) = (Pool::new(1), Arc::new(Notify::new()));
        let parent = {
            let (pool, notify) = (pool.clone(), notify.clone());
            async move {
                let child = pool.spawn_n(pending::<()>());
                let notified = Box::pin(async move { notify.notified().await });
                drop(select(child, notified).await);
                pool.active()
            }
        };
        let parent = pool.spawn_n(parent);
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        notify.notify_one();
        let_others_run().await;
        assert!(!parent.is_finished(), "the child has the slot");
        assert_eq!(pool.cancel_all().await, 2);
        assert!(parent.await.unwrap_err().is_cancelled());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_waits_for_another_pool_or_whose_task_waits_holds_its_slot() {
    on_both(async || {
        let (pool, other, gate) = (Pool::new(1), Pool::new(1), Gate::new());
        let (into, passed) = (other.clone(), gate.passed());
        let parent = pool.spawn_n(async move { into.exec(passed).await.unwrap() });
        until(|| other.active() == 1).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.stats().outside), (1, 0));
        gate.open();
        parent.await.unwrap();
        let (into, gate) = (other.clone(), Gate::new());
        let passed = gate.passed();
        let task = async move { into.exec(passed).await.unwrap() };
        let job = pool.spawn_n(async move { tokio::spawn(task).await.unwrap() });
        until(|| other.active() == 1).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.stats().outside), (1, 0));
        gate.open();
        job.await.unwrap();
        for pool in [pool, other] {
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn a_job_that_has_let_a_handle_go_holds_its_slots_again() {
    on_both(async || {
        let (pool, notify, gate) = (Pool::new(2), Arc::new(Notify::new()), Gate::new());
        let parent = {
            let (pool, notify, passed) = (pool.clone(), notify.clone(), gate.passed());
            async move {
                let child = pool.spawn_n(pending::<()>());
                let notified = Box::pin(async move { notify.notified().await });
                drop(select(child, notified).await);
                passed.await;
            }
        };
        let parent = pool.spawn_n(parent);
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        notify.notify_one();
        until(|| pool.active() == 2).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.stats().outside), (2, 0));
        gate.open();
        parent.await.unwrap();
        assert_eq!(pool.cancel_all().await, 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_may_drive_a_runtime_whose_jobs_wait_for_their_pool_while_it_waits_for_its_own() {
    in_time("multi_thread", || {
        multi_thread().block_on(async {
            let (pool, other) = (Pool::new(1), Pool::new(1));
            let inner = pool.clone();
            let job = pool.spawn_n(async move {
                let child = inner.spawn_n(async { 1 });
                let driven = async move {
                    let job = async || {
                        let inner = other.clone();
                        let job = async move { inner.exec(async { 2 }).await.unwrap() };
                        other.exec(job).await.unwrap()
                    };
                    block_in_place(|| current_thread().block_on(job()))
                };
                let (child, driven) = join(child, driven).await;
                child.unwrap() + driven
            });
            assert_eq!(job.await.unwrap(), 3);
            assert_whole(&pool).await;
        });
    });
}

#[test]
fn a_job_that_is_cancelled_while_it_waits_is_dropped_and_so_is_what_it_owns() {
    on_both(async || {
        for size in [1, 2] {
            let (pool, dropped) = (Pool::new(size), Count::new());
            let mut parent = {
                let (pool, child) = (pool.clone(), dropped.pending());
                let drops = dropped.drops();
                pool.clone().spawn_n(async move {
                    let _drops = drops;
                    pool.exec(child).await
                })
            };
            until(|| pool.stats().outside == 1 && pool.active() == 1).await;
            assert_eq!(pool.cancel([&mut parent]).await.0, 1);
            assert!(parent.is_finished());
            pool.join().await;
            assert_eq!(dropped.get(), 2);
            assert_eq!(pool.stats().cancelled, 2);
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn a_callback_runs_after_a_job_that_was_cancelled_while_it_waited_with_slots_of_its_own() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (inner, passed) = (pool.clone(), gate.passed());
        let job =
            async move { inner.exec(pending::<()>()).await }.with_callback(|result| async move {
                passed.await;
                matches!(result, Err(JobError::Cancelled))
            });
        let parent = pool.spawn_n(job);
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        let other = pool.spawn_n(async {});
        assert!(parent.cancel());
        // The child holds the slot until its cancellation reaches it.
        until(|| pool.stats().outside == 0 && pool.active() == 1).await;
        let_others_run().await;
        assert_eq!((pool.active(), other.is_finished()), (1, false));
        gate.open();
        assert!(parent.await.unwrap());
        other.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_cancels_all_is_left_out_and_so_are_those_that_wait_for_it() {
    on_both(async || {
        for size in [1, 4] {
            let (pool, gate) = (Pool::new(size), Gate::new());
            let root = {
                let (pool, gate) = (pool.clone(), gate.clone());
                async move {
                    let inner = pool.clone();
                    // The parent waits for a map, whose item waits for the one that cancels.
                    let ended = pool.map(0..1, move |_| {
                        let (pool, passed) = (inner.clone(), gate.passed());
                        async move {
                            let inner = pool.clone();
                            let cancels = async move {
                                passed.await;
                                inner.cancel_all().await
                            };
                            pool.exec(cancels).await.unwrap()
                        }
                    });
                    ended.await.remove(0).unwrap()
                }
            };
            let root = pool.spawn_n(root);
            until(|| pool.stats().outside == 2 && pool.active() == 1).await;
            let others = pool.map_n(0..5, |_| pending::<()>());
            let_others_run().await;
            gate.open();
            assert_eq!(root.await.unwrap(), 5);
            for other in others {
                assert!(other.await.unwrap_err().is_cancelled());
            }
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn a_parent_that_does_not_wait_for_its_child_is_cancelled_by_it() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let parent = {
            let (pool, passed) = (pool.clone(), gate.passed());
            async move {
                let inner = pool.clone();
                let cancels = async move {
                    passed.await;
                    inner.cancel_all().await
                };
                drop(pool.spawn(cancels).await);
                pending::<()>().await;
            }
        };
        let parent = pool.spawn_n(parent);
        until(|| pool.active() == 2).await;
        gate.open();
        assert!(parent.await.unwrap_err().is_cancelled());
        assert_whole(&pool).await;
        assert_eq!(pool.stats().cancelled, 1);
    });
}

#[test]
fn a_panic_of_a_child_is_its_own_and_that_of_a_parent_too() {
    on_both(async || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let parent = async move {
            let error = inner
                .exec(async { crate::common::raise("the child") })
                .await
                .unwrap_err();
            assert!(error.is_panic());
            if error.is_panic() {
                crate::common::raise("the parent")
            }
        };
        assert!(pool.exec(parent).await.unwrap_err().is_panic());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_runtime_that_shuts_down_drops_jobs_that_wait_and_the_pool_goes_on() {
    for_both(|runtime| {
        let (pool, dropped) = (Pool::new(1), Count::new());
        let handles: Vec<JobHandle<_>> = {
            let _entered = runtime.enter();
            pool.map_n(0..3, |_| {
                let (pool, child, drops) = (pool.clone(), dropped.pending(), dropped.drops());
                async move {
                    let _drops = drops;
                    pool.exec(child).await
                }
            })
        };
        runtime.block_on(until(|| pool.stats().outside > 0 && pool.active() == 1));
        drop(runtime);
        assert!(handles.iter().all(JobHandle::is_finished));
        assert_eq!(dropped.get(), 6);
        assert_eq!((pool.len(), pool.stats().outside), (0, 0));
        let after = crate::common::current_thread();
        after.block_on(assert_whole(&pool));
    });
}

#[test]
fn calls_that_would_wait_for_their_own_job_panic_and_tell_where() {
    let calls: [(&str, Verb<()>); 3] = [
        ("join", |pool| Box::pin(pool.join())),
        ("drained", |pool| Box::pin(pool.drained())),
        ("reserve", |pool| {
            Box::pin(async move { drop(pool.reserve().await) })
        }),
    ];
    on_both(async move || {
        let pool = Pool::new(2);
        for (name, call) in calls {
            match pool.exec(call(pool.clone())).await {
                Err(JobError::Panicked(panic)) => {
                    let message = panic.message().unwrap();
                    assert!(message.contains(name), "{message}");
                    assert!(message.contains("nesting.rs"), "{message}");
                }
                other => panic!("{name}: {other:?}"),
            }
            // A task of the job is not the job.
            let task = tokio::spawn(call(pool.clone()));
            pool.exec(async {}).await.unwrap();
            task.await.unwrap();
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn random_trees_of_jobs_that_wait_for_each_other_never_hang() {
    let jobs = std::env::var("NESTING_JOBS");
    let jobs: u64 = jobs.map_or(1_000, |jobs| jobs.parse().unwrap());
    for tree in 0..jobs.div_ceil(JOBS_OF_A_TREE) {
        // Each in its own time, so that the message names the tree that hangs.
        for_both(move |runtime| runtime.block_on(grow(tree)));
    }
}

type Verb<T> = fn(Pool) -> Pin<Box<dyn Future<Output = T> + Send>>;

fn adding(log: &Log<&'static str>, entry: &'static str) -> impl Future<Output = ()> + Send + use<> {
    let log = log.clone();
    async move { log.add(entry) }
}

fn deep(pool: Pool, depth: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        match depth {
            0 => 0,
            _ => 1 + pool.exec(deep(pool.clone(), depth - 1)).await.unwrap(),
        }
    })
}

/// Two children at each depth, and how many parents are open at most.
fn tree(
    pool: Pool,
    depth: usize,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return;
        }
        most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
        for _ in 0..2 {
            let child = tree(pool.clone(), depth - 1, open.clone(), most.clone());
            pool.exec(child).await.unwrap();
        }
        open.fetch_sub(1, SeqCst);
    })
}

/// A tree of jobs that depends on its number only, in a pool that does.
async fn grow(number: u64) {
    let mut random = Random(number);
    let size = 1 + random.below(4);
    let pool = Pool::builder(size).per_key(1 + random.below(2)).build();
    let left = Arc::new(AtomicUsize::new(usize::try_from(JOBS_OF_A_TREE).unwrap()));
    while left.load(SeqCst) > 0 {
        let seeds: Vec<_> = (0..=random.below(8)).map(|_| random.next()).collect();
        let (inner, left) = (pool.clone(), left.clone());
        let roots = pool.map(seeds, move |seed| job(&inner, &left, seed));
        roots.await.into_iter().for_each(Result::unwrap);
    }
    assert_eq!(pool.stats().outside, 0);
    assert_whole(&pool).await;
}

type Branch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A job with options, which waits for others by each verb.
fn job(pool: &Pool, left: &Arc<AtomicUsize>, seed: u64) -> impl Job<Output = ()> + use<> {
    let mut random = Random(seed);
    let (weight, priority) = (1 + random.below(5), random.below(3));
    // That of a few others, or hardly of any.
    let keys = if random.below(2) > 0 { 3 } else { 100 };
    let key = random.below(keys);
    let branch = branch(pool.clone(), left.clone(), random);
    let pool = pool.clone();
    // A callback, which may wait too.
    let callback = move |ended: Result<(), JobError>| async move {
        ended.unwrap();
        if weight == 1 {
            pool.exec(async {}).await.unwrap();
        }
    };
    let job = branch.with_callback(callback);
    job.key(key)
        .weight(u32::try_from(weight).unwrap())
        .priority(i8::try_from(priority).unwrap() - 1)
}

fn branch(pool: Pool, left: Arc<AtomicUsize>, mut random: Random) -> Branch {
    Box::pin(async move {
        for _ in 0..random.below(3) {
            let took = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
            if took.is_err() {
                return;
            }
            let seeds = [random.next(), random.next()];
            match random.below(7) {
                0 => pool.exec(job(&pool, &left, seeds[0])).await.unwrap(),
                1 => pool.spawn(job(&pool, &left, seeds[0])).await.await.unwrap(),
                2 => pool.spawn_n(job(&pool, &left, seeds[0])).await.unwrap(),
                3 => {
                    let handles = pool.map_n(seeds, |seed| job(&pool, &left, seed));
                    join_all(handles).await.into_iter().for_each(Result::unwrap);
                }
                4 => {
                    let (inner, left) = (pool.clone(), left.clone());
                    let ended = pool.map(seeds, move |seed| job(&inner, &left, seed));
                    ended.await.into_iter().for_each(Result::unwrap);
                }
                5 => {
                    let (inner, left) = (pool.clone(), left.clone());
                    let ended = pool.itermap(seeds, move |seed| job(&inner, &left, seed));
                    let ended: Vec<_> = ended.ahead(1).collect().await;
                    ended.into_iter().for_each(Result::unwrap);
                }
                _ => {
                    let child = branch(pool.clone(), left.clone(), Random(seeds[0]));
                    pool.outside(async {}).await;
                    pool.exec(child).await.unwrap();
                }
            }
        }
    })
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

const JOBS_OF_A_TREE: u64 = 50;
