//! A worker runs jobs, one after another, in one task. A pool that reuses tasks has a worker for
//! each slot. A pool that starts jobs eagerly has one for the jobs that end in their first step, one
//! after another, and for the one that suspends, which it runs to its end.

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
use crate::run::{assign, job, observe, start, task};
use crate::state::{Begun, Given, Job, Kind, NextOfWorker, Work, Worker};

/// The next act of a worker that has no suspended job.
enum Next {
    Run(Begun),
    /// Let other tasks have their turn of the loop.
    Pause,
    End,
}

/// Runs jobs until one suspends, and gives the object that this job awaits. None at the end of the
/// task.
pub(crate) fn step<'py>(
    worker: &Bound<'py, Worker>,
    mut with: Resume<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = worker.py();
    let mut has_begun = false;
    // Checked before the job sees the cancellation: the job or its callback may take it back.
    if matches!(with, Resume::Throw(_)) && assign::is_cancelled(worker) {
        worker.get().retire();
    }
    // Taken out while it is stepped, so that a call of the worker from inside its own job finds
    // none.
    let mut next = match worker.get().take_suspended(py) {
        Some(begun) => Next::Run(begun),
        None => match with {
            Resume::Throw(arguments) => {
                let thrown = PyErr::from_value(arguments.get_item(0)?);
                return refuse(worker, thrown.value(py)).map(|()| None);
            }
            Resume::Send(_) => {
                if worker.get().is_eager() {
                    if let Err(error) = adopt(worker) {
                        return refuse(worker, error.value(py)).map(|()| None);
                    }
                } else if let Some(made) = worker.get().take_unseen(py) {
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
            Next::Pause => {
                worker.get().has_stepped();
                return Ok(Some(PyNone::get(py).to_owned().into_any()));
            }
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
                worker.get().has_stepped();
                worker.get().suspend(py, begun);
                return Ok(Some(awaited));
            }
            Ok(PySendResult::Return(result)) => match begun.kind {
                Kind::Job | Kind::Wrapper => job::returned(begun.job.bind(py), result),
                // The coroutine of the callback has told the job itself.
                Kind::Callback => None,
            },
            Err(error) => raised(worker, &begun, error)?,
        };
        with = Resume::with_none(py);
        next = if let Some(callback) = callback {
            // In the same slot and context: the callback sees the variables as the job left them.
            begun.coroutine = callback.unbind();
            begun.kind = Kind::Callback;
            Next::Run(begun)
        } else {
            // The job has settled, and that has given the next job to this worker or to another.
            drop(begun);
            if worker.get().is_eager() {
                start::count_ended_at_once(worker.get().pool(py));
                // A cancellation of this job must not reach the next one.
                if !assign::is_cancelled(worker) {
                    start::look_for_job(worker);
                }
            }
            begin(worker, true, mem::replace(&mut has_begun, true))?
        };
    }
}

/// The coroutine of the task is closed, in the middle of a job or before it has begun one. The task
/// closes it too when a future that the job awaits has failed with `GeneratorExit`. Then the task
/// goes on, and the callback runs in it.
pub(crate) fn close(worker: &Bound<'_, Worker>) -> PyResult<()> {
    let py = worker.py();
    // Made now, not when it is first read: at the end of the interpreter that would be too late.
    let exit = py.get_type::<PyGeneratorExit>().call0()?;
    let Some(mut begun) = worker.get().take_suspended(py) else {
        return refuse(worker, &exit);
    };
    worker.get().retire();
    // By `close`, not by `throw`: a collection may have closed the coroutine before. `throw` on a
    // coroutine that has ended raises an error that no job has raised.
    let closed = in_context(begun.context.bind(py), || {
        let coroutine = begun.coroutine.bind(py);
        coroutine.call_method0(intern!(py, "close"))
    });
    let callback = match begun.kind {
        Kind::Job | Kind::Wrapper => {
            let error = closed.err().map(|error| error.into_value(py));
            let error = error.map_or(exit, |error| error.into_bound(py).into_any());
            job::raised(begun.job.bind(py), &error)
        }
        // The coroutine of the callback has told the job, and raises an error that ends the
        // program.
        Kind::Callback => closed.map(|_| None),
    };
    if let Ok(Some(callback)) = callback {
        begun.coroutine = callback.unbind();
        begun.kind = Kind::Callback;
        worker.get().suspend(py, begun);
        return Ok(());
    }
    leave(worker);
    callback.map(drop)
}

