//! Keys: limits that jobs share.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use aiopool::{HeldBy, Itermap, Job, JobError, JobHandle, Key, Pool, Rate};
use tokio::time::Instant;

use crate::common::{
    Count, Gate, Log, assert_whole, in_frozen_time, let_others_run, millis, on_both,
    on_current_thread, poll_once, raise, since, until,
};

#[test]
fn a_key_has_so_many_active_jobs_and_others_pass_those_that_wait_for_it() {
    on_both(async || {
        let pool = Pool::builder(10).per_key(2).build();
        let (gate, begun) = (Gate::new(), Count::new());
        let jobs = pool.map_n(0..5, |_| gate.passed().key("a"));
        let other = pool.spawn_n({
            let begun = begun.clone();
            async move { begun.add() }.key("b")
        });
        let plain = pool.spawn_n({
            let begun = begun.clone();
            async move { begun.add() }
        });
        other.await.unwrap();
        plain.await.unwrap();
        let stats = pool.stats();
        assert_eq!((stats.active, stats.waiting, stats.parked), (2, 3, 3));
        assert_eq!(stats.outside, 0);
        assert_eq!(stats.held_by, Some(HeldBy::Keys));
        gate.let_pass();
        until(|| pool.waiting() == 2).await;
        assert_eq!(pool.active(), 2);
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn keys_take_turns() {
    on_current_thread(async || {
        let (pool, log) = (Pool::new(1), Log::new());
        let jobs = ["a", "a", "a", "b", "b", "c"];
        let jobs = pool.map_n(jobs, |key| {
            let log = log.clone();
            async move { log.add(key) }.key(key)
        });
        for job in jobs {
            job.await.unwrap();
        }
        // The first has its turn before the others come.
        assert_eq!(log.take(), ["a", "a", "b", "c", "a", "b"]);
    });
}

#[test]
fn a_key_has_a_rate_of_its_own() {
    in_frozen_time(async || {
        let pool = Pool::builder(10)
            .per_key_rate(Rate::new(1, millis(100)))
            .build();
        let begun = Instant::now();
        let jobs = pool.map_n([1, 1, 2, 1], |key| async move { since(begun) }.key(key));
        let mut times = Vec::new();
        for job in jobs {
            times.push(job.await.unwrap());
        }
        assert_eq!(times, [0, 100, 0, 200]);
    });
}

#[test]
fn limits_are_found_for_each_key_when_it_comes_and_again_when_it_has_gone() {
    in_frozen_time(async || {
        let asked = Count::new();
        let pool = Pool::builder(10)
            .per_key_with({
                let asked = asked.clone();
                move |key| {
                    asked.add();
                    if *key == Key::from("a") { 1 } else { 3 }
                }
            })
            .per_key_rate_with(|key| (*key == Key::from("b")).then(|| Rate::new(1, millis(100))))
            .build();
        let gate = Gate::new();
        let jobs = pool.map_n(["a", "a", "c", "c"], |key| gate.passed().key(key));
        let_others_run().await;
        assert_eq!((pool.active(), asked.get()), (3, 2));
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        pool.exec(async {}.key("b")).await.unwrap();
        assert_eq!(asked.get(), 3);
        pool.exec(async {}.key("b")).await.unwrap();
        assert_eq!(asked.get(), 3, "its rate still counts");
        tokio::time::sleep(millis(200)).await;
        pool.exec(async {}.key("b")).await.unwrap();
        assert_eq!(asked.get(), 4);
    });
}

#[test]
fn a_paused_key_starts_nothing_and_others_do() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        pool.pause_key("a", Some(millis(300)));
        pool.pause_key("a", Some(millis(100)));
        let jobs = pool.map_n(["a", "b", "a"], |key| async move { since(begun) }.key(key));
        let mut times = Vec::new();
        for job in jobs {
            times.push(job.await.unwrap());
        }
        assert_eq!(times, [300, 0, 300]);
        assert!(!pool.resume_key("a"));
        pool.pause_key("a", None);
        let job = pool.spawn_n(async move { since(begun) }.key("a"));
        tokio::time::sleep(millis(200)).await;
        assert_eq!(pool.waiting(), 1);
        assert!(pool.resume_key("a"));
        assert_eq!(job.await.unwrap(), 500);
        assert!(!pool.resume_key("b"), "nobody knows it");
    });
}

