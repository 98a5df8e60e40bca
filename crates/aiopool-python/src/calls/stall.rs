//! What the watch asks for that looks for jobs that wait for each other: see `_stall.py`.

use pyo3::prelude::*;

use crate::run::{outside, stall};
use crate::state::{Items, Job, Pool};

/// A job, its task, and the number of its key, if somebody waits for that.
type Holder = (Py<Job>, Option<Py<PyAny>>, Option<u32>);

#[pymethods]
impl Pool {
    /// The watch looks, after a time. Tells whether it is to look again.
    fn look_for_stall(slf: &Bound<'_, Self>) -> bool {
        let py = slf.py();
        // Also if others of the pool start and end meanwhile: those of another key, or callers that
        // give up and try again.
        if slf.get().stands(py) {
            stall::look(slf, slf.get().has_stood_still(py));
        }
        slf.get().watches(py)
    }

    #[pyo3(name = "look_in_next_turn")]
    fn look_after_turn(slf: &Bound<'_, Self>) {
        stall::look_in_next_turn(slf);
    }

    /// It looks soon after a job has handed something in, or goes on.
    fn look_now(slf: &Bound<'_, Self>) {
        if slf.get().looks_again(slf.py()) {
            stall::look_soon(slf);
        }
        if slf.get().stands(slf.py()) {
            stall::look(slf, false);
        }
    }

    /// The jobs that hold slots, in the order of their starts.
    #[pyo3(name = "slot_holders")]
    fn list_slot_holders(&self, py: Python<'_>) -> Vec<Holder> {
        let holders = self.slot_holders(py).into_iter();
        holders
            .map(|(job, key)| {
                let task = job.get().task(py);
                (job, task, key)
            })
            .collect()
    }
}

#[pymethods]
impl Items {
    /// The tasks of those of its jobs that have begun.
    #[getter]
    fn tasks(slf: &Bound<'_, Self>) -> Vec<Py<PyAny>> {
        let py = slf.py();
        let jobs = slf.get().pool(py).get().active_jobs_of(slf);
        jobs.iter().filter_map(|job| job.get().task(py)).collect()
    }
}

#[pymethods]
impl Job {
    #[getter(pool)]
    fn its_pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool(py).clone().unbind()
    }

    /// The task that runs the job.
    #[getter(task)]
    fn its_task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.task(py)
    }

    /// The job gives its slots to others until it can go on.
    fn let_out(slf: &Bound<'_, Self>) {
        outside::let_out(slf);
    }

    /// The job can go on: it has its slots again, if it was let out.
    fn end_let_out(slf: &Bound<'_, Self>) {
        outside::end_let_out(slf);
    }
}
