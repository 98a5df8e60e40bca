//! The steps of a running `map` or `itermap`, over its source and its results.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use aiopool_core::Ticket;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use slab::Slab;

use super::classes::{Items, ItemsState, Pool, Pulls};
use super::results::{Results, When};
use super::source::{Mapped, Source};
use crate::py::guarded::Guarded;
use crate::py::shape::Shape;

impl Items {
    /// Makes the items of a `map`, which pulls them from `iterator`.
    pub(crate) fn of_map<'py>(
        pool: &Bound<'py, Pool>,
        mapped: Mapped,
        iterator: Bound<'py, PyIterator>,
        shape: Shape,
    ) -> PyResult<Bound<'py, Self>> {
        let source = Source::new(Some(iterator.unbind()));
        let results = Results::new(pool.py(), 0);
        Self::new(pool, mapped, shape, true, source, results)
    }

    /// Makes the items of an `itermap` with `count` items.
    pub(crate) fn of_itermap<'py>(
        pool: &Bound<'py, Pool>,
        mapped: Mapped,
        count: usize,
        shape: Shape,
    ) -> PyResult<Bound<'py, Self>> {
        let source = Source::new(None);
        let results = Results::new(pool.py(), count);
        Self::new(pool, mapped, shape, false, source, results)
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.pool.bind(py)
    }

    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The name of the verb that was called.
    pub(crate) fn verb(&self) -> &'static str {
        if self.ordered { "map" } else { "itermap" }
    }

    pub(crate) fn ordered(&self) -> bool {
        self.ordered
    }

    /// Whether a job of the same pool waits for it.
    pub(crate) fn is_nested(&self) -> bool {
        self.mapped.place.front
    }

    /// Whether it may pull more items.
    pub(crate) fn may_pull(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| !state.source.has_ended())
    }

    /// Whether the call that starts it is still under way.
    pub(crate) fn starts(&self) -> bool {
        self.starts.load(Ordering::Relaxed)
    }

    pub(crate) fn has_started(&self) {
        self.starts.store(false, Ordering::Relaxed);
    }

    /// Whether its active jobs were cancelled before, by the call itself. From here on they are.
    pub(crate) fn cancels_jobs(&self) -> bool {
        self.cancels_jobs.swap(true, Ordering::Relaxed)
    }

    /// A `map` has come to the head of the queue. Gives the iterator to pull.
    pub(crate) fn leave_queue(&self, py: Python<'_>) -> Option<Py<PyIterator>> {
        self.state.with(py, |state| state.source.leave_queue(py))
    }

    /// A `map` has gone to the back of the queue; `place` is None if the queue has refused it. It
    /// has `pulled` so many items before.
    pub(crate) fn stood_in_queue(&self, py: Python<'_>, place: Option<Ticket>, pulled: usize) {
        self.state.with(py, |state| {
            state.results.expect(pulled);
            state.source.stand_in_queue(place);
        });
    }

    /// The item that a `map` has pulled waits for a rate. The `map` pulls no more before it starts.
    pub(crate) fn waits_for_start(&self, py: Python<'_>) {
        self.state.with(py, |state| {
            state.results.expect(1);
            state.pulls = Pulls::WhenStarted;
        });
    }

    /// An item that a `map` has pulled waits for itself. If the `map` has pulled as far ahead as it
    /// may, it stays aside; tells whether it does.
    pub(crate) fn stays_aside(&self, py: Python<'_>, size: NonZeroUsize) -> bool {
        self.state.with(py, |state| {
            let stays = state.results.pending() + 1 >= most_ahead(size);
            if stays {
                state.results.expect(1);
                state.pulls = Pulls::WhenSettled;
            }
            stays
        })
    }

    /// An item has settled. Tells whether a `map` that is aside stands in the queue again.
    pub(crate) fn may_pull_again(&self, py: Python<'_>, size: NonZeroUsize) -> bool {
        self.state.with(py, |state| {
            let may = state.pulls == Pulls::WhenSettled
                && state.results.pending() < most_ahead(size)
                && !state.source.has_ended();
            if may {
                state.pulls = Pulls::Yes;
            }
            may
        })
    }

    /// The item for which the `map` is aside does not wait any more. Tells whether the `map` stands in
    /// the queue again.
    pub(crate) fn next_has_left(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            state.pulls = Pulls::Yes;
            !state.source.has_ended()
        })
    }

    /// An item that is pulled will wait. Gives its place among those that do.
    pub(crate) fn will_wait(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.waiting.insert(None))
    }

    /// It waits at this place in the queue.
    pub(crate) fn waits(&self, py: Python<'_>, place: usize, ticket: Ticket) {
        self.state.with(py, |state| {
            if let Some(waiting) = state.waiting.get_mut(place) {
                *waiting = Some(ticket);
            }
        });
    }

    pub(crate) fn waits_no_more(&self, py: Python<'_>, place: usize) {
        self.state.with(py, |state| state.waiting.try_remove(place));
    }

    /// The places in the queue of the items that are pulled and wait.
    pub(crate) fn places_of_waiting(&self, py: Python<'_>) -> Vec<Ticket> {
        self.state.with(py, |state| {
            let waiting = state.waiting.iter();
            waiting.filter_map(|(_, ticket)| *ticket).collect()
        })
    }

    /// No more items are pulled. Gives the place in the queue, which is still to be withdrawn.
    pub(crate) fn end_source(&self, py: Python<'_>) -> Option<Ticket> {
        let (iterator, place) = self.state.with(py, |state| state.source.end());
        drop(iterator);
        place
    }

    /// A `map` ends before its source did.
    pub(crate) fn fail(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        let error = error.unbind();
        let replaced = self
            .state
            .with(py, |state| (state.source.end(), state.results.fail(error)));
        drop(replaced);
    }

    /// A result is lost, usually because there was no memory for it. The caller that takes the
    /// results gets this error.
    pub(crate) fn lose(&self, py: Python<'_>, error: PyErr) {
        let error = error.into_value(py).into_any();
        drop(self.state.with(py, |state| state.results.fail(error)));
    }

    /// A job of this call is active; the pool holds it at `key`. Gives the index under which that
    /// is noted.
    pub(super) fn hold(&self, py: Python<'_>, key: usize) -> usize {
        self.state.with(py, |state| state.active.insert(key))
    }

    /// The job that was noted at `place` has ended.
    pub(crate) fn let_go(&self, py: Python<'_>, place: usize) {
        self.state.with(py, |state| state.active.try_remove(place));
    }

    /// The keys under which the pool holds the active jobs of this call.
    pub(super) fn active_jobs(&self, py: Python<'_>) -> Vec<usize> {
        self.state.with(py, |state| {
            state.active.iter().map(|(_, key)| *key).collect()
        })
    }

    /// The list that stores the results.
    pub(crate) fn results(&self, py: Python<'_>) -> Py<PyList> {
        self.state.with(py, |state| state.results.list(py))
    }

    /// The same; None if no caller will take the results.
    pub(crate) fn open_results(&self, py: Python<'_>) -> Option<Py<PyList>> {
        self.state.with(py, |state| {
            (!state.results.is_closed()).then(|| state.results.list(py))
        })
    }

    /// Counts an item that has settled. Gives the future of the wait, if the wait is over, and
    /// whether this is a `map` that waits for items to settle before it pulls others.
    pub(crate) fn count_settled(&self, py: Python<'_>, failed: bool) -> (Option<Py<PyAny>>, bool) {
        self.state.with(py, |state| {
            state.results.count_settled(failed);
            (state.take_waiter(py), state.pulls == Pulls::WhenSettled)
        })
    }

    /// The future of the wait, if the wait is over.
    pub(crate) fn take_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.take_waiter(py))
    }

    pub(crate) fn is_over(&self, py: Python<'_>, when: When) -> bool {
        self.state.with(py, |state| {
            let source_has_ended = state.source.has_ended();
            state.results.is_over(py, when, source_has_ended)
        })
    }

    /// Sets the future that is settled when the wait is over.
    pub(crate) fn set_waiter(&self, future: &Bound<'_, PyAny>, when: When) {
        let py = future.py();
        let future = future.clone().unbind();
        let replaced = self
            .state
            .with(py, |state| state.results.set_waiter(future, when));
        drop(replaced);
    }

    /// Whether results are still to come or to be taken.
    pub(crate) fn has_more(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.results.has_more(py))
    }

    /// The results so far, and the error that ended the call, if one did.
    pub(crate) fn take_results(&self, py: Python<'_>) -> (Py<PyList>, Option<Py<PyAny>>) {
        let fresh = PyList::empty(py).unbind();
        self.state.with(py, |state| state.results.take(fresh))
    }

    /// No caller takes results any more. Gives the results that are left, and the waiter.
    pub(crate) fn close_results(&self, py: Python<'_>) -> (Py<PyList>, Option<Py<PyAny>>) {
        let fresh = PyList::empty(py).unbind();
        self.state.with(py, |state| state.results.close(fresh))
    }

    fn new<'py>(
        pool: &Bound<'py, Pool>,
        mapped: Mapped,
        shape: Shape,
        ordered: bool,
        source: Source,
        results: Results,
    ) -> PyResult<Bound<'py, Self>> {
        let state = ItemsState {
            source,
            results,
            active: Slab::new(),
            waiting: Slab::new(),
            pulls: Pulls::Yes,
            waited_for_by: None,
        };
        let items = Self {
            pool: pool.clone().unbind(),
            mapped,
            shape,
            ordered,
            starts: AtomicBool::new(true),
            cancels_jobs: AtomicBool::new(false),
            state: Guarded::new(state),
        };
        Bound::new(pool.py(), items)
    }
}

impl ItemsState {
    fn take_waiter(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.results.take_waiter(py, self.source.has_ended())
    }
}

/// How many items of a `map` may be pulled and not settled, if they may wait for themselves.
fn most_ahead(size: NonZeroUsize) -> usize {
    size.get().saturating_mul(4)
}
