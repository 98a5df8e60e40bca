//! Cancelling: waiting jobs leave the line, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::Ticket;

use crate::foreign::wake;
use crate::line::{Shared, State, Waiter};
use crate::posts::Post;
use crate::source::SourceId;
use crate::sync::{AtomicBool, Mutex, Ordering, poll_locked};

/// What a worker can be stopped by.
pub(crate) struct Tether {
    pub(crate) stop: AtomicBool,
    /// Whether the worker has nothing to do until it is woken. Changed under the lock of the pool.
    asleep: AtomicBool,
    pub(crate) waker: Waker,
}

/// The active jobs whose end one caller waits for; those that another has withdrawn are among them.
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
        let (stopped, waker) = (0, None);
        let group = Arc::new(Group(Mutex::new(Left {
            active,
            stopped,
            waker,
        })));
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

impl State {
    /// Jobs have left the line: until they have been dropped the pool is not idle, and who cancels
    /// all of its jobs waits.
    fn begin_withdrawal(&mut self) -> usize {
        self.withdrawals.insert(Vec::new())
    }

    /// Stops the jobs of these posts: what is to be pulled under no lock.
    fn stop_where(&mut self, condition: impl Fn(&Post) -> bool) -> Vec<Arc<Tether>> {
        let posts = self.posts.iter().filter(|(_, post)| condition(post));
        let keys: Vec<_> = posts.map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.stop(key)).collect()
    }
}

impl Tether {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            stop: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            waker,
        }
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed)
    }

    pub(crate) fn sleeps(&self) {
        self.asleep.store(true, Ordering::Relaxed);
    }

    /// Tells whether it was asleep, and is not any more.
    pub(crate) fn wakes(&self) -> bool {
        self.asleep.swap(false, Ordering::Relaxed)
    }

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

/// Tells those who wait for the end of a job, under no lock.
pub(crate) fn tell(watchers: &[Arc<Group>], stopped: bool) {
    wake(watchers.iter().filter_map(|watcher| watcher.tell(stopped)));
}

/// Wakes workers, under no lock. Their wakers are Tokio's.
pub(crate) fn pull(tethers: impl IntoIterator<Item = Arc<Tether>>) {
    for tether in tethers {
        tether.waker.wake_by_ref();
    }
}
