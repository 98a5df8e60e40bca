//! Slots without a job.

use std::pin::pin;

use super::{Gate, block_on, explore_to, poll_once, thread};
use crate::pool::Pool;

// Fails when a caller that is dropped keeps the slot that it has got, or its place in the queue; and
// when its slot is given to it though it has gone.
#[test]
fn a_caller_that_is_dropped_while_its_slot_comes_free_leaves_it_to_the_next() {
    explore_to(2, ["it waited", "it had its slot"], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(gate.clone().pass());
        let opener = thread::spawn(move || gate.open());
        let outcome = {
            let mut reserve = pin!(pool.reserve());
            let is_ready = poll_once(reserve.as_mut()).is_ready();
            if is_ready || pool.waiting() == 0 {
                "it had its slot"
            } else {
                "it waited"
            }
        };
        block_on(first).expect("the gate opens");
        block_on(pool.spawn_n(async {})).expect("the slot has come back");
        opener.join().expect("the thread ends");
        outcome
    });
}
