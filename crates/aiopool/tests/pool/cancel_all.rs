//! `Pool::cancel_all`.

use std::pin::pin;

use aiopool::{Job, JobHandle, Pool};
use futures_util::StreamExt;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{
    Count, Gate, Wakes, assert_whole, let_others_run, on_both, on_current_thread, poll_once, until,
};

#[test]
fn it_stops_all_who_wait_and_all_who_are_active() {
    on_both(async || {
        let (pool, drops) = (Pool::new(3), Count::new());
        let handles = pool.map_n(0..10, |_| drops.pending());
        assert_eq!(pool.cancel_all().await, 10);
        assert_eq!((drops.get(), pool.len()), (10, 0));
        for handle in handles {
            assert!(handle.await.unwrap_err().is_cancelled());
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn in_an_empty_pool_it_stops_nothing_at_once() {
    on_both(async || {
        let pool = Pool::new(1);
        assert_eq!(assert_ready!(task::spawn(pool.cancel_all()).poll()), 0);
        assert_whole(&pool).await;
    });
}

#[test]
fn called_twice_it_does_not_stop_the_same_jobs_twice() {
    on_both(async || {
        let pool = Pool::new(2);
        let handles = pool.map_n(0..4, |_| std::future::pending::<()>());
        let (first, second) =
            futures_util::future::join(pool.cancel_all(), pool.cancel_all()).await;
        // Both have stopped those that were active, and one has taken the others out of the queue.
        assert_eq!(first, 4);
        assert!(second <= 2);
        assert!(handles.iter().all(JobHandle::is_finished));
        assert_whole(&pool).await;
    });
}

#[test]
fn a_running_map_goes_on_with_the_items_it_has_not_pulled_yet() {
    on_both(async || {
        let (pool, begun) = (Pool::new(2), Count::new());
        let counted = begun.clone();
        let mut map = task::spawn(pool.map(0..20, move |n| {
            counted.add();
            async move {
                if n < 2 {
                    std::future::pending::<()>().await;
                }
                n
            }
        }));
        assert_pending!(map.poll());
        until(|| begun.get() == 2 && pool.waiting() == 1).await;
        assert_eq!(pool.cancel_all().await, 2);
        let results = map.await;
        assert_eq!(results.len(), 20);
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(result) => assert_eq!(result, n),
                Err(error) => assert!(error.is_cancelled() && n < 2),
            }
        }
        assert_eq!(begun.get(), 20);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_running_stream_goes_on_with_the_items_it_has_not_pulled_yet() {
    on_both(async || {
        let (pool, begun) = (Pool::new(2), Count::new());
        let counted = begun.clone();
        let mut results = task::spawn(pool.itermap(0..20, move |n| {
            counted.add();
            async move {
                if n < 2 {
                    std::future::pending::<()>().await;
                }
            }
        }));
        assert_pending!(results.poll_next());
        until(|| begun.get() == 2 && pool.active() == 2).await;
        assert_eq!(pool.cancel_all().await, 2);
        let results: Vec<_> = results.collect().await;
        let cancelled = results.iter().filter(|result| result.is_err());
        assert_eq!((results.len(), cancelled.count()), (20, 2));
        assert_whole(&pool).await;
    });
}

#[test]
fn an_item_that_was_not_pulled_yet_is_spared_though_its_map_has_a_slot() {
    on_current_thread(async || {
        let pool = Pool::new(1);
        let mut map = task::spawn(pool.map(0..3, |n| async move { n }));
        assert_pending!(map.poll());
        // The map has its first slot, but no task has run in which it could pull an item.
        assert_eq!((pool.active(), pool.waiting()), (1, 0));
        assert_eq!(pool.cancel_all().await, 0);
        let results: Vec<_> = map.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [0, 1, 2]);
    });
}

#[test]
fn called_inside_a_job_it_leaves_that_job_out() {
    on_both(async || {
        let (pool, drops, after) = (Pool::new(2), Count::new(), Count::new());
        let neighbours = pool.map_n(0..1, |_| drops.pending());
        let (in_job, dropped, reached) = (pool.clone(), drops.drops(), after.clone());
        let gate = Gate::new();
        let passed = gate.passed();
        let handle = pool.spawn_n(async move {
            let _dropped = dropped;
            passed.await;
            in_job.cancel_all().await;
            reached.add();
        });
        let waiting = pool.spawn_n(drops.pending());
        gate.open();
        handle.await.unwrap();
        assert_eq!((after.get(), drops.get()), (1, 3));
        assert!(neighbours[0].is_finished() && waiting.is_finished());
        assert_whole(&pool).await;
    });
}

#[test]
fn jobs_handed_in_meanwhile_are_not_stopped() {
    on_both(async || {
        let (pool, gate, called) = (Pool::new(1), Gate::new(), Gate::new());
        // The callback holds the end of the cancelled job up.
        let passed = called.passed();
        drop(pool.spawn_n(std::future::pending::<()>().with_callback(|_| passed)));
        let mut cancel = task::spawn(pool.cancel_all());
        assert_pending!(cancel.poll());
        let later = pool.spawn_n(gate.passed());
        called.open();
        assert_eq!(cancel.await, 1);
        let_others_run().await;
        gate.open();
        later.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_handed_in_by_the_drop_of_a_cancelled_one_runs() {
    struct HandsIn(Pool, Count);
    impl Drop for HandsIn {
        fn drop(&mut self) {
            let ended = self.1.clone();
            drop(self.0.spawn_n(async move { ended.add() }));
        }
    }
    on_both(async || {
        let (pool, ended) = (Pool::new(2), Count::new());
        let handles = pool.map_n(0..6, |_| {
            let hands_in = HandsIn(pool.clone(), ended.clone());
            async move {
                let _hands_in = hands_in;
                std::future::pending::<()>().await;
            }
        });
        assert!(pool.cancel_all().await >= 6);
        assert!(handles.iter().all(JobHandle::is_finished));
        pool.join().await;
        assert!(ended.get() <= 6);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_while_it_waits_the_jobs_are_cancelled_all_the_same() {
    on_both(async || {
        let (pool, drops) = (Pool::new(2), Count::new());
        let handles = pool.map_n(0..6, |_| drops.pending());
        let mut cancel = Box::pin(pool.cancel_all());
        let _ = poll_once(cancel.as_mut());
        drop(cancel);
        pool.join().await;
        assert_eq!(drops.get(), 6);
        assert!(handles.iter().all(JobHandle::is_finished));
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_before_the_first_poll_it_stops_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let handle = pool.spawn_n(gate.passed());
        drop(pool.cancel_all());
        gate.open();
        handle.await.unwrap();
    });
}

#[test]
fn its_future_may_outlive_the_pool_and_go_to_another_task() {
    on_both(async || {
        let pool = Pool::new(1);
        let handles = pool.map_n(0..3, |_| std::future::pending::<()>());
        let cancel = pool.cancel_all();
        drop(pool);
        assert_eq!(tokio::spawn(cancel).await.unwrap(), 3);
        assert!(handles.iter().all(JobHandle::is_finished));
    });
}

#[test]
fn only_the_last_task_that_polled_it_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        // The callback holds the end of the cancelled job up.
        let passed = gate.passed();
        drop(pool.spawn_n(std::future::pending::<()>().with_callback(|_| passed)));
        let (first, second) = (Wakes::new(), Wakes::new());
        let mut cancel = pin!(pool.cancel_all());
        assert_pending!(first.poll(cancel.as_mut()));
        assert_pending!(second.poll(cancel.as_mut()));
        gate.open();
        until(|| second.get() > 0).await;
        assert_eq!((first.get(), second.get()), (0, 1));
        assert_eq!(assert_ready!(poll_once(cancel)), 1);
    });
}
