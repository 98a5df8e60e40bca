//! A job gives its slots back while it waits for something, and comes back for them.

use pyo3::prelude::*;

use crate::py::outcome::Outcome;
use crate::run::{observe, stall, start, timeout};
use crate::state::Job;

/// The job goes outside, and others start in its place. False if it is outside already.
pub(crate) fn leave(job: &Bound<'_, Job>) -> bool {
    let pool = job.get().pool(job.py());
    let leaves = pool.get().let_outside(job, timeout::time_of(job));
    if leaves {
        observe::outside(pool, job);
        start::advance(pool);
    }
    leaves
}

/// The job wants its slots again: gives the future of that. At the `front` if it has waited for what
/// it has handed in; otherwise at the back, and then it pays the rates as a start does.
pub(crate) fn come_back<'py>(job: &Bound<'py, Job>, front: bool) -> PyResult<Bound<'py, PyAny>> {
    let py = job.py();
    let pool = job.get().pool(py);
    let granted = pool.get().enter(py)?.new_future(py)?;
    if pool.get().come_back(job, &granted, front).is_some() {
        // The loop ends: nobody gets a slot any more.
        Outcome::Cancelled(None).settle_future(pool.get().own_loop(), &granted);
    }
    start::advance(pool);
    Ok(granted)
}

/// The watch lets a job outside. Where that starts nothing, the pool has shrunk or others have their
/// slots beyond the size: the next one may have to go, too.
pub(crate) fn let_out(job: &Bound<'_, Job>) {
    if leave(job) {
        job.get().is_let_out(job.py(), true);
        stall::look_soon(job.get().pool(job.py()));
    }
}

/// A job goes on that was let out: it has its slots from here on, and may wait for others at once.
pub(crate) fn end_let_out(job: &Bound<'_, Job>) {
    if job.get().is_let_out(job.py(), false) {
        force_back(job);
        stall::look_soon(job.get().pool(job.py()));
    }
}

/// An error is raised in the job: it has its slots from here on.
pub(crate) fn force_back(job: &Bound<'_, Job>) {
    let py = job.py();
    let pool = job.get().pool(py);
    if job.get().is_outside(py) {
        drop(pool.get().force_back(job, timeout::time_of(job)));
        observe::back(pool, job);
        start::advance(pool);
    }
}
