//! A pool that starts nothing for a while.

use std::thread;

use aiopool::{HeldBy, Job, Pool};
use tokio::time::Instant;

use crate::common::{Count, Gate, in_frozen_time, let_others_run, millis, on_both, since, until};

#[test]
fn nothing_starts_in_a_paused_pool_until_it_is_resumed() {
    on_both(async || {
        let (pool, gate, begun) = (Pool::new(2), Gate::new(), Count::new());
        let active = pool.spawn_n(gate.passed());
        until(|| pool.active() == 1).await;
        pool.pause(None);
        let waiting = pool.map_n(0..3, |_| {
            let begun = begun.clone();
            async move { begun.add() }
        });
        assert!(waiting[0].cancel());
        gate.open();
        active.await.unwrap();
        pool.drained().await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting(), begun.get()), (0, 2, 0));
        assert!(pool.resume());
        pool.join().await;
        assert_eq!(begun.get(), 2);
        assert!(!pool.resume(), "it is not paused any more");
    });
}

#[test]
fn a_pause_for_a_time_ends_by_itself_and_the_later_end_counts() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        pool.pause(Some(millis(500)));
        pool.pause(Some(millis(100)));
        let job = pool.spawn_n(async move { since(begun) });
        assert_eq!(job.await.unwrap(), 500);
        assert!(!pool.resume());
        pool.pause(Some(millis(100)));
        pool.pause(Some(millis(300)));
        let map = pool.map(0..1, move |_| async move { since(begun) });
        assert_eq!(map.await.pop().unwrap().unwrap(), 800);
    });
}

#[test]
fn a_pause_that_is_made_longer_ends_at_the_later_end_for_those_that_wait() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        pool.pause(Some(millis(100)));
        let job = pool.spawn_n(async move { since(begun) });
        let_others_run().await;
        assert_eq!(pool.stats().held_by, Some(HeldBy::Pause));
        pool.pause(Some(millis(300)));
        let_others_run().await;
        pool.pause(Some(millis(200)));
        assert_eq!(job.await.unwrap(), 300);
    });
}

#[test]
fn a_pause_that_has_ended_by_itself_is_none_that_can_be_ended() {
    in_frozen_time(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        // The pool knows the key as long as it has a job.
        let job = pool.spawn_n(gate.passed().key("a"));
        let_others_run().await;
        pool.pause(Some(millis(100)));
        pool.pause_key("a", Some(millis(100)));
        tokio::time::sleep(millis(200)).await;
        assert!(!pool.resume() && !pool.resume_key("a"));
        pool.pause_key("a", None);
        assert!(pool.resume_key("a") && !pool.resume_key("a"));
        gate.open();
        job.await.unwrap();
    });
}

#[test]
fn a_pool_that_is_resumed_early_starts_its_jobs_before_the_call_returns() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        pool.pause(Some(millis(500)));
        let jobs = pool.map_n(0..3, |_| async move { since(begun) });
        tokio::time::sleep(millis(200)).await;
        assert!(pool.resume());
        assert_eq!((pool.active(), pool.waiting()), (2, 1));
        for job in jobs {
            assert_eq!(job.await.unwrap(), 200);
        }
    });
}

#[test]
fn join_waits_through_a_pause_and_drained_does_not() {
    on_both(async || {
        let (pool, told) = (Pool::new(1), Count::new());
        let gate = Gate::new();
        let jobs = [pool.spawn_n(gate.passed()), pool.spawn_n(async {})];
        pool.pause(None);
        let drained = tokio::spawn(pool.drained());
        let whole = tokio::spawn({
            let (pool, told) = (pool.clone(), told.clone());
            async move {
                pool.join().await;
                told.add();
            }
        });
        let_others_run().await;
        assert!(!drained.is_finished(), "a job is active");
        gate.open();
        drained.await.unwrap();
        let_others_run().await;
        assert_eq!((pool.waiting(), told.get()), (1, 0));
        thread::scope(|scope| scope.spawn(|| pool.resume()).join()).unwrap();
        whole.await.unwrap();
        for job in jobs {
            job.await.unwrap();
        }
    });
}

#[test]
fn a_drainer_that_is_dropped_leaves_the_others() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let job = pool.spawn_n(gate.passed());
        let mut dropped = Box::pin(pool.drained());
        assert!(crate::common::poll_once(dropped.as_mut()).is_pending());
        let drainer = tokio::spawn(pool.drained());
        let_others_run().await;
        drop(dropped);
        gate.open();
        drainer.await.unwrap();
        job.await.unwrap();
        pool.drained().await;
    });
}
