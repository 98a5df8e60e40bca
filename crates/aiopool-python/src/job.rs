//! An active job: it has a slot and a task, and is told by its coroutine how it went.

use std::mem;

use aiopool_core::Slot;
use pyo3::exceptions::PyGeneratorExit;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::event_loop::EventLoop;
use crate::guarded::Guarded;
use crate::items::Items;
use crate::line::Callback;
use crate::pool::Pool;
use crate::python;
use crate::settle::{Outcome, Target};
use crate::stop::dismiss;
use crate::worker::Worker;

/// An active job, as its coroutine in `_job.py` sees it. Awaited, it lets that coroutine pause
/// until its task makes its first step.
#[pyclass(frozen, weakref, module = "asyncio_pool._core")]
pub struct Job {
    pool: Py<Pool>,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    /// There from the start until the job settles.
    held: Option<Held>,
    /// Gone when the job has begun.
    awaitable: Option<Py<PyAny>>,
    callback: Option<Callback>,
    /// Of `_job.py`; gone when the job has settled, as the task is.
    coroutine: Option<Py<PyAny>>,
    task: Option<Py<PyAny>>,
    /// Whose task it is, if the pool reuses tasks.
    worker: Option<Py<Worker>>,
}

struct Held {
    slot: Slot,
    /// Where the pool holds the job.
    key: usize,
    target: Target,
}

#[pymethods]
impl Job {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Pauses while the job has no task. Beside the step made before there is one, this holds
    /// back the factories that make the first step of a task at once: nothing of a job runs
    /// inside the call that hands it in.
    fn __next__(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let (pauses, begun) = self.state.with(py, |state| {
            let pauses = state.task.is_none() && state.held.is_some();
            let begun = state.awaitable.take_if(|_| !pauses);
            (pauses, begun)
        });
        drop(begun);
        pauses.then(|| py.None())
    }

    /// The awaitable has returned. Gives the coroutine of the callback, if there is one.
    pub(crate) fn returned<'py>(
        slf: &Bound<'py, Self>,
        result: Bound<'py, PyAny>,
    ) -> Option<Bound<'py, PyAny>> {
        let job = slf.get();
        let ended = job
            .state
            .with(slf.py(), |state| match state.callback.take() {
                Some(callback) => Err(callback),
                None => Ok(mem::take(state)),
            });
        match ended {
            Ok(ended) => {
                Self::give_back(slf, ended, Outcome::Returned(result.unbind()), true);
                None
            }
            Err(callback) => {
                job.count(slf.py());
                call_back(slf, callback, Some(&result), None)
            }
        }
    }

    /// The awaitable has raised, or its task was cancelled before it began. Gives the coroutine
    /// of the callback, if there is one to run; raises what must go on through the loop.
    fn failed<'py>(
        slf: &Bound<'py, Self>,
        error: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !slf.get().is_held(slf.py()) {
            return Ok(None);
        }
        python::forget_own_frame(error);
        Self::raised(slf, error)
    }

    /// The callback has returned.
    fn callback_returned(slf: &Bound<'_, Self>, result: Bound<'_, PyAny>) {
        Self::settle(slf, Outcome::Returned(result.unbind()), true);
    }

    /// The callback has raised, or could not be called and so has not `run`.
    fn callback_failed(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>, run: bool) -> PyResult<()> {
        python::forget_own_frame(error);
        Self::settle_error(slf, error, run)
    }

    /// The task has ended: that settles a job which its coroutine has not settled, because it was
    /// never stepped.
    fn task_ended(slf: &Bound<'_, Self>, _task: &Bound<'_, PyAny>) {
        if slf.get().is_held(slf.py()) {
            Self::never_stepped(slf, Outcome::Cancelled(None));
        }
    }

    /// The holder of the future has given up the result: the job runs on.
    #[expect(
        clippy::unused_self,
        reason = "`Pool` has the same method for waiting jobs"
    )]
    fn given_up(&self, _future: &Bound<'_, PyAny>) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.state.traverse(&visit, |state| {
            if let Some(held) = &state.held {
                held.target.traverse(visit)?;
            }
            if let Some(callback) = &state.callback {
                callback.traverse(visit)?;
            }
            visit.call(&state.awaitable)?;
            visit.call(&state.coroutine)?;
            visit.call(&state.task)?;
            visit.call(&state.worker)
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, mem::take));
    }
}

