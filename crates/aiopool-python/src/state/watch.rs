//! Whether a pool is watched for jobs that wait for each other. See `run/stall.rs`.

use std::mem;

#[derive(Default)]
pub(super) struct Watch {
    is_set: bool,
    /// Whether it looks soon, in a turn of the loop that is near, whether the pool has moved or not.
    soon: bool,
    again: bool,
    /// The number of starts and ends when it was set.
    moves: u64,
}

impl Watch {
    pub(super) fn is_set(&self) -> bool {
        self.is_set
    }

    /// It looks after a time, if it is to look again.
    pub(super) fn set(&mut self, again: bool, moves: u64) {
        (self.is_set, self.moves) = (again, moves);
    }

    /// It looks soon, and again after that if it was to look already. Tells whether that is new.
    pub(super) fn set_soon(&mut self) -> bool {
        self.again |= self.soon;
        !mem::replace(&mut self.soon, true)
    }

    /// Tells whether it is to look again.
    pub(super) fn has_looked_soon(&mut self) -> bool {
        self.soon = false;
        mem::take(&mut self.again)
    }

    pub(super) fn has_moved(&self, moves: u64) -> bool {
        self.moves != moves
    }
}
