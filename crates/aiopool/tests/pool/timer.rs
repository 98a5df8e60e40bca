//! The timer of a pool: it is there when it is needed, and goes on when its runtime ends.

use std::pin::pin;
use std::sync::mpsc::channel;
use std::thread;

use aiopool::{Job, JobError, Pool, Rate};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::common::{
    Count, Gate, assert_names_enable_time, current_thread, frozen, in_frozen_time, in_time,
    let_others_run, millis, poll_once, since,
};

#[test]
fn one_task_waits_for_all_and_none_while_nothing_is_held_back() {
    in_frozen_time(async || {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let pool = Pool::builder(1000).rate(Rate::new(1, millis(10))).build();
        let jobs = pool.map_n(0..100, |_| async {});
        let_others_run().await;
        assert_eq!((pool.waiting(), tasks()), (99, 1));
        for job in jobs {
            job.await.unwrap();
        }
        let_others_run().await;
        assert_eq!(tasks(), 0);
        pool.pause(None);
        let job = pool.spawn_n(async {});
        let_others_run().await;
        assert_eq!(tasks(), 1, "it notices the end of its runtime");
        pool.resume();
        job.await.unwrap();
        let_others_run().await;
        assert_eq!(tasks(), 0);
        pool.pause(Some(millis(60_000)));
        let job = pool.spawn_n(async {});
        let_others_run().await;
        pool.resume();
        job.await.unwrap();
        let_others_run().await;
        assert_eq!(
            tasks(),
            0,
            "it does not wait for the end of a pause that is over"
        );
    });
}

#[test]
fn a_pool_whose_handles_are_dropped_starts_the_jobs_that_wait() {
    in_frozen_time(async || {
        let (pool, begun) = (
            Pool::builder(1).rate(Rate::new(1, millis(10))).build(),
            Count::new(),
        );
        for _ in 0..5 {
            let begun = begun.clone();
            drop(pool.spawn_n(async move { begun.add() }));
        }
        drop(pool);
        tokio::time::sleep(millis(100)).await;
        assert_eq!(begun.get(), 5);
    });
}

#[test]
fn a_job_that_waits_for_a_time_keeps_its_pool_from_the_moment_it_is_handed_in() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Count::new());
        pool.pause(Some(millis(10)));
        let counted = begun.clone();
        drop(pool.spawn_n(async move { counted.add() }));
        drop(pool);
        tokio::time::sleep(millis(20)).await;
        assert_eq!(begun.get(), 1);
    });
}

#[test]
fn a_timer_that_only_forgets_a_key_keeps_the_pool_when_a_job_waits_for_the_same_time() {
    in_frozen_time(async || {
        let (pool, begun) = (
            Pool::builder(1)
                .per_key_rate(Rate::new(1, millis(100)))
                .build(),
            Count::new(),
        );
        pool.exec(async {}.key("a")).await.unwrap();
        let_others_run().await;
        let counted = begun.clone();
        drop(pool.spawn_n(async move { counted.add() }.key("a")));
        drop(pool);
        tokio::time::sleep(millis(200)).await;
        assert_eq!(begun.get(), 1);
    });
}

#[test]
fn a_timer_that_only_forgets_a_key_does_not_keep_the_pool() {
    in_frozen_time(async || {
        let held = Count::new();
        let dropped = held.drops();
        let pool = Pool::builder(1)
            .per_key_rate(Rate::new(1, millis(100)))
            .observer(move |_| {
                let _held = &dropped;
            })
            .build();
        pool.exec(async {}.key("a")).await.unwrap();
        let_others_run().await;
        drop(pool);
        let_others_run().await;
        assert_eq!(held.get(), 1, "nobody waits");
    });
}

#[test]
fn no_timer_waits_while_jobs_are_active_that_end() {
    in_frozen_time(async || {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let (pool, gate) = (Pool::builder(1).per_key(1).build(), Gate::new());
        let jobs = pool.map_n(0..3, |_| gate.passed().key("a"));
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting(), tasks()), (1, 2, 1));
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
    });
}

