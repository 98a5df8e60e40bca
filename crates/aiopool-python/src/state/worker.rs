//! The steps of a worker.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{Begun, Given, Pool, Task, Worker, WorkerState};
use super::effects::Naming;
use crate::py::guarded::Guarded;

impl Worker {
    /// One that `is_eager` runs no job after the first one that suspends.
    pub(crate) fn new<'py>(pool: &Bound<'py, Pool>, is_eager: bool) -> PyResult<Bound<'py, Self>> {
        let worker = Self {
            pool: pool.clone().unbind(),
            retires: AtomicBool::new(is_eager),
            is_eager: AtomicBool::new(is_eager),
            idles: AtomicBool::new(false),
            state: Guarded::new(WorkerState::default()),
        };
        Bound::new(pool.py(), worker)
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.pool.bind(py)
    }

    pub(crate) fn has_task(&self, task: Task, py: Python<'_>) {
        let pool = self.pool.get();
        pool.state.with(py, |state| {
            state.tasks.insert(&task.made.object, usize::MAX);
        });
        drop(self.state.with(py, |state| state.task.replace(task)));
    }

    pub(super) fn take_task(&self, py: Python<'_>) -> Option<Task> {
        let task = self.state.with(py, |state| state.task.take())?;
        let pool = self.pool.get();
        pool.state
            .with(py, |state| state.tasks.remove(&task.made.object));
        Some(task)
    }

    pub(crate) fn task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let task = state.task.as_ref()?;
            Some(task.made.object.clone_ref(py))
        })
    }

    /// The task, if it has not been seen to make a step before this one.
    pub(crate) fn take_unseen(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let made = &mut state.task.as_mut()?.made;
            mem::take(&mut made.unseen).then(|| made.object.clone_ref(py))
        })
    }

    /// Another task runs the worker than the one that was made for it. That task runs only one job.
    pub(crate) fn runs_in(&self, other: Bound<'_, PyAny>) {
        let py = other.py();
        let other = other.unbind();
        let pool = self.pool.get();
        let job = self.given_index(py).unwrap_or(usize::MAX);
        pool.state.with(py, |state| state.tasks.insert(&other, job));
        let (replaced, cancelling) = self.state.with(py, |state| match &mut state.task {
            Some(task) => (
                mem::replace(&mut task.made.object, other),
                task.cancelling.take(),
            ),
            None => (other, None),
        });
        pool.state.with(py, |state| state.tasks.remove(&replaced));
        drop((replaced, cancelling));
    }

    /// The address of its task, and the index of the job that it begins.
    pub(super) fn runs(&self, py: Python<'_>, given: &Given) -> Option<(usize, usize)> {
        let index = given.job.get().index(py)?;
        let task = self.state.with(py, |state| {
            Some(state.task.as_ref()?.made.object.as_ptr() as usize)
        })?;
        Some((task, index))
    }

    /// The index of the job that it was given and has not begun.
    fn given_index(&self, py: Python<'_>) -> Option<usize> {
        let given = self.state.with(py, |state| {
            state.given.as_ref().map(|given| given.job.clone_ref(py))
        });
        given?.get().index(py)
    }

    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let task = state.task.as_ref()?;
            Some(task.coroutine.clone_ref(py))
        })
    }

    /// The task and its method `cancelling`, if the task tells of its cancellation.
    pub(crate) fn signs(&self, py: Python<'_>) -> Option<(Py<PyAny>, Py<PyAny>)> {
        self.state.with(py, |state| {
            let task = state.task.as_ref()?;
            let cancelling = task.cancelling.as_ref()?;
            Some((task.made.object.clone_ref(py), cancelling.clone_ref(py)))
        })
    }

    /// The worker begins a job of this name.
    pub(crate) fn take_name(&self, name: &Bound<'_, PyString>) -> Option<Naming> {
        let py = name.py();
        self.state.with(py, |state| {
            let task = state.task.as_mut()?;
            let is_new = !task.name.is(name);
            Some(Naming {
                coroutine: is_new.then(|| {
                    let former = mem::replace(&mut task.name, name.clone().unbind());
                    (task.coroutine.clone_ref(py), former)
                }),
                set_name: task.set_name.as_ref().map(|method| method.clone_ref(py)),
            })
        })
    }

    /// Whether its task makes its first step, while it is being made.
    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager.load(Ordering::Relaxed)
    }

    /// That step is over.
    pub(crate) fn has_stepped(&self) {
        self.is_eager.store(false, Ordering::Relaxed);
    }

    /// Makes this job the last of the worker.
    pub(crate) fn retire(&self) {
        self.retires.store(true, Ordering::Relaxed);
    }

    /// The job of the worker has ended. Tells whether the worker becomes idle.
    pub(super) fn becomes_idle(&self) -> bool {
        let idles = !self.retires.load(Ordering::Relaxed);
        self.idles.store(idles, Ordering::Relaxed);
        idles
    }

    /// The worker leaves the idle workers. Tells whether it was among them.
    pub(super) fn leaves_idle(&self) -> bool {
        self.idles.swap(false, Ordering::Relaxed)
    }

    pub(super) fn give(&self, py: Python<'_>, given: Given) {
        self.state.with(py, |state| state.given = Some(given));
    }

    pub(super) fn take_given(&self, py: Python<'_>) -> Option<Given> {
        self.state.with(py, |state| state.given.take())
    }

    /// Takes the job that the worker was given. Without one, tells whether the worker has to wait a
    /// turn of the loop for a job.
    pub(super) fn look_for_job(&self, py: Python<'_>) -> Result<Given, bool> {
        let (given, has_lingered, has_task) = self.state.with(py, |state| {
            let given = state.given.take();
            let has_lingered = mem::replace(&mut state.has_lingered, given.is_none());
            (given, has_lingered, state.task.is_some())
        });
        given.ok_or_else(|| {
            // The first step is made before there is a task, and so before there is a job: see
            // `run::task`.
            let is_new = !has_task && !self.retires.load(Ordering::Relaxed);
            // A caller that learns of the end of a job may hand in the next one a turn later.
            // Waiting one turn for it saves a task. Waiting longer would keep the tasks of a pool
            // that has no more work.
            let lingers = self.idles.load(Ordering::Relaxed) && !has_lingered;
            is_new || lingers
        })
    }

    pub(crate) fn suspend(&self, py: Python<'_>, begun: Begun) {
        self.state.with(py, |state| state.suspended = Some(begun));
    }

    pub(crate) fn take_suspended(&self, py: Python<'_>) -> Option<Begun> {
        self.state.with(py, |state| state.suspended.take())
    }

    /// The coroutine that the worker runs, while it is suspended.
    pub(crate) fn suspended(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let begun = state.suspended.as_ref()?;
            Some(begun.coroutine.clone_ref(py))
        })
    }
}