#[test]
fn keys_that_have_gone_are_dropped_and_leave_nothing_behind() {
    in_frozen_time(async || {
        let dropped = Count::new();
        let pool = Pool::builder(10)
            .per_key(1)
            .per_key_rate(Rate::new(1, millis(10)))
            .build();
        let jobs = pool.map_n(0..20_000, |n| {
            async {}.key(Key::new(Tracked(n, dropped.clone())))
        });
        for job in jobs {
            job.await.unwrap();
        }
        tokio::time::sleep(millis(20)).await;
        assert_eq!(dropped.get(), 20_000);
        assert_eq!(
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            0
        );
    });
}

#[test]
fn a_key_without_a_rate_is_dropped_when_its_jobs_have_ended() {
    on_both(async || {
        let (dropped, gate) = (Count::new(), Gate::new());
        let pool = Pool::builder(2).per_key(1).build();
        let key = |n| Key::new(Tracked(n, dropped.clone()));
        let jobs = pool.map_n(0..3, |_| gate.passed().key(key(0)));
        let other = pool.spawn_n(gate.passed().key(key(1)));
        assert_eq!(dropped.get(), 2);
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        other.await.unwrap();
        pool.join().await;
        until(|| dropped.get() == 4).await;
        // Not while its job has a handle only.
        let job = pool.spawn_n(async {}.key(key(2)));
        pool.join().await;
        until(|| dropped.get() == 5).await;
        job.await.unwrap();
        let job = pool.spawn_n(std::future::pending::<()>().key(key(3)));
        let_others_run().await;
        job.cancel();
        pool.join().await;
        until(|| dropped.get() == 6).await;
        assert!(job.await.is_err());
        pool.pause(None);
        let job = pool.spawn_n(std::future::pending::<()>().key(key(4)));
        job.cancel();
        until(|| dropped.get() == 7).await;
        assert!(job.await.is_err());
    });
}

#[test]
fn a_key_that_is_paused_and_has_no_jobs_is_dropped_when_its_pause_ends() {
    in_frozen_time(async || {
        let (dropped, gate) = (Count::new(), Gate::new());
        let pool = Pool::new(2);
        let job = pool.spawn_n(gate.passed());
        let_others_run().await;
        pool.pause_key(Key::new(Tracked(0, dropped.clone())), Some(millis(10)));
        tokio::time::sleep(millis(5)).await;
        assert_eq!(dropped.get(), 0);
        tokio::time::sleep(millis(10)).await;
        assert_eq!(dropped.get(), 1);
        gate.open();
        job.await.unwrap();
    });
}

/// Another key has its place then, and its hash.
#[test]
fn a_key_that_goes_while_it_is_compared_is_not_the_key_of_the_job() {
    on_both(async || {
        static POOL: OnceLock<Pool> = OnceLock::new();
        static FIRST: Mutex<Option<JobHandle<()>>> = Mutex::new(None);
        fn replace() {
            if let Some(first) = FIRST.lock().unwrap().take() {
                let pool = POOL.get().unwrap();
                assert!(first.cancel());
                drop(pool.spawn_n(async {}.key(Key::new(Spiteful::Calls(1, || {})))));
            }
        }
        let pool = POOL.get_or_init(|| Pool::builder(4).per_key(1).build());
        pool.pause(None);
        let key = || Key::new(Spiteful::Calls(0, replace));
        *FIRST.lock().unwrap() = Some(pool.spawn_n(async {}.key(key())));
        let gate = Gate::new();
        let second = pool.spawn_n(gate.passed().key(key()));
        assert_eq!(pool.waiting(), 2);
        pool.resume();
        until(|| pool.executed() > 0 && pool.active() == 1).await;
        gate.open();
        second.await.unwrap();
        *FIRST.lock().unwrap() = Some(pool.spawn_n(async {}));
        drop(FIRST.lock().unwrap().take());
        assert_whole(pool).await;
    });
}

