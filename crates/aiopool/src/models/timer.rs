//! The timer.

use std::time::Duration;

use super::{block_on, explore_to, thread};
use crate::pool::Pool;
use crate::rate::Rate;
use crate::sys::runtime::Handle;

// Fails when the timer does not look once more before it sleeps, when `Shared::submit` does not set
// it, or when it is not woken for a time that is earlier.
#[test]
fn a_job_that_is_handed_in_while_its_time_comes_is_started() {
    explore_to(2, ["it waited", "it started at once"], || {
        let pool = pool();
        block_on(pool.spawn_n(async {})).expect("nothing holds it back");
        let clock = pool.shared.lock().clock();
        let time = thread::spawn(move || clock.advance(PER));
        let second = pool.spawn_n(async {});
        let outcome = if pool.waiting() > 0 {
            "it waited"
        } else {
            "it started at once"
        };
        block_on(second).expect("its time comes");
        time.join().expect("the thread ends");
        outcome
    });
}

// Fails when a timer that is dropped leaves those who wait on its runtime.
#[test]
fn a_runtime_that_shuts_down_while_a_job_waits_for_its_time_drops_it() {
    explore_to(
        2,
        ["it was handed in before", "it was handed in later"],
        || {
            let (pool, runtime) = (pool(), Handle::new());
            block_on(pool.spawn_n(async {})).expect("nothing holds it back");
            let down = thread::spawn({
                let runtime = runtime.clone();
                move || runtime.shut_down()
            });
            runtime.enter();
            let second = pool.spawn_n(async {});
            let outcome = if pool.waiting() > 0 {
                "it was handed in before"
            } else {
                "it was handed in later"
            };
            block_on(second).expect_err("its time does not come");
            block_on(pool.join());
            down.join().expect("the thread ends");
            outcome
        },
    );
}

fn pool() -> Pool {
    let rate = Rate::new(1, Duration::from_nanos(PER));
    Pool::builder(1).rate(rate).build()
}

const PER: u64 = 10;
