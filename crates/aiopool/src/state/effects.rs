//! What a step leaves to be done once the lock is open.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use aiopool_core::Drain;

use crate::key::Key;
use crate::state::active::Spare;
use crate::state::signal::{Countdown, Remote, tell, wake_workers};
use crate::state::timer::TimerCall;
use crate::sys::runtime::Handle;
use crate::sys::unwind::{discard, wake};

/// What is to be woken, told and dropped when the lock is open: all of it may run foreign code, or
/// come to the lock itself. To start a worker is not among it: the state does not know that task.
#[must_use = "none of it has been done"]
#[derive(Default)]
pub(crate) struct Effects {
    waker: Option<Waker>,
    /// Apart, so that the end of a job under load, which has none of it, moves and looks at nothing
    /// but its waker.
    others: Option<Box<Others>>,
}

#[derive(Default)]
struct Others {
    runtimes: Vec<Handle>,
    leftovers: Option<Leftovers>,
    worker: Option<Arc<Remote>>,
    watchers: Vec<Arc<Countdown>>,
    was_stopped: bool,
    joiners: Option<Drain<Waker>>,
    drainers: Option<Drain<Waker>>,
}

/// What a look at the limits leaves to be done, by whoever opens the lock: see
/// [`Shared::do_chores`](crate::state::Shared::do_chores).
#[derive(Default)]
pub(crate) struct Chores {
    pub(crate) timer: Option<TimerCall>,
    /// Keys that have gone, to be dropped.
    pub(crate) keys: Vec<Key>,
}

/// What a worker leaves behind that is not there any more, to be dropped under no lock.
#[must_use = "its drop may run foreign code"]
pub(crate) struct Leftovers {
    _runtime: Option<Handle>,
    _spare: Option<Spare>,
}

impl Leftovers {
    pub(crate) fn new(runtime: Option<Handle>, spare: Option<Spare>) -> Self {
        Self {
            _runtime: runtime,
            _spare: spare,
        }
    }
}

impl Effects {
    /// Wakes who waits for a job that has ended, or for the next result of its source.
    pub(crate) fn waking(waker: Option<Waker>) -> Self {
        Self {
            waker,
            others: None,
        }
    }

    /// Drops handles, of which the last may end its runtime.
    pub(crate) fn drop_runtimes(&mut self, runtimes: Vec<Handle>) {
        if !runtimes.is_empty() {
            self.others().runtimes = runtimes;
        }
    }

    /// Drops what a worker has left behind that is not there any more.
    pub(crate) fn drop_leftovers(&mut self, leftovers: Leftovers) {
        self.others().leftovers = Some(leftovers);
    }

    /// Wakes a worker, which is to search.
    pub(crate) fn wake_worker(&mut self, worker: Option<Arc<Remote>>) {
        if worker.is_some() {
            self.others().worker = worker;
        }
    }

    /// Tells those who wait until all jobs of theirs have ended that one has, and whether a
    /// cancellation had reached it.
    #[inline]
    pub(crate) fn tell(&mut self, watchers: &mut Vec<Arc<Countdown>>, was_stopped: bool) {
        if !watchers.is_empty() {
            let others = self.others();
            (others.watchers, others.was_stopped) = (mem::take(watchers), was_stopped);
        }
    }

    /// Wakes those who wait for an idle pool.
    pub(crate) fn wake_joiners(&mut self, joiners: Option<Drain<Waker>>) {
        if joiners.is_some() {
            self.others().joiners = joiners;
        }
    }

    /// Wakes those who wait until nothing is active.
    pub(crate) fn wake_drainers(&mut self, drainers: Option<Drain<Waker>>) {
        if drainers.is_some() {
            self.others().drainers = drainers;
        }
    }

    /// Does it all, under no lock.
    #[inline]
    pub(crate) fn carry_out(self) {
        match self.others {
            Some(others) => others.carry_out(self.waker),
            None => wake(self.waker),
        }
    }

    #[cold]
    fn others(&mut self) -> &mut Others {
        self.others.get_or_insert_default()
    }
}

impl Others {
    /// Who waits is woken last, and so finds the pool as it is then.
    #[cold]
    fn carry_out(self, waker: Option<Waker>) {
        // The last handle of a runtime drops what its hooks have captured.
        self.runtimes.into_iter().for_each(discard);
        discard(self.leftovers);
        wake_workers(self.worker);
        wake(waker);
        tell(&self.watchers, self.was_stopped);
        wake(self.drainers.into_iter().flatten());
        wake(self.joiners.into_iter().flatten());
    }
}