impl Job {
    pub(crate) fn new<'py>(
        pool: &Bound<'py, Pool>,
        awaitable: &Bound<'py, PyAny>,
        callback: Option<Callback>,
    ) -> PyResult<Bound<'py, Self>> {
        let state = State {
            held: None,
            awaitable: Some(awaitable.clone().unbind()),
            callback,
            ..State::default()
        };
        let job = Self {
            pool: pool.clone().unbind(),
            state: Guarded::new(state),
        };
        Bound::new(pool.py(), job)
    }

    /// Takes the slot, and has the pool hold the job until it settles.
    pub(crate) fn hold(slf: &Bound<'_, Self>, slot: Slot, target: Target) {
        let py = slf.py();
        let job = slf.get();
        if let Target::Future(future) = &target {
            let future = future.bind(py);
            let owned = python::owner(py).and_then(|owner| owner.set(future, slf));
            python::report(py, owned, future);
        }
        let own = slf.clone().unbind();
        let pool = job.pool.bind(py).get();
        let key = pool.with(py, |state| state.jobs.insert(own));
        let held = Held { slot, key, target };
        job.state.with(py, |state| state.held = Some(held));
    }

    pub(crate) fn started(&self, task: Bound<'_, PyAny>) {
        let py = task.py();
        let task = task.unbind();
        drop(self.state.with(py, |state| state.task.replace(task)));
    }

    /// The coroutine that the task of the job is made for.
    pub(crate) fn runs(&self, coroutine: &Bound<'_, PyAny>) {
        let py = coroutine.py();
        let coroutine = coroutine.clone().unbind();
        drop(
            self.state
                .with(py, |state| state.coroutine.replace(coroutine)),
        );
    }

    /// Takes the place of both if the pool reuses tasks: the job is to be run by a worker.
    pub(crate) fn given_to(&self, worker: Bound<'_, Worker>) {
        let py = worker.py();
        let worker = worker.unbind();
        drop(self.state.with(py, |state| state.worker.replace(worker)));
    }

    /// What is to be awaited, which the job holds until it begins.
    pub(crate) fn awaitable<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state
            .with(py, |state| Some(state.awaitable.as_ref()?.bind(py).clone()))
    }

    /// A worker begins the job.
    pub(crate) fn begin(&self, py: Python<'_>) {
        drop(self.state.with(py, |state| state.awaitable.take()));
    }

    /// As [`failed`](Self::failed), of an error that has no frame of ours.
    pub(crate) fn raised<'py>(
        slf: &Bound<'py, Self>,
        error: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let began = !Self::never_began(slf);
        if began {
            let job = slf.get();
            let callback = job.state.with(slf.py(), |state| state.callback.take());
            // Neither may be delayed by a callback, and a coroutine that is closed may not await.
            let last = python::is_exit(error) || error.is_instance_of::<PyGeneratorExit>();
            if let Some(callback) = callback.filter(|_| !last) {
                job.count(slf.py());
                return Ok(call_back(slf, callback, None, Some(error)));
            }
        }
        Self::settle_error(slf, error, began)?;
        Ok(None)
    }

    /// Settles a job whose coroutine cannot do so, because no task has stepped it.
    pub(crate) fn never_stepped(slf: &Bound<'_, Self>, outcome: Outcome) {
        let coroutine = slf.get().coroutine(slf.py());
        Self::never_began(slf);
        Self::settle(slf, outcome, false);
        if let Some(coroutine) = coroutine {
            dismiss(coroutine.bind(slf.py()));
        }
    }

    /// Dismisses the awaitable if the job has not begun.
    fn never_began(slf: &Bound<'_, Self>) -> bool {
        let awaitable = slf
            .get()
            .state
            .with(slf.py(), |state| state.awaitable.take());
        if let Some(awaitable) = &awaitable {
            dismiss(awaitable.bind(slf.py()));
        }
        awaitable.is_some()
    }

    pub(crate) fn is_task(&self, task: &Bound<'_, PyAny>) -> bool {
        self.task(task.py()).is_some_and(|own| own.is(task))
    }

    pub(crate) fn is_of_items(&self, items: &Bound<'_, Items>) -> bool {
        let is_its =
            |held: &Held| matches!(&held.target, Target::Item { items: own, .. } if own.is(items));
        self.state
            .with(items.py(), |state| state.held.as_ref().is_some_and(is_its))
    }

    pub(crate) fn is_of(&self, pool: &Bound<'_, Pool>) -> bool {
        self.pool.is(pool)
    }

    /// The future of the job; an item of a `map` gets one.
    pub(crate) fn future(
        &self,
        py: Python<'_>,
        event_loop: &EventLoop,
    ) -> PyResult<Option<Py<PyAny>>> {
        let fresh = event_loop.new_future(py)?.unbind();
        let given = fresh.clone_ref(py);
        Ok(self.state.with(py, |state| {
            let held = state.held.as_mut()?;
            Some(match &mut held.target {
                Target::Future(future) => future.clone_ref(py),
                Target::Item { future, .. } => future.get_or_insert(given).clone_ref(py),
            })
        }))
    }

    /// Has the task cancel the job or its callback, and gives the task to be waited for.
    pub(crate) fn cancel(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let task = self.task(py)?;
        if let Some(worker) = self.worker(py) {
            worker.get().retire();
        }
        let cancelled = task.call_method0(py, intern!(py, "cancel"));
        python::report(py, cancelled.map(drop), task.bind(py));
        Some(task)
    }

    /// Closes the coroutine, which will never be stepped again, unless it is in the midst of that.
    pub(crate) fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let job = slf.get();
        let Some(coroutine) = job.coroutine(py) else {
            return Ok(());
        };
        let running = coroutine.getattr(py, intern!(py, "cr_running"))?;
        if running.is_truthy(py)? {
            return Ok(());
        }
        coroutine.call_method0(py, intern!(py, "close"))?;
        if job.is_held(py) {
            Self::never_stepped(slf, Outcome::Cancelled(None));
        }
        Ok(())
    }

    fn task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.worker(py).map_or_else(
            || {
                self.state
                    .with(py, |state| Some(state.task.as_ref()?.clone_ref(py)))
            },
            |worker| worker.get().task(py),
        )
    }

    fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.worker(py).map_or_else(
            || {
                self.state
                    .with(py, |state| Some(state.coroutine.as_ref()?.clone_ref(py)))
            },
            |worker| worker.get().coroutine(py),
        )
    }

    fn worker(&self, py: Python<'_>) -> Option<Py<Worker>> {
        self.state.with(py, |state| {
            state.worker.as_ref().map(|worker| worker.clone_ref(py))
        })
    }

    /// Settles the job and gives its slot back; later calls find nothing left to do. What has `run`
    /// to its end is counted.
    fn settle(slf: &Bound<'_, Self>, outcome: Outcome, run: bool) {
        let ended = slf.get().state.with(slf.py(), mem::take);
        Self::give_back(slf, ended, outcome, run);
    }

    fn give_back(slf: &Bound<'_, Self>, ended: State, outcome: Outcome, run: bool) {
        let pool = slf.get().pool.bind(slf.py());
        let Some(Held { slot, key, target }) = ended.held else {
            return;
        };
        outcome.settle(pool, target);
        let worker = ended.worker.filter(|worker| worker.get().becomes_idle());
        let own = pool.get().with(slf.py(), |state| {
            state.executed += u64::from(run);
            state.admission.finish(slot);
            state.idle_workers.extend(worker);
            state.jobs.try_remove(key)
        });
        drop((own, ended.callback, ended.coroutine, ended.task));
        Pool::advance(pool);
    }

    /// Settles the job with its error, and raises that again if it ends more than the job.
    fn settle_error(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>, run: bool) -> PyResult<()> {
        let py = slf.py();
        let pool = slf.get().pool.bind(py);
        if error.is_instance_of::<PyGeneratorExit>() && !pool.get().is_in_own_loop(py) {
            // The task is being destroyed, and with it, in whatever order, all that waits.
            Pool::end(pool);
            Self::settle(slf, Outcome::Cancelled(None), run);
            return Ok(());
        }
        if !python::is_exit(error) {
            Self::settle(slf, Outcome::of_error(error), run);
            return Ok(());
        }
        if let Some(task) = slf.get().task(py) {
            // The future tells of the error, and so does the loop; the task need not.
            let task = task.bind(py);
            let retrieve = task.get_type().getattr(intern!(py, "exception"));
            let added = retrieve.and_then(|retrieve| {
                task.call_method1(intern!(py, "add_done_callback"), (retrieve,))
            });
            python::report(py, added.map(drop), task);
        }
        Self::settle(slf, Outcome::of_error(error), run);
        Err(PyErr::from_value(error.clone()))
    }

    fn count(&self, py: Python<'_>) {
        self.pool
            .bind(py)
            .get()
            .with(py, |state| state.executed += 1);
    }

    fn is_held(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.held.is_some())
    }
}

/// The coroutine of the callback; without one, the job has settled.
fn call_back<'py>(
    job: &Bound<'py, Job>,
    callback: Callback,
    result: Option<&Bound<'py, PyAny>>,
    error: Option<&Bound<'py, PyAny>>,
) -> Option<Bound<'py, PyAny>> {
    let py = job.py();
    let made = python::contained(py, || {
        python::call_back(py)?.call1((job, callback.function, callback.ctx, result, error))
    });
    made.inspect_err(|error| Job::settle(job, Outcome::of_error(error.value(py)), false))
        .ok()
}
