//! Those who wait until a pool has come to rest.

use crate::queue::{Drain, List, Queue, Ticket};

/// First in, first out, and anybody may leave.
#[derive(Debug)]
pub(crate) struct Joiners<J> {
    queue: Queue<J>,
    list: List,
}

impl<J> Joiners<J> {
    pub(crate) fn new() -> Self {
        Self {
            queue: Queue::new(),
            list: List::new(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &J)> {
        self.queue.iter(&self.list)
    }

    pub(crate) fn push(&mut self, joiner: J) -> Ticket {
        self.queue.push(&mut self.list, 0, joiner)
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<J> {
        self.queue.remove(&mut self.list, ticket)
    }

    pub(crate) fn pop(&mut self) -> Option<J> {
        self.queue.pop(&mut self.list).map(|(_, joiner)| joiner)
    }

    pub(crate) fn drain(&mut self) -> Option<Drain<J>> {
        (!self.list.is_empty()).then(|| self.queue.drain(&mut self.list))
    }
}
