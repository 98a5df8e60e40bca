//! Cancelling: waiting jobs leave the line, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::Ticket;

use crate::foreign::wake;
use crate::line::{Shared, State, Waiter};
use crate::posts::Post;
use crate::run::Ended;
use crate::source::End;
use crate::sync::{AtomicBool, Mutex, Ordering, poll_locked};

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
    /// Cancels the job that had `ticket` in the line, and has its post at the key that `post` tells
    /// if it has been started. Tells whether it had not ended yet.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, post: impl FnOnce() -> usize) -> bool {
        let mut state = self.lock();
        if let Some(job) = state.withdraw(ticket) {
            self.advance(state);
            self.dismiss([job]);
            return true;
        }
        let key = post();
        let found = state
            .posts
            .get(key)
            .is_some_and(|post| post.has_job(ticket));
        let tether = if found { state.stop(key) } else { None };
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
            .filter_map(|ticket| state.withdraw(ticket))
            .collect();
        let (active, stopped, waker) = (state.posts.len(), 0, None);
        let group = Arc::new(Group(Mutex::new(Left {
            active,
            stopped,
            waker,
        })));
        for (_, post) in &mut state.posts {
            post.watch(group.clone());
        }
        let tethers = state.stop_where(|_| true);
        self.advance(state);
        let withdrawn = jobs.len();
        pull(tethers);
        self.dismiss(jobs);
        (withdrawn, group)
    }

    /// Takes a job out of the line and drops it, if it is still there.
    pub(crate) fn withdraw(self: &Arc<Self>, ticket: Ticket) {
        let mut state = self.lock();
        let job = state.withdraw(ticket);
        self.advance(state);
        self.dismiss(job);
    }

    /// Drops jobs that have been taken out of the line, then tells those who wait for that too.
    fn dismiss(&self, jobs: impl IntoIterator<Item = Waiter>) {
        let mut dismissed = 0;
        wake(jobs.into_iter().filter_map(|job| {
            dismissed += 1;
            job.give_up().waker
        }));
        let mut state = self.lock();
        state.leaving -= dismissed;
        let idle = state.idle();
        drop(state);
        wake(idle);
    }

    /// Takes the source with this id out of the line for ever, and stops its items.
    pub(crate) fn abandon(self: &Arc<Self>, id: u64) {
        let mut state = self.lock();
        let place = state.sources.remove(&id).flatten();
        let source = place.and_then(|ticket| state.admission.withdraw(ticket));
        let tethers = state.stop_where(|post| post.is_of_source(id));
        self.advance(state);
        pull(tethers);
        wake(source.and_then(|source| source.give_up().waker));
    }
}

impl State {
    /// Takes a job out of the line, to be dismissed under no lock.
    fn withdraw(&mut self, ticket: Ticket) -> Option<Waiter> {
        let job = self.admission.withdraw(ticket)?;
        self.leaving += 1;
        Some(job)
    }

    /// Stops the jobs of these posts: what is to be pulled under no lock.
    fn stop_where(&mut self, condition: impl Fn(&Post) -> bool) -> Vec<Arc<Tether>> {
        let posts = self.posts.iter().filter(|(_, post)| condition(post));
        let keys: Vec<_> = posts.map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.stop(key)).collect()
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
