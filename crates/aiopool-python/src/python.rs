//! What the extension borrows from Python: each imported once, at its first use.

use std::panic::{self, AssertUnwindSafe};

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyMemoryError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::native::Field;

macro_rules! borrowed {
    ($($name:ident = $module:literal, $attribute:literal;)*) => {$(
        pub(crate) fn $name(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            CELL.import(py, $module, $attribute)
        }
    )*};
}

borrowed! {
    awaited = "asyncio_pool._job", "awaited";
    call_back = "asyncio_pool._job", "call_back";
    cancelled_error = "asyncio", "CancelledError";
    context = "contextvars", "Context";
    coroutine = "collections.abc", "Coroutine";
    coroutine_type = "types", "CoroutineType";
    current_thread = "threading", "current_thread";
    generator_type = "types", "GeneratorType";
    get_running_loop = "asyncio", "get_running_loop";
    invalid_state_error = "asyncio", "InvalidStateError";
    is_awaitable = "inspect", "isawaitable";
    is_coroutine_function = "inspect", "iscoroutinefunction";
    is_future = "asyncio", "isfuture";
    job_future = "asyncio_pool._job", "JobFuture";
    keeper = "asyncio_pool._keeper", "Keeper";
    raise_ = "asyncio_pool._job", "raise_";
    task = "asyncio", "Task";
    run_job = "asyncio_pool._job", "run_job";
    run_jobs = "asyncio_pool._job", "run_jobs";
}

macro_rules! fields {
    ($($name:ident = $module:literal, $class:literal, $attribute:literal;)*) => {$(
        pub(crate) fn $name(py: Python<'_>) -> PyResult<&Field> {
            static CELL: PyOnceLock<Field> = PyOnceLock::new();
            CELL.get_or_try_init(py, || Field::of(&py.import($module)?.getattr($class)?, $attribute))
        }
    )*};
}

fields! {
    is_running = "types", "CoroutineType", "cr_running";
    is_suspended = "types", "CoroutineType", "cr_suspended";
    owner = "asyncio_pool._job", "JobFuture", "_owner";
}

/// Calls `f`, which must leave nothing half done when it fails. `PyO3` makes strings, tuples and lists
/// as if that could not fail, and panics where there is no memory for them: here that is an error
/// like any other, so that neither a job nor a slot goes the way of the panic.
pub(crate) fn contained<R>(py: Python<'_>, f: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let error = PyErr::take(py);
        Err(error.unwrap_or_else(|| PyMemoryError::new_err("no memory for a Python object")))
    })
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
    let running = get_running_loop(py)?.call0()?;
    running.call_method1(intern!(py, "call_soon"), (raise_(py)?, error.value(py)))?;
    Ok(())
}