/// So many that one step does not do all that is due.
#[test]
fn a_job_whose_time_has_come_goes_first_though_the_times_of_many_keys_have_come_before() {
    in_frozen_time(async || {
        let pool = Pool::builder(1)
            .per_key_rate(Rate::new(1, millis(10)))
            .build();
        for key in 0..200 {
            pool.exec(async {}.key(key)).await.unwrap();
        }
        tokio::time::sleep(millis(1)).await;
        pool.exec(async {}.key("last")).await.unwrap();
        let log = crate::common::Log::new();
        let add = |name| {
            let log = log.clone();
            async move { log.add(name) }
        };
        let in_time = pool.spawn_n(add("in time").key("last").priority(1));
        // Time goes by while this job runs, and nobody else does.
        let active = pool.spawn_n(async {
            assert!(poll_once(pin!(tokio::time::advance(millis(50)))).is_pending());
        });
        let plain = pool.spawn_n(add("plain"));
        for job in [active, in_time, plain] {
            job.await.unwrap();
        }
        assert_eq!(log.take(), ["in time", "plain"]);
    });
}

#[test]
fn jobs_that_nobody_can_start_any_more_are_dropped_with_their_pool() {
    in_frozen_time(async || {
        let (pool, dropped) = (Pool::new(1), Count::new());
        pool.pause(None);
        for _ in 0..3 {
            drop(pool.spawn_n(dropped.pending()));
        }
        let_others_run().await;
        drop(pool);
        assert_eq!(dropped.get(), 3);
    });
}

#[test]
fn a_runtime_that_ends_drops_those_that_wait_for_a_time() {
    for hold in [hold_by_rate, hold_by_pause, hold_without_end] {
        in_time("shut down", move || {
            let (pool, dropped, runtime) = (Pool::new(10), Count::new(), timed());
            let handles = {
                let _entered = runtime.enter();
                hold(&pool);
                pool.map_n(0..1000, |_| dropped.pending())
            };
            runtime.block_on(let_others_run());
            drop(runtime);
            assert_eq!((pool.len(), dropped.get()), (0, 1000));
            let other = current_thread();
            for handle in handles {
                let result = other.block_on(handle);
                assert!(matches!(result, Err(JobError::Cancelled)));
            }
        });
    }
}

fn hold_by_rate(pool: &Pool) {
    pool.set_rate(Rate::new(1, millis(1_000_000)));
}

fn hold_by_pause(pool: &Pool) {
    pool.pause(Some(millis(1_000_000)));
}

fn hold_without_end(pool: &Pool) {
    pool.pause(None);
}

#[test]
fn a_runtime_that_ends_takes_a_map_with_it_that_waits_for_a_time() {
    in_time("shut down", || {
        let (pool, runtime) = (
            Pool::builder(10)
                .rate(Rate::new(1, millis(1_000_000)))
                .build(),
            timed(),
        );
        let map = runtime.spawn({
            let pool = pool.clone();
            async move { pool.map(0..5, |n| async move { n }).await }
        });
        runtime.block_on(let_others_run());
        drop(runtime);
        assert_eq!(pool.len(), 0);
        drop(map);
    });
}

#[test]
fn a_runtime_that_ends_hands_the_timer_on() {
    in_time("handed on", || {
        let pool = Pool::builder(10).rate(Rate::new(1, millis(50))).build();
        let first = timed();
        let lost = first.block_on(async {
            pool.exec(async {}).await.unwrap();
            let lost = vec![pool.spawn_n(async {})];
            let_others_run().await;
            lost
        });
        let other = frozen();
        let kept = other.block_on(async {
            let begun = Instant::now();
            let kept = pool.map_n(0..3, |_| async move { since(begun) });
            let_others_run().await;
            kept
        });
        drop(first);
        other.block_on(async {
            for lost in lost {
                assert!(lost.await.is_err());
            }
            let mut times = Vec::new();
            for kept in kept {
                times.push(kept.await.unwrap());
            }
            assert!(
                times.windows(2).all(|pair| pair[1] == pair[0] + 50),
                "{times:?}"
            );
        });
    });
}

