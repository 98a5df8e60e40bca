//! The steps of an active job.

use std::mem;
use std::num::NonZeroU64;

use aiopool_core::Time;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{Held, Job, JobState, Made, Pool, Runner, Target, Work, Worker};
use super::effects::{Ended, FirstStep};
use super::options::{Callback, Observed};
use crate::py::guarded::Guarded;

impl Job {
    pub(crate) fn new<'py>(
        pool: &Bound<'py, Pool>,
        work: Work,
        callback: Option<Callback>,
        name: Option<Py<PyString>>,
    ) -> PyResult<Bound<'py, Self>> {
        let state = JobState {
            held: None,
            work: Some(work),
            callback,
            observed: None,
            is_let_out: false,
            waited_for_by: Vec::new(),
            timeout: None,
            until: Time::ZERO,
            has_expired: false,
            runner: None,
        };
        let job = Self {
            pool: pool.clone().unbind(),
            name,
            state: Guarded::new(state),
        };
        Bound::new(pool.py(), job)
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.pool.bind(py)
    }

    /// Whether the job has not settled.
    pub(crate) fn is_held(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.held.is_some())
    }

    /// Where the pool holds the job, until it has settled.
    pub(super) fn index(&self, py: Python<'_>) -> Option<usize> {
        self.state
            .with(py, |state| state.held.as_ref().map(|held| held.index))
    }

    /// The job has had its time.
    pub(super) fn expire(&self, py: Python<'_>) {
        self.state.with(py, |state| state.has_expired = true);
    }

    /// Whether it may hold its slots for a time, which has not come to its end.
    pub(crate) fn has_timeout(&self, py: Python<'_>) -> bool {
        self.state
            .with(py, |state| state.timeout.is_some() && !state.has_expired)
    }

    /// The time that the job has had, if it was cancelled for that.
    pub(crate) fn expired(&self, py: Python<'_>) -> Option<NonZeroU64> {
        self.state
            .with(py, |state| state.timeout.filter(|_| state.has_expired))
    }

    /// The job may hold its slots for so many nanoseconds, until then.
    pub(super) fn may_take(&self, py: Python<'_>, timeout: NonZeroU64, until: Time) {
        self.state.with(py, |state| {
            (state.timeout, state.until) = (Some(timeout), until);
        });
    }

    /// The job may hold its slots for as long as it likes.
    pub(super) fn may_take_any(&self, py: Python<'_>) {
        self.state.with(py, |state| state.timeout = None);
    }

    /// The future of the job. An item of a `map` has none, and gets the `fresh` one.
    pub(crate) fn future(&self, fresh: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        let py = fresh.py();
        self.state.with(py, |state| {
            Some(match &mut state.held.as_mut()?.target {
                Target::Future(future) => future.clone_ref(py),
                Target::Enqueued(job) => job.clone_ref(py).into_any(),
                Target::Item { future, .. } => future
                    .get_or_insert_with(|| fresh.clone().unbind())
                    .clone_ref(py),
            })
        })
    }

    pub(super) fn hold(&self, py: Python<'_>, held: Held) {
        self.state.with(py, |state| state.held = Some(held));
    }

    /// Notes the coroutine for which the task of the job is made.
    pub(crate) fn runs(&self, coroutine: &Bound<'_, PyAny>) {
        let runner = Runner::Own {
            coroutine: coroutine.clone().unbind(),
            task: None,
        };
        self.run_by(coroutine.py(), runner);
    }

    /// Notes the task of that coroutine.
    pub(crate) fn started(&self, py: Python<'_>, made: Made) {
        let pool = self.pool.get();
        let index = self.index(py).unwrap_or(usize::MAX);
        pool.state
            .with(py, |state| state.tasks.insert(&made.object, index));
        let replaced = self.state.with(py, |state| match &mut state.runner {
            Some(Runner::Own { task, .. }) => task.replace(made),
            _ => Some(made),
        });
        if let Some(replaced) = replaced {
            pool.state
                .with(py, |state| state.tasks.remove(&replaced.object));
        }
    }

    /// The name that was asked for.
    pub(crate) fn name<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        Some(self.name.as_ref()?.bind(py).clone())
    }

    /// The observer is to be told of the job.
    pub(crate) fn watch(&self, py: Python<'_>, observed: Box<Observed>) {
        self.state.with(py, |state| state.observed = Some(observed));
    }

    /// What the observer is told of the job.
    pub(crate) fn observed(&self, py: Python<'_>) -> Option<Observed> {
        self.state
            .with(py, |state| Some(state.observed.as_ref()?.clone_ref(py)))
    }

    /// The observer is told that the job starts: gives what is told of it. None if it was told.
    pub(crate) fn starts(&self, py: Python<'_>, now: Time) -> Option<Observed> {
        self.state.with(py, |state| {
            let observed = state.observed.as_mut()?;
            let first = observed.started_at.replace(now).is_none();
            first.then(|| observed.clone_ref(py))
        })
    }

    pub(super) fn given_to(&self, worker: Bound<'_, Worker>) {
        let py = worker.py();
        self.run_by(py, Runner::Worker(worker.unbind()));
    }

    pub(crate) fn first_step(&self, py: Python<'_>) -> FirstStep {
        self.state.with(py, |state| match &mut state.runner {
            Some(Runner::Own {
                task: Some(made), ..
            }) if made.unseen => {
                made.unseen = false;
                FirstStep::Compare(made.object.clone_ref(py))
            }
            Some(Runner::Own { task: None, .. }) if state.held.is_some() => FirstStep::Pause,
            _ => {
                // A job that is a call begins when that is made.
                let is_call = matches!(state.work, Some(Work::Call(_)));
                FirstStep::Begin(if is_call { None } else { state.work.take() })
            }
        })
    }

    /// The work, which the job holds until it begins.
    pub(crate) fn work(&self, py: Python<'_>) -> Option<Work> {
        self.state
            .with(py, |state| Some(state.work.as_ref()?.clone_ref(py)))
    }

    /// The same, for a job that begins, or that never will.
    pub(crate) fn take_work(&self, py: Python<'_>) -> Option<Work> {
        self.state.with(py, |state| state.work.take())
    }

    pub(crate) fn take_callback(&self, py: Python<'_>) -> Option<Callback> {
        self.state.with(py, |state| state.callback.take())
    }

    /// The job has come to its end, unless it has a callback, which runs first.
    pub(crate) fn end_or_call_back(
        &self,
        py: Python<'_>,
    ) -> Result<Option<(Target, Ended)>, Callback> {
        // This is one step, so that no other code can end the job in between.
        let ended = self.state.with(py, |state| match state.callback.take() {
            Some(callback) => Err(callback),
            None => Ok(mem::take(state)),
        });
        ended.map(JobState::ended)
    }

    /// The job has come to its end. Gives the target of its outcome, and the things that it gives
    /// back when the outcome has been told. None if the job had come to its end before.
    pub(crate) fn end(&self, py: Python<'_>) -> Option<(Target, Ended)> {
        self.state.with(py, mem::take).ended()
    }

    /// The task that runs the job.
    pub(crate) fn task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self.runner(py)? {
            Runner::Own { task, .. } => task.map(|made| made.object),
            Runner::Worker(worker) => worker.get().task(py),
        }
    }

    /// The coroutine that the task of the job runs.
    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.runner(py)?.coroutine(py)
    }

    /// Whether the job makes its first step, at its start.
    pub(crate) fn begins_at_once(&self, py: Python<'_>) -> bool {
        match self.runner(py) {
            Some(Runner::Worker(worker)) => worker.get().is_eager(),
            _ => false,
        }
    }

    /// Makes sure that its task runs no other job.
    pub(crate) fn retire_worker(&self, py: Python<'_>) {
        if let Some(Runner::Worker(worker)) = self.runner(py) {
            worker.get().retire();
        }
    }

    fn run_by(&self, py: Python<'_>, runner: Runner) {
        drop(self.state.with(py, |state| state.runner.replace(runner)));
    }

    fn runner(&self, py: Python<'_>) -> Option<Runner> {
        self.state
            .with(py, |state| Some(state.runner.as_ref()?.clone_ref(py)))
    }
}

