//! Pausing.

use super::{block_on, explore_to, thread};
use crate::pool::Pool;

// Fails when `Shared::submit` starts the job in a paused pool, or when `Pool::resume` does not advance.
#[test]
fn a_job_that_is_handed_in_while_the_pool_is_paused_and_resumed_runs() {
    explore_to(2, ["it waited", "it started at once"], || {
        let pool = Pool::new(1);
        let pauser = thread::spawn({
            let pool = pool.clone();
            move || {
                pool.pause(None);
                assert!(pool.resume(), "it was paused");
            }
        });
        let job = pool.spawn_n(async {});
        let outcome = if pool.waiting() > 0 {
            "it waited"
        } else {
            "it started at once"
        };
        block_on(job).expect("the pool is resumed");
        pauser.join().expect("the thread ends");
        outcome
    });
}
