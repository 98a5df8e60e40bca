//! Errors that no caller gets, and errors that end more than a job.

use std::panic::{self, AssertUnwindSafe};

use pyo3::PyTypeInfo;
use pyo3::exceptions::{
    PyBaseException, PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PySystemExit,
};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::imports;

/// Calls `f`, which must leave nothing half done when it fails. `PyO3` makes strings, tuples and
/// lists as if that could not fail, and panics if there is no memory for them. Here such a panic
/// becomes an error like any other, so that it loses neither a job nor a slot.
pub(crate) fn contained<R>(py: Python<'_>, f: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let error = PyErr::take(py);
        Err(error.unwrap_or_else(|| PyMemoryError::new_err("no memory for a Python object")))
    })
}

/// Calls `f`, and keeps the error that the interpreter is raising meanwhile, if there is one: an
/// object may be dropped while an error is on its way.
pub(crate) fn apart(py: Python<'_>, f: impl FnOnce()) {
    let error = PyErr::take(py);
    f();
    if let Some(error) = error {
        error.restore(py);
    }
}

/// Reports an error that no caller gets, as the interpreter does for destructors. If the error must
/// end the program, raises it through the running loop instead.
pub(crate) fn report(py: Python<'_>, result: PyResult<()>, about: &Bound<'_, PyAny>) {
    let Err(error) = result else { return };
    let raised = is_exit(error.value(py)) && raise_through_loop(py, &error).is_ok();
    if !raised {
        error.write_unraisable(py, Some(about));
    }
}

/// Whether an error ends the program, not only its job.
pub(crate) fn is_exit(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>() || error.is_instance_of::<PySystemExit>()
}

/// Removes the outermost frame of an error, which is that of the job's coroutine in `_job.py`. It
/// tells the user nothing, and would keep its local variables alive.
pub(crate) fn forget_own_frame(error: &Bound<'_, PyAny>) {
    let py = error.py();
    let Some(traceback) = PyErr::from_value(error.clone()).traceback(py) else {
        return;
    };
    let forgotten = contained(py, || {
        let inner = traceback.getattr(intern!(py, "tb_next"))?;
        // Not by an attribute of the error itself, which may refuse.
        let base = PyBaseException::type_object(py);
        base.call_method1(intern!(py, "with_traceback"), (error, inner))
    });
    report(py, forgotten.map(drop), error);
}

pub(crate) fn is_cancellation(error: &Bound<'_, PyAny>) -> bool {
    let class = imports::cancelled_error(error.py());
    class.is_ok_and(|class| error.is_instance(class).unwrap_or(false))
}

fn raise_through_loop(py: Python<'_>, error: &PyErr) -> PyResult<()> {
    let running = imports::get_running_loop(py)?.call0()?;
    running.call_method1(
        intern!(py, "call_soon"),
        (imports::raise_(py)?, error.value(py)),
    )?;
    Ok(())
}

/// What a pool that is closed does not take.
pub(crate) fn pool_is_closed() -> PyErr {
    PyRuntimeError::new_err("the pool is closed")
}
