//! A task that runs jobs, one after another: what a pool has for each slot if it reuses tasks.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyNone, PyTuple};

use crate::guarded::Guarded;
use crate::job::Job;
use crate::native::{Resume, in_context, resume};
use crate::pool::Pool;
use crate::python;
use crate::settle::Outcome;
use crate::stop::dismiss;
use crate::task;

/// What the coroutine of a reused task (`run_jobs` in `_job.py`) awaits: runs the job that it has
/// been given in the context of that job, and then the next. The task ends when it was given none for
/// a turn of the loop.
#[pyclass(frozen, module = "asyncio_pool._core")]
pub struct Worker {
    pool: Py<Pool>,
    /// Whether it takes no more jobs, because somebody waits for the end of its task.
    retires: AtomicBool,
    /// Whether it is among the idle workers of the pool.
    idles: AtomicBool,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    /// There from the start of the task until the worker leaves.
    task: Option<Task>,
    /// What it is to run next.
    given: Option<Given>,
    /// What it runs, while that is suspended.
    suspended: Option<Begun>,
    /// Whether it has waited a turn of the loop for another job.
    has_lingered: bool,
}

struct Task {
    object: Py<PyAny>,
    coroutine: Py<PyAny>,
    /// The method of the task; a factory may make tasks that do not tell of their cancellation.
    cancelling: Option<Py<PyAny>>,
}

struct Given {
    job: Py<Job>,
    context: Py<PyAny>,
}

struct Begun {
    job: Py<Job>,
    context: Py<PyAny>,
    coroutine: Py<PyAny>,
    kind: Kind,
}

/// Whose coroutine it is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Job,
    /// Ours, around a job that is an awaitable of another kind.
    Wrapper,
    /// Ours, which settles the job itself.
    Callback,
}

/// What a worker does when it has no job under way.
enum Next {
    Run(Begun),
    /// Let the others have their turn of the loop.
    Pause,
    End,
}

#[pymethods]
impl Worker {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Self::step(slf, Resume::with_none(slf.py()))
    }

    fn send<'py>(slf: &Bound<'py, Self>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::step(slf, Resume::Send(value))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (*arguments))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        arguments: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::step(slf, Resume::Throw(arguments))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().retire();
        let exit = (slf.py().get_type::<PyGeneratorExit>(),);
        match Self::step(slf, Resume::Throw(exit.into_pyobject(slf.py())?))? {
            None => Ok(()),
            Some(_) => Err(PyRuntimeError::new_err("coroutine ignored GeneratorExit")),
        }
    }

    /// What a debugger comes to that goes from await to await.
    #[getter]
    fn cr_await(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let begun = state.suspended.as_ref()?;
            Some(begun.coroutine.clone_ref(py))
        })
    }

    /// The task has ended, perhaps without a step.
    fn task_ended(slf: &Bound<'_, Self>, _task: &Bound<'_, PyAny>) {
        slf.get().retire();
        if let Some(Given { job, .. }) = slf.get().take_given(slf.py()) {
            Job::never_stepped(job.bind(slf.py()), Outcome::Cancelled(None));
        }
        Self::leave(slf);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.state.traverse(&visit, |state| {
            if let Some(task) = &state.task {
                visit.call(&task.object)?;
                visit.call(&task.coroutine)?;
                visit.call(&task.cancelling)?;
            }
            if let Some(given) = &state.given {
                visit.call(&given.job)?;
                visit.call(&given.context)?;
            }
            if let Some(begun) = &state.suspended {
                visit.call(&begun.job)?;
                visit.call(&begun.context)?;
                visit.call(&begun.coroutine)?;
            }
            Ok(())
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, mem::take));
    }
}

impl Worker {
    /// Gives a job to the worker that has waited for one longest, or to a new one.
    pub(crate) fn give(
        pool: &Bound<'_, Pool>,
        job: &Bound<'_, Job>,
        context: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        pool.get().with(pool.py(), |state| state.unbegun += 1);
        let worker = python::contained(pool.py(), || {
            Self::idle(pool).map_or_else(|| Self::employ(pool), Ok)
        });
        let worker =
            worker.inspect_err(|_| pool.get().with(pool.py(), |state| state.unbegun -= 1))?;
        let given = Given {
            job: job.clone().unbind(),
            context: context.clone().unbind(),
        };
        worker
            .get()
            .state
            .with(pool.py(), |state| state.given = Some(given));
        job.get().given_to(worker);
        Ok(())
    }

