//! `resize`: a pool that doubles while more jobs wait than it has slots, and halves while none waits.
//! To grow starts jobs at once; to shrink stops none.
//!
//! `cargo run --example grow_and_shrink`

use std::time::Duration;

use aiopool::{HeldBy, Pool};
use tokio::time::sleep;

const LEAST: usize = 2;
const MOST: usize = 32;

#[tokio::main]
async fn main() {
    let pool = Pool::new(LEAST);
    run(&pool, |line| println!("{line}")).await;
    println!("{} jobs done, {} slots left", pool.executed(), pool.size());
}

/// Gives the pool two loads, and tells each look at it.
pub(crate) async fn run(pool: &Pool, tell: impl Fn(String) + Send + 'static) {
    let following = tokio::spawn(follow(pool.clone(), tell));
    for load in [200, 20] {
        drop(pool.map_n(0..load, |_| work()));
        pool.join().await;
        sleep(Duration::from_millis(300)).await;
    }
    following.abort();
}

async fn work() {
    sleep(Duration::from_millis(40)).await;
}

async fn follow(pool: Pool, tell: impl Fn(String)) {
    loop {
        let now = pool.stats();
        let (waiting, active, size) = (now.waiting, now.active, now.size);
        tell(format!(
            "{waiting:4} wait, {active:2} of {size:2} slots are held"
        ));
        if now.held_by == Some(HeldBy::Slots) && waiting > size {
            pool.resize(MOST.min(size * 2));
        } else if waiting == 0 {
            pool.resize(LEAST.max(size / 2));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
