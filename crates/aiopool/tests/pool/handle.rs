//! `JobHandle`: waiting for a result, or not.

use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use aiopool::Pool;
use futures_util::future::FusedFuture;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{
    Count, Gate, Wakes, assert_whole, let_others_run, on_both, on_current_thread, poll_once, until,
};

#[test]
fn it_may_be_polled_by_reference_and_given_up() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let passed = gate.passed();
        let mut handle = pool.spawn_n(async {
            passed.await;
            42
        });
        assert!(poll_once(pin!(&mut handle)).is_pending());
        gate.open();
        assert_eq!((&mut handle).await.unwrap(), 42);
    });
}

#[test]
fn it_is_finished_when_the_result_can_be_read_and_afterwards() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handle = pool.spawn_n(gate.passed());
        assert!(!handle.is_finished());
        gate.open();
        pool.join().await;
        assert!(handle.is_finished());
        (&mut handle).await.unwrap();
        assert!(handle.is_finished());
    });
}

#[test]
fn it_is_terminated_once_it_has_given_the_result() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handle = pool.spawn_n(gate.passed());
        assert!(!handle.is_terminated());
        gate.open();
        pool.join().await;
        assert!(!handle.is_terminated());
        (&mut handle).await.unwrap();
        assert!(handle.is_terminated());

        let mut handle = pool.spawn_n(pending::<()>());
        pool.cancel([&mut handle]).await;
        assert!(!handle.is_terminated());
        (&mut handle).await.unwrap_err();
        assert!(handle.is_terminated());
    });
}

#[test]
#[should_panic(expected = "must not be polled after it has given its result")]
fn polled_after_it_has_given_the_result_it_panics() {
    on_both(async || {
        let mut handle = Pool::new(1).spawn_n(async {});
        (&mut handle).await.unwrap();
        assert_pending!(task::spawn(&mut handle).poll());
    });
}

#[test]
fn dropping_it_does_not_stop_the_job() {
    on_both(async || {
        let (pool, gate, ended) = (Pool::new(1), Gate::new(), Count::new());
        for _ in 0..2 {
            let (passed, ended) = (gate.passed(), ended.clone());
            drop(pool.spawn_n(async move {
                passed.await;
                ended.add();
            }));
        }
        gate.open();
        pool.join().await;
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn dropped_before_the_end_the_result_is_freed_as_soon_as_it_is_there() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(1), Gate::new(), Count::new());
        let (passed, output) = (gate.passed(), drops.drops());
        let handle = pool.spawn_n(async {
            passed.await;
            output
        });
        drop(handle);
        assert_eq!(drops.get(), 0);
        gate.open();
        pool.join().await;
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn dropped_after_the_end_the_result_is_freed_with_it() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let output = drops.drops();
        let handle = pool.spawn_n(async { output });
        pool.join().await;
        assert_eq!(drops.get(), 0);
        drop(handle);
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn the_future_is_dropped_before_the_result_can_be_read() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        for n in 1..100 {
            // What a closure has captured lives as long as the future, not as its last poll.
            let dropped = drops.drops();
            let job = poll_fn(move |_| {
                let _captured = &dropped;
                Poll::Ready(())
            });
            pool.spawn_n(job).await.unwrap();
            assert_eq!(drops.get(), n);
        }
    });
}

#[test]
fn a_result_can_be_read_from_another_thread() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let passed = gate.passed();
        let handle = pool.spawn_n(async {
            passed.await;
            42
        });
        let reader = std::thread::spawn(move || tokio_test::block_on(handle).unwrap());
        gate.open();
        pool.join().await;
        assert_eq!(reader.join().unwrap(), 42);
    });
}

#[test]
fn only_the_last_task_that_polled_it_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handle = pool.spawn_n(gate.passed());
        let (first, second) = (Wakes::new(), Wakes::new());
        assert_pending!(first.poll(pin!(&mut handle)));
        assert_pending!(second.poll(pin!(&mut handle)));
        assert_pending!(second.poll(pin!(&mut handle)));
        gate.open();
        until(|| second.get() > 0).await;
        assert_eq!((first.get(), second.get()), (0, 1));
        assert_ready!(first.poll(pin!(&mut handle))).unwrap();
        let_others_run().await;
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn a_result_is_there_when_its_reader_is_woken_and_so_is_the_slot() {
    on_current_thread(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handle = task::spawn(pool.spawn_n(gate.passed()));
        assert_pending!(handle.poll());
        gate.open();
        until(|| handle.is_woken()).await;
        assert!(pool.is_empty());
        assert_ready!(handle.poll()).unwrap();
    });
}

#[test]
fn each_job_has_its_own_id() {
    on_both(async || {
        let pool = Pool::new(2);
        let handles = pool.map_n(0..100, |_| async {});
        let ids: HashSet<_> = handles.iter().map(aiopool::JobHandle::id).collect();
        let names: HashSet<_> = ids.iter().map(ToString::to_string).collect();
        assert_eq!((ids.len(), names.len()), (100, 100));
        pool.join().await;
    });
}

#[test]
fn the_pool_may_be_dropped_while_its_jobs_wait_and_run() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let handles = pool.map_n(0..10, |n| {
            let passed = gate.passed();
            async move {
                passed.await;
                n
            }
        });
        drop(pool);
        gate.open();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await.unwrap(), n);
        }
    });
}

#[test]
fn a_detached_job_of_a_dropped_pool_runs_to_its_end() {
    on_both(async || {
        let (gate, ended) = (Gate::new(), Count::new());
        {
            let pool = Pool::new(1);
            for _ in 0..3 {
                let (passed, ended) = (gate.passed(), ended.clone());
                drop(pool.spawn_n(async move {
                    passed.await;
                    ended.add();
                }));
            }
        }
        gate.open();
        until(|| ended.get() == 3).await;
    });
}

#[test]
fn what_a_job_held_is_freed_at_its_end_though_the_handle_is_kept() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let handle = pool.spawn_n(drops.pending());
        let_others_run().await;
        assert_eq!(drops.get(), 0);
        assert_eq!(pool.cancel_all().await, 1);
        assert_eq!(drops.get(), 1);
        drop(handle);
        assert_whole(&pool).await;
    });
}
