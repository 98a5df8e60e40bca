//! The locks and cells at which threads meet. They are those of std, or in the models those of the
//! explorer.

use std::sync::{PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use crate::sys::unwind::discard;

#[cfg(aiopool_models)]
use crate::sys::explorer::sync as imp;
#[cfg(not(aiopool_models))]
use std::sync as imp;

pub(crate) use imp::MutexGuard;
pub(crate) use imp::atomic::{AtomicBool, AtomicPtr, AtomicU16, Ordering};

#[cfg(all(aiopool_models, not(aiopool_shuttle)))]
pub(crate) use loom::cell::UnsafeCell;

/// A mutex whose holders cannot panic: no foreign code runs under it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self.0.try_lock() {
            Ok(guard) => guard,
            Err(_) => self.lock_later(),
        }
    }

    /// A thread that finds the mutex locked looks again a few times, at growing intervals. A step
    /// under a lock takes less time than putting a thread to sleep. Meanwhile the thread that has
    /// the state in its cache does its next steps at a fraction of their cost.
    #[cold]
    fn lock_later(&self) -> MutexGuard<'_, T> {
        let mut backoff = Backoff::with_us();
        while backoff.is_left() {
            backoff.wait();
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        // ThreadSanitizer does not see how std waits, because std comes compiled.
        #[cfg(aiopool_tsan)]
        loop {
            std::thread::yield_now();
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        #[cfg(not(aiopool_tsan))]
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The intervals at which a thread looks again for a thing that another thread has for a moment.
/// The first and the longest are counted in `pause` instructions, which take 10 to 45 ns each.
pub(crate) struct Backoff {
    pauses: u32,
    most: u32,
}

impl Backoff {
    /// For a thing that a few instructions of this crate give back.
    fn with_us() -> Self {
        Self {
            pauses: 64,
            most: 1024,
        }
    }

    /// For a thing that foreign code holds, which may take longer.
    pub(crate) fn with_others() -> Self {
        Self {
            pauses: 16,
            most: 256,
        }
    }

    pub(crate) fn is_left(&self) -> bool {
        // Explorers choose the turns themselves: looking again would only add turns.
        !cfg!(aiopool_models) && self.pauses <= self.most
    }

    /// Waits for one interval, and doubles the next.
    pub(crate) fn wait(&mut self) {
        for _ in 0..self.pauses {
            std::hint::spin_loop();
        }
        self.pauses *= 2;
    }
}

/// std's cell with the interface of loom's. Loom's cell detects accesses from two threads at once.
#[cfg(any(not(aiopool_models), aiopool_shuttle))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(any(not(aiopool_models), aiopool_shuttle))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Polls a state under a lock. `look` finds the value, or gives the place for the waker of the task
/// that waits for it.
pub(crate) fn poll_locked<T, R>(
    mutex: &Mutex<T>,
    cx: &mut Context<'_>,
    mut look: impl FnMut(&mut T) -> Result<R, &mut Option<Waker>>,
) -> Poll<R> {
    // A waker is foreign code: it is cloned and dropped only while the lock is not held.
    let mut spare: Option<Waker> = None;
    loop {
        let mut guard = mutex.lock();
        match look(&mut guard) {
            Ok(found) => {
                drop(guard);
                // The found value may be foreign too: if two drops panic at once, the process
                // aborts.
                discard(spare);
                return Poll::Ready(found);
            }
            Err(Some(waker)) if waker.will_wake(cx.waker()) => {
                drop(guard);
                discard(spare);
                return Poll::Pending;
            }
            Err(place) => {
                if let Some(waker) = spare.take() {
                    let replaced = place.replace(waker);
                    drop(guard);
                    discard(replaced);
                    return Poll::Pending;
                }
            }
        }
        drop(guard);
        spare = Some(cx.waker().clone());
    }
}
