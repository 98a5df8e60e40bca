//! `map`: a job for each item, five at a time, and the results in the order of the items.
//!
//! `cargo run --example bounded_map`

use std::time::{Duration, Instant};

use aiopool::{JobError, Pool};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), JobError> {
    let pool = Pool::new(5);
    let started = Instant::now();
    let ms = move || started.elapsed().as_millis();

    // Pulled one by one, as slots come free: it may be long, or never all in memory.
    let items = (1..=20).inspect(move |n| println!("item {n:2} is pulled at {:4} ms", ms()));
    let results = pool.map(items, square).await;

    // A job that panics spoils only its own result, so there is one `Result` for each item.
    let squares = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("{squares:?}");
    let sum: u64 = (1..=20).map(millis).sum();
    println!("{sum} ms of work done in {} ms", ms());
    Ok(())
}

async fn square(n: u64) -> u64 {
    sleep(Duration::from_millis(millis(n))).await;
    n * n
}

/// How long the job of an item takes.
fn millis(n: u64) -> u64 {
    100 + 50 * (n % 4)
}
