//! A waiter gets a slot, and its job is started.

use std::mem;

use aiopool_core::Slot;
use pyo3::call::PyCallArgs;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::context;
use crate::items::Items;
use crate::job::Job;
use crate::line::{Callback, Waiter, WaitingJob};
use crate::pool::{Keeper, Pool, State};
use crate::python;
use crate::settle::{Outcome, Target};
use crate::stop::dismiss;
use crate::task;
use crate::worker::Worker;

impl Pool {
    /// Carries out what the core decides, after anything that was told to it: starts whoever got
    /// a slot, then tells the joiners if the pool is empty.
    ///
    /// Foreign code that runs in here may call the pool again; then the outer call carries on, so
    /// that neither the stack nor the order depends on what jobs do.
    pub(crate) fn advance(pool: &Bound<'_, Self>) {
        let mut found = pool.get().with(pool.py(), |state| {
            let nested = mem::replace(&mut state.advancing, true);
            (!nested).then(|| state.look(pool.py()))
        });
        while let Some(Found::Someone(cancelling)) = found {
            let stepped = python::contained(pool.py(), || {
                step(pool, cancelling);
                Ok(())
            });
            // Whatever happened, the pool goes on: it is marked as advancing until it has looked.
            python::report(pool.py(), stepped, pool);
            found = Some(pool.get().with(pool.py(), |state| state.look(pool.py())));
        }
        if let Some(Found::Nobody { waits, empty }) = found {
            rest(pool, waits, empty);
        }
    }
}

/// Admits who is next, unless the loop ends.
fn step(pool: &Bound<'_, Pool>, cancelling: Option<Py<PyAny>>) {
    let py = pool.py();
    if cancelling.is_some_and(|cancelling| is_cancelled(cancelling.bind(py))) {
        Pool::end(pool);
    } else if let Some((slot, waiter)) = pool.get().with(py, State::admit)
        && !admit(pool, slot, waiter)
    {
        bear(pool);
    }
}

/// Whom the pool has to see to next.
enum Found {
    /// Who waits, and may have a slot; and what tells whether the loop ends.
    Someone(Option<Py<PyAny>>),
    /// Nobody for now.
    Nobody {
        /// Whether somebody waits while there is no keeper.
        waits: bool,
        empty: bool,
    },
}

impl State {
    fn look(&mut self, py: Python<'_>) -> Found {
        let admission = &self.admission;
        self.advancing = admission.has_turn() && !self.paused;
        if self.advancing {
            let keeper = self.keeper.as_ref();
            return Found::Someone(keeper.map(|keeper| keeper.cancelling.clone_ref(py)));
        }
        Found::Nobody {
            waits: admission.waiting() > 0 && self.keeper.is_none(),
            empty: admission.is_empty(),
        }
    }
}

#[pymethods]
impl Pool {
    /// Goes on after a pause.
    fn resume(slf: &Bound<'_, Self>) {
        slf.get().with(slf.py(), |state| state.paused = false);
        Self::advance(slf);
    }
}

/// Counts what left its slot free again, and pauses after as many as one turn of the loop is to bear.
fn bear(pool: &Bound<'_, Pool>) {
    let is_enough = pool.get().with(pool.py(), |state| {
        state.barren = (state.barren + 1) % MOST_BARREN;
        state.barren == 0
    });
    if is_enough {
        pause(pool);
    }
}

/// Lets others have their turn of the loop before the next admission.
fn pause(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let resume = pool.getattr(intern!(py, "resume"));
    match resume.and_then(|resume| call_soon(pool, (resume,))) {
        Ok(()) => pool.get().with(py, |state| state.paused = true),
        Err(error) => python::report(py, Err(error), pool),
    }
}

fn call_soon<'py>(pool: &Bound<'py, Pool>, arguments: impl PyCallArgs<'py>) -> PyResult<()> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?.object.bind(py);
    event_loop.call_method1(intern!(py, "call_soon"), arguments)?;
    Ok(())
}

/// Whether this `cancelling` of a task tells of a request.
fn is_cancelled(cancelling: &Bound<'_, PyAny>) -> bool {
    let requests = cancelling.call0();
    requests.is_ok_and(|requests| requests.is_truthy().unwrap_or(false))
}

/// Nobody can be admitted for now: sees to the keeper, and to the joiners of an empty pool.
fn rest(pool: &Bound<'_, Pool>, waits: bool, empty: bool) {
    if waits {
        python::report(pool.py(), keep(pool), pool);
    }
    if empty {
        become_idle(pool);
    }
}