    /// The worker that has waited longest for a job, if it may have one: what has cancelled the last
    /// job of its task, or is left of it, is not for the next one.
    fn idle<'py>(pool: &Bound<'py, Pool>) -> Option<Bound<'py, Self>> {
        let py = pool.py();
        loop {
            let idle = pool
                .get()
                .with(py, |state| state.idle_workers.pop_front())?;
            let idle = idle.into_bound(py);
            let worker = idle.get();
            worker.idles.store(false, Ordering::Relaxed);
            let signs = worker.state.with(py, |state| {
                let task = state.task.as_ref()?;
                let cancelling = task.cancelling.as_ref()?;
                Some((task.object.clone_ref(py), cancelling.clone_ref(py)))
            });
            if let Some((task, cancelling)) = signs
                && !is_cancelled(task.bind(py), cancelling.bind(py))
            {
                return Some(idle);
            }
        }
    }

    fn employ<'py>(pool: &Bound<'py, Pool>) -> PyResult<Bound<'py, Self>> {
        let py = pool.py();
        let worker = Self {
            pool: pool.clone().unbind(),
            retires: AtomicBool::new(false),
            idles: AtomicBool::new(false),
            state: Guarded::new(State::default()),
        };
        let worker = Bound::new(py, worker)?;
        let coroutine = python::run_jobs(py)?.call1((&worker,))?;
        // Nothing of a job runs in the context of the task itself.
        let context = python::context(py)?.call0()?;
        let task =
            task::make(pool, &worker, &coroutine, &context).inspect_err(|_| dismiss(&coroutine))?;
        let task = Task {
            cancelling: python::contained(py, || task.getattr(intern!(py, "cancelling")))
                .ok()
                .filter(|_| task.hasattr(intern!(py, "_must_cancel")).unwrap_or(false))
                .map(Bound::unbind),
            object: task.unbind(),
            coroutine: coroutine.unbind(),
        };
        worker.get().state.with(py, |state| state.task = Some(task));
        Ok(worker)
    }

    /// This job is its last.
    pub(crate) fn retire(&self) {
        self.retires.store(true, Ordering::Relaxed);
    }

    /// Its job has ended. Tells whether it is to be among the idle workers now.
    pub(crate) fn becomes_idle(&self) -> bool {
        let idles = !self.retires.load(Ordering::Relaxed);
        self.idles.store(idles, Ordering::Relaxed);
        idles
    }

    pub(crate) fn task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let task = state.task.as_ref()?;
            Some(task.object.clone_ref(py))
        })
    }

    pub(crate) fn coroutine(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let task = state.task.as_ref()?;
            Some(task.coroutine.clone_ref(py))
        })
    }

    /// Runs jobs until one suspends, and gives what that awaits; None at the end of the task.
    fn step<'py>(
        slf: &Bound<'py, Self>,
        mut with: Resume<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let mut ended = 0;
        let mut next = match slf.get().state.with(py, |state| state.suspended.take()) {
            Some(begun) => Next::Run(begun),
            None => match with {
                Resume::Throw(arguments) => return Self::refuse(slf, &arguments),
                Resume::Send(_) => Self::begin(slf, ended)?,
            },
        };
        loop {
            let mut begun = match next {
                Next::Run(begun) => begun,
                Next::Pause => return Ok(Some(PyNone::get(py).to_owned().into_any())),
                Next::End => {
                    Self::leave(slf);
                    return Ok(None);
                }
            };
            let resumed = in_context(begun.context.bind(py), || {
                resume(begun.coroutine.bind(py), with)
            });
            let callback = match resumed {
                Ok(PySendResult::Next(awaited)) => {
                    slf.get()
                        .state
                        .with(py, |state| state.suspended = Some(begun));
                    return Ok(Some(awaited));
                }
                Ok(PySendResult::Return(result)) => match begun.kind {
                    Kind::Job | Kind::Wrapper => Job::returned(begun.job.bind(py), result),
                    Kind::Callback => None,
                },
                Err(error) => Self::raised(slf, &begun, error)?,
            };
            with = Resume::with_none(py);
            next = if let Some(callback) = callback {
                begun.coroutine = callback.unbind();
                begun.kind = Kind::Callback;
                Next::Run(begun)
            } else {
                drop(begun);
                ended += 1;
                Self::begin(slf, ended)?
            };
        }
    }

    /// What it runs has raised. Gives the coroutine of the callback, if there is one to run.
    fn raised<'py>(
        slf: &Bound<'py, Self>,
        begun: &Begun,
        error: PyErr,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let error = error.into_value(py).into_bound(py).into_any();
        if begun.kind == Kind::Wrapper {
            python::forget_own_frame(&error);
        }
        let callback = match begun.kind {
            Kind::Job | Kind::Wrapper => Job::raised(begun.job.bind(py), &error),
            Kind::Callback => Err(PyErr::from_value(error)),
        };
        // What ends the program ends the task too.
        callback.inspect_err(|_| Self::leave(slf))
    }

    /// It was cancelled, or its coroutine closed, while it had begun nothing.
    fn refuse<'py>(
        slf: &Bound<'py, Self>,
        thrown: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let error = PyErr::from_value(thrown.get_item(0)?);
        slf.get().retire();
        let refused = match slf.get().take_given(py) {
            Some(Given { job, .. }) => Job::raised(job.bind(py), error.value(py)).map(drop),
            None => Ok(()),
        };
        Self::leave(slf);
        refused.map(|()| None)
    }

    /// Begins the job that it has been given, when `ended` jobs have ended in this step.
    fn begin(slf: &Bound<'_, Self>, ended: usize) -> PyResult<Next> {
        let py = slf.py();
        let worker = slf.get();
        let (given, has_lingered, has_task) = worker.state.with(py, |state| {
            let given = state.given.take();
            let has_lingered = mem::replace(&mut state.has_lingered, given.is_none());
            (given, has_lingered, state.task.is_some())
        });
        let Some(given) = given else {
            // The first step is made before there is a task: see `task`.
            let is_new = !has_task && !worker.retires.load(Ordering::Relaxed);
            let lingers = worker.idles.load(Ordering::Relaxed) && !has_lingered;
            let pauses = is_new || lingers;
            return Ok(if pauses { Next::Pause } else { Next::End });
        };
        // The jobs begin in the order of the line: after those that others have been given.
        let may_begin = worker.pool.bind(py).get().with(py, |state| {
            let may_begin = ended == 0 || (ended < MOST_AT_ONCE && state.unbegun == 1);
            state.unbegun -= usize::from(may_begin);
            may_begin
        });
        if !may_begin {
            worker.state.with(py, |state| state.given = Some(given));
            return Ok(Next::Pause);
        }
        let Given { job, context } = given;
        let Some(awaitable) = job.bind(py).get().awaitable(py) else {
            return Ok(Next::Pause);
        };
        match coroutine_of(awaitable) {
            Ok((kind, coroutine)) => {
                job.bind(py).get().begin(py);
                Ok(Next::Run(Begun {
                    job,
                    context,
                    coroutine: coroutine.unbind(),
                    kind,
                }))
            }
            Err(error) => {
                Job::raised(job.bind(py), error.value(py)).inspect_err(|_| Self::leave(slf))?;
                Self::begin(slf, ended + 1)
            }
        }
    }

    fn take_given(&self, py: Python<'_>) -> Option<Given> {
        let given = self.state.with(py, |state| state.given.take())?;
        self.pool
            .bind(py)
            .get()
            .with(py, |state| state.unbegun -= 1);
        Some(given)
    }

    /// The task ends: what it has been given is for another.
    fn leave(slf: &Bound<'_, Self>) {
        let py = slf.py();
        let worker = slf.get();
        let pool = worker.pool.bind(py);
        worker.retire();
        let idle = worker.idles.swap(false, Ordering::Relaxed).then(|| {
            pool.get().with(py, |state| {
                // Those who have waited longest leave first.
                let mut idle = state.idle_workers.iter();
                let index = idle.position(|worker| worker.is(slf))?;
                state.idle_workers.remove(index)
            })
        });
        let task = worker.state.with(py, |state| state.task.take());
        drop((idle, task));
        if let Some(Given { job, context }) = worker.take_given(py) {
            let job = job.bind(py);
            if let Err(error) = Self::give(pool, job, context.bind(py)) {
                Job::never_stepped(job, Outcome::of_error(error.value(py)));
            }
        }
    }
}

