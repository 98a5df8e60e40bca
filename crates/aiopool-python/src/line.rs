//! What stands in the line, and where a future's job stands.

use aiopool_core::{Admission, Ticket};
use hashbrown::HashTable;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

use crate::items::Items;

/// One place in the line. Its size is the memory of a waiting job beside its coroutine and its
/// future, so what few jobs have is boxed.
pub(crate) enum Waiter {
    Job(WaitingJob),
    /// An item of an `itermap`; without one, a running `map` whose turn it is to pull one.
    Item {
        items: Py<Items>,
        item: Option<Py<PyAny>>,
    },
}

pub(crate) struct WaitingJob {
    pub(crate) awaitable: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
    pub(crate) context: Py<PyAny>,
    pub(crate) extras: Option<Box<Extras>>,
}

pub(crate) struct Extras {
    pub(crate) callback: Option<Callback>,
    /// Settled when the job leaves the line; a blocked `spawn` awaits it.
    pub(crate) left_line: Option<Py<PyAny>>,
}

pub(crate) struct Callback {
    pub(crate) function: Py<PyAny>,
    pub(crate) ctx: Py<PyAny>,
}

impl Callback {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            function: self.function.clone_ref(py),
            ctx: self.ctx.clone_ref(py),
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.ctx)
    }
}

impl Waiter {
    /// The address of the job's future, by which its place is found.
    pub(crate) fn future(&self) -> Option<usize> {
        match self {
            Self::Job(job) => Some(job.future.as_ptr() as usize),
            Self::Item { .. } => None,
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Job(job) => {
                visit.call(&job.awaitable)?;
                visit.call(&job.future)?;
                visit.call(&job.context)?;
                if let Some(extras) = &job.extras {
                    visit.call(&extras.left_line)?;
                    if let Some(callback) = &extras.callback {
                        callback.traverse(visit)?;
                    }
                }
                Ok(())
            }
            Self::Item { items, item } => {
                visit.call(items)?;
                visit.call(item)
            }
        }
    }
}

/// The ticket of each waiting future. The table is made at the first search, for most lines are never
/// searched, and kept until the line is empty: that takes less than it took to fill the line, so to
/// cancel one job is O(1), amortized. It has the tickets alone and looks the futures up in the line.
#[derive(Default)]
pub(crate) struct PlaceOfFuture(Option<HashTable<Ticket>>);

impl PlaceOfFuture {
    pub(crate) fn insert<J>(&mut self, future: usize, ticket: Ticket, line: &Admission<Waiter, J>) {
        if let Some(table) = &mut self.0 {
            insert(table, future, ticket, line);
        }
    }

    pub(crate) fn find<J>(&mut self, future: usize, line: &Admission<Waiter, J>) -> Option<Ticket> {
        let table = self.0.get_or_insert_with(|| table_of(line));
        let is_its = |ticket: &Ticket| future_at(*ticket, line) == Some(future);
        table.find(hash(future), is_its).copied()
    }

    pub(crate) fn remove(&mut self, future: usize, ticket: Ticket) {
        let Some(table) = &mut self.0 else { return };
        if let Ok(place) = table.find_entry(hash(future), |other| *other == ticket) {
            place.remove();
        }
        if table.is_empty() {
            self.0 = None;
        }
    }
}

fn table_of<J>(line: &Admission<Waiter, J>) -> HashTable<Ticket> {
    let mut table = HashTable::with_capacity(line.waiting());
    for (ticket, waiter) in line.waiters() {
        if let Some(future) = waiter.future() {
            insert(&mut table, future, ticket, line);
        }
    }
    table
}

fn insert<J>(
    table: &mut HashTable<Ticket>,
    future: usize,
    ticket: Ticket,
    line: &Admission<Waiter, J>,
) {
    let rehash = |ticket: &Ticket| hash(future_at(*ticket, line).unwrap_or_default());
    table.insert_unique(hash(future), ticket, rehash);
}

fn future_at<J>(ticket: Ticket, line: &Admission<Waiter, J>) -> Option<usize> {
    line.get(ticket).and_then(Waiter::future)
}

fn hash(future: usize) -> u64 {
    FxBuildHasher.hash_one(future)
}
