//! The state that all calls share, and the questions that can be asked of it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use aiopool_core::{Admission, Drain, Slot, Ticket};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use slab::Slab;

use crate::context::Snapshot;
use crate::event_loop::EventLoop;
use crate::guarded::Guarded;
use crate::job::Job;
use crate::line::{PlaceOfFuture, Waiter, WaitingJob};
use crate::python;
use crate::worker::Worker;

/// The engine of `asyncio_pool.AioPool`, which documents what its calls do.
#[pyclass(frozen, module = "asyncio_pool._core")]
pub struct Pool {
    pub(crate) event_loop: OnceLock<EventLoop>,
    /// Whether a task runs many jobs: see [`Worker`].
    pub(crate) reuses_tasks: bool,
    state: Guarded<State>,
}

pub(crate) struct State {
    pub(crate) admission: Admission<Waiter, Py<PyAny>>,
    pub(crate) places: PlaceOfFuture,
    /// The active jobs: this holds their tasks, which asyncio holds weakly.
    pub(crate) jobs: Slab<Py<Job>>,
    /// Those without a job, first those who have waited longest. Their tasks are in the loop.
    pub(crate) idle_workers: VecDeque<Py<Worker>>,
    /// How many jobs have been given to workers who have not begun them.
    pub(crate) unbegun: usize,
    pub(crate) snapshot: Option<Snapshot>,
    /// There is one since somebody has waited and until the pool is empty.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) executed: u64,
    /// Whether a caller further up the stack is in [`Pool::advance`].
    pub(crate) advancing: bool,
    /// Whether nobody is admitted before the next turn of the loop.
    pub(crate) paused: bool,
    /// How many admissions since the last pause left their slots free again.
    pub(crate) barren: usize,
}

/// What notices that the loop ends: see `_keeper.py`.
pub(crate) struct Keeper {
    pub(crate) object: Py<PyAny>,
    /// The method of its task.
    pub(crate) cancelling: Py<PyAny>,
}

impl Keeper {
    /// Nobody waits any more.
    pub(crate) fn release(self, pool: &Bound<'_, Pool>) {
        let py = pool.py();
        let released = self.object.call_method0(py, intern!(py, "release"));
        python::report(py, released.map(drop), pool);
    }
}

#[pymethods]
impl Pool {
    #[new]
    fn new(
        size: NonZeroUsize,
        event_loop: Option<&Bound<'_, PyAny>>,
        reuse_tasks: bool,
    ) -> PyResult<Self> {
        let event_loop = event_loop.map(EventLoop::new).transpose()?;
        Ok(Self {
            event_loop: event_loop.map_or_else(OnceLock::new, OnceLock::from),
            reuses_tasks: reuse_tasks,
            state: Guarded::new(State {
                admission: Admission::new(size),
                places: PlaceOfFuture::default(),
                jobs: Slab::new(),
                idle_workers: VecDeque::new(),
                unbegun: 0,
                snapshot: None,
                keeper: None,
                executed: 0,
                advancing: false,
                paused: false,
                barren: 0,
            }),
        })
    }

    #[getter]
    fn size(&self, py: Python<'_>) -> usize {
        self.with(py, |state| state.admission.size().get())
    }

    #[getter]
    fn active(&self, py: Python<'_>) -> usize {
        self.with(py, |state| state.admission.active())
    }

    #[getter]
    fn executed(&self, py: Python<'_>) -> u64 {
        self.with(py, |state| state.executed)
    }

    #[getter]
    fn is_empty(&self, py: Python<'_>) -> bool {
        self.with(py, |state| state.admission.is_empty())
    }

    #[getter]
    fn is_full(&self, py: Python<'_>) -> bool {
        self.with(py, |state| state.admission.is_full())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.with(py, |state| state.admission.len())
    }

