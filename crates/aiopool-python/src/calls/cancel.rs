//! Stopping jobs: by `cancel`, by the holders of their futures, or by the end of the loop.

use std::collections::HashSet;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

use crate::calls::enqueue;
use crate::py::awaitable::is_future;
use crate::py::outcome::Outcome;
use crate::py::owner;
use crate::run::nested::{self, Waiting};
use crate::run::{mailbox, observe, start, withdraw};
use crate::state::{Enqueued, Job, Pool};

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
                "cancel takes the futures that spawn, spawn_n, map_n and enqueue gave, not {} ({other}): \
                 unpack a list of them, as in pool.cancel(*futures). A future of submit has future.cancel()",
                other.get_type().name()?,
            )));
        }
        let caller = nested::caller(slf)?;
        if let Some(caller) = &caller
            && let Some(own) = futures.iter().find(|future| is_of(future, caller))
        {
            return Err(PyRuntimeError::new_err(format!(
                "a job cannot cancel itself and wait for its own end ({own}): raise \
                 asyncio.CancelledError instead",
            )));
        }
        let owners = futures.iter().filter_map(owner::of);
        let jobs = owners.filter_map(|owner| active_job(slf, &owner));
        let waiting = Waiting::until_end_of(py, caller.as_ref());
        let waiting = waiting.and_those_of(caller.as_ref(), jobs)?;
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
            if let (true, Ok(job)) = (owner.is(slf), future.cast::<Enqueued>()) {
                if !enqueue::withdraw(job) {
                    continue;
                }
            } else if owner.is(slf) {
                let Some((job, extras)) = slf.get().withdraw_job(&future) else {
                    continue;
                };
                withdraw::withdraw_job(slf, job, extras);
            } else {
                let Some(job) = active_job(slf, &owner) else {
                    continue;
                };
                let Some(task) = withdraw::cancel(job.get(), py) else {
                    continue;
                };
                // Each would wait for the other.
                if !waiting.contains(&job) {
                    tasks.push(task);
                    note(&job, caller.as_ref());
                }
            }
            stopped.push(future.unbind());
        }
        start::advance(slf);
        Ok((stopped, tasks))
    }

    /// Stops all jobs, the waiting jobs first. A running `map` keeps its place. A job that calls this
    /// goes on, and so do those who wait for its end.
    fn stop_all(slf: &Bound<'_, Self>) -> PyResult<Stopped> {
        let py = slf.py();
        let pool = slf.get();
        let Some(event_loop) = pool.own_loop().get() else {
            return Ok((Vec::new(), Vec::new()));
        };
        mailbox::read_all(slf);
        let caller = nested::caller(slf)?;
        let waiting = Waiting::until_end_of(py, caller.as_ref());
        let waiting = waiting.and_those_of(caller.as_ref(), pool.active_jobs(py))?;
        let (mut stopped, mut tasks): Stopped = (Vec::new(), Vec::new());
        // The waiting jobs come first, so that no slot that comes free below starts one of them.
        for waiter in pool.withdraw_all(py) {
            let future = if let Some(handle) = waiter.handle() {
                handle.clone_ref(py)
            } else {
                let future = event_loop.new_future(py)?;
                Outcome::Cancelled(None).settle_future(pool.own_loop(), &future);
                future.unbind()
            };
            stopped.push(future);
            withdraw::withdraw(slf, waiter);
        }
        for job in pool.active_jobs(py) {
            if waiting.contains(&job) {
                continue;
            }
            let future = job.get().future(&event_loop.new_future(py)?);
            if let (Some(future), Some(task)) = (future, withdraw::cancel(job.get(), py)) {
                stopped.push(future);
                tasks.push(task);
                note(&job, caller.as_ref());
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
            observe::withdrawn(slf, extras);
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
fn active_job(pool: &Bound<'_, Pool>, owner: &Bound<'_, PyAny>) -> Option<Py<Job>> {
    let job = owner.cast::<Job>().ok()?;
    let is_own = job.get().pool(pool.py()).is(pool);
    is_own.then(|| job.clone().unbind())
}

fn is_of(future: &Bound<'_, PyAny>, job: &Bound<'_, Job>) -> bool {
    owner::of(future).is_some_and(|owner| owner.is(job))
}

/// A job that calls `cancel` waits for one that it has stopped.
fn note(stopped: &Py<Job>, caller: Option<&Bound<'_, Job>>) {
    if let Some(caller) = caller {
        stopped.get().is_waited_for_by(caller);
    }
}
