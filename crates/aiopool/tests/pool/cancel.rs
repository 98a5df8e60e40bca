//! `JobHandle::cancel` and `Pool::cancel`.

use std::sync::mpsc;
use std::thread;

use aiopool::{Job, JobError, JobHandle, Pool};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{Count, Gate, assert_whole, let_others_run, on_both, poll_once, until};

#[test]
fn a_waiting_job_is_dropped_unrun_inside_the_call() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(1), Gate::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        let handle = pool.spawn_n(drops.pending());
        assert!(handle.cancel());
        assert_eq!((drops.get(), pool.waiting()), (1, 0));
        assert!(handle.is_finished());
        assert!(handle.await.unwrap_err().is_cancelled());
        gate.open();
        assert_whole(&pool).await;
        assert_eq!(pool.executed(), 1 + 1);
    });
}

#[test]
fn an_active_job_is_stopped_at_its_next_await() {
    on_both(async || {
        let (pool, drops, steps) = (Pool::new(1), Count::new(), Count::new());
        let (dropped, stepped) = (drops.drops(), steps.clone());
        let handle = pool.spawn_n(async move {
            let _dropped = dropped;
            loop {
                stepped.add();
                yield_now().await;
            }
        });
        until(|| steps.get() > 10).await;
        assert!(handle.cancel());
        let result: Result<(), _> = handle.await;
        assert!(result.unwrap_err().is_cancelled());
        let last = steps.get();
        assert_eq!(drops.get(), 1);
        let_others_run().await;
        assert_eq!(steps.get(), last);
        assert_whole(&pool).await;
    });
}

