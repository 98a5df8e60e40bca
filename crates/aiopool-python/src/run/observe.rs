//! Telling the observer of a pool what has happened. It is foreign code, and is called when each
//! change is complete.

use aiopool_core::Time;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::py::outcome::How;
use crate::py::{errors, imports};
use crate::run::timer;
use crate::state::{Extras, Job, Observed, Pool, between};

/// What the observer will be told of a job that is handed in. None if the pool has no observer: then
/// no clock is read.
pub(crate) fn watch<'py>(
    pool: &Bound<'py, Pool>,
    key: Option<&Py<PyAny>>,
    name: impl FnOnce() -> PyResult<Bound<'py, PyString>>,
) -> Option<Box<Observed>> {
    let py = pool.py();
    pool.get().observer()?;
    let name = errors::contained(py, name).unwrap_or_else(|_| intern!(py, "").clone());
    Some(Box::new(Observed {
        name: name.unbind(),
        key: key.map(|key| key.clone_ref(py)),
        queued_at: timer::now(pool),
        started_at: None,
    }))
}

pub(crate) fn queued(pool: &Bound<'_, Pool>, observed: Option<&Observed>) {
    if let Some(observed) = observed {
        tell(pool, "queued", Some(observed), None, |_| Ok(()));
    }
}

/// A job has its slot and its task.
pub(crate) fn started(pool: &Bound<'_, Pool>, job: &Bound<'_, Job>) {
    if pool.get().observer().is_none() {
        return;
    }
    if let Some(observed) = job.get().starts(pool.py(), timer::now(pool)) {
        tell_start(pool, &observed);
    }
}

/// The same, for a job that could not begin.
pub(crate) fn started_in_vain(pool: &Bound<'_, Pool>, observed: &mut Observed) {
    observed.started_at = Some(timer::now(pool));
    tell_start(pool, observed);
}

fn tell_start(pool: &Bound<'_, Pool>, observed: &Observed) {
    let py = pool.py();
    let wait = between(
        observed.queued_at,
        observed.started_at.unwrap_or(Time::ZERO),
    );
    pool.get().count_wait(py, wait);
    tell(pool, "started", Some(observed), None, |event| {
        event.set_item(intern!(py, "wait"), wait.as_secs_f64())
    });
}

/// A job has given its slots back for a while.
pub(crate) fn outside(pool: &Bound<'_, Pool>, job: &Bound<'_, Job>) {
    if let Some(observed) = job.get().observed(pool.py()) {
        tell(pool, "outside", Some(&observed), None, |_| Ok(()));
    }
}

/// It has them again.
pub(crate) fn back(pool: &Bound<'_, Pool>, job: &Bound<'_, Job>) {
    if let Some(observed) = job.get().observed(pool.py()) {
        tell(pool, "back", Some(&observed), None, |_| Ok(()));
    }
}

/// A job has settled, and has given its slot back if it had one.
pub(crate) fn finished(pool: &Bound<'_, Pool>, observed: &Observed, how: How) {
    let py = pool.py();
    let now = timer::now(pool);
    let started_at = observed.started_at.unwrap_or(now);
    let (wait, run) = (
        between(observed.queued_at, started_at),
        between(started_at, now),
    );
    pool.get().count_run(py, run);
    tell(pool, "finished", Some(observed), None, |event| {
        event.set_item(intern!(py, "outcome"), word(how))?;
        event.set_item(intern!(py, "wait"), wait.as_secs_f64())?;
        event.set_item(intern!(py, "run"), run.as_secs_f64())
    });
}

/// A job has left the queue unrun, and has settled.
pub(crate) fn withdrawn(pool: &Bound<'_, Pool>, extras: Option<Box<Extras>>) {
    pool.get().count(pool.py(), How::Cancelled);
    if let Some(observed) = extras.and_then(|extras| extras.observed) {
        finished(pool, &observed, How::Cancelled);
    }
}

/// Something has happened to the pool, or to one of its keys.
pub(crate) fn changed(pool: &Bound<'_, Pool>, kind: &str, key: Option<&Bound<'_, PyAny>>) {
    tell(pool, kind, None, key, |_| Ok(()));
}

fn word(how: How) -> &'static str {
    match how {
        How::Succeeded => "succeeded",
        How::Failed => "failed",
        How::Cancelled => "cancelled",
        How::TimedOut => "timed_out",
    }
}

fn tell<'py>(
    pool: &Bound<'py, Pool>,
    kind: &str,
    job: Option<&Observed>,
    key: Option<&Bound<'py, PyAny>>,
    more: impl FnOnce(&Bound<'py, PyDict>) -> PyResult<()>,
) {
    let py = pool.py();
    let Some(observer) = pool.get().observer() else {
        return;
    };
    let told = errors::contained(py, || {
        let fields = PyDict::new(py);
        if let Some(job) = job {
            fields.set_item(intern!(py, "name"), &job.name)?;
            fields.set_item(intern!(py, "key"), &job.key)?;
        } else {
            fields.set_item(intern!(py, "key"), key)?;
        }
        more(&fields)?;
        let event = imports::event(py)?.call((kind,), Some(&fields))?;
        observer.call1(py, (event,))
    });
    let Err(error) = told else { return };
    // As an error in a callback of the loop: it is not the trouble of the pool.
    let is_exit = errors::is_exit(error.value(py));
    let reported = if is_exit {
        None
    } else {
        pool.get().own_loop().get()
    };
    let reported = reported.map(|event_loop| {
        let context = PyDict::new(py);
        context.set_item(intern!(py, "message"), "the observer of a pool has raised")?;
        // With its frames, which up to 3.11 are beside it while it is raised.
        context.set_item(intern!(py, "exception"), error.clone_ref(py).into_value(py))?;
        let event_loop = event_loop.object.bind(py);
        event_loop.call_method1(intern!(py, "call_exception_handler"), (context,))
    });
    if !matches!(reported, Some(Ok(_))) {
        errors::report(py, Err(error), pool);
    }
}
