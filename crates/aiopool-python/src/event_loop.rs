//! Which loop a pool belongs to, and that it is used from there only.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::pool::Pool;
use crate::python;
use crate::task;

/// The loop of a pool.
pub(crate) struct EventLoop {
    pub(crate) object: Py<PyAny>,
    /// `{"loop": ...}`
    keywords: Py<PyDict>,
    /// See [`task`].
    pub(crate) stock_create_task: Option<Py<PyAny>>,
    /// Whether its task factory can be read without a call: see [`task::keeps_task_factory`].
    pub(crate) keeps_task_factory: bool,
}

impl EventLoop {
    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.keywords)?;
        visit.call(&self.stock_create_task)
    }

    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "loop"), object)?;
        Ok(Self {
            object: object.clone().unbind(),
            keywords: keywords.unbind(),
            stock_create_task: task::stock_create_task(object)?,
            keeps_task_factory: task::keeps_task_factory(object)?,
        })
    }

    pub(crate) fn new_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object
            .bind(py)
            .call_method0(intern!(py, "create_future"))
    }

    pub(crate) fn new_job_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        python::job_future(py)?.call((), Some(self.keywords.bind(py)))
    }

    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        let closed = self.object.bind(py).call_method0(intern!(py, "is_closed"));
        closed.is_ok_and(|closed| closed.is_truthy().unwrap_or(false))
    }
}

#[pymethods]
impl Pool {
    /// Raises if the pool may not be used from here.
    #[pyo3(name = "enter")]
    fn check_entry(&self, py: Python<'_>) -> PyResult<()> {
        self.enter(py).map(drop)
    }
}

impl Pool {
    /// The pool's loop, to which the running loop is made if the pool had none, after a check
    /// that the pool may be used from here.
    pub(crate) fn enter<'a>(&'a self, py: Python<'a>) -> PyResult<&'a EventLoop> {
        let running = python::get_running_loop(py)?.call0();
        match (self.event_loop.get(), running) {
            (Some(own), Ok(running)) if own.object.is(&running) => Ok(own),
            (Some(own), Ok(running)) => Err(other_loop(own.object.bind(py), &running)),
            (None, Ok(running)) => self.bind(&running),
            (Some(own), Err(_)) => check_usable_without_running(own, py).map(|()| own),
            (None, Err(_)) => Err(PyRuntimeError::new_err(
                "no loop is running and the pool has none: call this inside a coroutine, or give \
                 the pool its loop with AioPool(size, loop=loop)",
            )),
        }
    }

    fn bind(&self, running: &Bound<'_, PyAny>) -> PyResult<&EventLoop> {
        let event_loop = EventLoop::new(running)?;
        Ok(self.event_loop.get_or_init(|| event_loop))
    }

    /// Whether the loop of the pool is the one that runs here.
    pub(crate) fn is_in_own_loop(&self, py: Python<'_>) -> bool {
        let running = python::get_running_loop(py).and_then(PyAnyMethods::call0);
        match (self.event_loop.get(), running) {
            (Some(own), Ok(running)) => own.object.is(&running),
            _ => false,
        }
    }
}

fn other_loop(own: &Bound<'_, PyAny>, running: &Bound<'_, PyAny>) -> PyErr {
    PyRuntimeError::new_err(format!(
        "this pool belongs to the loop {own} and cannot be used from the loop {running}: make one \
         pool for each loop"
    ))
}

/// Before a loop runs its pool may be filled; from a thread beside the one it runs in, never.
fn check_usable_without_running(own: &EventLoop, py: Python<'_>) -> PyResult<()> {
    let object = own.object.bind(py);
    if own.is_closed(py) {
        return Err(PyRuntimeError::new_err(format!(
            "the loop of this pool, {object}, is closed: make a new pool in the new loop"
        )));
    }
    if object
        .call_method0(intern!(py, "is_running"))?
        .is_truthy()?
    {
        let thread = python::current_thread(py)?
            .call0()?
            .getattr(intern!(py, "name"))?;
        return Err(PyRuntimeError::new_err(format!(
            "this pool belongs to the loop {object}, which runs in another thread, and cannot be \
             used from the thread {thread}: use asyncio.run_coroutine_threadsafe or \
             loop.call_soon_threadsafe",
        )));
    }
    Ok(())
}
