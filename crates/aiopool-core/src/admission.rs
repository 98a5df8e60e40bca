//! Admission: which waiters hold a slot, and which one gets the next.

use core::fmt;
use core::num::NonZeroUsize;

use crate::queue::{Drain, Queue, Ticket, Walk};

/// Admits waiters `W` to a fixed number of slots, and tells joiners `J` when the pool is idle.
///
/// The [crate documentation](crate) says in which order to call the methods. Every method is O(1):
/// none moves or drops what others have handed in.
#[derive(Debug)]
pub struct Admission<W, J> {
    size: NonZeroUsize,
    active: usize,
    queue: Queue<W>,
    joiners: Queue<J>,
    closed: bool,
}

/// The right to be active. [`Admission::poll_admit`] gives it out, and the face must give it back
/// to [`Admission::finish`], exactly once. A face can neither make nor copy a slot, so it cannot
/// give one back twice.
#[derive(Debug)]
#[must_use = "a slot that is dropped is lost to its pool: give it back with `Admission::finish`"]
pub struct Slot(());

/// A waiter that has come to the head of the queue, with the slot that it now holds.
#[derive(Debug)]
pub struct Admitted<W> {
    /// The right to be active. Give it back when the job has ended.
    pub slot: Slot,
    /// The former place of the waiter in the queue. It is no longer valid.
    pub ticket: Ticket,
    /// The waiter that was submitted.
    pub waiter: W,
}

/// The refusal of a closed [`Admission`], with the waiter that it did not take.
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

    /// The number of slots that are held.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    /// The number of waiters in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The number of waiters and of held slots together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting() + self.active
    }

    /// Whether no waiter waits and no slot is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`len`](Self::len) is at least [`size`](Self::size).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.size.get()
    }

    /// Whether [`poll_admit`](Self::poll_admit) would admit a waiter.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.active < self.size.get() && self.waiting() > 0
    }

    /// Whether [`submit`](Self::submit) refuses waiters, after [`close`](Self::close).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The waiter that holds `ticket`, while it is in the queue.
    #[must_use]
    pub fn get(&self, ticket: Ticket) -> Option<&W> {
        self.queue.get(ticket)
    }

    /// All waiters, in the order of the queue.
    pub fn waiters(&self) -> impl Iterator<Item = (Ticket, &W)> {
        self.queue.iter()
    }

    /// All joiners that have not been told yet, in the order in which they came.
    pub fn joiners(&self) -> impl Iterator<Item = (Ticket, &J)> {
        self.joiners.iter()
    }
}

/// Inputs: what happened.
impl<W, J> Admission<W, J> {
    /// Puts `waiter` at the back of the queue.
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

    /// Takes `slot` back: its holder has ended, and the slot is free.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a face that gives a slot back must not keep it"
    )]
    pub fn finish(&mut self, slot: Slot) {
        let Slot(()) = slot;
        self.active -= 1;
        self.check();
    }

    /// Adds a joiner, which [`poll_idle`](Self::poll_idle) gives when the pool is empty. If the
    /// pool is empty now, the next call gives it.
    pub fn join(&mut self, joiner: J) -> Ticket {
        self.joiners.push(joiner)
    }
}

/// Commands: take inputs back, close and reopen.
impl<W, J> Admission<W, J> {
    /// Takes a waiter out of the queue, wherever it stands. `None` if it is no longer in the queue.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<W> {
        let waiter = self.queue.remove(ticket);
        self.check();
        waiter
    }

    /// Begins a walk along all waiters that are in the queue now. Others may come and leave
    /// meanwhile; [`walk_on`](Self::walk_on) gives the waiters in the order of the queue. All walks
    /// share one position: if a second walk begins before the first has ended, both go on from the
    /// head of the queue.
    pub fn begin_walk(&mut self) -> Walk {
        self.queue.begin_walk()
    }

    /// The next waiter on a walk; `None` at its end.
    pub fn walk_on(&mut self, walk: &Walk) -> Option<(Ticket, &W)> {
        self.queue.walk_on(walk)
    }

    /// Empties the queue, and gives the waiters in the order of the queue.
    pub fn withdraw_all(&mut self) -> Drain<W> {
        let waiters = self.queue.drain();
        self.check();
        waiters
    }

    /// Removes a joiner. `None` if it has been told already.
    pub fn leave(&mut self, ticket: Ticket) -> Option<J> {
        self.joiners.remove(ticket)
    }

    /// Empties the queue as [`withdraw_all`](Self::withdraw_all) does, and refuses all later
    /// waiters until [`reopen`](Self::reopen). Active waiters finish as usual.
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
    /// The next waiter to become active, with its slot. `None` if no slot is free or no waiter
    /// waits.
    // Only this function decides which waiter goes next. A rate limit, a pause, weights and
    // priorities are further conditions here, and further orders of the queue.
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

    /// The next joiner to tell that the pool is empty. `None` if the pool is not empty, or all
    /// joiners have been told.
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
    /// Checks the invariants that hold after every step. "`active == size` while a waiter waits" is
    /// not one of them: it holds once [`poll_admit`](Self::poll_admit) has returned `None`.
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
    use alloc::vec::Vec;

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

    #[test]
    fn a_pool_that_nobody_joins_has_nobody_to_tell() {
        let mut pool = Admission::<(), _>::new(NonZeroUsize::MIN);
        assert!(pool.poll_all_idle().is_none());
        let _ticket = pool.join("joiner");
        let told = pool.poll_all_idle().map(Iterator::collect::<Vec<_>>);
        assert_eq!(told, Some(Vec::from(["joiner"])));
        assert!(pool.poll_all_idle().is_none());
    }
}