/// What is stepped to run a job.
fn coroutine_of(awaitable: Bound<'_, PyAny>) -> PyResult<(Kind, Bound<'_, PyAny>)> {
    if is_new_coroutine(&awaitable)? {
        return Ok((Kind::Job, awaitable));
    }
    let wrapper = python::awaited(awaitable.py())?.call1((awaitable,))?;
    Ok((Kind::Wrapper, wrapper))
}

/// Whether it may be stepped as it is. To await another, or one that somebody else has begun to
/// await, is up to the interpreter, which has an error for what cannot be awaited.
fn is_new_coroutine(awaitable: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = awaitable.py();
    let is_coroutine = awaitable.get_type().is(python::coroutine_type(py)?);
    Ok(is_coroutine && !python::is_suspended(py)?.get(awaitable)?.is_truthy()?)
}

/// Whether a cancellation of the task is under way, or has been left behind. A task that does not
/// tell is not one to be reused.
fn is_cancelled(task: &Bound<'_, PyAny>, cancelling: &Bound<'_, PyAny>) -> bool {
    let is_true = |answer: PyResult<Bound<'_, PyAny>>| {
        answer.and_then(|answer| answer.is_truthy()).unwrap_or(true)
    };
    // Up to 3.12 `uncancel` does not take back what the next step of the task will see.
    let pending =
        || cfg!(not(Py_3_13)) && is_true(task.getattr(intern!(task.py(), "_must_cancel")));
    is_true(cancelling.call0()) || pending()
}

/// How many jobs that never suspend a worker runs in one step, before others get their turn of the
/// loop.
const MOST_AT_ONCE: usize = 4;
