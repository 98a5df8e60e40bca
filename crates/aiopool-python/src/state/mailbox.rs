//! What other threads have submitted, in the order in which it came.

use std::collections::VecDeque;
use std::mem;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

#[derive(Default)]
pub(super) struct Mailbox {
    /// Objects that hand in what they have: see `_submit.py`.
    deliveries: VecDeque<Py<PyAny>>,
    /// Whether the loop has been asked to read it.
    is_announced: bool,
}

impl Mailbox {
    /// Tells whether the loop is still to be asked to read it.
    pub(super) fn put(&mut self, delivery: Py<PyAny>) -> bool {
        self.deliveries.push_back(delivery);
        !mem::replace(&mut self.is_announced, true)
    }

    /// The next; at the end the loop is to be asked again.
    pub(super) fn next(&mut self) -> Option<Py<PyAny>> {
        let next = self.deliveries.pop_front();
        self.is_announced = next.is_some();
        next
    }

    /// Empties it, and the loop is to be asked again.
    pub(super) fn take(&mut self) -> VecDeque<Py<PyAny>> {
        mem::take(self).deliveries
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut deliveries = self.deliveries.iter();
        deliveries.try_for_each(|delivery| visit.call(delivery))
    }
}
