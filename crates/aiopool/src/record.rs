//! An observer that hands what happens in a pool to the `metrics` of the program.

use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::observe::Event;
use crate::stats::Outcome;

/// An [observer](crate::Builder::observer) that records what happens in a pool with the crate
/// [`metrics`], for whichever recorder the program has installed. It needs the feature `metrics`.
///
/// It tells the units to the recorder that is installed when it is called. Each metric has the label
/// `pool` with the name that is given here. The labels do not tell names and keys of jobs, of which
/// there may be any number.
///
/// | metric | kind | unit |
/// | --- | --- | --- |
/// | `aiopool_jobs_queued_total` | counter | jobs |
/// | `aiopool_jobs_started_total` | counter | jobs |
/// | `aiopool_jobs_finished_total`, with the label `outcome` | counter | jobs |
/// | `aiopool_job_wait_seconds`, of the jobs that start | histogram | seconds |
/// | `aiopool_job_run_seconds`, of the jobs that finish, if they had started | histogram | seconds |
/// | `aiopool_waits_outside_total` | counter | times that a job has gone outside |
/// | `aiopool_pauses_total`, `aiopool_resumes_total` | counter | calls |
/// | `aiopool_size`, from the first resize on | gauge | slots |
///
/// # Examples
///
/// ```
/// let pool = aiopool::Pool::builder(8).observer(aiopool::record_metrics("pages")).build();
/// # drop(pool);
/// ```
pub fn record_metrics(pool: impl Into<String>) -> impl Fn(&Event) + Send + Sync + 'static {
    let pool = SharedString::from_shared(pool.into().into());
    describe();
    move |event| record(&pool, event)
}

/// For the recorder that is there now.
fn describe() {
    describe_counter!("aiopool_jobs_queued_total", Unit::Count, "jobs handed in");
    describe_counter!("aiopool_jobs_started_total", Unit::Count, "jobs started");
    describe_counter!(
        "aiopool_jobs_finished_total",
        Unit::Count,
        "jobs ended, by how"
    );
    describe_histogram!(
        "aiopool_job_wait_seconds",
        Unit::Seconds,
        "how long jobs waited"
    );
    describe_histogram!(
        "aiopool_job_run_seconds",
        Unit::Seconds,
        "how long jobs were active"
    );
    describe_counter!(
        "aiopool_waits_outside_total",
        Unit::Count,
        "times that a job has gone outside"
    );
    describe_counter!("aiopool_pauses_total", Unit::Count, "pauses begun");
    describe_counter!(
        "aiopool_resumes_total",
        Unit::Count,
        "pauses ended by a call"
    );
    describe_gauge!("aiopool_size", Unit::Count, "slots");
}

fn record(pool: &SharedString, event: &Event) {
    let pool = || Label::new("pool", pool.clone());
    match event {
        Event::Queued { .. } => counter!("aiopool_jobs_queued_total", vec![pool()]).increment(1),
        Event::Started { wait, .. } => {
            counter!("aiopool_jobs_started_total", vec![pool()]).increment(1);
            histogram!("aiopool_job_wait_seconds", vec![pool()]).record(*wait);
        }
        Event::Outside { .. } => {
            counter!("aiopool_waits_outside_total", vec![pool()]).increment(1);
        }
        Event::Finished { outcome, run, .. } => {
            let outcome = match outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed => "failed",
                Outcome::Cancelled => "cancelled",
                Outcome::TimedOut => "timed_out",
            };
            let outcome = Label::from_static_parts("outcome", outcome);
            counter!("aiopool_jobs_finished_total", vec![pool(), outcome]).increment(1);
            if let Some(run) = run {
                histogram!("aiopool_job_run_seconds", vec![pool()]).record(*run);
            }
        }
        Event::Paused { .. } => counter!("aiopool_pauses_total", vec![pool()]).increment(1),
        Event::Resumed { .. } => counter!("aiopool_resumes_total", vec![pool()]).increment(1),
        Event::Resized { size } => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "no pool has so many slots that it shows"
            )]
            gauge!("aiopool_size", vec![pool()]).set(*size as f64);
        }
        Event::Back { .. } | Event::Closed => {}
    }
}
