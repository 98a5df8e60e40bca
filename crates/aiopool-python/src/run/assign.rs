//! Giving an active job the task that runs it: a task of its own, or that of a worker.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::awaitable::close_unawaited;
use crate::py::{errors, imports, name};
use crate::run::task;
use crate::state::{Job, Made, Pool, Task, Work, Worker};

/// Makes a task for this job alone.
pub(crate) fn to_own_task<'py>(
    pool: &Bound<'py, Pool>,
    job: &Bound<'py, Job>,
    work: Work,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    errors::contained(pool.py(), || {
        let name = job
            .get()
            .name(pool.py())
            .map_or_else(|| name::of(work.object().bind(pool.py())), Ok)?;
        let coroutine = match work {
            Work::Awaitable(awaitable) => imports::run_job(pool.py())?.call1((job, awaitable)),
            Work::Call(_) => imports::run_call(pool.py())?.call1((job,)),
        }?;
        name::give(&coroutine, &name)?;
        job.get().runs(&coroutine);
        let made = task::make(pool, job, &coroutine, context, &name)?;
        job.get().started(pool.py(), made);
        Ok(())
    })
}

/// Gives the job to the worker that has been idle longest, or to a new one.
pub(crate) fn to_worker(
    pool: &Bound<'_, Pool>,
    job: &Bound<'_, Job>,
    context: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = pool.py();
    // The job is counted before it has a worker. Finding one runs foreign code, and no job that
    // begins meanwhile may overtake this one.
    pool.get().count_given(py);
    let worker = errors::contained(py, || idle(pool).map_or_else(|| employ(pool, job), Ok));
    let worker = worker.inspect_err(|_| pool.get().take_back_given(py))?;
    Pool::give(worker, job, context.clone().unbind());
    Ok(())
}

/// Has the job make its first step: in the task that looks for a job in its own first step, or in a
/// new one. False if that may not be here and now.
pub(crate) fn begin_at_once(
    pool: &Bound<'_, Pool>,
    job: &Bound<'_, Job>,
    context: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let py = pool.py();
    if let Some(worker) = pool.get().take_looking(py) {
        pool.get().count_given(py);
        Pool::give(worker, job, context.clone().unbind());
        return Ok(true);
    }
    let may_begin = errors::contained(py, || task::may_begin_at_once(pool))?;
    pool.get().note_begins_at_once(may_begin);
    if !may_begin {
        return Ok(false);
    }
    let (worker, coroutine, name) = errors::contained(py, || new_worker(pool, job, true))?;
    pool.get().count_given(py);
    Pool::give(worker.clone(), job, context.clone().unbind());
    let begun = errors::contained(py, || task::begin_at_once(pool, &coroutine, &name));
    if begun.is_err() {
        drop(pool.get().take_given(py, worker.get()));
        // A coroutine that has begun is closed when its job has settled.
        if worker.get().task(py).is_none() {
            close_unawaited(&coroutine);
        }
    }
    begun.map(|()| true)
}

/// The worker that has been idle longest, if it may have another job. It may not if its task is
/// cancelled: a cancellation of the last job must not reach the next one.
fn idle<'py>(pool: &Bound<'py, Pool>) -> Option<Bound<'py, Worker>> {
    let py = pool.py();
    loop {
        let idle = pool.get().take_idle(py)?;
        if !is_cancelled(&idle) {
            return Some(idle);
        }
        // The worker is not among the idle workers any more, so its task ends at its next step.
    }
}

/// Makes a worker, which has the name of its first job from the start: see `worker::name_after`.
fn employ<'py>(pool: &Bound<'py, Pool>, job: &Bound<'py, Job>) -> PyResult<Bound<'py, Worker>> {
    let py = pool.py();
    let (worker, coroutine, name) = new_worker(pool, job, false)?;
    // No job runs in the context of the task itself.
    let context = imports::context(py)?.call0()?;
    let made = task::make(pool, &worker, &coroutine, &context, &name)
        .inspect_err(|_| close_unawaited(&coroutine))?;
    has_task(&worker, made, coroutine, name)?;
    Ok(worker)
}

/// A worker and the coroutine that it steps, both with the name of its first job.
fn new_worker<'py>(
    pool: &Bound<'py, Pool>,
    job: &Bound<'py, Job>,
    is_eager: bool,
) -> PyResult<(Bound<'py, Worker>, Bound<'py, PyAny>, Bound<'py, PyString>)> {
    let py = pool.py();
    let worker = Worker::new(pool, is_eager)?;
    let coroutine = imports::run_jobs(py)?.call1((&worker,))?;
    let work = job.get().work(py);
    let named = work.as_ref().map(|work| work.object().bind(py));
    let own = || name::of(named.unwrap_or(&coroutine));
    let name = job.get().name(py).map_or_else(own, Ok)?;
    name::give(&coroutine, &name)?;
    Ok((worker, coroutine, name))
}

/// Notes the task of a worker.
pub(crate) fn has_task(
    worker: &Bound<'_, Worker>,
    made: Made,
    coroutine: Bound<'_, PyAny>,
    name: Bound<'_, PyString>,
) -> PyResult<()> {
    let py = worker.py();
    let task = made.object.bind(py);
    // If the task does not tell of its cancellation, its worker gets no second job: see `idle`.
    let task = Task {
        cancelling: errors::contained(py, || task.getattr(intern!(py, "cancelling")))
            .ok()
            .filter(|_| task.hasattr(intern!(py, "_must_cancel")).unwrap_or(false))
            .map(Bound::unbind),
        set_name: task
            .getattr_opt(intern!(py, "set_name"))?
            .map(Bound::unbind),
        made,
        coroutine: coroutine.unbind(),
        name: name.unbind(),
    };
    worker.get().has_task(task, py);
    Ok(())
}

/// Whether a cancellation of the task is under way, or was left behind. A task that does not tell
/// counts as cancelled, so it is not reused.
pub(crate) fn is_cancelled(worker: &Bound<'_, Worker>) -> bool {
    let py = worker.py();
    let is_true = |answer: PyResult<Bound<'_, PyAny>>| {
        answer.and_then(|answer| answer.is_truthy()).unwrap_or(true)
    };
    let Some((task, cancelling)) = worker.get().signs(py) else {
        return true;
    };
    // Up to 3.12 `uncancel` does not take back the cancellation that the next step of the task will
    // see.
    let pending =
        || cfg!(not(Py_3_13)) && is_true(task.bind(py).getattr(intern!(py, "_must_cancel")));
    is_true(cancelling.bind(py).call0()) || pending()
}
