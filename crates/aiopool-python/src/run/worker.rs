//! A worker runs jobs, one after another, in the one task that a pool has for a slot if it reuses
//! tasks.

use std::mem;

use pyo3::exceptions::PyGeneratorExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyNone;
use pyo3::types::iterator::PySendResult;

use crate::py::awaitable::is_new_coroutine;
use crate::py::ffi::{Resume, in_context, resume};
use crate::py::outcome::Outcome;
use crate::py::{errors, imports, name};
use crate::run::{assign, job, task};
use crate::state::{Begun, Given, Kind, NextOfWorker, Worker};

/// What a worker does when no job of it is under way.
enum Next {
    Run(Begun),
    /// Let the others have their turn of the loop.
    Pause,
    End,
}

/// Runs jobs until one suspends, and gives what that awaits; None at the end of the task.
pub(crate) fn step<'py>(
    worker: &Bound<'py, Worker>,
    mut with: Resume<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = worker.py();
    let mut has_begun = false;
    // Asked before the job sees it, for the job or its callback may take the cancellation back.
    if matches!(with, Resume::Throw(_)) && assign::is_cancelled(worker) {
        worker.get().retire();
    }
    // Taken while it is stepped, so that a worker which is called from inside of its own job finds none.
    let mut next = match worker.get().take_suspended(py) {
        Some(begun) => Next::Run(begun),
        None => match with {
            Resume::Throw(arguments) => {
                let thrown = PyErr::from_value(arguments.get_item(0)?);
                return refuse(worker, thrown.value(py)).map(|()| None);
            }
            Resume::Send(_) => {
                if let Some(made) = worker.get().take_unseen(py) {
                    match task::other_than(made.bind(py)) {
                        Ok(None) => {}
                        Ok(Some(other)) => worker.get().runs_in(other),
                        Err(cancelled) => {
                            return refuse(worker, cancelled.value(py)).map(|()| None);
                        }
                    }
                }
                has_begun = true;
                begin(worker, false, false)?
            }
        },
    };
    loop {
        let mut begun = match next {
            Next::Run(begun) => begun,
            Next::Pause => return Ok(Some(PyNone::get(py).to_owned().into_any())),
            Next::End => {
                leave(worker);
                return Ok(None);
            }
        };
        let resumed = in_context(begun.context.bind(py), || {
            resume(begun.coroutine.bind(py), with)
        });
        let callback = match resumed {
            Ok(PySendResult::Next(awaited)) => {
                worker.get().suspend(py, begun);
                return Ok(Some(awaited));
            }
            Ok(PySendResult::Return(result)) => match begun.kind {
                Kind::Job | Kind::Wrapper => job::returned(begun.job.bind(py), result),
                // It has told the job itself.
                Kind::Callback => None,
            },
            Err(error) => raised(worker, &begun, error)?,
        };
        with = Resume::with_none(py);
        next = if let Some(callback) = callback {
            // In the same slot, and in the context as the job has left it.
            begun.coroutine = callback.unbind();
            begun.kind = Kind::Callback;
            Next::Run(begun)
        } else {
            // The job has settled, which has given the next one to this worker or to another.
            drop(begun);
            begin(worker, true, mem::replace(&mut has_begun, true))?
        };
    }
}

/// The coroutine of the task is closed, in the midst of its job or before it has begun one. It may not
/// await any more, so no callback is run.
pub(crate) fn close(worker: &Bound<'_, Worker>) -> PyResult<()> {
    let py = worker.py();
    // Made at once, not as an error that is made when it is looked at: at the end of the interpreter that is
    // too late.
    let exit = py.get_type::<PyGeneratorExit>().call0()?;
    let Some(begun) = worker.get().take_suspended(py) else {
        return refuse(worker, &exit);
    };
    worker.get().retire();
    // Closed, not thrown into: a collection may have closed it before, and one that has ended would answer
    // to `throw` with an error which nobody has raised.
    let closed = in_context(begun.context.bind(py), || {
        let coroutine = begun.coroutine.bind(py);
        coroutine.call_method0(intern!(py, "close"))
    });
    let settled = match begun.kind {
        Kind::Job | Kind::Wrapper => {
            let error = closed.err().map(|error| error.into_value(py));
            let error = error.map_or(exit, |error| error.into_bound(py).into_any());
            job::settle_error(begun.job.bind(py), &error, true)
        }
        // It has told the job itself, and raises what ends the program.
        Kind::Callback => closed.map(drop),
    };
    leave(worker);
    settled
}

