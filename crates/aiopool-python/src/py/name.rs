//! The name of a job, which is that of its coroutine. Tools that list the tasks of a loop should
//! show that name, not the name of the coroutine of `_job.py` around it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::imports;

/// The qualified name of a coroutine; of an awaitable without one, that of its class.
pub(crate) fn of<'py>(awaitable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let py = awaitable.py();
    let class = awaitable.get_type();
    if class.is(imports::coroutine_type(py)?) {
        return Ok(imports::qualname(py)?.get(awaitable)?.cast_into()?);
    }
    let own = awaitable.getattr_opt(intern!(py, "__qualname__"));
    match own.ok().flatten().map(Bound::cast_into) {
        Some(Ok(name)) => Ok(name),
        _ => class.qualname(),
    }
}

/// Gives a coroutine of `_job.py` the name of its job.
pub(crate) fn give(coroutine: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<()> {
    imports::qualname(coroutine.py())?.set(coroutine, name)
}
