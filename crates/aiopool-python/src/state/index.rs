//! Where the job of a future stands in the queue.

use std::hash::BuildHasher;

use aiopool_core::{Admission, Ticket};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The ticket of each waiting future. The table is made at the first search, for most queues are never
/// searched, and kept until the queue is empty: that takes less than it took to fill the queue, so to
/// cancel one job is O(1), amortized. It has the tickets alone and looks the futures up in the queue.
#[derive(Default)]
pub(super) struct TicketIndex(Option<HashTable<Ticket>>);

pub(super) trait OfFuture {
    /// The address of the future by which a waiter is found, if it has one.
    fn future(&self) -> Option<usize>;
}

impl TicketIndex {
    pub(super) fn insert<W: OfFuture, J>(
        &mut self,
        future: usize,
        ticket: Ticket,
        queue: &Admission<W, J>,
    ) {
        if let Some(table) = &mut self.0 {
            insert(table, future, ticket, queue);
        }
    }

    pub(super) fn find<W: OfFuture, J>(
        &mut self,
        future: usize,
        queue: &Admission<W, J>,
    ) -> Option<Ticket> {
        let table = self.0.get_or_insert_with(|| table_of(queue));
        let is_its = |ticket: &Ticket| future_at(*ticket, queue) == Some(future);
        table.find(hash(future), is_its).copied()
    }

    /// The waiter of this ticket has left the queue; its future is given if it has one.
    pub(super) fn remove<W, J>(
        &mut self,
        future: Option<usize>,
        ticket: Ticket,
        queue: &Admission<W, J>,
    ) {
        let Some(table) = &mut self.0 else { return };
        if let Some(future) = future
            && let Ok(place) = table.find_entry(hash(future), |other| *other == ticket)
        {
            place.remove();
        }
        // Not when no future is left in the table: waiters without one may be many, and a table that is made
        // again is made of all who wait.
        if queue.waiting() == 0 {
            self.0 = None;
        }
    }
}

fn table_of<W: OfFuture, J>(queue: &Admission<W, J>) -> HashTable<Ticket> {
    let mut table = HashTable::with_capacity(queue.waiting());
    for (ticket, waiter) in queue.waiters() {
        if let Some(future) = waiter.future() {
            insert(&mut table, future, ticket, queue);
        }
    }
    table
}

fn insert<W: OfFuture, J>(
    table: &mut HashTable<Ticket>,
    future: usize,
    ticket: Ticket,
    queue: &Admission<W, J>,
) {
    let rehash = |ticket: &Ticket| hash(future_at(*ticket, queue).unwrap_or_default());
    table.insert_unique(hash(future), ticket, rehash);
}

fn future_at<W: OfFuture, J>(ticket: Ticket, queue: &Admission<W, J>) -> Option<usize> {
    queue.get(ticket).and_then(OfFuture::future)
}

fn hash(future: usize) -> u64 {
    FxBuildHasher.hash_one(future)
}
