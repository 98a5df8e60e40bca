//! Stopping jobs: one, several, all, and those that nobody waits for any more.
//!
//! `cargo run --example cancelling`

use std::future::pending;
use std::time::Duration;

use aiopool::Pool;
use tokio::time::{sleep, timeout};

#[tokio::main]
async fn main() {
    let pool = Pool::new(2);

    println!("Three jobs have two slots. One that waits and one that runs are cancelled:");
    let [first, mut second, third] =
        ["first", "second", "third"].map(|name| pool.spawn_n(work(name)));
    sleep(MOMENT).await;
    third.cancel();
    println!("  third, never started: {:?}", third.await);
    first.cancel();
    // The handle gives its result when the future of the job has been dropped.
    println!("  first: {:?}", first.await);

    println!("Several, waiting or not, are stopped and waited for in one call:");
    let mut handles = pool.map_n(["fourth", "fifth"], work);
    sleep(MOMENT).await;
    let (stopped, _) = pool.cancel(handles.iter_mut().chain([&mut second])).await;
    println!("  {stopped} stopped, {} left", pool.len());

    println!("A call that is given up cancels its job:");
    let gave_up = timeout(MOMENT, pool.exec(work("sixth"))).await;
    pool.join().await;
    println!("  {gave_up:?}");

    println!("A handle that is dropped does not; `cancel_all` does:");
    drop(pool.spawn_n(work("seventh")));
    sleep(MOMENT).await;
    println!("  {} active", pool.active());
    println!("  {} stopped", pool.cancel_all().await);
}

/// Never ends by itself.
async fn work(name: &'static str) {
    println!("  {name} starts");
    let _on_drop = OnDrop(name);
    pending::<()>().await;
}

/// Sees that a future is dropped: this is where a job cleans up.
struct OnDrop(&'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        println!("  {} is dropped", self.0);
    }
}

const MOMENT: Duration = Duration::from_millis(100);
