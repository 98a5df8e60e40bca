//! Growing.

use super::{Gate, block_on, explore_to, thread};
use crate::pool::Pool;

// Fails when `Shared::resize` does not advance: the second job waits for a slot for ever then, and the
// first for the second.
#[test]
fn a_pool_that_grows_while_a_job_is_handed_in_starts_it() {
    explore_to(2, ["it grew before", "it grew later"], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(gate.clone().pass());
        let grower = thread::spawn({
            let pool = pool.clone();
            move || pool.resize(2)
        });
        let size = pool.size();
        let second = pool.spawn_n(async move { gate.open() });
        block_on(second).expect("the second job runs");
        block_on(first).expect("the first job passes the gate");
        grower.join().expect("the thread ends");
        if size == 2 {
            "it grew before"
        } else {
            "it grew later"
        }
    });
}
