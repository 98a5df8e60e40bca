//! `itermap` and `itermap_ordered`: results as a stream, as the jobs end or as their items came.
//!
//! `cargo run --example ordered_stream`

use std::time::{Duration, Instant};

use aiopool::{Itermap, JobError, Pool};
use futures_util::StreamExt;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), JobError> {
    let pool = Pool::new(3);

    println!("as the jobs end:");
    print(pool.itermap(1..=9, job)).await?;

    // The slow first item holds up the others once they are 3 ahead of what has been read.
    println!("in the order of the items:");
    print(pool.itermap_ordered(1..=9, job)).await?;

    // With room for all of them, the others are there when the first one comes.
    println!("in the order of the items, 9 ahead:");
    print(pool.itermap_ordered(1..=9, job).ahead(9)).await
}

async fn print(mut results: Itermap<u64>) -> Result<(), JobError> {
    let started = Instant::now();
    while let Some(n) = results.next().await {
        println!("  item {} at {:3} ms", n?, started.elapsed().as_millis());
    }
    Ok(())
}

async fn job(n: u64) -> u64 {
    let millis = if n == 1 { 300 } else { 50 };
    sleep(Duration::from_millis(millis)).await;
    n
}
