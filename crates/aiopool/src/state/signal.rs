//! How a worker is stopped or woken, and who waits for the ends of jobs.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::Level;

use crate::sys::sync::{AtomicBool, AtomicU16, Mutex, Ordering, poll_locked};
use crate::sys::unwind::{discard, guarded, wake};

/// What a worker can be stopped or woken by. It is changed under the lock of the pool, and read by
/// its worker without: whoever changes it wakes the worker, which sees it at its next poll.
pub(crate) struct Remote {
    /// What it is told of its job: the [level](Orders::level), and in [`STOP`] whether to stop it.
    orders: AtomicU16,
    /// Whether the worker has nothing to do until it is woken.
    parked: AtomicBool,
    waker: Waker,
}

/// What is out of the usual in the job of a worker.
#[derive(Default)]
pub(crate) struct Orders {
    /// What the job hands in has it too.
    pub(crate) level: Level,
    pub(crate) stop: bool,
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
            orders: AtomicU16::new(0),
            parked: AtomicBool::new(false),
            waker,
        }
    }

    /// The worker runs another job. What it was told of the one before is not meant for this one.
    #[inline]
    pub(crate) fn begin(&self, level: Level, stop: bool) {
        let [level] = level.get().to_le_bytes();
        let orders = u16::from_le_bytes([level, stop.into()]);
        self.orders.store(orders, Ordering::Relaxed);
    }

    /// The job that the worker runs is to be stopped.
    pub(crate) fn stop(&self) {
        self.orders.fetch_or(STOP, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.orders.load(Ordering::Relaxed) & STOP > 0
    }

    /// Whether the job is to be stopped now; tells it once.
    pub(crate) fn take_stop(&self) -> bool {
        self.orders.fetch_and(!STOP, Ordering::Relaxed) & STOP > 0
    }

    /// What is out of the usual in the job. That it is to be stopped is told once.
    #[inline]
    pub(crate) fn take_orders(&self) -> Option<Orders> {
        // A load costs less than an exchange, and is all that most polls need.
        match self.orders.load(Ordering::Relaxed) {
            0 => None,
            orders => Some(self.take_those(orders)),
        }
    }

    #[cold]
    fn take_those(&self, orders: u16) -> Orders {
        Orders {
            level: level_in(orders),
            stop: self.take_stop(),
        }
    }

    /// The level of the job.
    pub(crate) fn level(&self) -> Level {
        level_in(self.orders.load(Ordering::Relaxed))
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

fn level_in(orders: u16) -> Level {
    let [level, _] = orders.to_le_bytes();
    Level::new(i8::from_le_bytes([level])).unwrap_or_default()
}

/// The bit of the orders that says so. The level is the byte below.
const STOP: u16 = 1 << 8;