fn keep(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?.object.bind(py);
    let keeper = python::keeper(py)?.call1((pool, event_loop))?;
    let keeper = Keeper {
        cancelling: keeper.getattr(intern!(py, "cancelling"))?.unbind(),
        object: keeper.unbind(),
    };
    drop(pool.get().with(py, |state| state.keeper.replace(keeper)));
    Ok(())
}

fn become_idle(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let (keeper, snapshot) = pool.get().with(py, |state| {
        state.admission.reopen();
        (state.keeper.take(), state.snapshot.take())
    });
    drop(snapshot);
    if let Some(keeper) = keeper {
        keeper.release(pool);
    }
    while let Some(joiner) = pool.get().with(py, |state| state.admission.poll_idle()) {
        Outcome::Returned(PyBool::new(py, true).to_owned().into_any().unbind())
            .settle_future(pool, joiner.bind(py));
    }
}

/// Starts whoever has come to the head of the line. False if that left the slot free again.
fn admit(pool: &Bound<'_, Pool>, slot: Slot, waiter: Waiter) -> bool {
    match waiter {
        Waiter::Job(job) => admit_job(pool, slot, job),
        Waiter::Item { items, item } => admit_item(pool, slot, items.bind(pool.py()), item),
    }
}

fn admit_job(pool: &Bound<'_, Pool>, slot: Slot, job: WaitingJob) -> bool {
    let py = pool.py();
    let extras = job.extras.map(|extras| *extras);
    let (callback, left_line) = extras.map_or((None, None), |e| (e.callback, e.left_line));
    if let Some(left_line) = left_line {
        Outcome::Returned(py.None()).settle_future(pool, left_line.bind(py));
    }
    let awaitable = job.awaitable.into_bound(py);
    let target = Target::Future(job.future);
    match context::of_job(job.context.bind(py)) {
        Ok(context) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => {
            dismiss(&awaitable);
            give_back(pool, slot, target, &error)
        }
    }
}

/// Pulls the next item, if a `map` is at the head of the line, and calls `fn` with it.
fn admit_item(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    items: &Bound<'_, Items>,
    item: Option<Py<PyAny>>,
) -> bool {
    let py = pool.py();
    let Some(item) = item.or_else(|| Items::pull(items)) else {
        pool.get().with(py, |state| state.admission.finish(slot));
        Items::tell(items);
        return false;
    };
    let target = Items::target(items);
    let called = python::contained(py, || items.get().call(py, item));
    let callback = items.get().callback(py);
    match called {
        Ok((awaitable, context)) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => give_back(pool, slot, target, &error),
    }
}

/// Starts a job in its slot.
fn start<'py>(
    pool: &Bound<'py, Pool>,
    slot: Slot,
    awaitable: Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    target: Target,
    callback: Option<Callback>,
) -> bool {
    let job = match Job::new(pool, &awaitable, callback) {
        Ok(job) => job,
        Err(error) => {
            dismiss(&awaitable);
            return give_back(pool, slot, target, &error);
        }
    };
    Job::hold(&job, slot, target);
    let started = if pool.get().reuses_tasks {
        Worker::give(pool, &job, context)
    } else {
        python::contained(pool.py(), || make_task(pool, &job, awaitable, context))
    };
    match started {
        Ok(()) => true,
        Err(error) => {
            Job::never_stepped(&job, Outcome::of_error(error.value(pool.py())));
            false
        }
    }
}

/// A task for this job alone.
fn make_task<'py>(
    pool: &Bound<'py, Pool>,
    job: &Bound<'py, Job>,
    awaitable: Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let coroutine = python::run_job(pool.py())?.call1((job, awaitable))?;
    job.get().runs(&coroutine);
    job.get()
        .started(task::make(pool, job, &coroutine, context)?);
    Ok(())
}

/// Settles what could not be started, and gives its slot back.
fn give_back(pool: &Bound<'_, Pool>, slot: Slot, target: Target, error: &PyErr) -> bool {
    let py = pool.py();
    if python::is_exit(error.value(py)) {
        python::report(py, Err(error.clone_ref(py)), pool);
    }
    Outcome::of_error(error.value(py)).settle(pool, target);
    pool.get().with(py, |state| state.admission.finish(slot));
    false
}

/// How many items in one turn of the loop may settle without a task of their own (because `fn`
/// raised, say) before others get their turn.
const MOST_BARREN: usize = 64;
