//! The command: runs the crawl, prints the table and decides on the exit code.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tempfile::tempdir;
use tokio::signal::ctrl_c;
use tokio::task::yield_now;

use crate::crawler::{Limits, crawl};
use crate::options::Options;
use crate::report::print_table;
use crate::store::{self, Store};
use crate::tally::{Counts, Tally};
use crate::website::Website;

/// Crawls as the command line says and gives the exit code.
pub async fn run() -> anyhow::Result<ExitCode> {
    // Listened for before anything is created that Ctrl-C could leave behind.
    let interrupt = tokio::spawn(ctrl_c());
    yield_now().await;

    let options = Options::read();
    let folder = tempdir()?;
    let path = options.db.clone();
    let path = path.unwrap_or_else(|| folder.path().join("crawl.db"));
    run_until(interrupt, options, &path).await
}

async fn run_until(
    interrupt: impl Future,
    options: Options,
    path: &Path,
) -> anyhow::Result<ExitCode> {
    store::create(path)?;
    let (start, urls, website) = if let Some(url) = options.url {
        (url, options.pages, None)
    } else {
        let website = Arc::new(Website::new(options.pages, options.seed));
        let start = Arc::clone(&website).serve().await?;
        (start, usize::MAX, Some(website))
    };
    let limits = Limits {
        size: options.size,
        timeout: options.timeout,
        urls,
    };
    let store = Store::open(path, STORE_SIZE)?;
    let tally = Arc::new(Mutex::new(Tally::default()));

    let started = Instant::now();
    let interrupted = crawl(&start, store, Arc::clone(&tally), limits, interrupt).await?;
    let duration = started.elapsed();

    let tally = tally.lock().expect("nothing panics under this lock");
    let stored = store::count(path)?;
    let most_in_flight = website.map(|website| website.most_in_flight());
    let in_flight = most_in_flight.map(|most| format!("{most} of {}", options.size));
    print_table(&tally, &stored, duration, in_flight.as_deref());
    if interrupted {
        return Ok(ExitCode::from(130));
    }
    let failures = failures(options.size, most_in_flight, &tally.fetched, &stored);
    for failure in &failures {
        eprintln!("FAILED: {failure}");
    }
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

fn failures(
    size: usize,
    most_in_flight: Option<usize>,
    fetched: &Counts,
    stored: &Counts,
) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some(most) = most_in_flight.filter(|&most| most > size) {
        let failure = format!("{most} requests were in flight in a pool of {size}");
        failures.push(failure);
    }
    if stored != fetched {
        failures.push(format!("fetched {fetched:?}, but stored {stored:?}"));
    }
    if fetched.pages == 0 {
        failures.push("no page could be fetched".to_owned());
    }
    failures
}

const STORE_SIZE: usize = 4;
