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

/// The ticket of each waiting future. It keeps the tickets alone and looks the futures up in the
/// line: 9 bytes a place.
#[derive(Default)]
pub(crate) struct PlaceOfFuture(HashTable<Ticket>);

impl PlaceOfFuture {
    pub(crate) fn insert<J>(&mut self, future: usize, ticket: Ticket, line: &Admission<Waiter, J>) {
        let rehash = |ticket: &Ticket| {
            let future = line.get(*ticket).and_then(Waiter::future);
            hash(future.unwrap_or_default())
        };
        self.0.insert_unique(hash(future), ticket, rehash);
    }

    pub(crate) fn find<J>(&self, future: usize, line: &Admission<Waiter, J>) -> Option<Ticket> {
        let is_its = |ticket: &Ticket| line.get(*ticket).and_then(Waiter::future) == Some(future);
        self.0.find(hash(future), is_its).copied()
    }

    pub(crate) fn remove(&mut self, future: usize, ticket: Ticket) {
        if let Ok(place) = self.0.find_entry(hash(future), |other| *other == ticket) {
            place.remove();
        }
        if self.0.is_empty() && self.0.capacity() > KEPT_PLACES {
            self.0 = HashTable::new();
        }
    }
}

fn hash(future: usize) -> u64 {
    FxBuildHasher.hash_one(future)
}

/// A longer table gives its storage back when it empties, as the line itself does.
const KEPT_PLACES: usize = 2048;