impl Ended {
    /// The coroutine that the task of the job runs.
    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.runner.as_ref()?.coroutine(py)
    }
}

impl JobState {
    fn ended(self) -> Option<(Target, Ended)> {
        let Held {
            slot,
            outside,
            place,
            index,
            target,
            ..
        } = self.held?;
        let ended = Ended {
            slot,
            outside,
            place,
            index,
            callback: self.callback,
            observed: self.observed,
            runner: self.runner,
        };
        Some((target, ended))
    }
}

impl Work {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Awaitable(awaitable) => Self::Awaitable(awaitable.clone_ref(py)),
            Self::Call(call) => Self::Call(call.clone_ref(py)),
        }
    }

    /// What the job has its name from, if it was given none.
    pub(crate) fn object(&self) -> &Py<PyAny> {
        match self {
            Self::Awaitable(awaitable) => awaitable,
            Self::Call(call) => &call.function,
        }
    }
}

impl Runner {
    fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self {
            Self::Own { coroutine, .. } => Some(coroutine.clone_ref(py)),
            Self::Worker(worker) => worker.get().coroutine(py),
        }
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Own { coroutine, task } => Self::Own {
                coroutine: coroutine.clone_ref(py),
                task: task.as_ref().map(|made| made.clone_ref(py)),
            },
            Self::Worker(worker) => Self::Worker(worker.clone_ref(py)),
        }
    }
}

impl Made {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            object: self.object.clone_ref(py),
            unseen: self.unseen,
        }
    }
}