/// What finds its limits hands in a job of the same key.
#[test]
fn a_key_that_is_opened_while_its_limits_are_found_is_opened_once() {
    on_both(async || {
        let (of_itself, gate) = (Arc::new(OnceLock::<Pool>::new()), Gate::new());
        let asked = Count::new();
        let pool = Pool::builder(4)
            .per_key_with({
                let (of_itself, asked, gate) = (of_itself.clone(), asked.clone(), gate.clone());
                move |_| {
                    asked.add();
                    if asked.get() == 1 {
                        let pool = of_itself.get().unwrap();
                        drop(pool.spawn_n(gate.passed().key("a")));
                    }
                    1
                }
            })
            .build();
        assert!(of_itself.set(pool.clone()).is_ok());
        let job = pool.spawn_n(gate.passed().key("a"));
        let_others_run().await;
        let stats = pool.stats();
        assert_eq!((stats.active, stats.parked, asked.get()), (1, 1, 2));
        gate.open();
        job.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_waiting_job_keeps_the_key_of_the_pool_and_not_its_own() {
    on_both(async || {
        let (dropped, gate) = (Count::new(), Gate::new());
        let pool = Pool::builder(1).per_key(1).build();
        let jobs = pool.map_n(0..100, |_| {
            gate.passed().key(Key::new(Tracked(0, dropped.clone())))
        });
        assert_eq!(dropped.get(), 99);
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        pool.join().await;
    });
}

#[test]
fn what_is_foreign_in_a_key_may_panic_and_settles_the_job_that_it_belongs_to() {
    on_both(async || {
        let dropped = Count::new();
        let pool = Pool::builder(2).per_key(1).build();
        let gate = Gate::new();
        let first = pool.spawn_n(gate.passed().key(Key::new(Spiteful::Panics)));
        // It is compared with the first.
        let job = dropped.pending().key(Key::new(Spiteful::Panics));
        assert!(matches!(
            pool.spawn_n(job).await,
            Err(JobError::Panicked(_))
        ));
        let job = dropped.pending().key(Key::new(Spiteful::Panics));
        assert!(matches!(pool.exec(job).await, Err(JobError::Panicked(_))));
        let job = dropped.pending().key(Key::new(Spiteful::Panics));
        assert!(matches!(
            pool.spawn(job).await.await,
            Err(JobError::Panicked(_))
        ));
        let map = pool.map(0..3, {
            let dropped = dropped.clone();
            move |_| dropped.pending().key(Key::new(Spiteful::Panics))
        });
        let results = map.await;
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(JobError::Panicked(_))))
        );
        assert_eq!((results.len(), dropped.get()), (3, 6));
        assert!(
            catch_unwind(AssertUnwindSafe(
                || pool.pause_key(Key::new(Spiteful::Panics), None)
            ))
            .is_err()
        );
        gate.open();
        first.await.unwrap();
        assert_whole(&pool).await;
        let found = Pool::builder(2).per_key_with(|_| raise("no limit")).build();
        let result = found.exec(async {}.key("a")).await;
        assert!(
            matches!(result, Err(JobError::Panicked(panic)) if panic.message() == Some("no limit"))
        );
        let none = Pool::builder(2).per_key_with(|_| 0).build();
        let result = none.exec(async {}.key("a")).await;
        let Err(JobError::Panicked(panic)) = result else {
            panic!("{result:?}")
        };
        let message = panic.message().unwrap();
        assert!(
            message.contains("per_key_with gives 0 for the key \"a\""),
            "{message}"
        );
        assert_whole(&found).await;
    });
}

#[test]
fn a_key_may_panic_when_it_is_dropped() {
    on_both(async || {
        let pool = Pool::builder(2).per_key(1).build();
        let gate = Gate::new();
        let key = || Key::new(Spiteful::Drops);
        let first = pool.spawn_n(gate.passed().key(key()));
        // Each is compared with the first, which panics too: nobody else has the key then.
        for _ in 0..2 {
            assert!(pool.spawn_n(async {}.key(key())).await.is_err());
            let results = pool.map(0..3, move |_| async {}.key(key())).await;
            assert!(results.iter().all(Result::is_err));
            let tried = || drop(pool.try_spawn(async {}.key(key())));
            assert!(catch_unwind(AssertUnwindSafe(tried)).is_err());
            let paused = || pool.pause_key(key(), None);
            assert!(catch_unwind(AssertUnwindSafe(paused)).is_err());
        }
        gate.open();
        first.await.unwrap();
        let job = pool.spawn_n(std::future::pending::<()>().key(key()));
        job.cancel();
        assert!(job.await.is_err());
        assert_whole(&pool).await;
    });
}

#[test]
fn keys_of_one_hash_are_told_apart_and_may_call_the_pool() {
    on_both(async || {
        static POOL: OnceLock<Pool> = OnceLock::new();
        let pool = POOL.get_or_init(|| Pool::builder(100).per_key(1).build());
        let gate = Gate::new();
        let jobs = pool.map_n(0..60, |n| {
            gate.passed().key(Key::new(Spiteful::Calls(n % 30, || {
                let pool = POOL.get().unwrap();
                pool.spawn_n(async {}.key("another"));
                assert!(pool.size() == 100);
            })))
        });
        until(|| pool.stats().parked == 30 && pool.active() == 30).await;
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        assert_whole(pool).await;
    });
}

