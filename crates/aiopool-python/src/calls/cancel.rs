//! Stopping jobs: by `cancel`, by the holders of their futures, or by the end of the loop.

use std::collections::HashSet;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::py::awaitable::is_future;
use crate::py::outcome::Outcome;
use crate::py::owner;
use crate::run::{start, withdraw};
use crate::state::{Job, Pool};

/// The jobs that `stop` has stopped: the futures of all, and the tasks of the active ones, which
/// may need a while to end.
type Stopped = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

#[pymethods]
impl Pool {
    /// Stops the jobs of these futures. Ignores settled futures and those of other pools.
    fn stop(slf: &Bound<'_, Self>, futures: Vec<Bound<'_, PyAny>>) -> PyResult<Stopped> {
        let py = slf.py();
        if let Some(other) = futures.iter().find(|future| !is_future(future)) {
            return Err(PyTypeError::new_err(format!(
                "cancel takes the futures that spawn, spawn_n and map_n gave, not {} ({other}): \
                 unpack a list of them, as in pool.cancel(*futures)",
                other.get_type().name()?,
            )));
        }
        let (mut stopped, mut tasks): Stopped = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for future in futures {
            if !seen.insert(future.as_ptr()) {
                continue;
            }
            let Some(owner) = owner::of(&future) else {
                continue;
            };
            // The owner of a waiting job is the pool; the owner of an active job is the job itself.
            if owner.is(slf) {
                let Some((job, extras)) = slf.get().withdraw_job(&future) else {
                    continue;
                };
                withdraw::withdraw_job(slf, job, extras);
            } else {
                let job = active_job(slf, &owner);
                let Some(task) = job.and_then(|job| withdraw::cancel(job, py)) else {
                    continue;
                };
                tasks.push(task);
            }
            stopped.push(future.unbind());
        }
        start::advance(slf);
        Ok((stopped, tasks))
    }

    /// Stops all jobs, the waiting jobs first. A running `map` keeps its place.
    fn stop_all(slf: &Bound<'_, Self>) -> PyResult<Stopped> {
        let py = slf.py();
        let pool = slf.get();
        let Some(event_loop) = pool.own_loop().get() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (mut stopped, mut tasks): Stopped = (Vec::new(), Vec::new());
        // The waiting jobs come first, so that no slot that comes free below starts one of them.
        for waiter in pool.withdraw_all(py) {
            let future = if let Some(job) = waiter.job() {
                job.future.clone_ref(py)
            } else {
                let future = event_loop.new_future(py)?;
                Outcome::Cancelled(None).settle_future(pool.own_loop(), &future);
                future.unbind()
            };
            stopped.push(future);
            withdraw::withdraw(slf, waiter);
        }
        for job in pool.active_jobs(py) {
            let job = job.bind(py).get();
            let future = job.future(&event_loop.new_future(py)?);
            if let (Some(future), Some(task)) = (future, withdraw::cancel(job, py)) {
                stopped.push(future);
                tasks.push(task);
            }
        }
        start::advance(slf);
        Ok((stopped, tasks))
    }

    /// The holder of a waiting future cancels it: its job leaves the queue.
    fn future_cancelled(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().enter(slf.py())?;
        if let Some((job, extras)) = slf.get().withdraw_job(future) {
            withdraw::leave_queue(slf, job);
            withdraw::left_queue(slf, extras);
            start::advance(slf);
        }
        Ok(())
    }

    /// The loop ends: see [`withdraw::end`].
    fn end(slf: &Bound<'_, Self>) {
        withdraw::end(slf);
        start::advance(slf);
    }
}

/// The active job of this pool that answers for a future.
fn active_job<'a>(pool: &Bound<'_, Pool>, owner: &'a Bound<'_, PyAny>) -> Option<&'a Job> {
    let job = owner.cast::<Job>().ok()?.get();
    job.pool(pool.py()).is(pool).then_some(job)
}
