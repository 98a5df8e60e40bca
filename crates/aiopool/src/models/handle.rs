//! A job that settles, and its handle.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use super::{Gate, Note, UNHARMED, block_on, explore, poll_once, thread, waited};
use crate::pool::Pool;

// Fails when `JoinState::settle` forgets the waker, when `JoinState::poll_settled` leaves one
// without looking once more, and when an exchange of the state, or the look whether it is settled,
// is relaxed.
#[test]
fn a_handle_is_woken_when_its_job_settles() {
    explore([false, true], || {
        let pool = Pool::new(1);
        let (waited, result) = block_on(waited(pool.spawn_n(async { 6 * 7 })));
        assert_eq!(result.expect("the job runs"), 42);
        waited
    });
}

// Fails when `JoinState::poll_settled` takes any two wakers for the same.
#[test]
fn a_handle_wakes_the_task_that_polled_it_last() {
    explore([false, true], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let mut handle = pool.spawn_n(gate.clone().pass());
        assert!(poll_once(pin!(&mut handle)).is_pending());
        gate.open();
        let (waited, result) = block_on(waited(&mut handle));
        result.expect("the job passes the gate");
        waited
    });
}

// Fails when `Runnable::leave` keeps an unwanted result, and when the drop of `Receiver` does.
#[test]
fn the_result_of_a_detached_job_is_dropped_once_and_harms_nobody() {
    explore(["by its handle", "by its job"], || {
        let (pool, dropped) = (Pool::new(1), Arc::new(Mutex::new(Vec::new())));
        let result = Explosive(dropped.clone());
        drop(pool.spawn_n(async { result }));
        assert_eq!(
            block_on(pool.exec(async { 1 })).expect("the pool goes on"),
            1
        );
        match dropped.lock().expect(UNHARMED)[..] {
            [thread] if thread == thread::current().id() => "by its handle",
            [_] => "by its job",
            ref dropped => panic!("it was dropped by {dropped:?}"),
        }
    });
}

// Fails when `free` leaves what it drops to the observers, or frees the cell beside them, when
// `leave_to_others` takes another one for the last, and when `Receiver::observer` counts nobody.
#[test]
fn a_job_that_nobody_awaits_is_cancelled_by_its_abort_handle_or_comes_to_its_end() {
    let outcomes = [
        "cancelled before it began",
        "cancelled after it began",
        "too late",
    ];
    explore(outcomes, || {
        let (pool, begun, dropped) = (Pool::new(1), Note::default(), Note::default());
        let (beginning, output) = (begun.clone(), dropped.on_drop());
        let job = async move {
            beginning.set();
            super::suspend_once().await;
            output
        };
        let abort = pool.spawn_n(job).abort_handle();
        let canceller = thread::spawn(move || {
            let cancelled = abort.cancel();
            (cancelled, abort.is_finished())
        });
        block_on(pool.join());
        assert!(dropped.is_set());
        let (stopped, finished) = canceller.join().expect("cancelling does not panic");
        match (stopped, begun.is_set()) {
            (true, false) => "cancelled before it began",
            (true, true) => "cancelled after it began",
            (false, _) => {
                assert!(finished);
                "too late"
            }
        }
    });
}

/// A result that panics when it is dropped, and notes the thread.
struct Explosive(Arc<Mutex<Vec<thread::ThreadId>>>);

impl Drop for Explosive {
    fn drop(&mut self) {
        let mut dropped = self.0.lock().expect(UNHARMED);
        dropped.push(thread::current().id());
        drop(dropped);
        resume_unwind(Box::new("dropped"));
    }
}
