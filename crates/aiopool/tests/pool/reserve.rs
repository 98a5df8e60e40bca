//! Slots without a job, and jobs that start at once or not at all.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use aiopool::{HeldBy, Job, JobError, Key, Pool, Rate};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::common::{
    Count, Gate, Wakes, assert_names_enable_time, assert_whole, current_thread, frozen,
    in_frozen_time, in_time, let_others_run, millis, on_both, poll_once, since, until,
};

#[test]
fn a_permit_is_a_slot_that_goes_back_when_it_is_dropped() {
    on_both(async || {
        let pool = Pool::new(1);
        let permit = pool.reserve().await.unwrap();
        let not_send = Rc::new(pool.active());
        assert_eq!(*not_send, 1);
        let job = pool.spawn_n(async { 1 });
        let_others_run().await;
        assert_eq!(
            (pool.active(), pool.waiting(), pool.stats().started),
            (1, 1, 1)
        );
        drop(permit);
        assert_eq!(job.await.unwrap(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_permit_waits_in_the_queue_as_a_job_does() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(gate.passed());
        let wakes = Wakes::new();
        let mut reserve = Box::pin(pool.reserve());
        assert!(wakes.poll(reserve.as_mut()).is_pending());
        let last = pool.spawn_n(async {});
        assert_eq!(
            (pool.waiting(), pool.stats().held_by),
            (2, Some(HeldBy::Slots))
        );
        gate.open();
        first.await.unwrap();
        until(|| wakes.get() == 1).await;
        let permit = reserve.await.unwrap();
        let_others_run().await;
        assert!(!last.is_finished(), "the slot is taken");
        thread::scope(|scope| {
            scope.spawn(move || drop(permit));
        });
        last.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_in_a_permit_starts_at_once_and_gives_the_slot_back() {
    on_both(async || {
        let pool = Pool::builder(1).per_key(1).build();
        let permit = pool.reserve().await.unwrap();
        let waiting = pool.spawn_n(async {});
        let gate = Gate::new();
        let passed = gate.passed();
        let job = async move {
            passed.await;
            7
        };
        let job = permit.spawn(job.key("a").weight(3).name("it"));
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting()), (1, 1));
        gate.open();
        assert_eq!(job.await.unwrap(), 7);
        waiting.await.unwrap();
        assert_eq!(pool.stats().started, 2);
        let permit = pool.reserve().await.unwrap();
        let job = permit.spawn(std::future::pending::<()>());
        assert!(job.cancel());
        assert!(matches!(job.await, Err(JobError::Cancelled)));
        let permit = pool.reserve().await.unwrap();
        let _job = permit.spawn(std::future::pending::<()>());
        assert_eq!(pool.cancel_all().await, 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_reserve_that_is_dropped_while_it_waits_or_when_it_has_its_slot_loses_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let first = pool.map_n(0..2, |_| gate.passed());
        let mut waits = Box::pin(pool.reserve());
        assert!(poll_once(waits.as_mut()).is_pending());
        let mut has = Box::pin(pool.reserve());
        assert!(poll_once(has.as_mut()).is_pending());
        assert_eq!(pool.waiting(), 2);
        drop(waits);
        assert_eq!(pool.waiting(), 1);
        gate.open();
        for job in first {
            job.await.unwrap();
        }
        until(|| pool.waiting() == 0).await;
        assert_eq!(pool.active(), 1);
        drop(has);
        drop(pool.reserve());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_slot_that_nobody_comes_for_goes_to_the_next_one() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(gate.passed());
        // Its worker could begin another job in the poll in which this one ends.
        let_others_run().await;
        let wakes = Wakes::new();
        let mut reserve = Box::pin(pool.reserve());
        assert!(wakes.poll(reserve.as_mut()).is_pending());
        let next = pool.spawn_n(async {});
        gate.open();
        first.await.unwrap();
        until(|| wakes.get() == 1).await;
        assert_eq!(pool.waiting(), 1);
        drop(reserve);
        next.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_permit_that_is_dropped_wakes_those_who_wait_until_nothing_is_active() {
    on_both(async || {
        let pool = Pool::new(2);
        let permit = pool.reserve().await.unwrap();
        pool.pause(None);
        let waiting = pool.spawn_n(async {});
        let wakes = Wakes::new();
        let mut drained = Box::pin(pool.drained());
        assert!(wakes.poll(drained.as_mut()).is_pending());
        drop(permit);
        assert_eq!(wakes.get(), 1);
        drained.await;
        pool.resume();
        waiting.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_permit_is_a_start_that_the_rate_counts() {
    in_frozen_time(async || {
        let pool = Pool::builder(5).rate(Rate::new(1, millis(100))).build();
        let begun = Instant::now();
        let permits = [pool.reserve().await.unwrap(), pool.reserve().await.unwrap()];
        assert_eq!(since(begun), 100);
        let [first, second] = permits;
        // No second start: the permits are that.
        let jobs = [
            first.spawn(async move { since(begun) }),
            second.spawn(async move { since(begun) }),
        ];
        for job in jobs {
            assert_eq!(job.await.unwrap(), 100);
        }
        assert_eq!(pool.exec(async move { since(begun) }).await.unwrap(), 200);
    });
}

#[test]
fn a_job_is_tried_and_starts_at_once_or_comes_back() {
    on_both(async || {
        let (pool, gate, dropped) = (Pool::new(2), Gate::new(), Count::new());
        let first = pool.try_spawn(gate.passed()).unwrap();
        let refused = pool.try_spawn(dropped.pending().weight(2)).unwrap_err();
        assert!(refused.to_string().contains("spawn_n"));
        assert_eq!((pool.len(), dropped.get()), (1, 0));
        drop(refused.into_job());
        assert_eq!(dropped.get(), 1);
        let waiting = pool.spawn_n(async {}.weight(2));
        assert!(
            pool.try_spawn(async {}).is_err(),
            "it passes nobody who waits for slots"
        );
        assert!(waiting.cancel());
        let second = pool.try_spawn(async { 2 }).unwrap();
        assert_eq!(second.await.unwrap(), 2);
        pool.pause(None);
        assert!(pool.try_spawn(async {}).is_err());
        pool.resume();
        gate.open();
        first.await.unwrap();
        let stats = pool.stats();
        assert_eq!((stats.started, stats.succeeded), (2, 2));
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_tried_passes_those_of_lower_priority_that_wait_for_slots() {
    on_both(async || {
        let (pool, gate) = (Pool::new(4), Gate::new());
        let first = pool.spawn_n(gate.passed().weight(3));
        let heavy = pool.spawn_n(gate.passed().weight(2));
        assert!(pool.try_spawn(async {}).is_err());
        assert!(pool.try_spawn(async {}.priority(-1)).is_err());
        let higher = pool.try_spawn(async {}.priority(1)).unwrap();
        higher.await.unwrap();
        gate.open();
        first.await.unwrap();
        heavy.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_tried_keeps_to_its_key_and_the_rate() {
    in_frozen_time(async || {
        let pool = Pool::builder(9)
            .per_key(1)
            .rate(Rate::new(2, millis(100)))
            .build();
        let (gate, key) = (Gate::new(), Key::from("a"));
        let first = pool.try_spawn(gate.passed().key(&key)).unwrap();
        assert!(pool.try_spawn(async {}.key("a")).is_err());
        pool.try_spawn(async {}.key("b")).unwrap().await.unwrap();
        assert!(
            pool.try_spawn(async {}.key("c")).is_err(),
            "the rate is used up"
        );
        tokio::time::sleep(millis(100)).await;
        pool.try_spawn(async {}.key("c")).unwrap().await.unwrap();
        gate.open();
        first.await.unwrap();
    });
}

#[test]
fn outside_a_runtime_a_permit_keeps_its_slot_until_it_is_dropped() {
    in_time("no runtime", || {
        let (pool, runtime) = (Pool::new(1), current_thread());
        let permit = runtime.block_on(pool.reserve()).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| permit.spawn(async {}))).is_err());
        assert_eq!(pool.active(), 0);
        assert!(catch_unwind(AssertUnwindSafe(|| pool.try_spawn(async {}))).is_err());
        let mut reserve = Box::pin(pool.reserve());
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(reserve.as_mut()).is_ready())).is_err());
        assert_eq!(pool.len(), 0);
    });
}

#[test]
fn permits_of_a_pool_with_a_rate_need_a_runtime_with_timers() {
    in_time("no timers", || {
        let pool = Pool::builder(1).rate(Rate::new(100, millis(1))).build();
        let (timed, untimed) = (frozen(), current_thread());
        let permit = timed.block_on(pool.reserve()).unwrap();
        untimed.block_on(async {
            assert_names_enable_time(|| drop(permit.spawn(async {})));
            assert_eq!(pool.active(), 0, "the slot has gone back");
            let mut reserve = Box::pin(pool.reserve());
            assert_names_enable_time(|| drop(poll_once(reserve.as_mut())));
            assert_names_enable_time(|| drop(pool.try_spawn(async {})));
            assert_eq!(pool.len(), 0);
        });
        timed.block_on(async { drop(pool.reserve().await.unwrap()) });
    });
}

#[test]
fn tasks_that_are_not_send_keep_to_the_limits_by_permits() {
    in_frozen_time(async || {
        let pool = Pool::builder(2)
            .per_key(1)
            .rate(Rate::new(2, millis(100)))
            .build();
        let (begun, times) = (Instant::now(), Rc::new(RefCell::new(Vec::new())));
        let local = LocalSet::new();
        for n in 0..4 {
            let (pool, times) = (pool.clone(), times.clone());
            local.spawn_local(async move {
                let _permit = pool.reserve().await.unwrap();
                times.borrow_mut().push((n, since(begun)));
                tokio::time::sleep(millis(150)).await;
                assert!(pool.active() <= 2);
            });
        }
        local
            .run_until(async {
                // Those of a key take turns with those without.
                let_others_run().await;
                let jobs = pool.map_n(4..7, |_| async move { since(begun) }.key("a"));
                let task = tokio::task::spawn_local({
                    let pool = pool.clone();
                    async move { pool.exec(async { 7 }).await.unwrap() }
                });
                let mut of_jobs = Vec::new();
                for job in jobs {
                    of_jobs.push(job.await.unwrap());
                }
                assert_eq!(of_jobs, [150, 300, 400]);
                assert_eq!(task.await.unwrap(), 7);
            })
            .await;
        local.await;
        assert_eq!(*times.borrow(), [(0, 0), (1, 0), (2, 150), (3, 250)]);
        pool.set_rate(None);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_caller_whose_runtime_ends_while_it_waits_for_a_time_may_go_on_elsewhere() {
    in_time("two runtimes", || {
        let pool = Pool::new(1);
        pool.pause(None);
        let (mut reserve, wakes) = (Box::pin(pool.reserve()), Wakes::new());
        let first = current_thread();
        first.block_on(async {
            assert!(wakes.poll(reserve.as_mut()).is_pending());
            let_others_run().await;
        });
        drop(first);
        assert_eq!((pool.waiting(), wakes.get()), (0, 1));
        let second = current_thread();
        second.block_on(async {
            pool.resume();
            drop(reserve.await.unwrap());
            assert_whole(&pool).await;
        });
    });
}

/// What the permit was for may have been done under it.
#[test]
fn a_job_that_is_stopped_in_a_permit_before_it_begins_leaves_the_start_of_the_permit() {
    in_frozen_time(async || {
        let pool = Pool::builder(5).rate(Rate::new(1, millis(100))).build();
        let begun = Instant::now();
        let job = pool.reserve().await.unwrap().spawn(async {});
        assert!(job.cancel());
        assert!(matches!(job.await, Err(JobError::Cancelled)));
        assert_eq!(pool.stats().started, 1);
        drop(pool.reserve().await.unwrap());
        assert_eq!(since(begun), 100);
        // The slot of a job that is started at once was nobody's before.
        let_others_run().await;
        tokio::time::sleep(millis(100)).await;
        assert!(pool.try_spawn(async {}).unwrap().cancel());
        pool.join().await;
        assert!(pool.try_spawn(async {}).is_ok());
    });
}

#[test]
fn keys_that_are_to_be_forgotten_keep_no_job_from_its_start() {
    in_frozen_time(async || {
        tokio::time::resume();
        let rate = Rate::new(1, millis(300));
        let pool = Pool::builder(2_000).per_key_rate(rate).build();
        for key in 0..1_000 {
            drop(pool.spawn_n(async {}.key(key)));
        }
        pool.join().await;
        // The timer cannot come.
        thread::sleep(millis(400));
        assert!(pool.try_spawn(async {}).is_ok());
    });
}
