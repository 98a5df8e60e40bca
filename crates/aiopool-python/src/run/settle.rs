//! Settling a job: its outcome goes to its future, or to its place among the items of a `map`.
//! After that the job gives its slot back, so that a result can be read as soon as its slot is
//! free.
//!
//! No function here admits the next waiter: the callers do that.

use aiopool_core::Admission;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::awaitable::close_unawaited;
use crate::py::outcome::{Outcome, mark_read};
use crate::py::{errors, name, owner};
use crate::run::{enqueued, observe};
use crate::state::{Ended, Extras, Items, Job, Observed, Pool, Target, Work};

/// Settles a job and gives its slot back. Later calls have no effect. Counts the coroutine if it
/// has `run`. Tells whether a slot has come free.
pub(crate) fn settle(job: &Bound<'_, Job>, outcome: Outcome, run: bool) -> bool {
    let ended = job.get().end(job.py());
    finish(job, ended, outcome, run)
}

/// The same, for a job whose end has been taken already.
pub(crate) fn finish(
    job: &Bound<'_, Job>,
    ended: Option<(Target, Ended)>,
    outcome: Outcome,
    run: bool,
) -> bool {
    let Some((target, ended)) = ended else {
        return false;
    };
    let py = job.py();
    let coroutine = outcome.is_error().then(|| ended.coroutine(py)).flatten();
    let name = coroutine.and_then(|own| name_of(own.bind(py)));
    give_back(job, target, ended, outcome, name, run);
    true
}

/// Settles a job whose coroutine cannot settle it, because no task has stepped it.
pub(crate) fn never_stepped(job: &Bound<'_, Job>, outcome: Outcome) {
    // Read first: a settled job no longer has it.
    let coroutine = job.get().coroutine(job.py());
    let name = outcome.is_error().then(|| {
        let name = job.get().name(job.py()).map(Bound::into_any);
        name.or_else(|| name_of(job.get().work(job.py())?.object().bind(job.py())))
    });
    let name = name.flatten();
    never_began(job);
    if let Some((target, ended)) = job.get().end(job.py()) {
        give_back(job, target, ended, outcome, name, false);
    }
    if let Some(coroutine) = coroutine {
        // The coroutine tells its job that it is closed. The job has settled by then.
        close_unawaited(coroutine.bind(job.py()));
    }
}

/// Closes the awaitable if the job has not begun. Tells whether the job has not begun.
pub(crate) fn never_began(job: &Bound<'_, Job>) -> bool {
    let work = job.get().take_work(job.py());
    if let Some(Work::Awaitable(awaitable)) = &work {
        close_unawaited(awaitable.bind(job.py()));
    }
    work.is_some()
}

/// Settles a job that could not be started.
pub(crate) fn not_started(
    pool: &Bound<'_, Pool>,
    target: Target,
    error: &PyErr,
    name: Option<Bound<'_, PyString>>,
    observed: Option<&Observed>,
) {
    let py = pool.py();
    if errors::is_exit(error.value(py)) {
        // The error ends the program, and there is no task here to raise it.
        errors::report(py, Err(error.clone_ref(py)), pool);
    }
    let outcome = Outcome::of_raised(py, error);
    let how = outcome.how();
    tell(pool, target, outcome, name.map(Bound::into_any));
    pool.get().count(py, how);
    if let Some(observed) = observed {
        observe::finished(pool, observed, how);
    }
}

/// Settles an item that has asked for what cannot be.
pub(crate) fn fail_waiting(items: &Bound<'_, Items>, extras: Option<&Extras>, error: &PyErr) {
    let py = items.py();
    if errors::is_exit(error.value(py)) {
        // As above.
        errors::report(py, Err(error.clone_ref(py)), items.get().pool(py));
    }
    settle_waiting(items, extras, Outcome::of_raised(py, error));
}

/// Settles an item that leaves the queue without a slot.
pub(crate) fn settle_waiting(items: &Bound<'_, Items>, extras: Option<&Extras>, outcome: Outcome) {
    let py = items.py();
    let pool = items.get().pool(py);
    let pulled = extras.and_then(|extras| extras.pulled);
    if let Some(pulled) = pulled {
        items.get().waits_no_more(py, pulled.place);
        if pulled.is_next && items.get().next_has_left(py) {
            pool.get().let_pull(items);
        }
    }
    let how = outcome.how();
    pool.get().count(py, how);
    settle_item(
        items,
        pulled.map_or(0, |pulled| pulled.index),
        outcome,
        None,
    );
    if let Some(observed) = extras.and_then(|extras| extras.observed.as_deref()) {
        observe::finished(pool, observed, how);
    }
}

/// Stores the result of an item, at `index` if the results are ordered.
pub(crate) fn settle_item(
    items: &Bound<'_, Items>,
    index: usize,
    outcome: Outcome,
    name: Option<Bound<'_, PyAny>>,
) {
    let py = items.py();
    let failed = outcome.is_error();
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
    // Counted even if it could not be stored: the wait must come to its end.
    let (waiter, is_aside) = items.get().count_settled(py, failed);
    if is_aside {
        let pool = items.get().pool(py);
        let size = pool.get().ask(py, Admission::size);
        if items.get().may_pull_again(py, size) {
            pool.get().let_pull(items);
        }
    }
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

/// Tells the outcome, and then gives the slot back. In this order: the result can be read before the
/// slot comes back, and so before `join` returns.
fn give_back(
    job: &Bound<'_, Job>,
    target: Target,
    ended: Ended,
    outcome: Outcome,
    name: Option<Bound<'_, PyAny>>,
    run: bool,
) {
    let pool = job.get().pool(job.py());
    let how = outcome.how();
    tell(pool, target, outcome, name);
    let mut ended = ended;
    let observed = ended.observed.take();
    // Dropping the job may run a destructor of the user, which finds the pool in a whole state.
    drop(pool.get().finish(job.py(), ended, how, run));
    if let Some(observed) = observed {
        observe::finished(pool, &observed, how);
    }
}

/// The name of the job for asyncio's report, if its error stays unread.
fn name_of<'py>(named: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    Some(name::of(named).ok()?.into_any())
}

fn tell(pool: &Bound<'_, Pool>, target: Target, outcome: Outcome, name: Option<Bound<'_, PyAny>>) {
    let py = pool.py();
    let own_loop = pool.get().own_loop();
    match target {
        Target::Future(future) => {
            let future = future.bind(py);
            // Settling the future may call its `cancel`, which must not reach the job.
            owner::replace(future, name);
            outcome.settle_future(own_loop, future);
        }
        Target::Enqueued(job) => enqueued::settle(job.bind(py), outcome, name),
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
                // The error is among the results of the items, so it need not be reported here,
                // even if `cancel` no longer reads this future.
                mark_read(future);
            }
            settle_item(items.bind(py), index, outcome, name);
        }
    }
}
