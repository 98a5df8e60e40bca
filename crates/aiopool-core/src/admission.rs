//! Who holds a slot and who gets the next one.

use core::fmt;
use core::num::NonZeroUsize;

use crate::queue::{Drain, Queue, Ticket, Walk};

/// The admission of waiters `W` to a fixed number of slots, and of joiners `J` to the news that
/// the pool is idle.
///
/// The [crate documentation](crate) says in which order the methods are to be called. Every method
/// is O(1): none moves or drops what others have handed in.
#[derive(Debug)]
pub struct Admission<W, J> {
    size: NonZeroUsize,
    active: usize,
    queue: Queue<W>,
    joiners: Queue<J>,
    closed: bool,
}

/// The right to be active. It is given out by [`Admission::poll_admit`] and must be given back by
/// [`Admission::finish`], exactly once: that it can be neither made nor copied sees to "at most".
#[derive(Debug)]
#[must_use = "a slot that is dropped is lost to its pool: give it back with `Admission::finish`"]
pub struct Slot(());

/// A waiter that has come to the head of the queue, with the slot it now holds.
#[derive(Debug)]
pub struct Admitted<W> {
    /// The right to be active, to be given back when the job has ended.
    pub slot: Slot,
    /// The place the waiter had in the queue; it is no longer valid.
    pub ticket: Ticket,
    /// What was submitted.
    pub waiter: W,
}

/// The refusal of a closed [`Admission`], with the waiter it did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed<W>(pub W);

/// Questions.
impl<W, J> Admission<W, J> {
    /// An empty admission with `size` slots.
    #[must_use]
    pub fn new(size: NonZeroUsize) -> Self {
        Self {
            size,
            active: 0,
            queue: Queue::new(),
            joiners: Queue::new(),
            closed: false,
        }
    }

    /// The number of slots.
    #[must_use]
    pub fn size(&self) -> NonZeroUsize {
        self.size
    }

    /// How many slots are held.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    /// How many stand in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many wait or are active.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting() + self.active
    }

    /// Whether nobody waits and nothing is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether at least [`size`](Self::size) wait or are active.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.size.get()
    }

    /// Whether [`poll_admit`](Self::poll_admit) would admit somebody.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.active < self.size.get() && self.waiting() > 0
    }

    /// Whether waiters are refused, after [`close`](Self::close).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The waiter that holds `ticket`, while it is in the queue.
    #[must_use]
    pub fn get(&self, ticket: Ticket) -> Option<&W> {
        self.queue.get(ticket)
    }

    /// All who wait, in the order of the queue.
    pub fn waiters(&self) -> impl Iterator<Item = (Ticket, &W)> {
        self.queue.iter()
    }

    /// All who want to be told that the pool is empty, in the order in which they came.
    pub fn joiners(&self) -> impl Iterator<Item = (Ticket, &J)> {
        self.joiners.iter()
    }
}

/// Inputs: what happened.
impl<W, J> Admission<W, J> {
    /// `waiter` takes the last place in the queue.
    ///
    /// # Errors
    ///
    /// [`Closed`] with the waiter, between [`close`](Self::close) and [`reopen`](Self::reopen).
    pub fn submit(&mut self, waiter: W) -> Result<Ticket, Closed<W>> {
        if self.closed {
            return Err(Closed(waiter));
        }
        let ticket = self.queue.push(waiter);
        self.check();
        Ok(ticket)
    }

    /// The holder of `slot` has ended: the slot is free.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "who gives the slot back shall not have it any more"
    )]
    pub fn finish(&mut self, slot: Slot) {
        let Slot(()) = slot;
        self.active -= 1;
        self.check();
    }

    /// `joiner` wants to be told when the pool is empty; at the next
    /// [`poll_idle`](Self::poll_idle) if it is empty now.
    pub fn join(&mut self, joiner: J) -> Ticket {
        self.joiners.push(joiner)
    }
}

