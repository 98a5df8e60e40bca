//! The Python objects that the extension uses. Each is imported once, at its first use.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::py::ffi::Field;

macro_rules! borrowed {
    ($($name:ident = $module:literal, $attribute:literal;)*) => {$(
        pub(crate) fn $name(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
            static CELL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            CELL.import(py, $module, $attribute)
        }
    )*};
}

borrowed! {
    apart = "aiopool._job", "apart";
    awaited = "aiopool._job", "awaited";
    begin_tasks = "aiopool._job", "begin_tasks";
    call_back = "aiopool._job", "call_back";
    checked_timeout = "aiopool._checks", "checked_timeout";
    cancelled_error = "asyncio", "CancelledError";
    context = "contextvars", "Context";
    coroutine = "collections.abc", "Coroutine";
    coroutine_type = "types", "CoroutineType";
    current_task = "asyncio", "current_task";
    current_thread = "threading", "current_thread";
    gave_no_awaitable = "aiopool._refusals", "gave_no_awaitable";
    fires = "aiopool._timer", "Fires";
    described = "aiopool._enqueue", "described";
    copy_context = "contextvars", "copy_context";
    made_no_awaitable = "aiopool._refusals", "made_no_awaitable";
    not_callable = "aiopool._refusals", "not_callable";
    generic_alias = "types", "GenericAlias";
    run_call = "aiopool._job", "run_call";
    generator_type = "types", "GeneratorType";
    enter_context = "aiopool._within", "enter";
    get_running_loop = "asyncio", "get_running_loop";
    invalid_state_error = "asyncio", "InvalidStateError";
    is_within = "aiopool._within", "is_within";
    is_awaitable = "inspect", "isawaitable";
    is_future = "asyncio", "isfuture";
    job_future = "aiopool._job", "JobFuture";
    failed_call = "aiopool._job", "FailedCall";
    event = "aiopool._observe", "Event";
    level = "aiopool._within", "level";
    loop_end = "aiopool._loop_end", "LoopEnd";
    monotonic = "time", "monotonic";
    not_awaitable = "aiopool._refusals", "not_awaitable";
    partial = "functools", "partial";
    pools = "aiopool._within", "_POOLS";
    rate = "aiopool._rate", "Rate";
    raise_ = "aiopool._job", "raise_";
    read_cancellation = "aiopool._job", "read_cancellation";
    let_one_out = "aiopool._stall", "let_one_out";
    set_level = "aiopool._within", "set_level";
    task = "asyncio", "Task";
    timed_out = "aiopool._timeout", "timed_out";
    tell_close = "aiopool._loop_end", "tell_close";
    run_job = "aiopool._job", "run_job";
    run_jobs = "aiopool._job", "run_jobs";
    waiting_for = "aiopool._stall", "waiting_for";
    watch = "aiopool._stall", "watch";
    zip = "builtins", "zip";
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
    owner = "aiopool._job", "JobFuture", "_owner";
    qualname = "types", "CoroutineType", "__qualname__";
}
