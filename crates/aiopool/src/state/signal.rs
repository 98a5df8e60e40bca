//! How a worker is stopped or woken, and who waits for the ends of jobs.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sys::sync::{AtomicBool, Mutex, Ordering, poll_locked};
use crate::sys::unwind::wake;

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
    pub(crate) fn of(active: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Left {
            active,
            stopped: 0,
            waker: None,
        })))
    }

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
