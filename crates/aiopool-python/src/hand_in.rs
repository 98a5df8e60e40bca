//! A job is handed in: the call is checked, the job gets a future and a place in the line.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyList};

use crate::line::{Callback, Extras, Waiter, WaitingJob};
use crate::native::look_at_referents;
use crate::pool::{Pool, State};
use crate::python;
use crate::settle::Outcome;
use crate::stop::{self, dismiss};

#[pymethods]
impl Pool {
    /// Hands in a job and returns its future.
    fn spawn_n<'py>(
        slf: &Bound<'py, Self>,
        awaitable: &Bound<'py, PyAny>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (future, _) = hand_in(slf, awaitable, cb, ctx, false)?;
        Ok(future)
    }

    /// The same, with a second future that is settled when the job leaves the line; None if it
    /// has a slot already.
    fn spawn<'py>(
        slf: &Bound<'py, Self>,
        awaitable: &Bound<'py, PyAny>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        hand_in(slf, awaitable, cb, ctx, true)
    }

    /// Calls `function` with each item and hands in what it gives. What it raises settles the
    /// future of that item.
    fn map_n<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        values: &Bound<'py, PyList>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        slf.get().enter(slf.py())?;
        values
            .iter()
            .map(|item| {
                let made = function.call1((item,)).and_then(|awaitable| {
                    check_awaitable(&awaitable)?;
                    Ok(awaitable)
                });
                match made {
                    Ok(awaitable) => Self::spawn_n(slf, &awaitable, cb, ctx),
                    Err(error) => failed_future(slf, error),
                }
            })
            .collect()
    }
}

/// The future of an item for which no job could be made.
fn failed_future<'py>(pool: &Bound<'py, Pool>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
    let py = pool.py();
    if python::is_exit(error.value(py)) {
        return Err(error);
    }
    let future = pool.get().enter(py)?.new_future(py)?;
    Outcome::of_error(error.value(py)).settle_future(pool, &future);
    Ok(future)
}

fn hand_in<'py>(
    pool: &Bound<'py, Pool>,
    awaitable: &Bound<'py, PyAny>,
    cb: Option<&Bound<'py, PyAny>>,
    ctx: &Bound<'py, PyAny>,
    tell: bool,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let py = pool.py();
    check_awaitable(awaitable)?;
    let made = check_callback(cb).and_then(|()| {
        let event_loop = pool.get().enter(py)?;
        let future = event_loop.new_job_future(py)?;
        python::owner(py)?.set(&future, pool)?;
        let is_blocked = tell && pool.get().with(py, |state| !has_free_slot(state));
        let left_line = is_blocked.then(|| event_loop.new_future(py)).transpose()?;
        Ok((future, left_line, pool.get().snapshot(py)?))
    });
    let (future, left_line, context) = made.inspect_err(|_| refuse(awaitable))?;
    let callback = cb.map(|function| Callback {
        function: function.clone().unbind(),
        ctx: ctx.clone().unbind(),
    });
    let extras = (callback.is_some() || left_line.is_some()).then(|| {
        let left_line = left_line.clone().map(Bound::unbind);
        Box::new(Extras {
            callback,
            left_line,
        })
    });
    let job = WaitingJob {
        awaitable: awaitable.clone().unbind(),
        future: future.clone().unbind(),
        context,
        extras,
    };
    match pool.get().with(py, |state| state.submit(Waiter::Job(job))) {
        Ok(_) => Pool::advance(pool),
        Err(refused) => refused.withdrawn(pool),
    }
    Ok((future, left_line))
}

/// Whether a job would get a slot at once.
fn has_free_slot(state: &State) -> bool {
    let admission = &state.admission;
    let free = admission.active() < admission.size().get() && admission.waiting() == 0;
    free && !state.advancing && !state.paused
}

/// A job is an awaitable that nobody has awaited yet.
fn check_awaitable(awaitable: &Bound<'_, PyAny>) -> PyResult<()> {
    check_kind(awaitable)?;
    if awaitable
        .get_type()
        .is(python::coroutine_type(awaitable.py())?)
    {
        check_not_begun(awaitable)?;
    }
    Ok(())
}

/// A job is an awaitable. Of one that is begun at once, and has been awaited before, the
/// interpreter tells.
pub(crate) fn check_kind(awaitable: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = awaitable.py();
    if awaitable.get_type().is(python::coroutine_type(py)?) {
        return Ok(());
    }
    if python::is_awaitable(py)?.call1((awaitable,))?.is_truthy()? {
        return Ok(());
    }
    if python::is_coroutine_function(py)?
        .call1((awaitable,))?
        .is_truthy()?
    {
        return Err(PyTypeError::new_err(format!(
            "a coroutine is needed, not the coroutine function {awaitable}: call it, as in \
             pool.spawn_n(function(...)), or use pool.map"
        )));
    }
    Err(PyTypeError::new_err(format!(
        "a coroutine or another awaitable is needed, not {} ({awaitable}): hand in what calling \
         an async function returns",
        awaitable.get_type().name()?,
    )))
}

fn check_not_begun(coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = coroutine.py();
    let again = "hand in a new coroutine: call its function again";
    if python::is_running(py)?.get(coroutine)?.is_truthy()?
        || python::is_suspended(py)?.get(coroutine)?.is_truthy()?
    {
        return Err(PyRuntimeError::new_err(format!(
            "the coroutine {coroutine} is running already; {again}"
        )));
    }
    if is_finished(coroutine)? {
        return Err(PyRuntimeError::new_err(format!(
            "the coroutine {coroutine} has been awaited or closed already; {again}"
        )));
    }
    Ok(())
}

/// A coroutine that has a frame refers to its function through it, one that has ended does not.
/// To ask for `cr_frame` would tell as well, but makes a frame object that a waiting coroutine
/// then carries: so it is asked only where the answer is likely to be "finished".
fn is_finished(coroutine: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = coroutine.py();
    let mut has_function = false;
    look_at_referents(coroutine, |referent| {
        has_function |= referent.is_instance_of::<PyFunction>();
    });
    Ok(!has_function && coroutine.getattr(intern!(py, "cr_frame"))?.is_none())
}

pub(crate) fn check_callback(cb: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match cb {
        Some(cb) if !cb.is_callable() => Err(PyTypeError::new_err(format!(
            "cb must be a coroutine function such as `async def cb(res, err, ctx)`, not {} ({cb})",
            cb.get_type().name()?,
        ))),
        _ => Ok(()),
    }
}

/// Closes a coroutine that the pool does not take, so that it does not warn of having been
/// forgotten. A future stays as it is: it belongs to whoever made it.
fn refuse(awaitable: &Bound<'_, PyAny>) {
    if !stop::is_future(awaitable) {
        dismiss(awaitable);
    }
}
