//! Cancelling: waiting jobs leave the line, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::Ticket;

use crate::foreign::wake;
use crate::line::{Shared, Waiter};
use crate::run::Ended;
use crate::source::End;
use crate::sync::{AtomicBool, Mutex, Ordering, poll_locked};
use crate::worker::Entry;

/// What a worker can be stopped by.
pub(crate) struct Tether {
    pub(crate) stop: AtomicBool,
    pub(crate) waker: Waker,
}

/// The active jobs whose end one caller waits for.
#[derive(Debug)]
pub(crate) struct Group(Mutex<Left>);

#[derive(Debug)]
struct Left {
    active: usize,
    stopped: usize,
    waker: Option<Waker>,
}

impl Shared {
    /// Cancels the job that had `ticket` in the line, and `worker` if it has been started. Tells
    /// whether it had not ended yet.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, worker: impl FnOnce() -> usize) -> bool {
        let mut state = self.lock();
        if let Some(job) = state.admission.withdraw(ticket) {
            self.advance(state);
            wake(job.give_up().waker);
            return true;
        }
        let entry = state.workers.get_mut(worker());
        let entry = entry.filter(|entry| entry.has_job(ticket));
        let found = entry.is_some();
        let tether = entry.and_then(Entry::stop);
        drop(state);
        pull(tether);
        found
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
            .filter_map(|ticket| state.admission.withdraw(ticket))
            .collect();
        let left = Left {
            active: state.workers.len(),
            stopped: 0,
            waker: None,
        };
        let group = Arc::new(Group(Mutex::new(left)));
        let entries = state.workers.iter_mut();
        let tethers: Vec<_> = entries
            .filter_map(|(_, entry)| {
                entry.watch(group.clone());
                entry.stop()
            })
            .collect();
        self.advance(state);
        let withdrawn = jobs.len();
        pull(tethers);
        wake(jobs.into_iter().filter_map(|job| job.give_up().waker));
        (withdrawn, group)
    }

    /// Takes the source with this id out of the line for ever, and stops its items.
    pub(crate) fn abandon(self: &Arc<Self>, id: u64) {
        let mut state = self.lock();
        let place = state.sources.remove(&id).flatten();
        let source = place.and_then(|ticket| state.admission.withdraw(ticket));
        let entries = state.workers.iter_mut().map(|(_, entry)| entry);
        let of_source = entries.filter(|entry| entry.is_of_source(id));
        let tethers: Vec<_> = of_source.filter_map(Entry::stop).collect();
        self.advance(state);
        pull(tethers);
        wake(source.and_then(|source| source.give_up().waker));
    }
}

impl Waiter {
    /// Drops what waits, or was to be begun, where it stands.
    pub(crate) fn give_up(self) -> Ended {
        match self {
            Self::Job(job) | Self::Blocked(job) => job.give_up(),
            Self::Source(source) => Ended::without_a_job(source.retire(End::CutShort)),
        }
    }
}

impl Tether {
    /// Whether the job is to be stopped now; tells it once.
    pub(crate) fn is_pulled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) && self.stop.swap(false, Ordering::Relaxed)
    }
}

impl Group {
    /// An active job has ended. The waker it gives is to be woken.
    pub(crate) fn tell(&self, stopped: bool) -> Option<Waker> {
        let mut left = self.0.lock();
        left.active -= 1;
        left.stopped += usize::from(stopped);
        if left.active == 0 {
            left.waker.take()
        } else {
            None
        }
    }

    /// How many were stopped, when all have ended.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<usize> {
        poll_locked(&self.0, cx, |left| match left.active {
            0 => Ok(left.stopped),
            _ => Err(&mut left.waker),
        })
    }
}

/// Wakes the workers that are to stop, under no lock. Their wakers are Tokio's.
fn pull(tethers: impl IntoIterator<Item = Arc<Tether>>) {
    for tether in tethers {
        tether.waker.wake_by_ref();
    }
}