/// Commands: take back what was told.
impl<W, J> Admission<W, J> {
    /// Takes a waiter out of the queue, wherever it stands. `None` if it is there no more.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<W> {
        let waiter = self.queue.remove(ticket);
        self.check();
        waiter
    }

    /// Begins to look at all who wait now, one after another, while others may come and leave:
    /// [`walk_on`](Self::walk_on) gives them in the order of the queue. An admission has one place
    /// up to which it has been walked: if a second walk begins before the first has ended, both go
    /// on from the head of the queue.
    pub fn begin_walk(&mut self) -> Walk {
        self.queue.begin_walk()
    }

    /// The next waiter that a walk comes by; `None` at its end.
    pub fn walk_on(&mut self, walk: &Walk) -> Option<(Ticket, &W)> {
        self.queue.walk_on(walk)
    }

    /// Empties the queue; the waiters come in the order in which they stood.
    pub fn withdraw_all(&mut self) -> Drain<W> {
        let waiters = self.queue.drain();
        self.check();
        waiters
    }

    /// Takes a joiner back that no longer wants to be told. `None` if it has been.
    pub fn leave(&mut self, ticket: Ticket) -> Option<J> {
        self.joiners.remove(ticket)
    }

    /// Empties the queue as [`withdraw_all`](Self::withdraw_all) does and refuses all who come
    /// later, until [`reopen`](Self::reopen). Those who are active finish as usual.
    pub fn close(&mut self) -> Drain<W> {
        self.closed = true;
        self.withdraw_all()
    }

    /// Takes waiters again after [`close`](Self::close).
    pub fn reopen(&mut self) {
        self.closed = false;
    }
}

/// Outputs: what the face must do now.
impl<W, J> Admission<W, J> {
    /// The next waiter to become active, with its slot; `None` when no slot is free or nobody
    /// waits.
    // The one place that decides who goes next: a rate limit, a pause, weights or priorities are
    // further conditions here and further orders of the queue.
    pub fn poll_admit(&mut self) -> Option<Admitted<W>> {
        if self.active >= self.size.get() {
            return None;
        }
        let (ticket, waiter) = self.queue.pop()?;
        self.active += 1;
        self.check();
        Some(Admitted {
            slot: Slot(()),
            ticket,
            waiter,
        })
    }

    /// The next joiner to be told that the pool is empty; `None` when it is not, or all know.
    pub fn poll_idle(&mut self) -> Option<J> {
        if !self.is_empty() {
            return None;
        }
        self.joiners.pop().map(|(_, joiner)| joiner)
    }

    /// As [`poll_idle`](Self::poll_idle), all joiners at once: for a face that tells them when it
    /// has given its lock back.
    pub fn poll_all_idle(&mut self) -> Option<Drain<J>> {
        (self.is_empty() && self.joiners.len() > 0).then(|| self.joiners.drain())
    }
}

/// Invariants.
impl<W, J> Admission<W, J> {
    /// What holds after every step. That `active == size` while anybody waits is not among them:
    /// it holds once [`poll_admit`](Self::poll_admit) has answered `None`.
    fn check(&self) {
        debug_assert!(
            self.active <= self.size.get(),
            "more are active than there are slots"
        );
        debug_assert!(
            !self.closed || self.queue.len() == 0,
            "somebody waits in a closed pool"
        );
        self.queue.check();
    }
}

impl<W> fmt::Display for Closed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is closed and takes no more jobs")
    }
}

impl<W: fmt::Debug> core::error::Error for Closed<W> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_refusal_of_a_closed_pool_says_so() {
        let mut pool = Admission::<_, ()>::new(NonZeroUsize::MIN);
        pool.close();
        let refusal = pool.submit("late").expect_err("it is closed");
        assert_eq!(refusal, Closed("late"));
        assert_eq!(
            refusal.to_string(),
            "the pool is closed and takes no more jobs"
        );
    }
}