#[test]
fn a_runtime_that_ends_with_the_timer_and_active_jobs_hands_the_timer_on() {
    // The timer is dropped before the workers, or after them.
    for timer_comes_first in [false, true] {
        in_time("handed on", move || {
            let (pool, first, other) = (
                Pool::builder(10)
                    .per_key_rate(Rate::new(1, millis(1_000_000)))
                    .build(),
                timed(),
                timed(),
            );
            let active = || drop(pool.spawn_n(std::future::pending::<()>()));
            let tasks = |runtime: &Runtime| runtime.metrics().num_alive_tasks();
            first.block_on(async {
                if !timer_comes_first {
                    active();
                }
                pool.exec(async {}.key("a")).await.unwrap();
                active();
                let_others_run().await;
            });
            other.block_on(async {
                active();
                let_others_run().await;
            });
            assert_eq!(tasks(&other), 1);
            drop(first);
            other.block_on(let_others_run());
            assert_eq!((pool.active(), tasks(&other)), (1, 2));
        });
    }
}

#[test]
fn runtimes_that_all_have_ended_leave_nothing() {
    in_time("all ended", || {
        let pool = Pool::builder(10)
            .rate(Rate::new(1, millis(1_000_000)))
            .build();
        let runtimes: Vec<_> = (0..5).map(|_| timed()).collect();
        let mut handles = Vec::new();
        for runtime in &runtimes {
            let _entered = runtime.enter();
            handles.extend(pool.map_n(0..10, |_| async {}));
        }
        let last = runtimes[0].handle().clone();
        drop(runtimes);
        assert!(handles.iter().all(aiopool::JobHandle::is_finished));
        // A runtime that has ended can be entered still.
        let _entered = last.enter();
        let late = pool.map_n(0..3, |_| async {});
        assert!(late.iter().all(aiopool::JobHandle::is_finished));
        assert_eq!(pool.len(), 0);
    });
}

#[test]
fn a_runtime_without_timers_is_told_at_the_call_and_nothing_is_lost() {
    in_time("no timers", || {
        let runtime = current_thread();
        runtime.block_on(async {
            let pool = Pool::new(1);
            let dropped = Count::new();
            assert_names_enable_time(|| pool.set_rate(Rate::new(1, millis(1))));
            assert_names_enable_time(|| pool.pause(Some(millis(1))));
            pool.pause(None);
            pool.resume();
            pool.exec(async {}).await.unwrap();
            let limited = Pool::builder(1).rate(Rate::new(1, millis(1))).build();
            assert_names_enable_time(|| drop(limited.spawn_n(dropped.pending())));
            assert_names_enable_time(|| drop(limited.map_n(0..2, |_| dropped.pending())));
            assert_eq!((limited.len(), dropped.get()), (0, 3));
            let mut map = Box::pin(limited.map(0..3, |_| async {}));
            assert_names_enable_time(|| drop(crate::common::poll_once(map.as_mut())));
            let mut exec = Box::pin(limited.exec(dropped.pending()));
            assert_names_enable_time(|| drop(crate::common::poll_once(exec.as_mut())));
            assert_eq!((limited.len(), dropped.get()), (0, 4));
        });
    });
}

#[test]
fn a_pool_in_use_on_a_runtime_without_timers_gets_no_rate_from_elsewhere() {
    in_time("no timers", || {
        let (pool, runtime) = (Pool::new(1), current_thread());
        let job = {
            let _entered = runtime.enter();
            pool.spawn_n(std::future::pending::<()>())
        };
        assert_names_enable_time(|| pool.set_rate(Rate::new(1, millis(1))));
        let (told, tell) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let timed = timed();
                let _entered = timed.enter();
                assert_names_enable_time(|| pool.pause(Some(millis(1))));
                told.send(()).unwrap();
            });
        });
        tell.recv().unwrap();
        job.cancel();
        assert!(runtime.block_on(job).is_err());
        // Nobody uses that runtime any more.
        let timed = timed();
        timed.block_on(async {
            pool.set_rate(Rate::new(1, millis(1)));
            pool.exec(async {}).await.unwrap();
        });
    });
}

#[test]
fn a_thread_without_a_runtime_may_set_a_rate() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = pool.spawn_n(async {});
        thread::scope(|scope| {
            scope.spawn(|| pool.set_rate(Rate::new(1, millis(10))));
        });
        job.await.unwrap();
    });
}

fn timed() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}
