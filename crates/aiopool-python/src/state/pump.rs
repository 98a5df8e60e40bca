//! One turn of the loop admits a bounded number of waiters.

use std::mem;

use aiopool_core::Slot;

#[derive(Default)]
pub(super) struct Pump {
    /// Whether no waiter is admitted before the next turn of the loop.
    over: bool,
    /// How many admissions since the last end of a turn have started no task.
    unstarted: usize,
    /// How many jobs since then have ended in their first step, at their start.
    ended_at_once: usize,
    /// The slots of items for which there was no job. They come back in the next turn of the loop.
    spent: Vec<Slot>,
}

impl Pump {
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Counts an admission that left its slot free again. True if there have been enough of them
    /// for one turn of the loop.
    pub(super) fn count_unstarted(&mut self) -> bool {
        self.unstarted = (self.unstarted + 1) % MOST_UNSTARTED_PER_TURN;
        self.unstarted == 0
    }

    /// Counts a job that has ended at its start. True if there have been enough of them for one turn
    /// of the loop: as tasks, no more would run in it than there are `free` slots.
    pub(super) fn count_ended_at_once(&mut self, free: usize) -> bool {
        self.ended_at_once += 1;
        self.ended_at_once >= free.min(MOST_UNSTARTED_PER_TURN)
    }

    pub(super) fn spend(&mut self, slot: Slot) {
        self.spent.push(slot);
    }

    pub(super) fn end_turn(&mut self) {
        self.over = true;
        self.ended_at_once = 0;
    }

    /// Admissions go on in this turn.
    pub(super) fn reopen_turn(&mut self) {
        self.over = false;
    }

    /// The next turn of the loop. Gives the slots that come back in it.
    pub(super) fn begin_turn(&mut self) -> Vec<Slot> {
        self.over = false;
        mem::take(&mut self.spent)
    }

    /// Whether the next turn of the loop brings slots back.
    pub(super) fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }
}

/// How many admissions in one turn of the loop may leave their slot free again (because the source
/// of a `map` had ended, say, or the job has ended at its start) before other tasks get their turn.
const MOST_UNSTARTED_PER_TURN: usize = 64;
