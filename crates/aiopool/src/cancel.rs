//! Cancelling: waiting jobs leave the queue, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::sync::Arc;

use aiopool_core::Ticket;

use crate::source::SourceId;
use crate::state::active::Waiter;
use crate::state::signal::{Countdown, wake_workers};
use crate::state::{Shared, Withdrawal};
use crate::sys::unwind::wake;

impl Shared {
    /// Cancels the job that had `ticket` in the queue, and has the entry at the index that `entry`
    /// tells if it has been started.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, entry: impl FnOnce() -> usize) {
        let mut state = self.lock();
        if let Some(withdrawal) = state.withdraw(ticket) {
            drop(state);
            return self.end_withdrawal(withdrawal);
        }
        let worker = state.stop(ticket, entry());
        drop(state);
        wake_workers(worker);
    }

    /// Takes the job that has `ticket` out of the queue, if it is still there.
    pub(crate) fn withdraw(self: &Arc<Self>, ticket: Ticket) {
        let withdrawal = self.lock().withdraw(ticket);
        if let Some(withdrawal) = withdrawal {
            self.end_withdrawal(withdrawal);
        }
    }

    /// Cancels all jobs that exist: how many were waiting, and a countdown of those that were
    /// active.
    pub(crate) fn stop_all(self: &Arc<Self>) -> (usize, Arc<Countdown>) {
        let mut state = self.lock();
        let (withdrawal, countdown, effects) = state.stop_all();
        drop(state);
        let withdrawn = withdrawal.jobs.len();
        // The active jobs are told first: they end while the waiting ones are dropped.
        effects.carry_out();
        self.end_withdrawal(withdrawal);
        (withdrawn, countdown)
    }

    /// Forgets the source with this id, takes it out of the queue, and stops its items.
    pub(crate) fn abandon(self: &Arc<Self>, id: SourceId) {
        let mut state = self.lock();
        let Some((abandoned, effects)) = state.abandon(id) else {
            return;
        };
        // It may have been the last that waited.
        self.advance(state);
        effects.carry_out();
        if let Some(Waiter::Source(source)) = abandoned.source {
            self.discard_source(*source);
        }
        if let Some(parked) = abandoned.results.discard() {
            self.discard_source(*parked);
        }
    }

    /// Stops the items of the source with this id.
    pub(crate) fn stop_items(&self, id: SourceId) {
        let workers = self.lock().stop_items(id);
        wake_workers(workers);
    }

    /// Drops the jobs of a withdrawal, under no lock, and says so.
    fn end_withdrawal(self: &Arc<Self>, withdrawal: Withdrawal<impl IntoIterator<Item = Waiter>>) {
        let Withdrawal { index, jobs } = withdrawal;
        wake(jobs.into_iter().filter_map(|job| match job {
            Waiter::Job(job) => job.give_up().waker,
            Waiter::Source(_) => None,
        }));
        let mut state = self.lock();
        let effects = state.end_withdrawal(index);
        // Only now the pool may be idle.
        self.advance(state);
        effects.carry_out();
    }
}
