//! What is counted.

use core::num::NonZeroUsize;

/// The numbers of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of slots.
    pub size: NonZeroUsize,
    /// How many slots are held. After a shrink, or while jobs have [come back by
    /// force](crate::Admission::force), this may be more than there are.
    pub held: usize,
    /// How many jobs hold slots.
    pub active: usize,
    /// How many waiters are in the queue.
    pub waiting: usize,
    /// How many of them wait for their key, and let others pass.
    pub parked: usize,
    /// How many jobs have begun and hold no slot.
    pub outside: usize,
    /// How many starts there have been.
    pub started: u64,
    /// What the waiter that is next waits for.
    pub held_by: Option<HeldBy>,
}

/// What holds back the next start: see [`Stats::held_by`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// Too few slots are free for the one in front.
    Slots,
    /// The rate of the pool.
    Rate,
    /// The pool is paused.
    Pause,
    /// Each waiter waits for its key: for another job of it, for its rate, or because it is paused.
    Keys,
}
