//! A waiter gets a slot, and its job is started.
//!
//! Each end of a job comes back to [`advance`], which is the only place where anything is admitted.

use aiopool_core::Slot;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::py::awaitable::close_unawaited;
use crate::py::loop_end::{LoopEnd, is_cancelled};
use crate::py::outcome::Outcome;
use crate::py::{context, errors, owner};
use crate::run::{assign, map, settle, withdraw};
use crate::state::{Callback, Items, Job, Next, Pool, Target, Waiter, WaitingJob};

/// Carries out what the core decides, after anything that was told to it: starts the waiters that get
/// a slot, then tells the joiners if the pool is empty.
///
/// Foreign code that runs in here may call the pool again; then the outer call carries on, so that
/// neither the stack nor the order depends on what jobs do.
pub(crate) fn advance(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let mut next = pool.get().begin_advance(py);
    while let Some(Next::Someone(cancelling)) = next {
        let stepped = errors::contained(py, || {
            step(pool, cancelling);
            Ok(())
        });
        // Whatever happened, the pool goes on: it is marked as advancing until it has looked.
        errors::report(py, stepped, pool);
        next = Some(pool.get().go_on(py));
    }
    if let Some(Next::Nobody { waits, empty }) = next {
        rest(pool, waits, empty);
    }
}

/// Admits who is next, unless the loop ends.
fn step(pool: &Bound<'_, Pool>, cancelling: Option<Py<PyAny>>) {
    let py = pool.py();
    // A loop that ends cancels all its tasks in one turn. The first of them to end comes by here: a job
    // that is started now would be one that nobody cancels.
    if cancelling.is_some_and(|cancelling| is_cancelled(cancelling.bind(py))) {
        withdraw::end(pool);
    } else if let Some((slot, waiter)) = pool.get().admit(py)
        && !admit(pool, slot, waiter)
        && pool.get().count_unstarted(py)
    {
        // No task stands between these admissions, so without a pause they would all be made in this
        // turn of the loop, however many they are.
        pause(pool);
    }
}

/// Lets others have their turn of the loop before the next admission.
fn pause(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    match resume_soon(pool) {
        Ok(()) => pool.get().pause(py),
        // Nobody would resume it.
        Err(error) => errors::report(py, Err(error), pool),
    }
}

/// In the next turn of the loop.
fn resume_soon(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let resume = pool.getattr(intern!(py, "resume"))?;
    pool.get().enter(py)?.call_soon(py, (resume,))
}

/// Nobody can be admitted for now: sees to the watch for the end of the loop, and to the joiners of an
/// empty pool.
fn rest(pool: &Bound<'_, Pool>, waits: bool, empty: bool) {
    // At most one of them applies: a pool in which somebody waits is not empty.
    if waits {
        errors::report(pool.py(), watch_loop_end(pool), pool);
    }
    if empty {
        become_empty(pool);
    }
}

/// What waits is no task, so the end of the loop does not reach it by itself.
fn watch_loop_end(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let loop_end = LoopEnd::watch(pool, pool.get().enter(py)?)?;
    pool.get().watch(py, loop_end);
    Ok(())
}

fn become_empty(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let emptied = pool.get().become_empty(py);
    drop(emptied.snapshot);
    if let Some(loop_end) = emptied.loop_end {
        loop_end.release(pool);
    }
    // One after another, for the first may hand in a job: then the pool is empty no more.
    while let Some(joiner) = pool.get().next_joiner(py) {
        Outcome::Returned(PyBool::new(py, true).to_owned().into_any().unbind())
            .settle_future(pool.get().own_loop(), joiner.bind(py));
    }
}

/// Starts the waiter that has come to the head of the queue. False if that left the slot free again.
fn admit(pool: &Bound<'_, Pool>, slot: Slot, waiter: Waiter) -> bool {
    match waiter {
        Waiter::Job(job) => admit_job(pool, slot, job),
        Waiter::Item { items, item } => admit_item(pool, slot, items.bind(pool.py()), item),
    }
}

fn admit_job(pool: &Bound<'_, Pool>, slot: Slot, job: WaitingJob) -> bool {
    let py = pool.py();
    let options = job.options.map(|options| *options);
    let (callback, admitted) = options.map_or((None, None), |o| (o.callback, o.admitted));
    if let Some(admitted) = admitted {
        // The caller of `spawn` goes on in the next turn of the loop, in which the job begins.
        Outcome::Returned(py.None()).settle_future(pool.get().own_loop(), admitted.bind(py));
    }
    let awaitable = job.awaitable.into_bound(py);
    let target = Target::Future(job.future);
    match context::of_job(job.context.bind(py)) {
        Ok(context) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => {
            close_unawaited(&awaitable);
            not_started(pool, slot, target, &error);
            true
        }
    }
}

/// Pulls the next item, if a `map` is at the head of the queue, and calls `fn` with it.
fn admit_item(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    items: &Bound<'_, Items>,
    item: Option<Py<PyAny>>,
) -> bool {
    let py = pool.py();
    let Some(item) = item.or_else(|| map::pull(items)) else {
        // The source has ended, so nothing is left to be done in this slot. The `map` is over if all that
        // it has started is.
        pool.get().take_back(py, slot);
        settle::tell_waiter(items);
        return false;
    };
    // The place among the results is that of the item, so it is taken before `fn` can fail.
    let target = map::target(items);
    let called = errors::contained(py, || map::call(items, item));
    let callback = items.get().mapped().callback(py);
    match called {
        Ok((awaitable, context)) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => {
            not_started(pool, slot, target, &error);
            true
        }
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
            close_unawaited(&awaitable);
            not_started(pool, slot, target, &error);
            return true;
        }
    };
    // Before there is a task: making one runs foreign code, which may cancel the job already.
    hold(pool, &job, slot, target);
    let assigned = if pool.get().reuses_tasks() {
        assign::to_worker(pool, &job, context)
    } else {
        assign::to_own_task(pool, &job, awaitable, context)
    };
    match assigned {
        Ok(()) => true,
        Err(error) => {
            // The job holds the slot by now, and gives it back as it settles.
            settle::never_stepped(&job, Outcome::of_raised(pool.py(), &error));
            false
        }
    }
}

/// Settles what could not be started. It has its slot until the next turn of the loop, as if a task of its
/// own had found that out: however many they are, others get their turn beside them.
fn not_started(pool: &Bound<'_, Pool>, slot: Slot, target: Target, error: &PyErr) {
    let py = pool.py();
    // Asked for before anybody hears of the error: who waits for it finds the slot given back.
    if pool.get().has_spent_slots(py) || errors::contained(py, || resume_soon(pool)).is_ok() {
        pool.get().spend(py, slot);
    } else {
        // Nobody would give it back later.
        pool.get().take_back(py, slot);
    }
    settle::not_started(pool, target, error);
}

/// The job takes its slot. From here on it answers for its future, where that was the pool before.
fn hold(pool: &Bound<'_, Pool>, job: &Bound<'_, Job>, slot: Slot, target: Target) {
    if let Target::Future(future) = &target {
        let future = future.bind(pool.py());
        errors::report(pool.py(), owner::attach(future, job), future);
    }
    pool.get().hold(job, slot, target);
}
