//! The one place where a task is made: an `asyncio.Task` for each active job, or for each worker.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyDict, PyFunction};

use crate::event_loop::EventLoop;
use crate::native::{Resume, resume};
use crate::pool::Pool;
use crate::python;

/// Makes the task of a job or of a worker: for `coroutine`, in `context`.
pub(crate) fn make<'py, O>(
    pool: &Bound<'py, Pool>,
    owner: &Bound<'py, O>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?;
    let task = if event_loop.makes_plain_tasks(py)? {
        make_plain(event_loop, coroutine, context)?
    } else {
        make_by_loop(event_loop, owner.as_any(), coroutine, context)?
    };
    // The pool holds its tasks, so one is destroyed while pending only with its pool and its
    // loop: that is the end of the program, which has nothing to complain of.
    let _ = task.setattr(intern!(py, "_log_destroy_pending"), false);
    Ok(task)
}

/// A coroutine that is cancelled before its first step ends without running a line. So this one
/// makes its first step here, into its `try`, where it awaits the first step of the task.
fn make_plain<'py>(
    event_loop: &EventLoop,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
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
    python::task(py)?.call((coroutine,), Some(&keywords))
}

/// A task factory may await the coroutine in one of its own, which does not work with one that has
/// begun. Here the end of the task tells, a turn of the loop later, of a job that never began.
///
/// The factory runs in the context of the job, of which the task makes a copy: so it sees what the
/// job will see, and need not know of the parameter `context`.
fn make_by_loop<'py>(
    event_loop: &EventLoop,
    owner: &Bound<'py, PyAny>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let create_task = event_loop
        .object
        .bind(py)
        .getattr(intern!(py, "create_task"))?;
    let task = context.call_method1(intern!(py, "run"), (create_task, coroutine))?;
    let ended = owner.getattr(intern!(py, "task_ended"))?;
    task.call_method1(intern!(py, "add_done_callback"), (ended,))?;
    Ok(task)
}

impl EventLoop {
    /// Whether `create_task` would make an `asyncio.Task` of the coroutine and do nothing else.
    fn makes_plain_tasks(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(stock) = &self.stock_create_task else {
            return Ok(false);
        };
        let event_loop = self.object.bind(py);
        let create_task = intern!(py, "create_task");
        let of_class = event_loop.get_type().getattr(create_task)?;
        let of_instance = event_loop.getattr(intern!(py, "__dict__"))?;
        Ok(of_class.is(stock)
            && !of_instance.contains(create_task)?
            && self.task_factory(py)?.is_none())
    }

    fn task_factory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = self.object.bind(py);
        if self.keeps_task_factory {
            event_loop.getattr(intern!(py, "_task_factory"))
        } else {
            event_loop.call_method0(intern!(py, "get_task_factory"))
        }
    }
}

/// The `create_task` of the class of a loop, if it is that of asyncio or of uvloop.
pub(crate) fn stock_create_task(event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let class = event_loop.get_type();
    let create_task = class.getattr(intern!(event_loop.py(), "create_task"))?;
    let is_stock = if create_task.is_instance_of::<PyFunction>() {
        is_of_asyncio(&create_task)?
    } else {
        class.module()?.to_cow()?.starts_with("uvloop")
    };
    Ok(is_stock.then(|| create_task.unbind()))
}

/// Whether `get_task_factory` of a loop is that of asyncio, which gives an attribute: to call it for
/// each job costs five times as much.
pub(crate) fn keeps_task_factory(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = event_loop.py();
    let get = event_loop
        .get_type()
        .getattr(intern!(py, "get_task_factory"))?;
    Ok(get.is_instance_of::<PyFunction>()
        && is_of_asyncio(&get)?
        && event_loop.hasattr(intern!(py, "_task_factory"))?)
}

/// A patch is a Python function of another module, whatever it says that it is.
fn is_of_asyncio(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    let globals = function.getattr(intern!(py, "__globals__"))?;
    let module = globals.get_item(intern!(py, "__name__"))?;
    module.eq("asyncio.base_events")
}