#[test]
fn active_jobs_have_been_dropped_when_the_pool_s_cancel_returns() {
    on_both(async || {
        let (pool, drops, steps) = (Pool::new(3), Count::new(), Count::new());
        let mut handles = pool.map_n(0..3, |_| {
            let (dropped, steps) = (drops.drops(), steps.clone());
            async move {
                let _dropped = dropped;
                loop {
                    steps.add();
                    yield_now().await;
                }
            }
        });
        until(|| steps.get() > 10).await;
        let (stopped, results) = pool.cancel(&mut handles).await;
        let last = steps.get();
        assert_eq!((stopped, results.len(), drops.get()), (3, 3, 3));
        let results: Vec<Result<(), _>> = results;
        assert!(
            results
                .iter()
                .all(|result| result.as_ref().unwrap_err().is_cancelled())
        );
        let_others_run().await;
        assert_eq!(steps.get(), last);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_was_started_but_never_polled_is_dropped_unrun() {
    crate::common::on_current_thread(async || {
        let (pool, begun) = (Pool::new(1), Count::new());
        let counted = begun.clone();
        let handle = pool.spawn_n(async move { counted.add() });
        assert_eq!((pool.active(), pool.waiting()), (1, 0));
        assert!(handle.cancel());
        assert!(handle.await.unwrap_err().is_cancelled());
        assert_eq!((begun.get(), pool.executed()), (0, 0));
        assert_whole(&pool).await;
    });
}

#[test]
fn only_the_jobs_of_these_handles_are_stopped() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let mut handles = pool.map_n(0..10, |n| {
            let passed = gate.passed();
            async move {
                passed.await;
                n
            }
        });
        let even = handles.iter_mut().step_by(2);
        assert_eq!(pool.cancel(even).await.0, 5);
        gate.open();
        for (n, handle) in handles.into_iter().enumerate().skip(1).step_by(2) {
            assert_eq!(handle.await.unwrap(), n);
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn no_handles_stop_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let handle = pool.spawn_n(gate.passed());
        let none: [&mut JobHandle<()>; 0] = [];
        let (stopped, results) = assert_ready!(task::spawn(pool.cancel(none)).poll());
        assert_eq!((stopped, results.len()), (0, 0));
        gate.open();
        handle.await.unwrap();
    });
}

#[test]
fn a_finished_job_is_left_alone_and_keeps_its_result() {
    on_both(async || {
        let pool = Pool::new(1);
        let mut handle = pool.spawn_n(async { 6 * 7 });
        pool.join().await;
        assert!(!handle.cancel());
        let (stopped, results) = pool.cancel([&mut handle]).await;
        assert_eq!((stopped, results.len()), (0, 0));
        assert_eq!(handle.await.unwrap(), 42);
    });
}

#[test]
fn a_handle_that_has_given_its_result_is_ignored() {
    on_both(async || {
        let pool = Pool::new(1);
        let mut handle = pool.spawn_n(async { 6 * 7 });
        (&mut handle).await.unwrap();
        assert!(!handle.cancel());
        assert_eq!(pool.cancel([&mut handle]).await.0, 0);
    });
}

#[test]
fn the_handles_of_the_jobs_that_it_has_stopped_say_that_they_were_cancelled() {
    on_both(async || {
        let (pool, gate, begun) = (Pool::new(2), Gate::new(), Count::new());
        let mut handles = pool.map_n(0..3, |n| {
            let (passed, begun) = (gate.passed(), begun.clone());
            let job = async move {
                begun.add();
                if n > 0 {
                    passed.await;
                }
                n
            };
            // What a callback gives is for the one who cancels.
            job.with_callback(|result| async { result.unwrap_or(7) })
        });
        until(|| pool.executed() == 1 && begun.get() == 3).await;
        let (stopped, results) = pool.cancel(&mut handles).await;
        assert_eq!(stopped, 2);
        assert!(matches!(results[..], [Ok(7), Ok(7)]));
        assert_eq!(pool.cancel(&mut handles).await.0, 0);
        let mut results = Vec::new();
        for handle in handles {
            assert!(handle.is_finished() && !handle.cancel());
            results.push(handle.await);
        }
        assert!(matches!(results[0], Ok(0)));
        let cancelled = |result: &Result<_, JobError>| result.as_ref().unwrap_err().is_cancelled();
        assert!(results[1..].iter().all(cancelled));
        assert_whole(&pool).await;
    });
}

#[test]
fn a_handle_of_another_pool_is_left_alone_and_keeps_its_result() {
    on_both(async || {
        let (pool, other, gate) = (Pool::new(1), Pool::new(1), Gate::new());
        let mut ours = pool.spawn_n(gate.passed());
        let mut theirs = other.spawn_n(gate.passed());
        let mut waiting = other.spawn_n(gate.passed());
        let (stopped, _) = pool.cancel([&mut theirs, &mut waiting, &mut ours]).await;
        assert_eq!(stopped, 1);
        assert_eq!((other.active(), other.waiting()), (1, 1));
        gate.open();
        theirs.await.unwrap();
        waiting.await.unwrap();
    });
}

#[test]
fn cancelled_twice_there_is_nothing_to_cancel_once_the_job_has_ended() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let mut active = pool.spawn_n(drops.pending());
        let waiting = pool.spawn_n(drops.pending());
        assert!(waiting.cancel());
        assert!(!waiting.cancel());
        active.cancel();
        active.cancel();
        assert!((&mut active).await.unwrap_err().is_cancelled());
        assert!(!active.cancel());
        assert_eq!(drops.get(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn an_old_handle_does_not_cancel_the_job_that_runs_in_its_slot_now() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(async {});
        let second = pool.spawn_n(gate.passed());
        until(|| pool.executed() == 1).await;
        for _ in 0..10 {
            assert!(!first.cancel());
            let_others_run().await;
        }
        gate.open();
        second.await.unwrap();
    });
}

#[test]
fn a_cancellation_that_comes_too_late_does_not_reach_the_next_job_of_the_slot() {
    on_both(async || {
        let pool = Pool::new(1);
        for _ in 0..100 {
            let (hand_over, own) = oneshot::channel::<JobHandle<u8>>();
            let first = pool.spawn_n(async {
                // The handle of the job itself: it is stopped in its last poll.
                assert!(own.await.unwrap().cancel());
                7
            });
            let second = pool.spawn_n(async {
                yield_now().await;
                8
            });
            hand_over.send(first).unwrap();
            assert_eq!(second.await.unwrap(), 8);
        }
    });
}

