//! `stats`: a line that tells how a pool is. It is one snapshot, cheap enough to be taken at any time.
//!
//! `cargo run --example dashboard`

use std::time::Duration;

use aiopool::{Job, Pool, Rate, Stats};
use tokio::time::sleep;

#[tokio::main]
async fn main() {
    // The panics are counted: they need not be printed where they happen, too.
    std::panic::set_hook(Box::new(|_| {}));
    run(|line| println!("{line}")).await;
}

/// Thirty queries of three tables, two of a table at a time, and a line now and then.
pub(crate) async fn run(tell: impl Fn(String) + Send + Clone + 'static) -> Stats {
    let pool = Pool::builder(8)
        .rate(Rate::new(20, Duration::from_secs(1)))
        .per_key(2)
        .build();
    let showing = tokio::spawn({
        let (pool, tell) = (pool.clone(), tell.clone());
        async move {
            loop {
                tell(line(&pool.stats()));
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    drop(pool.map_n(0..30, |number| query(number).key(number % 3)));
    pool.join().await;
    showing.abort();
    tell(line(&pool.stats()));
    pool.stats()
}

fn line(now: &Stats) -> String {
    let held_by = match now.held_by {
        Some(held_by) => format!(", held by {held_by:?}"),
        None => String::new(),
    };
    format!(
        "{}/{} active, {:2} waiting ({} parked), {:2} succeeded, {} failed{held_by}",
        now.active, now.size, now.waiting, now.parked, now.succeeded, now.failed,
    )
}

async fn query(number: u32) -> u32 {
    sleep(Duration::from_millis(50)).await;
    assert_ne!(number % 10, 7, "query {number} is no good");
    number
}
