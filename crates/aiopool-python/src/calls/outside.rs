//! Waiting without slots: see `_outside.py`.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::run::{nested, outside};
use crate::state::{Job, Pool};

#[pymethods]
impl Pool {
    /// The job that the current task runs gives its slots back. None if it is outside already.
    fn go_outside<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, Job>>> {
        let py = slf.py();
        slf.get().enter(py)?;
        let Some(job) = nested::caller(slf)? else {
            return Err(PyRuntimeError::new_err(
                "outside() is for a job of this pool, in the task of the job itself",
            ));
        };
        Ok(outside::leave(&job).then_some(job))
    }

    /// Whether the current task runs a job of this pool.
    fn runs_current(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(nested::caller(slf)?.is_some())
    }
}

#[pymethods]
impl Job {
    /// The future of the slots of a job that is outside and wants them again.
    fn come_back<'py>(slf: &Bound<'py, Self>, front: bool) -> PyResult<Bound<'py, PyAny>> {
        outside::come_back(slf, front)
    }

    /// The job has its slots at once. Has no effect if it has them.
    fn force_back(slf: &Bound<'_, Self>) {
        outside::force_back(slf);
    }
}
