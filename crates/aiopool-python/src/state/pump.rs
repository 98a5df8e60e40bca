//! One caller at a time admits, and in one turn of the loop not too many.

use std::mem;

use aiopool_core::Slot;

#[derive(Default)]
pub(super) struct Pump {
    /// Whether a caller further up the stack admits.
    advancing: bool,
    /// Whether nobody is admitted before the next turn of the loop.
    paused: bool,
    /// How many admissions since the last pause have started no task.
    unstarted: usize,
    /// The slots of items for which there was no job. They come back in the next turn of the loop.
    spent: Vec<Slot>,
}

impl Pump {
    /// False if somebody admits already, who will see whatever the caller has changed.
    pub(super) fn begin(&mut self) -> bool {
        !mem::replace(&mut self.advancing, true)
    }

    /// Whether the caller is to admit the next, who `has_turn`.
    pub(super) fn goes_on(&mut self, has_turn: bool) -> bool {
        self.advancing = has_turn && !self.paused;
        self.advancing
    }

    /// Whether a waiter that `has_turn` would be admitted at once.
    pub(super) fn is_ready(&self) -> bool {
        !self.advancing && !self.paused
    }

    /// Counts an admission that left its slot free again. True if one turn of the loop is to see no
    /// more of them.
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

/// How many admissions in one turn of the loop may leave their slot free again (because the source of a
/// `map` had ended, say) before others get their turn.
const MOST_UNSTARTED_PER_TURN: usize = 64;
