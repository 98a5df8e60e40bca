//! The ways in which a job ends early: its holder gives it up, `cancel` stops it, the loop ends.

use std::collections::HashSet;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::items::Items;
use crate::job::Job;
use crate::line::{Waiter, WaitingJob};
use crate::pool::Pool;
use crate::python;
use crate::settle::{Outcome, disown};

/// What `stop` has stopped: the futures of the jobs, and the tasks of those that were active and
/// may need a while to end.
type Stopped = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

#[pymethods]
impl Pool {
    /// Stops the jobs of these futures; settled and foreign ones are passed over.
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
            let Ok(Some(owner)) = future.getattr_opt(intern!(py, "_owner")) else {
                continue;
            };
            if owner.is(slf) {
                let job = slf.get().with(py, |state| state.withdraw_job(&future));
                let Some(job) = job else { continue };
                job.withdrawn(slf);
            } else {
                let Some(task) = active_job(slf, &owner).and_then(|job| job.cancel(py)) else {
                    continue;
                };
                tasks.push(task);
            }
            stopped.push(future.unbind());
        }
        Self::advance(slf);
        Ok((stopped, tasks))
    }

    /// Stops all jobs, those that wait first. A running `map` keeps its place.
    fn stop_all(slf: &Bound<'_, Self>) -> PyResult<Stopped> {
        let py = slf.py();
        let Some(event_loop) = slf.get().event_loop.get() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (mut stopped, mut tasks): Stopped = (Vec::new(), Vec::new());
        for waiter in slf.get().with(py, crate::pool::State::withdraw_all) {
            match waiter {
                Waiter::Item { items, item: None } => Items::stand_in_line(items.bind(py), 0),
                Waiter::Item { items, .. } => {
                    let future = event_loop.new_future(py)?;
                    Outcome::Cancelled(None).settle_future(slf, &future);
                    stopped.push(future.unbind());
                    let items = items.bind(py);
                    Items::settle(items, 0, Outcome::Cancelled(None));
                }
                Waiter::Job(job) => {
                    stopped.push(job.future.clone_ref(py));
                    job.withdrawn(slf);
                }
            }
        }
        for job in slf.get().active_jobs(py) {
            let job = job.bind(py);
            let future = job.get().future(py, event_loop)?;
            if let (Some(future), Some(task)) = (future, job.get().cancel(py)) {
                stopped.push(future);
                tasks.push(task);
            }
        }
        Self::advance(slf);
        Ok((stopped, tasks))
    }

    /// The holder of a waiting future cancels it: its job leaves the line.
    fn given_up(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().enter(slf.py())?;
        if let Some(job) = slf.get().with(slf.py(), |state| state.withdraw_job(future)) {
            job.leave_line(slf);
            Self::advance(slf);
        }
        Ok(())
    }

    /// The loop ends: nobody who waits will start, and a pool that goes on nevertheless takes
    /// jobs again when those that are active have ended.
    #[pyo3(name = "end")]
    fn end_from_keeper(slf: &Bound<'_, Self>) {
        Self::end(slf);
        Self::advance(slf);
    }
}

impl Pool {
    pub(crate) fn end(slf: &Bound<'_, Self>) {
        let py = slf.py();
        let pool = slf.get();
        // The coroutines that are closed below come by here as well.
        if pool.with(py, |state| state.admission.is_closed()) {
            return;
        }
        let (waiters, keeper) = pool.with(py, |state| (state.close(), state.keeper.take()));
        for waiter in waiters {
            waiter.withdrawn(slf);
        }
        if let Some(keeper) = keeper {
            keeper.release(slf);
        }
        if pool.event_loop.get().is_some_and(|own| own.is_closed(py)) {
            for job in pool.active_jobs(py) {
                python::report(py, Job::close(job.bind(py)), slf);
            }
        }
    }
}

impl Waiter {
    pub(crate) fn withdrawn(self, pool: &Bound<'_, Pool>) {
        let py = pool.py();
        match self {
            Self::Job(job) => job.withdrawn(pool),
            Self::Item { items, item } => {
                let items = items.bind(py);
                match item {
                    Some(_) => Items::settle(items, 0, Outcome::Cancelled(None)),
                    None => Items::end(items),
                }
            }
        }
    }
}

impl WaitingJob {
    /// Cancels the future of a job that has left the line without a slot.
    pub(crate) fn withdrawn(self, pool: &Bound<'_, Pool>) {
        let future = self.future.clone_ref(pool.py());
        self.leave_line(pool);
        Outcome::Cancelled(None).settle_future(pool, future.bind(pool.py()));
    }

    fn leave_line(self, pool: &Bound<'_, Pool>) {
        let py = pool.py();
        disown(self.future.bind(py));
        dismiss(self.awaitable.bind(py));
        if let Some(left_line) = self.extras.and_then(|extras| extras.left_line) {
            Outcome::Returned(py.None()).settle_future(pool, left_line.bind(py));
        }
    }
}

/// Ends an awaitable that will not be awaited: a coroutine is closed, so that it does not warn of
/// having been forgotten, and a future is cancelled, as the task of the job would have done. Any
/// other object is its owner's.
pub(crate) fn dismiss(awaitable: &Bound<'_, PyAny>) {
    let py = awaitable.py();
    let ended = python::contained(py, || {
        if is_coroutine(awaitable) {
            awaitable.call_method0(intern!(py, "close"))?;
        } else if is_future(awaitable) {
            awaitable.call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    });
    python::report(py, ended, awaitable);
}

fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    let py = object.py();
    let is_instance = |class: PyResult<&Bound<'_, PyAny>>| {
        class.is_ok_and(|class| object.is_instance(class).unwrap_or(false))
    };
    is_instance(python::coroutine_type(py))
        || is_instance(python::generator_type(py))
        || is_instance(python::coroutine(py))
}

pub(crate) fn is_future(object: &Bound<'_, PyAny>) -> bool {
    let answer = python::is_future(object.py()).and_then(|is_future| is_future.call1((object,)));
    answer.is_ok_and(|answer| answer.is_truthy().unwrap_or(false))
}

/// The active job of this pool that answers for a future.
fn active_job<'a>(pool: &Bound<'_, Pool>, owner: &'a Bound<'_, PyAny>) -> Option<&'a Job> {
    let job = owner.cast::<Job>().ok()?.get();
    job.is_of(pool).then_some(job)
}
