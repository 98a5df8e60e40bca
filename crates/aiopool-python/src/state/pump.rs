//! Only one caller at a time admits waiters, and one turn of the loop admits a bounded number of
//! them.

use std::mem;

use aiopool_core::Slot;

#[derive(Default)]
pub(super) struct Pump {
    /// Whether a caller further up the stack is admitting.
    advancing: bool,
    /// Whether no waiter is admitted before the next turn of the loop.
    paused: bool,
    /// How many admissions since the last pause have started no task.
    unstarted: usize,
    /// The slots of items for which there was no job. They come back in the next turn of the loop.
    spent: Vec<Slot>,
}

impl Pump {
    /// False if another caller is admitting already. It will see the change.
    pub(super) fn begin(&mut self) -> bool {
        !mem::replace(&mut self.advancing, true)
    }

    /// Whether the caller should admit the next waiter, if one `has_turn`.
    pub(super) fn goes_on(&mut self, has_turn: bool) -> bool {
        self.advancing = has_turn && !self.paused;
        self.advancing
    }

    /// Whether a waiter that `has_turn` would be admitted at once.
    pub(super) fn is_ready(&self) -> bool {
        !self.advancing && !self.paused
    }

    /// Counts an admission that left its slot free again. True if there have been enough of them
    /// for one turn of the loop.
    pub(super) fn count_unstarted(&mut self) -> bool {
        self.unstarted = (self.unstarted + 1) % MOST_UNSTARTED_PER_TURN;
        self.unstarted == 0
    }

    pub(super) fn spend(&mut self, slot: Slot) {
        self.spent.push(slot);
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// The next turn of the loop. Gives the slots that come back in it.
    pub(super) fn resume(&mut self) -> Vec<Slot> {
        self.paused = false;
        mem::take(&mut self.spent)
    }

    /// Whether the next turn of the loop brings slots back.
    pub(super) fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }
}

/// How many admissions in one turn of the loop may leave their slot free again (because the source
/// of a `map` had ended, say) before other tasks get their turn.
const MOST_UNSTARTED_PER_TURN: usize = 64;
