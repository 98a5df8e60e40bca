//! The place in the queue of the job of a future.

use std::hash::BuildHasher;

use aiopool_core::{Admission, Ticket};
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The ticket of each waiting future. The table is made at the first search, because most queues
/// are never searched, and it is kept until the queue is empty. Making it takes less time than
/// filling the queue did, so cancelling one job is O(1), amortized. The table has only the tickets;
/// the futures are in the queue.
#[derive(Default)]
pub(super) struct TicketIndex(Option<HashTable<Ticket>>);

pub(super) trait OfFuture: aiopool_core::Waiter {
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

    /// The waiter of this ticket has left the queue. `future` is its future, if it has one.
    pub(super) fn remove<W: OfFuture, J>(
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
        // The table is not dropped when it has no future left. There may be many waiters without a
        // future, and making the table again would go through all waiters.
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
