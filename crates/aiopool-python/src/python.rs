//! What the extension borrows from Python: each imported once, at its first use.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

macro_rules! borrowed {
    ($($name:ident = $module:literal, $attribute:literal;)*) => {$(
        pub(crate) fn $name(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            CELL.import(py, $module, $attribute)
        }
    )*};
}

borrowed! {
    call_back = "asyncio_pool._job", "call_back";
    cancelled_error = "asyncio", "CancelledError";
    copy_context = "contextvars", "copy_context";
    coroutine = "collections.abc", "Coroutine";
    coroutine_type = "types", "CoroutineType";
    current_thread = "threading", "current_thread";
    generator_type = "types", "GeneratorType";
    get_referents = "gc", "get_referents";
    get_running_loop = "asyncio", "get_running_loop";
    invalid_state_error = "asyncio", "InvalidStateError";
    is_awaitable = "inspect", "isawaitable";
    is_coroutine_function = "inspect", "iscoroutinefunction";
    is_future = "asyncio", "isfuture";
    job_future = "asyncio_pool._job", "JobFuture";
    keeper = "asyncio_pool._keeper", "Keeper";
    next = "builtins", "next";
    partial = "functools", "partial";
    raise_ = "asyncio_pool._job", "raise_";
    task = "asyncio", "Task";
    run_job = "asyncio_pool._job", "run_job";
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

fn raise_through_loop(py: Python<'_>, error: &PyErr) -> PyResult<()> {
    let running = get_running_loop(py)?.call0()?;
    running.call_method1(intern!(py, "call_soon"), (raise_(py)?, error.value(py)))?;
    Ok(())
}
