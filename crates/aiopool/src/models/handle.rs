//! A job that settles, and its handle.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use super::{Gate, UNHARMED, block_on, explore, poll_once, thread, waited};
use crate::pool::Pool;

// Fails when `Word::settle` forgets the waker, when `Word::poll_settled` leaves one without looking
// once more, and when an exchange of the word, or the look whether it is settled, is relaxed.
#[test]
fn a_handle_is_woken_when_its_job_settles() {
    explore([false, true], || {
        let pool = Pool::new(1);
        let (waited, result) = block_on(waited(pool.spawn_n(async { 6 * 7 })));
        assert_eq!(result.expect("the job runs"), 42);
        waited
    });
}

// Fails when `Word::poll_settled` takes any two wakers for the same.
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

// Fails when `Owner::leave` keeps an unwanted result, and when the drop of `Heir` does.
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
