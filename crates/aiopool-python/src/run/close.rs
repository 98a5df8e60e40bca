//! Closing a pool: what ends at once.

use pyo3::prelude::*;

use crate::py::errors;
use crate::py::outcome::Outcome;
use crate::run::{map, observe, start, timer, withdraw};
use crate::state::{Ending, Items, Job, Member, Pool, Waiter};

/// What has ended as a pool began to close.
pub(crate) struct Begun {
    /// What is told of the waiters that will never start.
    pub(crate) unstarted: Vec<Member>,
    /// The calls that have not pulled all their items.
    pub(crate) sources: Vec<Py<Items>>,
    /// The jobs that were cancelled.
    pub(crate) cancelled: Vec<Py<Job>>,
}

/// The pool begins to close.
pub(crate) fn begin(pool: &Bound<'_, Pool>) -> Begun {
    let py = pool.py();
    let Ending {
        refused,
        sources,
        outside,
    } = pool.get().begin_closing(py, timer::now(pool));
    let mut unstarted = Vec::new();
    for (waiter, member) in refused {
        refuse(pool, waiter);
        unstarted.push(member);
    }
    let mut unfinished: Vec<Py<Items>> = Vec::new();
    for items in sources {
        if end_source(items.bind(py)) {
            unfinished.push(items);
        }
    }
    for job in &outside {
        withdraw::cancel(job.get(), py);
    }
    observe::changed(pool, "closed", None);
    start::advance(pool);
    Begun {
        unstarted,
        sources: unfinished,
        cancelled: outside,
    }
}

/// What jobs hand in is refused, too. Gives those who wait, and the running maps that are cut off: those
/// of jobs, whose callers will be cancelled.
pub(crate) fn refuse_all(pool: &Bound<'_, Pool>) -> (Vec<Member>, Vec<Py<Items>>) {
    let py = pool.py();
    let (waiting, sources) = pool.get().refuse_all(py);
    let mut cut_off: Vec<Py<Items>> = Vec::new();
    for items in sources {
        if items.get().may_pull(py) && !cut_off.iter().any(|other| other.is(&items)) {
            cut_off.push(items);
        }
    }
    (waiting, cut_off)
}

/// The caller of a blocked `spawn` is told that the pool is closed; others are cancelled.
fn refuse(pool: &Bound<'_, Pool>, mut waiter: Waiter) {
    let admitted = waiter.take_admitted();
    withdraw::withdraw(pool, waiter);
    if let Some(admitted) = admitted {
        let outcome = Outcome::of_raised(pool.py(), &errors::pool_is_closed());
        outcome.settle_future(pool.get().own_loop(), admitted.bind(pool.py()));
    }
}

/// A `map` pulls no more. It raises when its jobs have ended. False if it has pulled all its items, or if
/// a job of the pool waits for it.
fn end_source(items: &Bound<'_, Items>) -> bool {
    let py = items.py();
    let pool = items.get().pool(py);
    if items.get().is_nested() || !items.get().may_pull(py) {
        return false;
    }
    let place = items.get().end_source(py);
    drop(place.map(|place| pool.get().withdraw(py, place)));
    map::end_early(items, errors::pool_is_closed());
    true
}
