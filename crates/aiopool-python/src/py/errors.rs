//! Errors that have nobody to go to, and those that end more than a job.

use std::panic::{self, AssertUnwindSafe};

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyMemoryError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::imports;

/// Calls `f`, which must leave nothing half done when it fails. `PyO3` makes strings, tuples and lists
/// as if that could not fail, and panics where there is no memory for them: here that is an error
/// like any other, so that neither a job nor a slot goes the way of the panic.
pub(crate) fn contained<R>(py: Python<'_>, f: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let error = PyErr::take(py);
        Err(error.unwrap_or_else(|| PyMemoryError::new_err("no memory for a Python object")))
    })
}

/// Calls `f` in the midst of what the interpreter does with an error, which is as it was when `f` ends: an
/// object may be dropped while an error is on its way.
pub(crate) fn apart(py: Python<'_>, f: impl FnOnce()) {
    let error = PyErr::take(py);
    f();
    if let Some(error) = error {
        error.restore(py);
    }
}

/// Reports an error that has nobody to go to: the way the interpreter does for destructors, or, if
/// it is to end the program, by raising it through the running loop.
pub(crate) fn report(py: Python<'_>, result: PyResult<()>, about: &Bound<'_, PyAny>) {
    let Err(error) = result else { return };
    let raised = is_exit(error.value(py)) && raise_through_loop(py, &error).is_ok();
    if !raised {
        error.write_unraisable(py, Some(about));
    }
}

/// Whether an error ends not only its job, but the program.
pub(crate) fn is_exit(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>() || error.is_instance_of::<PySystemExit>()
}

/// The frames of an error keep all that is in them alive, and the outermost is that of the job's
/// own coroutine in `_job.py`, which tells the user nothing.
pub(crate) fn forget_own_frame(error: &Bound<'_, PyAny>) {
    let py = error.py();
    let Some(traceback) = PyErr::from_value(error.clone()).traceback(py) else {
        return;
    };
    let forgotten = contained(py, || {
        let inner = traceback.getattr(intern!(py, "tb_next"))?;
        // Not by the attributes of the error itself, which it may refuse.
        let base = PyBaseException::type_object(py);
        base.call_method1(intern!(py, "with_traceback"), (error, inner))
    });
    report(py, forgotten.map(drop), error);
}

fn raise_through_loop(py: Python<'_>, error: &PyErr) -> PyResult<()> {
    let running = imports::get_running_loop(py)?.call0()?;
    running.call_method1(
        intern!(py, "call_soon"),
        (imports::raise_(py)?, error.value(py)),
    )?;
    Ok(())
}