#[test]
fn threads_that_open_one_key_at_once_share_it() {
    on_both(async || {
        let pool = Pool::builder(100).per_key(1).build();
        let runtime = tokio::runtime::Handle::current();
        let gate = Gate::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _entered = runtime.enter();
                    for n in 0..50 {
                        drop(pool.spawn_n(gate.passed().key(n)));
                    }
                });
            }
        });
        until(|| pool.stats().parked == 150).await;
        assert_eq!((pool.active(), pool.waiting()), (50, 150));
        gate.open();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_map_goes_on_past_items_whose_key_is_full_as_far_as_four_times_the_size() {
    on_both(async || {
        let pool = Pool::builder(3).per_key(1).build();
        let (gate, pulled) = (Gate::new(), Count::new());
        let map = tokio::spawn(pool.map(0..100, {
            let (gate, pulled) = (gate.clone(), pulled.clone());
            move |n| {
                pulled.add();
                let gate = gate.passed();
                async move {
                    gate.await;
                    n
                }
                .key("a")
            }
        }));
        let counted = || {
            let stats = pool.stats();
            (pulled.get(), stats.active, stats.parked)
        };
        until(|| counted() == (12, 1, 11)).await;
        let_others_run().await;
        assert_eq!(counted(), (12, 1, 11));
        gate.let_pass();
        until(|| pulled.get() == 13).await;
        gate.open();
        let results: Vec<_> = map.await.unwrap().into_iter().map(Result::unwrap).collect();
        assert!(results.into_iter().eq(0..100));
        // The last turn may be at its end still.
        pool.join().await;
        assert_eq!(
            pool.stats().started,
            100,
            "the turns that gave no start are none"
        );
        assert_whole(&pool).await;
    });
}

#[test]
fn a_map_with_keys_leaves_slots_that_its_keys_do_not_use_to_others() {
    on_both(async || {
        let pool = Pool::builder(2).per_key(1).build();
        let gate = Gate::new();
        let map = tokio::spawn(pool.map(0..20, {
            let gate = gate.clone();
            move |_| gate.passed().key("a")
        }));
        until(|| pool.stats().parked == 7).await;
        pool.exec(async {}).await.unwrap();
        pool.exec(async {}.key("b")).await.unwrap();
        gate.open();
        assert_eq!(map.await.unwrap().len(), 20);
    });
}

#[test]
fn a_stream_that_is_dropped_takes_its_items_with_it_that_wait_for_their_key() {
    on_both(async || {
        let pool = Pool::builder(4).per_key(1).build();
        let dropped = Count::new();
        let mut stream = pool.itermap(0..100, {
            let dropped = dropped.clone();
            move |_| dropped.pending().key("a")
        });
        {
            let mut next = futures_util::StreamExt::next(&mut stream);
            assert!(poll_once(std::pin::Pin::new(&mut next)).is_pending());
        }
        until(|| pool.stats().parked == 3).await;
        drop(stream);
        pool.join().await;
        assert_eq!(dropped.get(), 4);
        assert_eq!(pool.stats().cancelled, 4);
        assert_whole(&pool).await;
    });
}

#[test]
fn items_that_wait_for_their_key_leave_the_queue_when_their_stream_is_dropped() {
    on_both(async || {
        let pool = Pool::builder(2).per_key(1).build();
        pool.pause_key("a", None);
        let dropped = Count::new();
        let mut stream = pool.itermap(0..100, {
            let dropped = dropped.clone();
            move |_| dropped.pending().key("a")
        });
        {
            let mut next = futures_util::StreamExt::next(&mut stream);
            assert!(poll_once(std::pin::Pin::new(&mut next)).is_pending());
        }
        until(|| pool.stats().parked == 2 && pool.active() == 0).await;
        drop(stream);
        assert_eq!((pool.len(), dropped.get()), (0, 2));
        pool.resume_key("a");
        assert_whole(&pool).await;
    });
}

#[test]
fn an_item_that_is_pulled_as_its_stream_is_dropped_is_no_job() {
    on_both(async || {
        let (pool, dropped) = (Pool::builder(2).per_key(1).build(), Count::new());
        let stream = Arc::new(Mutex::new(None::<Itermap<()>>));
        let items = std::iter::from_fn({
            let stream = stream.clone();
            move || stream.lock().unwrap().take().map(drop)
        });
        let mut made = pool.itermap(items, {
            let dropped = dropped.clone();
            move |()| dropped.pending().key("a")
        });
        let hand_over = || {
            // Until it is there, the iterator waits for it.
            let mut place = stream.lock().unwrap();
            let mut next = futures_util::StreamExt::next(&mut made);
            assert!(poll_once(std::pin::Pin::new(&mut next)).is_pending());
            *place = Some(made);
        };
        hand_over();
        until(|| dropped.get() == 1).await;
        pool.join().await;
        let stats = pool.stats();
        assert_eq!((stats.started, stats.cancelled), (0, 0));
        assert_whole(&pool).await;
    });
}

