//! Here the coroutine of an active job, or its worker, tells how the job and its callback have
//! ended. Each end starts the next job in the queue.

use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::outcome::Outcome;
use crate::py::{errors, imports};
use crate::run::{enqueued, settle, start, task, timeout, withdraw};
use crate::state::{Callback, FirstStep, Job, Made, Work};

/// The coroutine of the job makes a step before the job has begun. Tells whether the coroutine has
/// to wait for its task.
pub(crate) fn first_step(job: &Bound<'_, Job>) -> PyResult<bool> {
    let py = job.py();
    loop {
        match job.get().first_step(py) {
            FirstStep::Pause => return Ok(true),
            FirstStep::Compare(made) => {
                if let Some(other) = task::other_than(made.bind(py))? {
                    let made = Made {
                        object: other.unbind(),
                        unseen: false,
                    };
                    job.get().started(py, made);
                }
            }
            FirstStep::Begin(work) => {
                drop(work);
                return Ok(false);
            }
        }
    }
}

/// A job that is a call begins: makes the call, and gives the awaitable. If the call raises, nothing of
/// the job has run.
pub(crate) fn call<'py>(job: &Bound<'py, Job>) -> PyResult<Bound<'py, PyAny>> {
    let py = job.py();
    let Some(Work::Call(call)) = job.get().work(py) else {
        return Err(PyRuntimeError::new_err("the job has begun before"));
    };
    let awaitable = enqueued::make(py, &call)?;
    drop(job.get().take_work(py));
    Ok(awaitable)
}

/// The awaitable has returned. Gives the coroutine of the callback, if there is one.
pub(crate) fn returned<'py>(
    job: &Bound<'py, Job>,
    result: Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    match job.get().end_or_call_back(job.py()) {
        Ok(ended) => {
            if settle::finish(job, ended, Outcome::Returned(result.unbind()), true) {
                start::advance_after_end(job.get().pool(job.py()));
            }
            None
        }
        // The slot stays with the job until the callback has ended.
        Err(callback) => {
            count_executed(job);
            call_back(job, callback, Some(&result), None)
        }
    }
}

/// The awaitable has raised, or its task was cancelled before it began. Gives the coroutine of the
/// callback, if one has to run. Raises an error that must go on through the loop.
pub(crate) fn raised<'py>(
    job: &Bound<'py, Job>,
    error: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let timed_out = timeout::error_of(job, error);
    let error = timed_out.as_ref().unwrap_or(error);
    // If nothing of the job has run, its callback is not called.
    let began = !settle::never_began(job);
    if began {
        let callback = job.get().take_callback(job.py());
        // A callback must not delay an exit, and a coroutine that is closed may not await.
        let is_last = || errors::is_exit(error) || is_closed(job, error);
        if let Some(callback) = callback.filter(|_| !is_last()) {
            count_executed(job);
            if errors::is_cancellation(error) {
                job.get().pool(job.py()).get().look_after(job.py());
            }
            return Ok(call_back(job, callback, None, Some(error)));
        }
    }
    match timed_out {
        Some(error) => settle(job, Outcome::TimedOut(error.unbind()), began),
        None => settle_error(job, error, began)?,
    }
    Ok(None)
}

/// The callback has returned.
pub(crate) fn callback_returned(job: &Bound<'_, Job>, result: Bound<'_, PyAny>) {
    settle(job, Outcome::Returned(result.unbind()), true);
}

/// Settles the job with its error or that of its callback. Raises the error again if it ends more
/// than the job. Counts the coroutine if it has `run`.
pub(crate) fn settle_error(
    job: &Bound<'_, Job>,
    error: &Bound<'_, PyAny>,
    run: bool,
) -> PyResult<()> {
    let py = job.py();
    let pool = job.get().pool(py);
    if error.is_instance_of::<PyGeneratorExit>() && is_closed(job, error) {
        // No code has raised this error: the task is being destroyed. If its loop is destroyed too,
        // so are all waiting jobs, in any order, and none of them starts any more.
        if !pool.get().own_loop().is_running(py) {
            withdraw::end(pool);
        }
        settle(job, Outcome::Cancelled(None), run);
        return Ok(());
    }
    if !errors::is_exit(error) {
        settle(job, Outcome::of_error(error), run);
        return Ok(());
    }
    if let Some(task) = job.get().task(py) {
        // The future and the loop report the error, so the task need not.
        let task = task.bind(py);
        let retrieve = task.get_type().getattr(intern!(py, "exception"));
        let added = retrieve
            .and_then(|retrieve| task.call_method1(intern!(py, "add_done_callback"), (retrieve,)));
        errors::report(py, added.map(drop), task);
    }
    if job.get().begins_at_once(py) {
        // No loop is waiting for this step, only the call that has started the job.
        errors::report(py, Err(PyErr::from_value(error.clone())), pool);
        start::end_turn(pool);
        settle(job, Outcome::of_error(error), run);
        return Ok(());
    }
    // Settled first: the loop may be run again after such an error, and then the slot must be free.
    settle(job, Outcome::of_error(error), run);
    Err(PyErr::from_value(error.clone()))
}

/// Settles a job that no task has stepped, and none will step.
pub(crate) fn never_stepped(job: &Bound<'_, Job>, outcome: Outcome) {
    settle::never_stepped(job, outcome);
    start::advance_after_end(job.get().pool(job.py()));
}

fn settle(job: &Bound<'_, Job>, outcome: Outcome, run: bool) {
    if settle::settle(job, outcome, run) {
        start::advance_after_end(job.get().pool(job.py()));
    }
}

/// Whether the error comes from the closing of its coroutine, not from a step of its task.
fn is_closed(job: &Bound<'_, Job>, error: &Bound<'_, PyAny>) -> bool {
    let py = job.py();
    let Some(own) = job.get().task(py) else {
        return true;
    };
    let current = imports::current_task(py).and_then(PyAnyMethods::call0);
    if current.is_ok_and(|current| current.is(&own)) {
        return false;
    }
    // The steps of a task that is not asyncio's may be told to nobody.
    let tells = imports::task(py).and_then(|class| own.bind(py).is_instance(class));
    tells.unwrap_or(true) || error.is_instance_of::<PyGeneratorExit>()
}

fn count_executed(job: &Bound<'_, Job>) {
    job.get().pool(job.py()).get().count_executed(job.py());
}

/// Makes the coroutine of the callback. If that fails, settles the job and gives None.
fn call_back<'py>(
    job: &Bound<'py, Job>,
    callback: Callback,
    result: Option<&Bound<'py, PyAny>>,
    error: Option<&Bound<'py, PyAny>>,
) -> Option<Bound<'py, PyAny>> {
    let py = job.py();
    // Its time does not count for the callback.
    job.get().pool(py).get().end_timeout(job);
    let made = errors::contained(py, || {
        imports::call_back(py)?.call1((job, callback.function, callback.ctx, result, error))
    });
    made.inspect_err(|error| settle(job, Outcome::of_raised(py, error), false))
        .ok()
}
