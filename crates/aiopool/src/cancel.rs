//! Cancelling: waiting jobs leave the queue, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::ops::Range;
use std::sync::Arc;

use aiopool_core::Ticket;

use crate::source::SourceId;
use crate::state::active::Waiter;
use crate::state::signal::{Countdown, Remote, tell, wake_workers};
use crate::state::{Shared, State, Withdrawal};
use crate::sys::unwind::wake;

/// Several jobs that are to be stopped by one caller. Nobody is admitted meanwhile: none of them
/// begins in the slot of another.
#[must_use = "nobody is admitted until it ends"]
pub(crate) struct Stopping<'a> {
    shared: &'a Arc<Shared>,
    withdrawal: Withdrawal,
    /// What has left the queue. It is dropped at the end: a drop is foreign code, which may wait for
    /// somebody to be admitted.
    withdrawn: Vec<Waiter>,
}

impl Shared {
    /// Cancels the job that had `ticket` in the queue, and has the entry at the index that `entry`
    /// tells if it has been started.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, entry: impl FnOnce() -> usize) {
        let mut state = self.lock();
        if let Some(job) = state.withdraw(ticket) {
            let withdrawal = state.begin_withdrawal();
            drop(state);
            return self.end_withdrawal(withdrawal, [job]);
        }
        let worker = state.stop(ticket, entry());
        drop(state);
        wake_workers(worker);
    }

    /// Takes the job that has `ticket` out of the queue, if it is still there.
    pub(crate) fn withdraw(self: &Arc<Self>, ticket: Ticket) {
        let mut state = self.lock();
        let Some(job) = state.withdraw(ticket) else {
            return;
        };
        let withdrawal = state.begin_withdrawal();
        drop(state);
        self.end_withdrawal(withdrawal, [job]);
    }

    /// Begins to cancel several jobs.
    pub(crate) fn begin_stop(self: &Arc<Self>) -> Stopping<'_> {
        let mut state = self.lock();
        state.hold();
        Stopping {
            shared: self,
            withdrawal: state.begin_withdrawal(),
            withdrawn: Vec::new(),
        }
    }

    /// Cancels all jobs that exist: how many were waiting, and a countdown of those that were
    /// active.
    pub(crate) fn stop_all(self: &Arc<Self>) -> (usize, Arc<Countdown>) {
        let countdown = Countdown::new();
        let mut state = self.lock();
        state.hold();
        let walk = state.begin_walk();
        let mut stopping = Stopping {
            shared: self,
            withdrawal: state.begin_withdrawal(),
            withdrawn: Vec::new(),
        };
        drop(state);
        // The active jobs are told first: they end while the waiting ones are dropped. While nobody
        // is admitted, no entry comes to those that were here.
        self.stop_entries(|state, entries| state.stop_some(entries, &countdown));
        loop {
            let jobs = &mut stopping.withdrawn;
            // Here, under no lock: to make room may move all that is there.
            jobs.reserve(PORTION);
            let mut state = self.lock();
            if !state.withdraw_some(&walk, PORTION, jobs) {
                // Only now: another caller may have withdrawn some of these jobs in between, and has
                // not dropped them yet.
                state.watch_withdrawals(&countdown);
                break;
            }
        }
        let withdrawn = stopping.withdrawn.len();
        stopping.end();
        tell(std::slice::from_ref(&countdown), false);
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
        if abandoned.has_items {
            self.stop_items(id);
        }
        if let Some(Waiter::Source(source)) = abandoned.source {
            self.discard_source(*source);
        }
        if let Some(parked) = abandoned.results.discard() {
            self.discard_source(*parked);
        }
    }

    /// Stops the items of the source with this id, which gives no more of them.
    pub(crate) fn stop_items(&self, id: SourceId) {
        self.stop_entries(|state, entries| state.stop_items(entries, id));
    }

    /// Lets `stop` look at all entries, some under each lock, and wakes the workers that it gives.
    fn stop_entries(&self, mut stop: impl FnMut(&mut State, Range<usize>) -> Vec<Arc<Remote>>) {
        let end = self.lock().end_of_entries();
        for first in (0..end).step_by(PORTION) {
            let workers = stop(&mut self.lock(), first..end.min(first + PORTION));
            wake_workers(workers);
        }
    }

    /// Drops the jobs of a withdrawal, under no lock, and says so.
    fn end_withdrawal(
        self: &Arc<Self>,
        withdrawal: Withdrawal,
        jobs: impl IntoIterator<Item = Waiter>,
    ) {
        wake(jobs.into_iter().filter_map(|job| match job {
            Waiter::Job(job) => job.give_up().waker,
            Waiter::Source(_) => None,
        }));
        let mut state = self.lock();
        let effects = state.end_withdrawal(withdrawal);
        // Only now the pool may be idle.
        self.advance(state);
        effects.carry_out();
    }
}

impl Stopping<'_> {
    /// Cancels one more, as [`Shared::stop`] does.
    pub(crate) fn stop(&mut self, ticket: Ticket, entry: impl FnOnce() -> usize) {
        let mut state = self.shared.lock();
        let job = state.withdraw(ticket);
        let worker = match job {
            Some(_) => None,
            None => state.stop(ticket, entry()),
        };
        drop(state);
        self.withdrawn.extend(job);
        wake_workers(worker);
    }

    /// Lets others be admitted again, then drops what was withdrawn.
    pub(crate) fn end(self) {
        let mut state = self.shared.lock();
        state.release();
        self.shared.advance(state);
        self.shared.end_withdrawal(self.withdrawal, self.withdrawn);
    }
}

/// So many jobs are stopped under one lock.
const PORTION: usize = if cfg!(aiopool_models) { 1 } else { 128 };