/// The task has ended, perhaps without a step.
pub(crate) fn task_ended(worker: &Bound<'_, Worker>, ended: &Bound<'_, PyAny>) {
    let py = worker.py();
    if worker.get().task(py).is_some_and(|own| !own.is(ended)) {
        return;
    }
    // Retired first: when the job settles, the worker must not become idle, because its task has
    // ended.
    worker.get().retire();
    let given = worker.get().pool(py).get().take_given(py, worker.get());
    if let Some(Given { job, .. }) = given {
        job::never_stepped(job.bind(py), Outcome::Cancelled(None));
    }
    leave(worker);
}

/// The running coroutine has raised. Gives the coroutine of the callback, if one has to run.
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
    // An error that ends the program ends the task too.
    callback.inspect_err(|_| leave(worker))
}

/// The worker was cancelled, or its coroutine closed, before it had begun a job.
fn refuse(worker: &Bound<'_, Worker>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = worker.py();
    worker.get().retire();
    // The cancellation was meant for the job that was given to the worker.
    let given = worker.get().pool(py).get().take_given(py, worker.get());
    let refused = match given {
        Some(Given { job, .. }) => job::raised(job.bind(py), error).map(drop),
        None => Ok(()),
    };
    leave(worker);
    refused
}

/// Begins the job that was given to the worker, unless the job has to wait for the next step.
fn begin(worker: &Bound<'_, Worker>, has_ended: bool, has_begun: bool) -> PyResult<Next> {
    let py = worker.py();
    let pool = worker.get().pool(py).get();
    // Its caller admits no other job meanwhile, and counts those that it begins.
    let (has_ended, has_begun) = if worker.get().is_eager() {
        (false, false)
    } else {
        (has_ended, has_begun)
    };
    let Given { job, context } = match pool.next_of(py, worker.get(), has_ended, has_begun) {
        NextOfWorker::Begin(given) => given,
        NextOfWorker::Pause => return Ok(Next::Pause),
        NextOfWorker::End => return Ok(Next::End),
    };
    // A job that has settled meanwhile has no awaitable.
    let Some(work) = job.bind(py).get().work(py) else {
        return Ok(Next::Pause);
    };
    let named = name_after(worker, job.bind(py), work.object().bind(py));
    errors::report(py, named, worker);
    if worker.get().is_eager() {
        // Now, because the job may have ended when its start returns.
        observe::started(worker.get().pool(py), job.bind(py));
    }
    let coroutine = match work {
        Work::Awaitable(awaitable) => coroutine_of(awaitable.into_bound(py)),
        Work::Call(_) => {
            in_context(context.bind(py), || job::call(job.bind(py))).and_then(coroutine_of)
        }
    };
    match coroutine {
        Ok((kind, coroutine)) => {
            // From here on the job has begun: its coroutine ends it.
            drop(job.bind(py).get().take_work(py));
            Ok(Next::Run(Begun {
                job,
                context,
                coroutine: coroutine.unbind(),
                kind,
            }))
        }
        Err(error) => {
            // That job ends without a step of its own.
            let error = error.into_value(py);
            job::raised(job.bind(py), error.bind(py)).inspect_err(|_| leave(worker))?;
            begin(worker, true, true)
        }
    }
}

/// The task makes its first step while it is made, so nobody else has it yet.
fn adopt(worker: &Bound<'_, Worker>) -> PyResult<()> {
    let py = worker.py();
    let made = task::current(py)?;
    let coroutine = made.object.bind(py).call_method0(intern!(py, "get_coro"))?;
    let name = name::of(&coroutine)?;
    assign::has_task(worker, made, coroutine, name)
}

/// Gives the task and its coroutine the name of the job that begins.
fn name_after(
    worker: &Bound<'_, Worker>,
    job: &Bound<'_, Job>,
    named: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = worker.py();
    let name = job.get().name(py).map_or_else(|| name::of(named), Ok)?;
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

/// The task ends. A job that was given to it goes to another worker.
fn leave(worker: &Bound<'_, Worker>) {
    let py = worker.py();
    let pool = worker.get().pool(py);
    drop(pool.get().let_go(worker));
    // A job may have been given to the worker between the end of its last job and the end of its
    // task.
    if let Some(Given { job, context }) = pool.get().take_given(py, worker.get()) {
        let job = job.bind(py);
        if let Err(error) = assign::to_worker(pool, job, context.bind(py)) {
            job::never_stepped(job, Outcome::of_raised(py, &error));
        }
    }
}

/// The coroutine that the worker steps for a job: the job's own, or a wrapper of `_job.py` around
/// it.
fn coroutine_of(awaitable: Bound<'_, PyAny>) -> PyResult<(Kind, Bound<'_, PyAny>)> {
    if is_new_coroutine(&awaitable)? {
        return Ok((Kind::Job, awaitable));
    }
    let wrapper = imports::awaited(awaitable.py())?.call1((awaitable,))?;
    Ok((Kind::Wrapper, wrapper))
}
