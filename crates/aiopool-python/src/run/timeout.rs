//! Timeouts: how long a job may hold its slots. At the end of its time the job is cancelled, as
//! `asyncio.timeout` would cancel it, and its slots come back when it has really ended.

use std::num::NonZeroU64;
use std::time::Duration;

use aiopool_core::Time;
use pyo3::prelude::*;

use crate::py::{errors, imports};
use crate::run::{timer, withdraw};
use crate::state::{Job, Pool};

/// The time of a job begins that has its slots.
pub(crate) fn begin(job: &Bound<'_, Job>, timeout: NonZeroU64) {
    let pool = job.get().pool(job.py());
    pool.get().begin_timeout(job, timeout, timer::now(pool));
}

/// The time, if the job has a timeout.
pub(crate) fn time_of(job: &Bound<'_, Job>) -> Option<Time> {
    let py = job.py();
    let has_timeout = job.get().has_timeout(py);
    has_timeout.then(|| timer::now(job.get().pool(py)))
}

/// Cancels the jobs that have had their time.
pub(crate) fn expire(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let now = timer::now(pool);
    while let Some(job) = pool.get().next_timed_out(py, now) {
        withdraw::cancel(job.get(), py);
    }
}

/// The error that a job ends with that was cancelled for its timeout, and by nobody else. If it has
/// raised another error, that is the one.
pub(crate) fn error_of<'py>(
    job: &Bound<'py, Job>,
    raised: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let py = job.py();
    let timeout = job.get().expired(py)?;
    if !errors::is_cancellation(raised) {
        return None;
    }
    let seconds = Duration::from_nanos(timeout.get()).as_secs_f64();
    let error = errors::contained(py, || {
        let error = imports::timed_out(py)?.call1((seconds, raised))?;
        Ok((!error.is_none()).then_some(error))
    });
    // Without memory for its error the job stays cancelled.
    error.unwrap_or(None)
}
