//! What a pool knows under its one lock: the core with all who wait, and the workers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::Waker;

use aiopool_core::{Admission, Ticket};
use slab::Slab;

use crate::cell::Owner;
use crate::posts::{Crew, Post};
use crate::runtime::Handle;
use crate::source::{Seat, Source};
use crate::stop::{Group, Tether};
use crate::sync::{Mutex, MutexGuard, Patience};

/// The inside of a pool.
pub(crate) struct Shared {
    pub(crate) size: NonZeroUsize,
    pub(crate) state: Mutex<State>,
}

/// The state of a pool. Nothing foreign is called, cloned or dropped under its lock.
pub(crate) struct State {
    pub(crate) admission: Admission<Waiter, Waker>,
    /// One for each slot that is held.
    pub(crate) posts: Slab<Post>,
    /// For each withdrawal under way, whose jobs have left the line and have not all been dropped,
    /// those who wait for its end.
    pub(crate) withdrawals: Slab<Vec<Arc<Group>>>,
    /// The workers, one crew for each runtime.
    pub(crate) crews: Slab<Crew>,
    /// What the workers can be stopped by.
    pub(crate) tethers: Slab<Arc<Tether>>,
    /// The sources of maps and streams. A source that is not here has been abandoned.
    pub(crate) sources: Slab<Seat>,
    pub(crate) next_source: u64,
    /// How many sources workers ask for an item just now.
    pub(crate) asked: usize,
    /// How many workers keep the slot of a job that has ended until a source has been asked.
    pub(crate) lying_in_wait: usize,
    /// Whether somebody starts those who are admitted.
    pub(crate) starting: bool,
    pub(crate) executed: u64,
}

/// What stands in the line.
pub(crate) enum Waiter {
    Job(Owner),
    /// A running map or stream, for its next item.
    Source(Box<Source>),
}

impl Shared {
    pub(crate) fn new(size: NonZeroUsize) -> Arc<Self> {
        let state = State {
            admission: Admission::new(size),
            posts: Slab::new(),
            withdrawals: Slab::new(),
            crews: Slab::new(),
            tethers: Slab::new(),
            sources: Slab::new(),
            next_source: 0,
            asked: 0,
            lying_in_wait: 0,
            starting: false,
            executed: 0,
        };
        Arc::new(Self {
            size,
            state: Mutex::new(state),
        })
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A job that is to run on `home` takes the last place in the line, or a slot if one is free.
    pub(crate) fn submit(self: &Arc<Self>, job: Owner, home: Handle) -> Ticket {
        let mut state = self.lock();
        let (crew, spare) = state.crew_on(home);
        let ticket = state.submit(Waiter::Job(job), crew);
        if state.admission.active() < self.size.get() {
            self.advance(state);
        } else {
            drop(state);
        }
        drop(spare);
        ticket
    }

    /// The lock for a worker whose job has ended. While nobody waits, but another thread asks a
    /// source for an item, it waits a moment for the source to come back to the line: otherwise it
    /// would give its slot back, and the other thread would have to see to it that it is taken.
    pub(crate) fn lock_at_end(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let mut patience = Patience::with_others();
        while state.asked > 0 && state.admission.waiting() == 0 && patience.is_left() {
            state.lying_in_wait += 1;
            drop(state);
            patience.wait();
            state = self.lock();
            state.lying_in_wait -= 1;
        }
        state
    }

    /// Whether the waiter with this ticket has not been started or withdrawn yet.
    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.lock().admission.get(ticket).is_some()
    }
}

impl State {
    /// Whether nobody waits and nothing is active, nor being dropped.
    pub(crate) fn is_idle(&self) -> bool {
        self.admission.is_empty() && self.withdrawals.is_empty()
    }

    /// Those who wait for an idle pool, if it is idle.
    pub(crate) fn idle(&mut self) -> Vec<Waker> {
        if !self.is_idle() {
            return Vec::new();
        }
        std::iter::from_fn(|| self.admission.poll_idle()).collect()
    }
}

impl Waiter {
    /// The key of its crew.
    pub(crate) fn crew(&self) -> usize {
        match self {
            Self::Job(job) => job.crew(),
            Self::Source(source) => source.crew(),
        }
    }
}
