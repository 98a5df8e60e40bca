//! A job settles: its outcome goes to its future, or to its place among the items of a `map`. The slot
//! is given back after that, so that a result can be read as soon as its slot is free.
//!
//! Nothing here admits who is next: that is up to the callers.

use pyo3::prelude::*;

use crate::py::awaitable::close_unawaited;
use crate::py::outcome::{Outcome, mark_read};
use crate::py::{errors, name, owner};
use crate::state::{Ended, Items, Job, Pool, Target};

/// Settles a job and gives its slot back; later calls find nothing left to do. What has `run` to its
/// end is counted. Tells whether there is a slot that somebody else may have.
pub(crate) fn settle(job: &Bound<'_, Job>, outcome: Outcome, run: bool) -> bool {
    let ended = job.get().end(job.py());
    finish(job, ended, outcome, run)
}

/// The same, for a job of which this is known already.
pub(crate) fn finish(
    job: &Bound<'_, Job>,
    ended: Option<(Target, Ended)>,
    outcome: Outcome,
    run: bool,
) -> bool {
    let Some((target, ended)) = ended else {
        return false;
    };
    let pool = job.get().pool(job.py());
    // In this order: the result can be read before the slot is given back, and so before `join` returns.
    let name = name_of_failed(job.py(), &ended, &outcome);
    tell(pool, target, outcome, name);
    // To drop the job may run a destructor of its user, which finds the pool whole.
    drop(pool.get().finish(job.py(), ended, run));
    true
}

/// Settles a job whose coroutine cannot do so, because no task has stepped it.
pub(crate) fn never_stepped(job: &Bound<'_, Job>, outcome: Outcome) {
    // Asked first, for a settled job knows it no more.
    let coroutine = job.get().coroutine(job.py());
    never_began(job);
    settle(job, outcome, false);
    if let Some(coroutine) = coroutine {
        // As it is closed it tells its job, which has settled.
        close_unawaited(coroutine.bind(job.py()));
    }
}

/// Closes the awaitable if the job has not begun. Tells whether it has not.
pub(crate) fn never_began(job: &Bound<'_, Job>) -> bool {
    let awaitable = job.get().take_awaitable(job.py());
    if let Some(awaitable) = &awaitable {
        close_unawaited(awaitable.bind(job.py()));
    }
    awaitable.is_some()
}

/// Settles what could not be started.
pub(crate) fn not_started(pool: &Bound<'_, Pool>, target: Target, error: &PyErr) {
    let py = pool.py();
    if errors::is_exit(error.value(py)) {
        // It ends the program, and here is no task that would raise it.
        errors::report(py, Err(error.clone_ref(py)), pool);
    }
    tell(pool, target, Outcome::of_raised(py, error), None);
}

/// An item gets its result, at `index` if they are ordered.
pub(crate) fn settle_item(
    items: &Bound<'_, Items>,
    index: usize,
    outcome: Outcome,
    name: Option<Bound<'_, PyAny>>,
) {
    let py = items.py();
    let failed = matches!(outcome, Outcome::Failed(_));
    if let Some(results) = items.get().open_results(py) {
        let stored = errors::contained(py, || {
            let own_loop = items.get().pool(py).get().own_loop();
            let result = items.get().shape().of(py, outcome, own_loop, name)?;
            let results = results.bind(py);
            if items.get().ordered() {
                results.set_item(index, result)
            } else {
                results.append(result)
            }
        });
        if let Err(error) = stored {
            items.get().lose(py, error);
        }
    }
    // Counted whether it could be stored or not: the wait must come to its end.
    let waiter = items.get().count_settled(py, failed);
    end_wait(items, waiter);
}

/// Ends the wait for results if it is over.
pub(crate) fn tell_waiter(items: &Bound<'_, Items>) {
    let waiter = items.get().take_waiter(items.py());
    end_wait(items, waiter);
}

fn end_wait(items: &Bound<'_, Items>, waiter: Option<Py<PyAny>>) {
    let py = items.py();
    if let Some(future) = waiter {
        let own_loop = items.get().pool(py).get().own_loop();
        Outcome::Returned(py.None()).settle_future(own_loop, future.bind(py));
    }
}

/// What the report of an error is to call the job, if nobody reads it.
fn name_of_failed<'py>(
    py: Python<'py>,
    ended: &Ended,
    outcome: &Outcome,
) -> Option<Bound<'py, PyAny>> {
    match outcome {
        Outcome::Failed(_) => {
            let coroutine = ended.coroutine(py)?.into_bound(py);
            Some(name::of(&coroutine).ok()?.into_any())
        }
        _ => None,
    }
}

fn tell(pool: &Bound<'_, Pool>, target: Target, outcome: Outcome, name: Option<Bound<'_, PyAny>>) {
    let py = pool.py();
    let own_loop = pool.get().own_loop();
    match target {
        Target::Future(future) => {
            let future = future.bind(py);
            // `cancel` of the future is one way to settle it: that must not reach the job.
            owner::replace(future, name);
            outcome.settle_future(own_loop, future);
        }
        Target::Item {
            items,
            index,
            place,
            future,
        } => {
            if let Some(place) = place {
                items.get().let_go(py, place);
            }
            if let Some(future) = future {
                let future = future.bind(py);
                outcome.clone_ref(py).settle_future(own_loop, future);
                // The error is among the results of the items, whether `cancel` is still there to
                // read it here or not.
                mark_read(future);
            }
            settle_item(items.bind(py), index, outcome, name);
        }
    }
}
