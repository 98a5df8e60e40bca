//! A job that is a call: making the call, and telling how the job has ended.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::py::check::check_made;
use crate::py::outcome::{Outcome, message_of};
use crate::py::{errors, name, owner};
use crate::run::observe;
use crate::state::{Arity, Call, End, Enqueued, Extras, Pool, WaitingCall};

/// Makes a call. Gives the awaitable.
pub(crate) fn make<'py>(py: Python<'py>, call: &Call) -> PyResult<Bound<'py, PyAny>> {
    let function = call.function.bind(py);
    let made = match (&call.arguments, call.arity) {
        (None, _) => function.call0(),
        (Some(argument), Arity::Single) => function.call1((argument,)),
        (Some(arguments), Arity::Many) => {
            function.call1(arguments.bind(py).cast::<PyTuple>()?.clone())
        }
        (Some(arguments), Arity::Named) => {
            let (arguments, named) =
                arguments.extract::<(Bound<'_, PyTuple>, Bound<'_, PyDict>)>(py)?;
            function.call(arguments, Some(&named))
        }
    }?;
    check_made(function, &made)?;
    Ok(made)
}

/// The name that was asked for, or that of the function.
pub(crate) fn name_of<'py>(job: &Bound<'py, Enqueued>) -> PyResult<Bound<'py, PyString>> {
    let py = job.py();
    match job.get().name(py) {
        Ok(name) => Ok(name.into_bound(py)),
        Err(Some(function)) => name::of(function.bind(py)),
        Err(None) => Ok(intern!(py, "").clone()),
    }
}

/// Tells how the job has ended to all who wait for it.
pub(crate) fn settle(job: &Bound<'_, Enqueued>, outcome: Outcome, name: Option<Bound<'_, PyAny>>) {
    let py = job.py();
    let known = name.as_ref().and_then(|name| name.cast().ok()).cloned();
    let end = match outcome {
        Outcome::Returned(result) => End::Returned(result),
        Outcome::Cancelled(error) => {
            End::Cancelled(error.and_then(|error| message_of(error.bind(py))))
        }
        Outcome::Failed(_) | Outcome::TimedOut(_) => failed(job, outcome, name),
    };
    end_as(job, end, known);
}

/// The job leaves the queue without a slot.
pub(crate) fn withdraw(
    pool: &Bound<'_, Pool>,
    call: &WaitingCall,
    extras: Option<Box<Extras>>,
    message: Option<Py<PyAny>>,
) {
    let job = call.job.bind(pool.py());
    let name = extras.as_ref().and_then(|extras| extras.name.as_ref());
    end_as(
        job,
        End::Cancelled(message),
        name.map(|name| name.bind(pool.py()).clone()),
    );
    observe::withdrawn(pool, extras);
}

/// Has `function` called with a job that has ended.
pub(crate) fn call_soon(
    job: &Bound<'_, Enqueued>,
    function: &Bound<'_, PyAny>,
    context: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = job.py();
    let own_loop = job.get().pool(py).get().own_loop();
    let event_loop = own_loop.get();
    let event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("no loop"))?;
    event_loop.call_soon_in(context, (function, job))
}

/// A future that fails in the place of the job, and reports the error as every other one does.
fn failed(job: &Bound<'_, Enqueued>, outcome: Outcome, name: Option<Bound<'_, PyAny>>) -> End {
    let py = job.py();
    let own_loop = job.get().pool(py).get().own_loop();
    let event_loop = own_loop.get();
    let future = errors::contained(py, || {
        let event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("no loop"))?;
        event_loop.new_failed_call(py)
    });
    match (future, outcome) {
        (Ok(future), outcome) => {
            owner::replace(&future, name);
            outcome.settle_future(own_loop, &future);
            End::Failed(future.unbind())
        }
        (Err(_), Outcome::Failed(error) | Outcome::TimedOut(error)) => End::Failed(error),
        (Err(_), Outcome::Returned(_) | Outcome::Cancelled(_)) => End::Cancelled(None),
    }
}

fn end_as<'py>(job: &Bound<'py, Enqueued>, end: End, name: Option<Bound<'py, PyString>>) {
    let py = job.py();
    // Without memory for its name it has none.
    let name = errors::contained(py, || name.map_or_else(|| name_of(job), Ok)).ok();
    let callbacks = job.get().end(py, end, name.map(Bound::unbind));
    for (function, context) in callbacks {
        let call = || errors::contained(py, || call_soon(job, function.bind(py), context.bind(py)));
        // There may have been no memory, and a task that is not woken waits for ever.
        let called = call().or_else(|_| call());
        // A closed loop calls nobody.
        if called.is_err() && !job.get().pool(py).get().own_loop().is_closed(py) {
            errors::report(py, called, job);
        }
    }
}
