//! What the user sees: a line that follows the crawl, and the table at its end.

use std::convert::Infallible;
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

use aiopool::Pool;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::time::sleep;

use crate::tally::{Counts, Tally};

/// Shows how far the crawl is: in one live line on a terminal, else in a line now and then.
pub(crate) async fn progress(tally: &Mutex<Tally>, fetching: &Pool) -> Infallible {
    if stderr().is_terminal() {
        show_live(tally, fetching).await
    } else {
        print_lines(tally, fetching).await
    }
}

async fn show_live(tally: &Mutex<Tally>, fetching: &Pool) -> Infallible {
    let style = ProgressStyle::with_template("{msg}  [{elapsed}]");
    let bar = ProgressBar::new_spinner().with_style(style.expect("a valid template"));
    loop {
        bar.set_message(line(tally, fetching));
        sleep(Duration::from_millis(100)).await;
    }
}

async fn print_lines(tally: &Mutex<Tally>, fetching: &Pool) -> Infallible {
    loop {
        sleep(Duration::from_secs(2)).await;
        eprintln!("{}", line(tally, fetching));
    }
}

fn line(tally: &Mutex<Tally>, fetching: &Pool) -> String {
    let tally = tally.lock().expect("nothing panics under this lock");
    format!(
        "fetched {}  waiting {}  active {}  errors {}",
        HumanCount(tally.fetched.pages),
        HumanCount(fetching.waiting() as u64),
        fetching.active(),
        tally.errors.values().sum::<u64>(),
    )
}

/// Prints the results; `in_flight` is what the server counted, if the server is ours.
pub(crate) fn print_table(
    tally: &Tally,
    stored: &Counts,
    duration: Duration,
    in_flight: Option<&str>,
) {
    let count = |count| HumanCount(count).to_string();
    let seconds = duration.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown without its fraction")]
    let pages_per_second = tally.fetched.pages as f64 / seconds;

    print_row("pages", &count(tally.fetched.pages));
    print_row("links", &count(tally.fetched.links));
    print_row("bytes", &count(tally.fetched.bytes));
    for (kind, &errors) in &tally.errors {
        print_row(&format!("errors: {kind}"), &count(errors));
    }
    print_row("seconds", &format!("{seconds:.1}"));
    print_row("pages per second", &format!("{pages_per_second:.0}"));
    print_row("latency p50", &percentile(&tally.durations, 50));
    print_row("latency p95", &percentile(&tally.durations, 95));
    if let Some(in_flight) = in_flight {
        print_row("most requests in flight, counted by the server", in_flight);
    }
    print_row("pages read back from SQLite", &count(stored.pages));
    print_row("links read back from SQLite", &count(stored.links));
    print_row("bytes read back from SQLite", &count(stored.bytes));
}

fn print_row(label: &str, value: &str) {
    println!("{label:<46}  {value:>10}");
}

fn percentile(durations: &[Duration], percent: usize) -> String {
    let mut durations = durations.to_vec();
    durations.sort_unstable();
    match durations.get(durations.len() * percent / 100) {
        Some(duration) => format!("{} ms", duration.as_millis()),
        None => "-".to_owned(),
    }
}
