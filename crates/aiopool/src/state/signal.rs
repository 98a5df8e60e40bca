//! How a worker is stopped or woken, and who waits for the ends of jobs.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sys::sync::{AtomicBool, Mutex, Ordering, poll_locked};
use crate::sys::unwind::{discard, guarded, wake};

/// What a worker can be stopped or woken by. It is changed under the lock of the pool, and read by
/// its worker without: whoever changes it wakes the worker, which sees it at its next poll.
pub(crate) struct Remote {
    stop: AtomicBool,
    /// Whether the worker has nothing to do until it is woken.
    parked: AtomicBool,
    waker: Waker,
}

/// The active jobs whose end one caller waits for; those that another has withdrawn are among them.
#[derive(Debug)]
pub(crate) struct Countdown(Mutex<Left>);

#[derive(Debug)]
struct Left {
    active: usize,
    stopped: usize,
    waker: Option<Waker>,
}

impl Remote {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            stop: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            waker,
        }
    }

    /// Says whether the job that the worker runs is to be stopped.
    pub(crate) fn set_stop(&self, stop: bool) {
        self.stop.store(stop, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the job is to be stopped now; tells it once.
    pub(crate) fn take_stop(&self) -> bool {
        // A load costs less than an exchange, and is all that most polls need.
        self.is_stopped() && self.stop.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed)
    }

    pub(crate) fn park(&self) {
        self.parked.store(true, Ordering::Relaxed);
    }

    /// Tells whether it was parked, and is not any more.
    pub(crate) fn unpark(&self) -> bool {
        self.parked.swap(false, Ordering::Relaxed)
    }

    /// Wakes the worker, under no lock. Its waker is Tokio's.
    pub(crate) fn wake(&self) {
        if let Err(payload) = guarded(|| self.waker.wake_by_ref()) {
            discard(payload);
        }
    }
}

impl Countdown {
    /// One to wait for, which is the caller until it has stopped them all.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Left {
            active: 1,
            stopped: 0,
            waker: None,
        })))
    }

    /// One more to wait for.
    pub(crate) fn add(&self) {
        self.0.lock().active += 1;
    }

    /// How many were stopped, when all have ended.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<usize> {
        poll_locked(&self.0, cx, |left| match left.active {
            0 => Ok(left.stopped),
            _ => Err(&mut left.waker),
        })
    }

    /// An active job has ended. The waker it gives is to be woken.
    fn tell(&self, stopped: bool) -> Option<Waker> {
        let mut left = self.0.lock();
        // The last one wakes. The caller may not have left its waker yet: it looks first, and
        // finds that all have ended.
        left.active -= 1;
        left.stopped += usize::from(stopped);
        if left.active == 0 {
            left.waker.take()
        } else {
            None
        }
    }
}

/// Tells those who wait for the end of a job, under no lock.
pub(crate) fn tell(watchers: &[Arc<Countdown>], stopped: bool) {
    wake(watchers.iter().filter_map(|watcher| watcher.tell(stopped)));
}

/// Wakes workers, under no lock.
pub(crate) fn wake_workers(remotes: impl IntoIterator<Item = Arc<Remote>>) {
    for remote in remotes {
        remote.wake();
    }
}
