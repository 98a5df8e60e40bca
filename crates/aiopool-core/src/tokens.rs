//! What the core gives out: the right to be active and its like, and refusals.

use core::fmt;
use core::num::NonZeroU32;

use crate::queue::Ticket;

/// What may be handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything.
    Open,
    /// Only what goes to the [front](crate::Request::front), as what a job waits for does.
    Draining,
    /// Nothing.
    Closed,
}

/// The right to be active. [`Admission::poll_admit`](crate::Admission::poll_admit) gives it out, and the face must give it back
/// to [`Admission::finish`](crate::Admission::finish), exactly once. A face can neither make nor copy a slot, so it cannot
/// give one back twice.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a slot that is dropped is lost to its pool: give it back with `Admission::finish`"]
pub struct Slot {
    /// How many of the slots of the pool it is.
    pub(crate) units: NonZeroU32,
    /// The index of its key.
    pub(crate) key: Option<NonZeroU32>,
}

impl Slot {
    /// The number of its key.
    #[must_use]
    pub fn key(&self) -> Option<u32> {
        self.key.map(|key| key.get() - 1)
    }

    /// One slot of the pool, of a job without a key.
    pub(crate) const PLAIN: Self = Self {
        units: NonZeroU32::MIN,
        key: None,
    };
}

/// What a job holds that has begun and has no slot: [`Admission::come_back`](crate::Admission::come_back) takes it.
#[derive(Debug)]
#[must_use = "the pool waits for the job that has it"]
pub struct Outside {
    /// The index of its key, which stays open meanwhile.
    pub(crate) key: Option<NonZeroU32>,
}

impl Outside {
    /// The number of its key.
    #[must_use]
    pub fn key(&self) -> Option<u32> {
        self.key.map(|key| key.get() - 1)
    }
}

/// What stands for somebody who has left the queue, or has ended, and is still to be dropped. Until
/// [`Admission::end_leaving`](crate::Admission::end_leaving) the pool is not idle.
#[derive(Debug)]
#[must_use = "the pool is not idle before `Admission::end_leaving`"]
pub struct Leaving(pub(crate) ());

/// A waiter whose turn has come, with the slot that it now holds.
#[derive(Debug)]
pub struct Admitted<W> {
    /// The right to be active. Give it back when the job has ended.
    pub slot: Slot,
    /// The former place of the waiter in the queue. It is no longer valid.
    pub ticket: Ticket,
    /// The waiter that was submitted.
    pub waiter: W,
}

/// A waiter that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused<W> {
    /// Why.
    pub reason: Reason,
    /// The waiter.
    pub waiter: W,
}

/// Why a waiter was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The [phase](Phase) of the pool does not allow it.
    Closed,
    /// Its key has gone meanwhile: [open](crate::Admission::open_key) it again.
    KeyGone,
}

impl<W> fmt::Display for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Closed => "the pool is closed and takes no more jobs",
            Reason::KeyGone => "the key has gone",
        })
    }
}

impl<W: fmt::Debug> core::error::Error for Refused<W> {}
