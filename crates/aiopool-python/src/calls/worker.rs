//! A reused task steps its worker as a coroutine, and debuggers look at it as one: see `run_jobs`
//! in `_job.py`.

use pyo3::exceptions::{PyAttributeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::py::ffi::Resume;
use crate::run::worker;
use crate::state::Worker;

#[pymethods]
impl Worker {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        worker::step(slf, Resume::with_none(slf.py()))
    }

    fn send<'py>(slf: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        worker::step(slf, Resume::Send(value))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (*arguments))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        arguments: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        worker::step(slf, Resume::Throw(arguments))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        worker::close(slf)
    }

    /// Debuggers follow a chain of awaits. For them the worker stands for the coroutine that it
    /// runs.
    #[getter]
    fn cr_await<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        suspended(slf)?.getattr(intern!(slf.py(), "cr_await"))
    }

    #[getter]
    fn cr_frame<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        suspended(slf)?.getattr(intern!(slf.py(), "cr_frame"))
    }

    #[getter]
    fn cr_code<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        suspended(slf)?.getattr(intern!(slf.py(), "cr_code"))
    }

    /// That coroutine itself.
    #[getter(coroutine)]
    fn stands_for<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        suspended(slf)
    }

    /// The task has ended, perhaps without a step.
    fn task_ended(slf: &Bound<'_, Self>, task: &Bound<'_, PyAny>) {
        worker::task_ended(slf, task);
    }
}

/// The coroutine that the worker runs. Without one the worker has none of these attributes, and a
/// debugger stops here.
fn suspended<'py>(worker: &Bound<'py, Worker>) -> PyResult<Bound<'py, PyAny>> {
    let py = worker.py();
    let suspended = worker.get().suspended(py);
    let suspended = suspended.map(|coroutine| coroutine.into_bound(py));
    suspended.ok_or_else(|| PyAttributeError::new_err("no job is suspended here"))
}
