//! Cancelling: waiting jobs leave the line, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::sync::Arc;

use aiopool_core::Ticket;

use crate::source::SourceId;
use crate::state::Shared;
use crate::state::active::Waiter;
use crate::state::signal::{Group, pull, tell};
use crate::sys::unwind::wake;

impl Shared {
    /// Cancels the job that had `ticket` in the line, and has its post at the key that `post` tells
    /// if it has been started.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, post: impl FnOnce() -> usize) {
        let mut state = self.lock();
        if let Some(job) = state.withdraw(ticket) {
            let key = state.begin_withdrawal();
            drop(state);
            self.end_withdrawal(key, [job]);
            return;
        }
        let key = post();
        let found = state
            .posts
            .get(key)
            .is_some_and(|post| post.has_job(ticket));
        let tether = if found { state.stop(key) } else { None };
        drop(state);
        pull(tether);
    }

    /// Takes the job that has `ticket` out of the line, if it is still there.
    pub(crate) fn withdraw(self: &Arc<Self>, ticket: Ticket) {
        let mut state = self.lock();
        if let Some(job) = state.withdraw(ticket) {
            let key = state.begin_withdrawal();
            drop(state);
            self.end_withdrawal(key, [job]);
        }
    }

    /// Drops the jobs of a withdrawal, under no lock.
    fn end_withdrawal(self: &Arc<Self>, key: usize, jobs: impl IntoIterator<Item = Waiter>) {
        wake(jobs.into_iter().filter_map(|job| match job {
            Waiter::Job(job) => job.give_up().waker,
            Waiter::Source(_) => None,
        }));
        let mut state = self.lock();
        let watchers = state.withdrawals.remove(key);
        let gone = state.dismiss();
        self.advance(state);
        drop(gone);
        tell(&watchers, false);
    }

    /// Cancels all jobs that exist: how many were waiting, and a group of those that were active.
    pub(crate) fn stop_all(self: &Arc<Self>) -> (usize, Arc<Group>) {
        let mut state = self.lock();
        let waiting = state.admission.waiters();
        // The items that a source has not been asked for do not exist yet.
        let jobs = waiting.filter(|(_, waiter)| !matches!(waiter, Waiter::Source(_)));
        let tickets: Vec<_> = jobs.map(|(ticket, _)| ticket).collect();
        let jobs: Vec<_> = tickets
            .into_iter()
            .filter_map(|ticket| state.withdraw(ticket))
            .collect();
        let active = state.posts.len() + state.withdrawals.len();
        let group = Group::of(active);
        for (_, post) in &mut state.posts {
            post.watch(group.clone());
        }
        for (_, watchers) in &mut state.withdrawals {
            watchers.push(group.clone());
        }
        let tethers = state.stop_where(|_| true);
        let (withdrawn, key) = (jobs.len(), state.begin_withdrawal());
        drop(state);
        pull(tethers);
        self.end_withdrawal(key, jobs);
        (withdrawn, group)
    }

    /// Forgets the source with this id, takes it out of the line, and stops its items.
    pub(crate) fn abandon(self: &Arc<Self>, id: SourceId) {
        let mut state = self.lock();
        let Some((seat, source)) = state.forget_source(id) else {
            return;
        };
        let tethers = if seat.results.is_unfinished() {
            state.stop_where(|post| post.is_of_source(id))
        } else {
            Vec::new()
        };
        let gone = state.dismiss();
        self.advance(state);
        drop(gone);
        pull(tethers);
        if let Some(Waiter::Source(source)) = source {
            self.discard(*source);
        }
        if let Some(parked) = seat.results.discard() {
            self.discard(*parked);
        }
    }

    /// Stops the items of the source with this id.
    pub(crate) fn stop_items(&self, id: SourceId) {
        let tethers = self.lock().stop_where(|post| post.is_of_source(id));
        pull(tethers);
    }
}
