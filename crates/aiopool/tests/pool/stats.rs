//! The numbers of a pool.

use std::future::pending;

use aiopool::{HeldBy, JobError, Pool};

use crate::common::{Gate, on_both, raise, until};

#[test]
fn stats_count_jobs_by_how_they_have_ended() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        pool.exec(async {}).await.unwrap();
        pool.exec(async { raise("it fails") }).await.unwrap_err();
        let active = pool.spawn_n(pending::<()>());
        let open = pool.spawn_n(gate.passed());
        let waiting = pool.spawn_n(async {});
        let stats = pool.stats();
        assert_eq!((stats.size, stats.active, stats.waiting), (2, 2, 1));
        assert_eq!((stats.outside, stats.parked), (0, 0));
        assert_eq!(stats.held_by, Some(HeldBy::Slots));
        assert!(waiting.cancel() && active.cancel());
        assert!(matches!(active.await, Err(JobError::Cancelled)));
        gate.open();
        open.await.unwrap();
        pool.join().await;
        let stats = pool.stats();
        assert_eq!((stats.succeeded, stats.failed), (2, 1));
        assert_eq!((stats.cancelled, stats.timed_out), (2, 0));
        assert_eq!((stats.wait_time, stats.run_time), (None, None));
        assert_eq!(stats.held_by, None);
    });
}

#[test]
fn stats_count_items_and_the_jobs_of_a_callback_once() {
    on_both(async || {
        use aiopool::Job;
        let pool = Pool::new(2);
        // The end of the iterator takes a turn, which is no start.
        let mut left = 0..5;
        let items = std::iter::from_fn(move || left.next());
        pool.map(items, |_| async {}.with_callback(|_| async {}))
            .await;
        until(|| pool.is_empty()).await;
        let stats = pool.stats();
        assert_eq!((stats.started, stats.succeeded), (5, 5));
        assert_eq!(pool.cancel_all().await, 0);
    });
}

#[test]
fn what_a_cancel_all_withdraws_is_counted() {
    on_both(async || {
        let pool = Pool::new(1);
        let _jobs = pool.map_n(0..300, |_| pending::<()>());
        until(|| pool.active() == 1).await;
        assert_eq!(pool.cancel_all().await, 300);
        pool.join().await;
        assert_eq!(pool.stats().cancelled, 300);
    });
}
