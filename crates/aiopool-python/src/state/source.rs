//! The source of a `map`, and the function that the `map` calls with each item.

use std::num::NonZeroU32;

use aiopool_core::Ticket;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use super::options::{Callback, OptionValues, Place};

pub(crate) struct Mapped {
    pub(crate) function: Py<PyAny>,
    pub(crate) callback: Option<Callback>,
    /// The context of the caller of `map`; each job gets a copy.
    pub(crate) context: Py<PyAny>,
    /// The context in which the source is pulled, apart from those of the jobs.
    pub(crate) source_context: Py<PyAny>,
    pub(crate) options: Option<OptionValues>,
    /// Where a `map` stands in the queue, and how many slots it asks for there.
    pub(crate) place: Place,
    pub(crate) weight: NonZeroU32,
}

pub(super) struct Source {
    /// Set until it is exhausted. An `itermap` has none, because it has taken all its items.
    iterator: Option<Py<PyIterator>>,
    /// The place of a `map` in the queue.
    place: Option<Ticket>,
}

impl Mapped {
    pub(crate) fn callback(&self, py: Python<'_>) -> Option<Callback> {
        let callback = self.callback.as_ref();
        callback.map(|callback| callback.clone_ref(py))
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.context)?;
        visit.call(&self.source_context)?;
        visit.call(&self.place.key)?;
        if let Some(options) = &self.options {
            options.traverse(visit)?;
        }
        if let Some(callback) = &self.callback {
            callback.traverse(visit)?;
        }
        Ok(())
    }
}

impl Source {
    pub(super) fn new(iterator: Option<Py<PyIterator>>) -> Self {
        Self {
            iterator,
            place: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.iterator.is_none()
    }

    /// Notes the place that the queue has given, if it has given one.
    pub(super) fn stand_in_queue(&mut self, place: Option<Ticket>) {
        self.place = place;
    }

    /// The place in the queue has become a slot. Gives the iterator to pull.
    pub(super) fn leave_queue(&mut self, py: Python<'_>) -> Option<Py<PyIterator>> {
        self.place = None;
        Some(self.iterator.as_ref()?.clone_ref(py))
    }

    /// No more items are pulled.
    pub(super) fn end(&mut self) -> (Option<Py<PyIterator>>, Option<Ticket>) {
        (self.iterator.take(), self.place.take())
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.iterator)
    }
}
