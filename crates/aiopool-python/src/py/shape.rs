//! The shape of a result of a `map` or an `itermap`.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::py::event_loop::OwnLoop;
use crate::py::outcome::Outcome;
use crate::py::{imports, owner};

/// See `getres`.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Flat,
    Pair,
    Future,
}

impl Shape {
    pub(crate) fn of<'py>(
        self,
        py: Python<'py>,
        outcome: Outcome,
        own_loop: &OwnLoop,
        name: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if matches!(self, Self::Future) {
            // Not by `enter`: the loop may have been closed while the job was active.
            let event_loop = own_loop.get();
            let event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("no loop"))?;
            let future = event_loop.new_job_future(py)?;
            owner::replace(&future, name);
            outcome.settle_future(own_loop, &future);
            return Ok(future);
        }
        let (result, error) = match outcome {
            Outcome::Returned(result) => (Some(result), None),
            Outcome::Failed(error) | Outcome::TimedOut(error) | Outcome::Cancelled(Some(error)) => {
                (None, Some(error))
            }
            Outcome::Cancelled(None) => {
                (None, Some(imports::cancelled_error(py)?.call0()?.unbind()))
            }
        };
        match self {
            Self::Pair => (result, error).into_bound_py_any(py),
            _ => result.or(error).into_bound_py_any(py),
        }
    }
}

impl FromPyObject<'_, '_> for Shape {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match word.extract::<&str>()? {
            "flat" => Ok(Self::Flat),
            "pair" => Ok(Self::Pair),
            "future" => Ok(Self::Future),
            other => Err(PyValueError::new_err(format!("{other:?} is no shape"))),
        }
    }
}