#[test]
fn a_map_whose_iterator_panics_stops_its_items_that_wait_for_their_key() {
    on_both(async || {
        let pool = Pool::builder(4).per_key(1).build();
        let dropped = Count::new();
        let items = (0..5).map(|n| if n == 4 { raise("no more") } else { n });
        let map = tokio::spawn(pool.map(items, {
            let dropped = dropped.clone();
            move |_| dropped.pending().key("a")
        }));
        assert!(map.await.unwrap_err().is_panic());
        assert_eq!(dropped.get(), 4);
        assert_whole(&pool).await;
    });
}

#[test]
fn cancel_all_reaches_items_that_wait_for_their_key() {
    on_both(async || {
        let pool = Pool::builder(2).per_key(1).build();
        let map = tokio::spawn(pool.map(0..8, |_| std::future::pending::<()>().key("a")));
        until(|| pool.stats().parked == 7).await;
        assert_eq!(pool.cancel_all().await, 8);
        let results = map.await.unwrap();
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(JobError::Cancelled)))
        );
        assert_whole(&pool).await;
    });
}

/// A key whose drop is counted.
struct Tracked(u32, Count);

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Tracked {}

impl Hash for Tracked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.1.add();
    }
}

/// A key that has the hash of all others of its kind.
enum Spiteful {
    Panics,
    Calls(u32, fn()),
    /// As the first, and when it is dropped.
    Drops,
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        if let Self::Drops = self {
            raise("not droppable");
        }
    }
}

impl PartialEq for Spiteful {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Calls(this, call), Self::Calls(other, _)) => {
                call();
                this == other
            }
            _ => raise("not comparable"),
        }
    }
}

impl Eq for Spiteful {}

impl Hash for Spiteful {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A host and a number, of which only the host is hashed.
#[derive(PartialEq, Eq)]
struct Tenant(&'static str, u32);

impl Hash for Tenant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn a_text_is_found_among_any_number_of_other_keys_that_are_hashed_as_it_is() {
    on_current_thread(async || {
        let pool = Pool::builder(100).per_key(1).build();
        let mut kept = vec![pool.spawn_n(std::future::pending().key("a"))];
        for number in 0..40 {
            let key = Key::new(Tenant("a", number));
            kept.push(pool.spawn_n(std::future::pending::<()>().key(key)));
            kept.push(pool.spawn_n(std::future::pending().key("a")));
            let others = number as usize + 1;
            assert_eq!((pool.active(), pool.waiting()), (1 + others, others));
        }
        pool.pause_key("a", None);
        assert!(pool.resume_key("a"));
        pool.cancel_all().await;
    });
}

/// While these are compared, keys come that the table of keys grows by.
#[test]
fn a_key_is_found_though_others_come_while_it_is_compared() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    static COMING: Mutex<Option<i64>> = Mutex::new(None);

    struct Alike(u8);

    impl Hash for Alike {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    impl PartialEq for Alike {
        fn eq(&self, other: &Self) -> bool {
            let coming = COMING.lock().unwrap().as_mut().map(|next| {
                *next += 64;
                *next
            });
            for number in coming.into_iter().flat_map(|next| next..next + 64) {
                POOL.get().unwrap().pause_key(number, None);
            }
            self.0 == other.0
        }
    }

    impl Eq for Alike {}

    on_current_thread(async || {
        let pool = POOL.get_or_init(|| Pool::new(10));
        for number in 0..10 {
            pool.pause_key(Key::new(Alike(number)), None);
        }
        *COMING.lock().unwrap() = Some(0);
        let resumed: Vec<_> = (0..10)
            .map(|number| pool.resume_key(Key::new(Alike(number))))
            .collect();
        assert_eq!(resumed, [true; 10]);
    });
}

#[test]
fn a_key_is_opened_though_others_come_and_go_while_its_limit_is_found() {
    on_current_thread(async || {
        let of_itself = Arc::new(OnceLock::<Pool>::new());
        let asked = Count::new();
        let pool = Pool::builder(4)
            .per_key_with({
                let (of_itself, asked) = (of_itself.clone(), asked.clone());
                move |key| {
                    asked.add();
                    if *key == Key::from("a") {
                        let pool = of_itself.get().unwrap();
                        pool.pause_key("b", None);
                        pool.resume_key("b");
                    }
                    1
                }
            })
            .build();
        assert!(of_itself.set(pool.clone()).is_ok());
        pool.exec(async {}.key("a")).await.unwrap();
        assert_eq!(asked.get(), 2);
    });
}
