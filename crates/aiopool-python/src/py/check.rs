//! Checks of a job that is handed in, and of its callback.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFunction;

use crate::py::ffi::look_at_referents;
use crate::py::imports;

/// The arguments of a verb.
pub(crate) struct Call<'a, 'py> {
    pub(crate) verb: &'static str,
    pub(crate) awaitable: &'a Bound<'py, PyAny>,
    pub(crate) cb: Option<&'a Bound<'py, PyAny>>,
    pub(crate) ctx: &'a Bound<'py, PyAny>,
}

/// Checks that `awaitable` can be a job: an awaitable that has not been awaited yet.
pub(crate) fn check_awaitable(call: &Call<'_, '_>) -> PyResult<()> {
    let awaitable = call.awaitable;
    if is_awaitable(awaitable)? {
        return check_not_begun(awaitable);
    }
    let refuse = imports::not_awaitable(awaitable.py())?;
    let refusal = refuse.call1((call.verb, awaitable, call.cb, call.ctx))?;
    Err(PyErr::from_value(refusal))
}

/// The same for the awaitable that the `function` of this verb has given for an item.
pub(crate) fn check_given(
    verb: &str,
    function: &Bound<'_, PyAny>,
    given: &Bound<'_, PyAny>,
) -> PyResult<()> {
    check_kind_given(verb, function, given)?;
    check_not_begun(given)
}

/// The same for an awaitable that begins at once. If it was awaited before, the interpreter raises.
pub(crate) fn check_kind_given(
    verb: &str,
    function: &Bound<'_, PyAny>,
    given: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if is_awaitable(given)? {
        return Ok(());
    }
    let refuse = imports::gave_no_awaitable(given.py())?;
    Err(PyErr::from_value(refuse.call1((verb, function, given))?))
}

/// The same for what a call has given that is made for a job.
pub(crate) fn check_made(function: &Bound<'_, PyAny>, made: &Bound<'_, PyAny>) -> PyResult<()> {
    if is_awaitable(made)? {
        return Ok(());
    }
    let refuse = imports::made_no_awaitable(made.py())?;
    Err(PyErr::from_value(refuse.call1((function, made))?))
}

/// Checks that `function` can be that of a job.
pub(crate) fn check_function(verb: &str, function: &Bound<'_, PyAny>) -> PyResult<()> {
    if function.is_callable() {
        return Ok(());
    }
    let refuse = imports::not_callable(function.py())?;
    Err(PyErr::from_value(refuse.call1((verb, function))?))
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

fn is_awaitable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    if object.get_type().is(imports::coroutine_type(py)?) {
        return Ok(true);
    }
    imports::is_awaitable(py)?.call1((object,))?.is_truthy()
}

fn check_not_begun(coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = coroutine.py();
    if !coroutine.get_type().is(imports::coroutine_type(py)?) {
        return Ok(());
    }
    let again = "hand in a new coroutine: call its function again";
    if imports::is_running(py)?.get(coroutine)?.is_truthy()?
        || imports::is_suspended(py)?.get(coroutine)?.is_truthy()?
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

/// A coroutine that has a frame refers to its function through the frame. A coroutine that has
/// ended does not. `cr_frame` tells that as well, but reading it makes a frame object, which a
/// waiting coroutine would then keep. So it is read only where the answer is likely to be
/// "finished".
fn is_finished(coroutine: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = coroutine.py();
    let mut has_function = false;
    look_at_referents(coroutine, |referent| {
        has_function |= referent.is_instance_of::<PyFunction>();
    });
    Ok(!has_function && coroutine.getattr(intern!(py, "cr_frame"))?.is_none())
}
