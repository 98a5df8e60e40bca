//! Closing, while jobs are handed in and end.

use std::pin::pin;
use std::time::Duration;

use super::stream::next;
use super::{Gate, Note, block_on, endless, explore, explore_to, poll_once, suspend_once, thread};
use crate::error::JobError;
use crate::pool::Pool;
use crate::sys::runtime::Handle;

// Fails when `begin_to_close` does not close the core, and when `State::enqueue` loses what that refuses.
#[test]
fn a_job_that_is_handed_in_while_the_pool_closes_has_run_or_is_refused() {
    explore(["it ran", "it was refused"], || {
        let pool = Pool::new(1);
        let submitter = thread::spawn({
            let pool = pool.clone();
            move || pool.spawn_n(suspend_once())
        });
        let report = block_on(pool.close(None, Duration::ZERO));
        let handle = submitter.join().expect("the thread ends");
        assert!(handle.is_finished(), "it was waited for, or never taken");
        match block_on(handle) {
            Ok(()) => {
                assert!(report.finished <= 1);
                "it ran"
            }
            Err(JobError::Closed) => {
                assert_eq!(report.finished, 0);
                "it was refused"
            }
            Err(error) => panic!("{error}"),
        }
    });
}

// Fails when the end of the last job does not wake the one that closes.
#[test]
fn a_close_returns_whether_the_last_job_ends_before_or_meanwhile() {
    explore([0, 1], || {
        let pool = Pool::new(1);
        let handle = pool.spawn_n(suspend_once());
        let report = block_on(pool.close(None, Duration::ZERO));
        assert!(handle.is_finished());
        report.finished
    });
}

// Fails when `refuse_some` leaves callers in the queue, and when `Reserve` waits on in a closed pool.
#[test]
fn a_caller_that_waits_for_a_slot_while_the_pool_closes_gets_it_or_is_refused() {
    explore_to(2, ["it had its slot", "it was refused"], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let active = pool.spawn_n(gate.clone().pass());
        let opener = thread::spawn(move || gate.open());
        let mut reserve = pin!(pool.reserve());
        let is_ready = poll_once(reserve.as_mut()).is_ready();
        let mut close = pin!(pool.close(None, Duration::ZERO));
        let _begun = poll_once(close.as_mut());
        let outcome = if is_ready || block_on(reserve).is_ok() {
            "it had its slot"
        } else {
            "it was refused"
        };
        block_on(active).expect("the gate opens");
        opener.join().expect("the thread ends");
        outcome
    });
}

// Fails when a worker puts a source back that the closed pool does not take, or leaves it where it stands
// aside; and when the reader is not told.
#[test]
fn a_stream_that_is_read_while_the_pool_closes_ends() {
    explore_to(2, [0, 1, 2, 3], || {
        let pool = Pool::new(1);
        let mut stream = pool.itermap(0..3, |n| async move { n }).ahead(1);
        let _first = poll_once(pin!(next(&mut stream)));
        let closer = thread::spawn({
            let pool = pool.clone();
            move || block_on(pool.close(None, Duration::ZERO))
        });
        let mut read = 0;
        while let Some(result) = block_on(next(&mut stream)) {
            match result {
                Ok(_) => read += 1,
                Err(JobError::Closed) => {
                    assert!(block_on(next(&mut stream)).is_none());
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let report = closer.join().expect("the thread ends");
        assert!(report.running.is_empty() && report.cancelled.is_empty());
        read
    });
}

// Fails when an item that is pulled just then is not stopped.
#[test]
fn a_stream_whose_jobs_never_end_ends_with_the_pool() {
    explore_to(2, [0, 1], || {
        let pool = Pool::new(1);
        let mut stream = pool
            .itermap(0..3, |_| endless(Note::default(), ()))
            .ahead(2);
        let _first = poll_once(pin!(next(&mut stream)));
        block_on(pool.close(Some(Duration::ZERO), Duration::ZERO));
        let mut cancelled = 0;
        while let Some(result) = block_on(next(&mut stream)) {
            let error = result.expect_err("none ends");
            cancelled += usize::from(error.is_cancelled());
        }
        cancelled
    });
}

// Fails when the second of two calls cancels again, when one of them makes a report of its own, and when
// it makes one before the other has told of the jobs that it has stopped.
#[test]
fn two_calls_give_one_report() {
    explore_to(2, ["cancelled", "still runs"], || {
        let pool = Pool::new(1);
        let handle = pool.spawn_n(endless(Note::default(), ()));
        let close = |pool: &Pool| {
            let report = block_on(pool.close(Some(Duration::ZERO), Duration::ZERO));
            assert_eq!(
                report.cancelled.len() + report.running.len() + report.unstarted.len(),
                1
            );
            report
        };
        let other = thread::spawn({
            let pool = pool.clone();
            move || close(&pool)
        });
        let report = close(&pool);
        assert_eq!(report, other.join().expect("the thread ends"));
        assert!(block_on(handle).expect_err("it never ends").is_cancelled());
        if report.running.is_empty() {
            "cancelled"
        } else {
            "still runs"
        }
    });
}

// Fails when a close does not look at the time after the end of a job, or the other way round.
#[test]
fn a_close_returns_when_its_time_comes_or_its_last_job_ends() {
    explore_to(2, ["it finished", "it was cancelled"], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let job = pool.spawn_n(gate.clone().pass());
        let clock = pool.shared.lock().clock();
        let opener = thread::spawn(move || gate.open());
        let time = thread::spawn(move || clock.advance(10));
        let timeout = Some(Duration::from_nanos(10));
        let report = block_on(pool.close(timeout, Duration::ZERO));
        assert_eq!(report.unstarted.len(), 0);
        let outcome = match block_on(job) {
            Ok(()) => "it finished",
            Err(_) => "it was cancelled",
        };
        opener.join().expect("the thread ends");
        time.join().expect("the thread ends");
        outcome
    });
}

// Fails when a runtime that shuts down leaves a waiter that a closing pool waits for.
#[test]
fn a_close_returns_when_the_runtime_shuts_down_meanwhile() {
    explore_to(2, [0, 1], || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        runtime.enter();
        let handle = pool.spawn_n(endless(Note::default(), ()));
        let down = thread::spawn(move || runtime.shut_down());
        let report = block_on(pool.close(None, Duration::ZERO));
        assert!(handle.is_finished());
        drop(down.join());
        report.finished
    });
}