#[test]
fn a_job_that_comes_to_its_end_by_itself_keeps_its_result() {
    on_both(async || {
        let pool = Pool::new(1);
        let (hand_over, own) = oneshot::channel::<JobHandle<u8>>();
        let (report, reported) = oneshot::channel();
        let in_job = pool.clone();
        let handle = pool.spawn_n(async move {
            let mut handle = own.await.unwrap();
            // Another thread cancels the job, which is held up in its last poll meanwhile.
            let (cancel, cancelled) = mpsc::channel();
            thread::spawn(move || {
                let mut cancelling = task::spawn(in_job.cancel([&mut handle]));
                assert_pending!(cancelling.poll());
                cancel.send(()).unwrap();
                let (stopped, results) = tokio_test::block_on(cancelling);
                report.send((stopped, results.len(), handle)).unwrap();
            });
            cancelled.recv().unwrap();
            7
        });
        hand_over.send(handle).unwrap();
        let (stopped, results, handle) = reported.await.unwrap();
        assert_eq!((stopped, results), (0, 0));
        assert_eq!(handle.await.unwrap(), 7);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_may_cancel_others_and_itself() {
    on_both(async || {
        let (pool, drops) = (Pool::new(2), Count::new());
        let mut others = vec![pool.spawn_n(drops.pending())];
        let (hand_over, own) = oneshot::channel::<JobHandle<()>>();
        let (in_job, dropped, after) = (pool.clone(), drops.drops(), Count::new());
        let reached = after.clone();
        let handle = pool.spawn_n(async move {
            let _dropped = dropped;
            others.push(own.await.unwrap());
            in_job.cancel(&mut others).await;
            reached.add();
        });
        drop(pool.spawn_n(drops.pending()));
        hand_over.send(handle).unwrap();
        until(|| drops.get() == 2 && pool.len() == 1).await;
        assert_eq!(after.get(), 0);
        assert_eq!(pool.cancel_all().await, 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_while_it_waits_the_jobs_are_cancelled_all_the_same() {
    on_both(async || {
        let (pool, drops) = (Pool::new(2), Count::new());
        let mut handles = pool.map_n(0..4, |_| drops.pending());
        let mut cancel = Box::pin(pool.cancel(&mut handles));
        drop(poll_once(cancel.as_mut()));
        drop(cancel);
        pool.join().await;
        assert_eq!(drops.get(), 4);
        assert!(handles.iter().all(JobHandle::is_finished));
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_before_the_first_poll_it_stops_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handles = pool.map_n(0..2, |_| gate.passed());
        drop(pool.cancel(&mut handles));
        gate.open();
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[test]
fn given_up_it_leaves_the_results_in_the_handles() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let begun = Count::new();
        let mut handles = pool.map_n(0..3, |_| {
            let (passed, begun) = (gate.passed(), begun.clone());
            // The callback holds the end of those who are active up.
            std::future::pending::<()>().with_callback(|_| async move {
                begun.add();
                passed.await;
                7
            })
        });
        let mut cancel = Box::pin(pool.cancel(&mut handles));
        assert!(poll_once(cancel.as_mut()).is_pending());
        until(|| begun.get() == 2).await;
        gate.let_pass();
        until(|| pool.active() == 1).await;
        assert!(poll_once(cancel.as_mut()).is_pending());
        drop(cancel);
        gate.open();
        let last = handles.pop().unwrap();
        assert!(last.await.unwrap_err().is_cancelled());
        for handle in handles {
            assert_eq!(handle.await.unwrap(), 7);
        }
    });
}

#[test]
fn a_million_may_be_cancelled() {
    on_both(async || {
        let (pool, drops) = (Pool::new(2), Count::new());
        let mut handles = pool.map_n(0..1_000_000, |_| drops.pending());
        let (stopped, results) = pool.cancel(&mut handles).await;
        assert_eq!(
            (stopped, results.len(), drops.get()),
            (1_000_000, 1_000_000, 1_000_000)
        );
        assert_whole(&pool).await;
    });
}