    /// The loop of the pool; None while it has none and none is running.
    #[getter(r#loop)]
    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let bound = self.event_loop.get().or_else(|| self.enter(py).ok())?;
        Some(bound.object.bind(py).clone())
    }

    /// Whether `task` runs one of the active jobs.
    fn runs_in(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> bool {
        self.active_jobs(py)
            .iter()
            .any(|job| job.bind(py).get().is_task(task))
    }

    /// A future that gets True when the pool is empty; None if it is.
    fn join<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let event_loop = self.enter(py)?;
        if self.is_empty(py) {
            return Ok(None);
        }
        let joiner = event_loop.new_future(py)?;
        let told = joiner.clone().unbind();
        self.with(py, |state| state.admission.join(told));
        Ok(Some(joiner))
    }

    /// Takes back a future of `join` that nobody awaits any more.
    fn leave(&self, joiner: &Bound<'_, PyAny>) {
        let left = self.with(joiner.py(), |state| {
            let mut joiners = state.admission.joiners();
            let ticket = joiners.find(|(_, other)| other.is(joiner))?.0;
            drop(joiners);
            state.admission.leave(ticket)
        });
        drop(left);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(event_loop) = self.event_loop.get() {
            event_loop.traverse(visit)?;
        }
        self.state.traverse(&visit, |state| {
            for (_, waiter) in state.admission.waiters() {
                waiter.traverse(visit)?;
            }
            for (_, joiner) in state.admission.joiners() {
                visit.call(joiner)?;
            }
            for (_, job) in &state.jobs {
                visit.call(job)?;
            }
            for worker in &state.idle_workers {
                visit.call(worker)?;
            }
            for part in state.snapshot.iter().flat_map(Snapshot::parts) {
                visit.call(part)?;
            }
            if let Some(keeper) = &state.keeper {
                visit.call(&keeper.object)?;
                visit.call(&keeper.cancelling)?;
            }
            Ok(())
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        let cleared = self.with(py, |state| {
            let size = state.admission.size();
            (
                std::mem::replace(&mut state.admission, Admission::new(size)),
                std::mem::take(&mut state.jobs),
                std::mem::take(&mut state.idle_workers),
                std::mem::take(&mut state.places),
                state.snapshot.take(),
                state.keeper.take(),
            )
        });
        drop(cleared);
    }
}

impl Pool {
    /// Makes one step on the state; see [`Guarded::with`].
    pub(crate) fn with<R>(&self, py: Python<'_>, step: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(py, step)
    }

    pub(crate) fn active_jobs(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.with(py, |state| {
            state
                .jobs
                .iter()
                .map(|(_, job)| job.clone_ref(py))
                .collect()
        })
    }
}

/// The core and the table of places are changed together, here and nowhere else.
impl State {
    /// Puts a waiter in line, or gives it back if the pool is closed.
    pub(crate) fn submit(&mut self, waiter: Waiter) -> Result<Ticket, Waiter> {
        let future = waiter.future();
        let ticket = self.admission.submit(waiter).map_err(|closed| closed.0)?;
        if let Some(future) = future {
            self.places.insert(future, ticket, &self.admission);
        }
        Ok(ticket)
    }

    pub(crate) fn admit(&mut self) -> Option<(Slot, Waiter)> {
        let admitted = self.admission.poll_admit()?;
        if let Some(future) = admitted.waiter.future() {
            self.places.remove(future, admitted.ticket);
        }
        Some((admitted.slot, admitted.waiter))
    }

    /// Empties the line; the waiters come in its order.
    pub(crate) fn withdraw_all(&mut self) -> Drain<Waiter> {
        self.places = PlaceOfFuture::default();
        self.admission.withdraw_all()
    }

    /// Empties the line, and lets nobody in until the pool is empty.
    pub(crate) fn close(&mut self) -> Drain<Waiter> {
        self.places = PlaceOfFuture::default();
        self.admission.close()
    }

    pub(crate) fn withdraw_job(&mut self, future: &Bound<'_, PyAny>) -> Option<WaitingJob> {
        let future = future.as_ptr() as usize;
        let ticket = self.places.find(future, &self.admission)?;
        self.places.remove(future, ticket);
        match self.admission.withdraw(ticket)? {
            Waiter::Job(job) => Some(job),
            Waiter::Item { .. } => None,
        }
    }
}
