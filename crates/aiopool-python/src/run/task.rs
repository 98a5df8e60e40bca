//! The only place that makes tasks: an `asyncio.Task` for each active job, or for each worker.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyDict, PyString};

use crate::py::event_loop::EventLoop;
use crate::py::ffi::{Resume, handles_exception, resume};
use crate::py::{apart, context, imports};
use crate::state::{Made, Pool};

/// Makes the task of a job or of a worker: for `coroutine`, in `context`, called `name`.
pub(crate) fn make<'py, O>(
    pool: &Bound<'py, Pool>,
    owner: &Bound<'py, O>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Made> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?;
    let is_plain = event_loop.makes_plain_tasks(py)?;
    let task = if is_plain {
        make_plain(event_loop, coroutine, context, name)?
    } else {
        make_by_loop(event_loop, owner.as_any(), coroutine, context, name)?
    };
    // The pool holds its tasks. So a pending task is destroyed only with its pool and its loop, at
    // the end of the program, and asyncio must not report that.
    let _ = task.setattr(intern!(py, "_log_destroy_pending"), false);
    Ok(Made {
        object: task.unbind(),
        unseen: !is_plain,
    })
}

/// Whether a task may make its first step while it is made: the loop runs here and makes plain tasks.
/// While the caller handles an exception, a job would see that as its own.
pub(crate) fn may_begin_at_once(pool: &Bound<'_, Pool>) -> PyResult<bool> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?;
    Ok(!handles_exception(py)
        && pool.get().own_loop().is_running(py)
        && event_loop.makes_plain_tasks(py)?)
}

/// Makes the task of a worker, which makes its first step in here.
pub(crate) fn begin_at_once(
    pool: &Bound<'_, Pool>,
    coroutine: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
) -> PyResult<()> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?.object.bind(py);
    // No job runs in the context of the task itself.
    let context = imports::context(py)?.call0()?;
    apart::begin_task(event_loop, coroutine, &context, name)
}

/// The current task, for which a worker makes the first step.
pub(crate) fn current(py: Python<'_>) -> PyResult<Made> {
    let task = imports::current_task(py)?.call0()?;
    // As above.
    let _ = task.setattr(intern!(py, "_log_destroy_pending"), false);
    Ok(Made {
        object: task.unbind(),
        unseen: false,
    })
}

/// The task that makes this step, if it is not the task that was made. In that case a factory runs
/// the coroutine in another task, and a cancellation has to reach that task. Raises if the task
/// that was made has been cancelled already.
pub(crate) fn other_than<'py>(made: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = made.py();
    let current = imports::current_task(py)?.call0()?;
    if current.is(made) || current.is_none() {
        return Ok(None);
    }
    let is_cancelled = [intern!(py, "cancelling"), intern!(py, "cancelled")]
        .into_iter()
        .filter_map(|name| made.call_method0(name).ok())
        .any(|answer| answer.is_truthy().unwrap_or(false));
    if is_cancelled {
        let error = imports::cancelled_error(py)?.call0()?;
        return Err(PyErr::from_value(error));
    }
    Ok(Some(current))
}

/// A coroutine that is cancelled before its first step ends without running a line. So the
/// coroutine makes its first step here. That takes it into its `try`, where it awaits the first
/// step of the task.
fn make_plain<'py>(
    event_loop: &EventLoop,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    if let PySendResult::Return(_) = resume(coroutine, Resume::with_none(py))? {
        return Err(PyRuntimeError::new_err(
            "the job ended before it had a task",
        ));
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), &event_loop.object)?;
    keywords.set_item(intern!(py, "context"), context)?;
    keywords.set_item(intern!(py, "name"), name)?;
    imports::task(py)?.call((coroutine,), Some(&keywords))
}

/// A task factory may await the coroutine in a coroutine of its own. That does not work with a
/// coroutine that has begun, so this one makes no first step here. If the job never begins, the end
/// of the task tells so, a turn of the loop later.
///
/// The loop is called in the context of the job, of which the task makes a copy. So a factory sees
/// the variables that the job will see, and need not know the parameter `context`. Without a
/// factory the call passes the copy, because the tasks of some loops make none.
fn make_by_loop<'py>(
    event_loop: &EventLoop,
    owner: &Bound<'py, PyAny>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let create_task = event_loop
        .object
        .bind(py)
        .getattr(intern!(py, "create_task"))?;
    let run = context.getattr(intern!(py, "run"))?;
    let made = if event_loop.has_task_factory(py) {
        apart::call(event_loop, &run, (&create_task, coroutine))
    } else {
        let keywords = PyDict::new(py);
        // A copy: the context itself is entered now, and a task may make its first step at once.
        keywords.set_item(intern!(py, "context"), context::of_job(context)?)?;
        let run_with = imports::partial(py)?.call((&run,), Some(&keywords))?;
        apart::call(event_loop, &run_with, (&create_task, coroutine))
            // For a loop, or a patch of one, that does not know this parameter.
            .or_else(|error| {
                if error.is_instance_of::<PyTypeError>(py) {
                    apart::call(event_loop, &run, (&create_task, coroutine))
                } else {
                    Err(error)
                }
            })
    };
    let task = made?;
    // The name is not passed to the loop, which may pass it to a factory that takes no name.
    if let Some(set_name) = task.getattr_opt(intern!(py, "set_name"))? {
        set_name.call1((name,))?;
    }
    let ended = owner.getattr(intern!(py, "task_ended"))?;
    task.call_method1(intern!(py, "add_done_callback"), (ended,))?;
    Ok(task)
}
