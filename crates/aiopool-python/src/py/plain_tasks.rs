//! Whether a loop makes plain `asyncio.Task`s, so that the pool may make them without the loop.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFunction;

/// The answers that do not change after the first use of a loop. The other questions are asked for
/// each task.
pub(crate) struct PlainTasks {
    /// The `create_task` of the loop's class, if it is that of asyncio or of uvloop.
    stock_create_task: Option<Py<PyAny>>,
    /// Whether the task factory can be read without a call: see [`keeps_task_factory`].
    keeps_task_factory: bool,
}

impl PlainTasks {
    pub(crate) fn of(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            stock_create_task: stock_create_task(event_loop)?,
            keeps_task_factory: keeps_task_factory(event_loop)?,
        })
    }

    /// Whether `create_task` would only make an `asyncio.Task` of the coroutine.
    pub(crate) fn are_made_by(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(stock) = &self.stock_create_task else {
            return Ok(false);
        };
        let py = event_loop.py();
        let create_task = intern!(py, "create_task");
        let of_class = event_loop.get_type().getattr(create_task)?;
        let of_instance = event_loop.getattr(intern!(py, "__dict__"))?;
        Ok(of_class.is(stock)
            && !of_instance.contains(create_task)?
            && self.task_factory(event_loop)?.is_none())
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stock_create_task)
    }

    pub(crate) fn task_factory<'py>(
        &self,
        event_loop: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = event_loop.py();
        if self.keeps_task_factory {
            event_loop.getattr(intern!(py, "_task_factory"))
        } else {
            event_loop.call_method0(intern!(py, "get_task_factory"))
        }
    }
}

/// The `create_task` of the class of a loop, if it is that of asyncio or of uvloop.
fn stock_create_task(event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let class = event_loop.get_type();
    let create_task = class.getattr(intern!(event_loop.py(), "create_task"))?;
    let is_stock = if create_task.is_instance_of::<PyFunction>() {
        is_of_asyncio(&create_task)?
    } else {
        class.module()?.to_cow()?.starts_with("uvloop")
    };
    Ok(is_stock.then(|| create_task.unbind()))
}

/// Whether `get_task_factory` of a loop is that of asyncio, which returns an attribute. Calling it
/// for each job would cost five times as much as reading the attribute.
fn keeps_task_factory(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = event_loop.py();
    let get = event_loop
        .get_type()
        .getattr(intern!(py, "get_task_factory"))?;
    Ok(get.is_instance_of::<PyFunction>()
        && is_of_asyncio(&get)?
        && event_loop.hasattr(intern!(py, "_task_factory"))?)
}

/// A patch is a Python function of another module, whatever its own attributes say.
fn is_of_asyncio(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    let globals = function.getattr(intern!(py, "__globals__"))?;
    let module = globals.get_item(intern!(py, "__name__"))?;
    module.eq("asyncio.base_events")
}
