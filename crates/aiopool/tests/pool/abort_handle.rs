//! `JobHandle::abort_handle`: who does not wait for a job may cancel it.

use std::future::pending;
use std::sync::Arc;
use std::thread;

use aiopool::{AbortHandle, Job, JobHandle, Pool};

use crate::common::{Count, Gate, assert_whole, let_others_run, on_both, raise, until};

#[test]
fn it_cancels_a_waiting_job_inside_the_call() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(1), Gate::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        let handle = pool.spawn_n(drops.pending());
        let abort = handle.abort_handle();
        assert_eq!((abort.id(), abort.is_finished()), (handle.id(), false));
        assert!(abort.cancel());
        assert_eq!((drops.get(), pool.waiting()), (1, 0));
        assert!(abort.is_finished() && !abort.cancel());
        assert!(handle.await.unwrap_err().is_cancelled());
        gate.open();
        assert_whole(&pool).await;
    });
}

#[test]
fn it_cancels_an_active_job_and_its_callback() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (begun, called) = (Count::new(), Count::new());
        let (beginning, calling) = (begun.clone(), called.clone());
        let job = async move {
            beginning.add();
            pending::<()>().await;
        };
        let passed = gate.passed();
        let handle = pool.spawn_n(job.with_callback(move |_| {
            calling.add();
            passed
        }));
        let abort = handle.abort_handle();
        until(|| begun.get() == 1).await;
        assert!(abort.cancel());
        until(|| called.get() == 1).await;
        assert!(!abort.is_finished());
        assert!(abort.clone().cancel());
        assert!(handle.await.unwrap_err().is_cancelled());
        assert!(abort.is_finished());
        assert_whole(&pool).await;
    });
}

#[test]
fn it_cancels_a_job_whose_handle_was_dropped_and_does_not_keep_what_nobody_wants() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(1), Gate::new(), Count::new());
        let abort = pool.spawn_n(drops.pending()).abort_handle();
        assert!(abort.cancel());
        until(|| abort.is_finished()).await;
        assert_eq!(drops.get(), 1);

        // The result is dropped by its job, which comes last, or by its handle.
        let (passed, output) = (gate.passed(), drops.drops());
        let job = async {
            passed.await;
            output
        };
        let by_job = pool.spawn_n(job).abort_handle();
        let output = drops.drops();
        let handle = pool.spawn_n(async { output });
        let by_handle = handle.abort_handle();
        gate.open();
        pool.join().await;
        assert_eq!(drops.get(), 2);
        assert!(by_job.is_finished() && by_handle.is_finished());
        drop(handle);
        assert_eq!(drops.get(), 3);
        assert!(!by_job.cancel() && !by_handle.cancel());
        drop((by_job, by_handle));
        assert_eq!(drops.get(), 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn it_leaves_the_job_alone_that_has_the_slot_after_its_own() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(async {}).abort_handle();
        let second = pool.spawn_n(gate.passed());
        until(|| first.is_finished()).await;
        for _ in 0..10 {
            assert!(!first.cancel());
            let_others_run().await;
        }
        gate.open();
        second.await.unwrap();
    });
}

#[test]
fn dropping_it_changes_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let handle = pool.spawn_n(gate.passed());
        drop(handle.abort_handle());
        drop((0..1000).map(|_| handle.abort_handle()).collect::<Vec<_>>());
        gate.open();
        handle.await.unwrap();
    });
}

#[test]
fn a_result_whose_drop_panics_harms_nobody_who_has_one() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            raise("the drop of the output");
        }
    }

    on_both(async || {
        let pool = Pool::new(1);
        let abort = pool.spawn_n(async { Bomb }).abort_handle();
        until(|| abort.is_finished()).await;
        drop(abort);
        assert_whole(&pool).await;
    });
}

#[test]
fn any_number_of_threads_may_cancel_look_and_drop_at_once() {
    on_both(async || {
        let (pool, drops) = (Pool::new(2), Count::new());
        for _ in 0..100 {
            let handles = pool.map_n(0..4, |_| drops.pending());
            let aborts: Arc<[AbortHandle]> = handles.iter().map(JobHandle::abort_handle).collect();
            let threads = [0, 1].map(|_| {
                let aborts = aborts.clone();
                thread::spawn(move || {
                    for abort in aborts.iter() {
                        abort.cancel();
                    }
                    drop(aborts);
                })
            });
            drop(aborts);
            for handle in handles {
                assert!(handle.await.unwrap_err().is_cancelled());
            }
            for thread in threads {
                thread.join().unwrap();
            }
        }
        assert_eq!(drops.get(), 400);
        assert_whole(&pool).await;
    });
}

#[test]
#[should_panic(expected = "clone one of them")]
fn of_more_than_can_be_counted_clones_have_to_be_made() {
    on_both(async || {
        let handle = Pool::new(1).spawn_n(pending::<()>());
        let aborts: Vec<_> = (0..40_000).map(|_| handle.abort_handle()).collect();
        unreachable!("{}", aborts.len());
    });
}
