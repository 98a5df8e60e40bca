//! Joining, while other threads hand in jobs and end them.

use std::pin::pin;

use super::{Gate, Note, block_on, explore, explore_long, poll_once, thread, waited};
use crate::pool::Pool;

// Fails when `Join` looks and leaves its waker under two locks, when a worker that ends tells no
// joiner, and when it gives the slot back before the result is there.
#[test]
fn join_returns_after_the_last_job_and_its_result_can_be_read() {
    explore([false, true], || {
        let pool = Pool::new(1);
        let handle = pool.spawn_n(async { 6 * 7 });
        let (waited, ()) = block_on(waited(pool.join()));
        assert!(handle.is_finished());
        waited
    });
}

// Fails when `Join` does not look whether the pool is idle now.
#[test]
fn join_returns_whether_a_job_is_handed_in_before_it_or_after() {
    let outcomes = [
        "before",
        "meanwhile, waited for",
        "meanwhile, not waited for",
    ];
    explore(outcomes, || {
        let (pool, handed_in, ended) = (Pool::new(1), Gate::new(), Note::default());
        let submitter = thread::spawn({
            let (pool, handed_in, job_ended) = (pool.clone(), handed_in.clone(), ended.clone());
            move || {
                drop(pool.spawn_n(async move { job_ended.set() }));
                handed_in.open();
            }
        });
        let before = handed_in.is_open();
        block_on(pool.join());
        let outcome = match (before, ended.is_set()) {
            (true, false) => panic!("the job was not waited for"),
            (true, true) => "before",
            (false, true) => "meanwhile, waited for",
            (false, false) => "meanwhile, not waited for",
        };
        submitter.join().expect("the submitter does not panic");
        outcome
    });
}

// Fails when a joiner that has been told joins again, and when only one joiner is told.
#[test]
fn all_joiners_are_told_of_an_idle_moment_even_when_it_is_past() {
    explore_long([()], || {
        let (pool, first, second) = (Pool::new(1), Gate::new(), Gate::new());
        let _first = pool.spawn_n(first.clone().pass());
        let mut join = pin!(pool.join());
        assert!(poll_once(join.as_mut()).is_pending());
        let other = thread::spawn({
            let (pool, second) = (pool.clone(), second.clone());
            move || {
                block_on(pool.join());
                pool.spawn_n(second.pass())
            }
        });
        first.open();
        block_on(join);
        second.open();
        let handle = other.join().expect("the other joiner is told");
        block_on(handle).expect("the job passes the gate");
    });
}
