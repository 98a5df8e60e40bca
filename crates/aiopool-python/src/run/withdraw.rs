//! Ending jobs early: a waiting job leaves the queue, an active job is cancelled or closed, the
//! loop ends.
//!
//! No function here admits the next waiter, so that all withdrawals come before any admission.

use pyo3::intern;
use pyo3::prelude::*;

use crate::py::awaitable::close_unawaited;
use crate::py::outcome::Outcome;
use crate::py::{errors, imports, owner};
use crate::run::{enqueued, observe, settle};
use crate::state::{Apart, Extras, Items, Job, Other, Pool, Single, Waiter, WaitingJob};

/// The loop ends: no waiter will start. If the loop goes on nevertheless, the pool takes jobs again
/// when its active jobs have ended.
pub(crate) fn end(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    // Closing a coroutine below may call this function again, which then finds the pool closed.
    let Some(closed) = pool.get().close(py) else {
        return;
    };
    for waiter in closed.waiters {
        withdraw(pool, waiter);
    }
    // No job waits any more. The `LoopEnd` must not call the pool again when it is destroyed.
    if let Some(loop_end) = closed.loop_end {
        loop_end.release(pool);
    }
    // A closed loop steps no task, so the active jobs cannot end by themselves.
    if pool.get().own_loop().is_closed(py) {
        for job in pool.get().active_jobs(py) {
            errors::report(py, close(job.bind(py)), pool);
        }
    }
}

/// Cancels a waiter that has left the queue without a slot.
pub(crate) fn withdraw(pool: &Bound<'_, Pool>, waiter: Waiter) {
    withdraw_with(pool, waiter, None);
}

/// The same, with the message for those who wait for it, if it is a call.
pub(crate) fn withdraw_with(pool: &Bound<'_, Pool>, waiter: Waiter, message: Option<Py<PyAny>>) {
    match waiter {
        Waiter::Job(job) => withdraw_job(pool, job, None),
        Waiter::Other(Other::Apart(Apart::Call(call))) => {
            enqueued::withdraw(pool, &call, None, message);
        }
        Waiter::Other(Other::Apart(Apart::Single(single))) => match *single {
            Single::Job(job, extras) => withdraw_job(pool, job, Some(extras)),
            Single::Call(call, extras) => enqueued::withdraw(pool, &call, Some(extras), message),
            // The job itself goes on, until it hears of that.
            Single::Back(back) => {
                let granted = back.granted.bind(pool.py());
                Outcome::Cancelled(None).settle_future(pool.get().own_loop(), granted);
            }
        },
        Waiter::Other(Other::Item {
            items,
            item,
            extras,
        }) => {
            let items = items.bind(pool.py());
            match item {
                Some(_) => {
                    settle::settle_waiting(items, extras.as_deref(), Outcome::Cancelled(None));
                }
                None => end_map(items),
            }
        }
    }
}

pub(crate) fn withdraw_job(pool: &Bound<'_, Pool>, job: WaitingJob, extras: Option<Box<Extras>>) {
    let future = job.future.clone_ref(pool.py());
    // The awaitable ends before the future is settled.
    leave_queue(pool, job);
    Outcome::Cancelled(None).settle_future(pool.get().own_loop(), future.bind(pool.py()));
    observe::withdrawn(pool, extras);
}

/// The same as [`withdraw_job`], for a job whose future is being cancelled by its holder.
pub(crate) fn leave_queue(pool: &Bound<'_, Pool>, job: WaitingJob) {
    let py = pool.py();
    // This comes first: closing a coroutine runs foreign code, which may cancel the future.
    owner::detach(job.future.bind(py));
    close_unawaited(job.awaitable.bind(py));
    if let Some(admitted) = job.options.and_then(|options| options.admitted) {
        Outcome::Returned(py.None()).settle_future(pool.get().own_loop(), admitted.bind(py));
    }
}

/// Cancels the task of the job, and gives the task, so that a caller can wait for its end.
pub(crate) fn cancel(job: &Job, py: Python<'_>) -> Option<Py<PyAny>> {
    cancel_with(job, py, None)
}

/// The same, with the message for the job.
pub(crate) fn cancel_with(
    job: &Job,
    py: Python<'_>,
    message: Option<Py<PyAny>>,
) -> Option<Py<PyAny>> {
    let task = job.task(py)?;
    // Retired first: a caller that waits for the end of the task must not wait for later jobs.
    job.retire_worker(py);
    let cancel = intern!(py, "cancel");
    let cancelled = match message {
        None => task.call_method0(py, cancel),
        Some(message) => task.call_method1(py, cancel, (message,)),
    };
    errors::report(py, cancelled.map(drop), task.bind(py));
    Some(task)
}

/// The same, for the active jobs of a `map` or an `itermap`; those that wait leave the queue. Later calls only give the tasks: a
/// second cancellation would cut off the clean-up of the jobs.
pub(crate) fn cancel_active(items: &Bound<'_, Items>) -> Vec<Py<PyAny>> {
    let py = items.py();
    let pool = items.get().pool(py);
    for place in items.get().places_of_waiting(py) {
        if let Some(waiter) = pool.get().withdraw(py, place) {
            withdraw(pool, waiter);
        }
    }
    let jobs = pool.get().active_jobs_of(items);
    let jobs = jobs.iter().map(|job| job.bind(py).get());
    if items.get().cancels_jobs() {
        return jobs.filter_map(|job| job.task(py)).collect();
    }
    jobs.filter_map(|job| cancel(job, py)).collect()
}

/// Closes the coroutine of a job that will never be stepped again, unless the coroutine is running.
fn close(job: &Bound<'_, Job>) -> PyResult<()> {
    let py = job.py();
    let Some(coroutine) = job.get().coroutine(py) else {
        return Ok(());
    };
    // A running coroutine cannot be closed. It runs if the pool notices the end of the loop from
    // inside this job.
    let running = coroutine.getattr(py, intern!(py, "cr_running"))?;
    if running.is_truthy(py)? {
        return Ok(());
    }
    coroutine.call_method0(py, intern!(py, "close"))?;
    // A coroutine that had begun has settled its job when it was closed.
    if job.get().is_held(py) {
        settle::never_stepped(job, Outcome::Cancelled(None));
    }
    Ok(())
}

/// The pool has ended before a `map` has pulled all its items.
fn end_map(items: &Bound<'_, Items>) {
    if let Ok(cancelled) = imports::cancelled_error(items.py()).and_then(PyAnyMethods::call0) {
        items.get().fail(cancelled);
    }
    settle::tell_waiter(items);
}
