//! A crawl with two pools, one for HTTP and one for the database.
//!
//! `make demo-rust`, or `cargo run --release --example crawl -- --help`

use std::process::ExitCode;

// In one thread with the crawl, the server hears that a client has given up, and drops its request,
// before it counts the next request of that slot: nobody is counted who has left.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    aiopool_crawl::run().await
}
