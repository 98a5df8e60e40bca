//! `with_callback`: what runs after a job in the same slot, also if it panicked or was cancelled.
//!
//! `cargo run --example callbacks`

use std::time::Duration;

use aiopool::{Job, JobError, Pool};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), JobError> {
    // The callbacks tell of the panic: it need not be printed where it happens, too.
    std::panic::set_hook(Box::new(|_| {}));
    let pool = Pool::new(3);

    // What the closure captures is the context of the callback: here, the name.
    let jobs = ["home", "missing", "endless", "contact"].map(|name| {
        let page = fetch(name);
        pool.spawn_n(page.with_callback(move |page| report(name, page)))
    });
    sleep(Duration::from_millis(200)).await;
    jobs[2].cancel();

    // A handle gives what the callback gave.
    for job in jobs {
        println!("{}", job.await?);
    }
    println!("{} jobs were run, each with its callback", pool.executed());
    Ok(())
}

async fn fetch(name: &str) -> String {
    match name {
        "missing" => panic!("there is no such page"),
        "endless" => std::future::pending().await,
        _ => sleep(Duration::from_millis(100)).await,
    }
    format!("<h1>{name}</h1>")
}

async fn report(name: &str, page: Result<String, JobError>) -> String {
    match page {
        Ok(html) => {
            // Still in the slot of the job: whatever it does here, three are active at most.
            sleep(Duration::from_millis(100)).await;
            format!("{name}: saved {} bytes", html.len())
        }
        Err(JobError::Panicked(panic)) => {
            format!("{name}: {}", panic.message().unwrap_or("panicked"))
        }
        Err(error) => format!("{name}: {error}"),
    }
}
