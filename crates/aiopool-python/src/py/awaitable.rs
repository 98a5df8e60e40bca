//! Awaitables: telling their kind, and ending those that will not be awaited.

use pyo3::intern;
use pyo3::prelude::*;

use crate::py::{errors, imports};

/// Ends an awaitable that will not be awaited. A coroutine is closed, so that Python does not warn
/// that it was never awaited. A future is cancelled, as the task of the job would have done. Any
/// other object stays as it is: it belongs to its owner.
pub(crate) fn close_unawaited(awaitable: &Bound<'_, PyAny>) {
    let py = awaitable.py();
    let ended = errors::contained(py, || {
        if is_coroutine(awaitable) {
            awaitable.call_method0(intern!(py, "close"))?;
        } else if is_future(awaitable) {
            awaitable.call_method0(intern!(py, "cancel"))?;
            if !awaitable.call_method0(intern!(py, "done"))?.is_truthy()? {
                let read = imports::read_cancellation(py)?;
                awaitable.call_method1(intern!(py, "add_done_callback"), (read,))?;
            }
        }
        Ok(())
    });
    errors::report(py, ended, awaitable);
}

/// Closes a coroutine that has not begun. A coroutine that runs or is suspended belongs to other
/// code, as does an awaitable of any other kind.
pub(crate) fn close_if_new(awaitable: &Bound<'_, PyAny>) {
    let py = awaitable.py();
    let closed = errors::contained(py, || {
        if is_coroutine(awaitable) && !is_begun(awaitable)? {
            awaitable.call_method0(intern!(py, "close"))?;
        }
        Ok(())
    });
    errors::report(py, closed, awaitable);
}

pub(crate) fn is_future(object: &Bound<'_, PyAny>) -> bool {
    let answer = imports::is_future(object.py()).and_then(|is_future| is_future.call1((object,)));
    answer.is_ok_and(|answer| answer.is_truthy().unwrap_or(false))
}

/// Whether a worker may step it as it is. The interpreter awaits any other awaitable, and any that
/// has begun: it has an error for objects that cannot be awaited.
pub(crate) fn is_new_coroutine(awaitable: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = awaitable.py();
    let is_coroutine = awaitable.get_type().is(imports::coroutine_type(py)?);
    Ok(is_coroutine && !imports::is_suspended(py)?.get(awaitable)?.is_truthy()?)
}

/// Whether it has begun. An attribute that a generator or a coroutine of another kind lacks counts
/// as false.
fn is_begun(coroutine: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = coroutine.py();
    for sign in [
        intern!(py, "cr_running"),
        intern!(py, "cr_suspended"),
        intern!(py, "gi_running"),
        intern!(py, "gi_suspended"),
    ] {
        if let Some(answer) = coroutine.getattr_opt(sign)?
            && answer.is_truthy()?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    let py = object.py();
    let is_instance = |class: PyResult<&Bound<'_, PyAny>>| {
        class.is_ok_and(|class| object.is_instance(class).unwrap_or(false))
    };
    is_instance(imports::coroutine_type(py))
        || is_instance(imports::generator_type(py))
        || is_instance(imports::coroutine(py))
}