/// The task has ended, perhaps without a step.
pub(crate) fn task_ended(worker: &Bound<'_, Worker>, ended: &Bound<'_, PyAny>) {
    let py = worker.py();
    if worker.get().task(py).is_some_and(|own| !own.is(ended)) {
        return;
    }
    // Retired first: as the job settles, the worker must not become idle, for its task has ended.
    worker.get().retire();
    let given = worker.get().pool(py).get().take_given(py, worker.get());
    if let Some(Given { job, .. }) = given {
        job::never_stepped(job.bind(py), Outcome::Cancelled(None));
    }
    leave(worker);
}

/// What it runs has raised. Gives the coroutine of the callback, if there is one to run.
fn raised<'py>(
    worker: &Bound<'py, Worker>,
    begun: &Begun,
    error: PyErr,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = worker.py();
    let error = error.into_value(py).into_bound(py).into_any();
    if begun.kind == Kind::Wrapper {
        errors::forget_own_frame(&error);
    }
    let callback = match begun.kind {
        Kind::Job | Kind::Wrapper => job::raised(begun.job.bind(py), &error),
        Kind::Callback => Err(PyErr::from_value(error)),
    };
    // What ends the program ends the task too.
    callback.inspect_err(|_| leave(worker))
}

/// It was cancelled, or its coroutine closed, while it had begun nothing.
fn refuse(worker: &Bound<'_, Worker>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = worker.py();
    worker.get().retire();
    // The cancellation was meant for the job that it has been given.
    let given = worker.get().pool(py).get().take_given(py, worker.get());
    let refused = match given {
        Some(Given { job, .. }) => job::raised(job.bind(py), error).map(drop),
        None => Ok(()),
    };
    leave(worker);
    refused
}

/// Begins the job that it has been given, unless that is for the next step.
fn begin(worker: &Bound<'_, Worker>, has_ended: bool, has_begun: bool) -> PyResult<Next> {
    let py = worker.py();
    let pool = worker.get().pool(py).get();
    let Given { job, context } = match pool.next_of(py, worker.get(), has_ended, has_begun) {
        NextOfWorker::Begin(given) => given,
        NextOfWorker::Pause => return Ok(Next::Pause),
        NextOfWorker::End => return Ok(Next::End),
    };
    // A job that has been settled meanwhile holds none.
    let Some(awaitable) = job.bind(py).get().awaitable(py) else {
        return Ok(Next::Pause);
    };
    errors::report(py, name_after(worker, &awaitable), worker);
    match coroutine_of(awaitable) {
        Ok((kind, coroutine)) => {
            // From here on the job has begun: it ends by what its coroutine does.
            drop(job.bind(py).get().take_awaitable(py));
            Ok(Next::Run(Begun {
                job,
                context,
                coroutine: coroutine.unbind(),
                kind,
            }))
        }
        Err(error) => {
            // That job has ended without a step of its own.
            let error = error.into_value(py);
            job::raised(job.bind(py), error.bind(py)).inspect_err(|_| leave(worker))?;
            begin(worker, true, true)
        }
    }
}

/// The task and its coroutine are called as the job is which begins.
fn name_after(worker: &Bound<'_, Worker>, awaitable: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = worker.py();
    let name = name::of(awaitable)?;
    let Some(named) = worker.get().take_name(&name) else {
        return Ok(());
    };
    if let Some((coroutine, former)) = named.coroutine {
        name::give(coroutine.bind(py), &name)?;
        drop(former);
    }
    if let Some(set_name) = named.set_name {
        set_name.bind(py).call1((name,))?;
    }
    Ok(())
}

/// The task ends: what it has been given is for another.
fn leave(worker: &Bound<'_, Worker>) {
    let py = worker.py();
    let pool = worker.get().pool(py);
    drop(pool.get().let_go(worker));
    // A job may have been given to the worker between the end of its last job and the end of its task.
    if let Some(Given { job, context }) = pool.get().take_given(py, worker.get()) {
        let job = job.bind(py);
        if let Err(error) = assign::to_worker(pool, job, context.bind(py)) {
            job::never_stepped(job, Outcome::of_raised(py, &error));
        }
    }
}

/// The coroutine that is stepped to run a job: its own, or ours around it.
fn coroutine_of(awaitable: Bound<'_, PyAny>) -> PyResult<(Kind, Bound<'_, PyAny>)> {
    if is_new_coroutine(&awaitable)? {
        return Ok((Kind::Job, awaitable));
    }
    let wrapper = imports::awaited(awaitable.py())?.call1((awaitable,))?;
    Ok((Kind::Wrapper, wrapper))
}
