//! Growing.

use super::{Census, block_on, explore_to, thread};
use crate::pool::Pool;

// Fails when `Shared::resize` does not advance, and when a worker that ends a job does not look at
// the size that there is by then.
#[test]
fn a_pool_that_grows_while_a_job_ends_starts_the_one_that_waits() {
    explore_to(2, ["beside the first", "after the first"], || {
        let (pool, census) = (Pool::new(1), Census::default());
        let first = pool.spawn_n(census.clone().job());
        let grower = thread::spawn({
            let pool = pool.clone();
            move || pool.resize(2)
        });
        let second = pool.spawn_n(census.clone().job());
        block_on(first).expect("the first job runs");
        block_on(second).expect("the second job runs");
        grower.join().expect("the thread ends");
        block_on(pool.join());
        assert_eq!((pool.size(), pool.executed()), (2, 2));
        match census.most() {
            1 => "after the first",
            2 => "beside the first",
            most => panic!("{most} jobs in two slots"),
        }
    });
}
