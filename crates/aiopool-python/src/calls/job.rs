//! The calls by which the coroutine of a job tells how the job ended: see `run_job` in `_job.py`.

use pyo3::prelude::*;

use crate::py::errors;
use crate::py::outcome::Outcome;
use crate::run::job;
use crate::state::Job;

#[pymethods]
impl Job {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Pauses while the job has no task. That is so in the step that is made before the task
    /// exists. It is also so if a factory makes the first step of a task at once: then the pause
    /// keeps the job from running inside the call that hands it in.
    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        Ok(job::first_step(slf)?.then(|| slf.py().None()))
    }

    /// Makes the call of a job that is one.
    fn call<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        job::call(slf)
    }

    fn returned<'py>(
        slf: &Bound<'py, Self>,
        result: Bound<'py, PyAny>,
    ) -> Option<Bound<'py, PyAny>> {
        job::returned(slf, result)
    }

    /// As [`job::raised`], for an error with a frame of `_job.py`, which is removed.
    fn failed<'py>(
        slf: &Bound<'py, Self>,
        error: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !slf.get().is_held(slf.py()) {
            return Ok(None);
        }
        errors::forget_own_frame(error);
        job::raised(slf, error)
    }

    /// The coroutine takes back the cancellation of its task. So the task must run no other job.
    fn retire(&self, py: Python<'_>) {
        self.retire_worker(py);
    }

    fn callback_returned(slf: &Bound<'_, Self>, result: Bound<'_, PyAny>) {
        job::callback_returned(slf, result);
    }

    /// The callback has raised. If it could not be called, it has not `run`.
    fn callback_failed(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>, run: bool) -> PyResult<()> {
        errors::forget_own_frame(error);
        job::settle_error(slf, error, run)
    }

    /// The task has ended. If its coroutine was never stepped, it has not settled the job: this
    /// does.
    fn task_ended(slf: &Bound<'_, Self>, task: &Bound<'_, PyAny>) {
        let own = slf.get().task(slf.py());
        if own.is_some_and(|own| own.is(task)) && slf.get().is_held(slf.py()) {
            job::never_stepped(slf, Outcome::Cancelled(None));
        }
    }

    /// The holder of the future has given up the result: the job runs on.
    #[expect(
        clippy::unused_self,
        reason = "`Pool` has the same method for waiting jobs"
    )]
    fn future_cancelled(&self, _future: &Bound<'_, PyAny>) {}
}
