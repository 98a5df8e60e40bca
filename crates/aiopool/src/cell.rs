//! The one allocation of a job: what its handle sees, and the job itself, which only its owner
//! touches.
//!
//! The safe way is two allocations: the future in a `Pin<Box<_>>`, and beside it what is shared
//! with the handle. Measured over `spawn_n` of jobs that yield once, 1,000 slots, it costs an eighth
//! more time and 16 bytes more for each waiting job.

#![expect(unsafe_code, reason = "one allocation for each job; the gain is above")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::body::Body;
use crate::run::{Ended, Run};
use crate::runtime::Handle;
use crate::settle::Outcome;
use crate::sync::UnsafeCell;

/// The right to run a job. A job has exactly one owner: the line while it waits, then its worker.
pub(crate) struct Owner(Arc<dyn Owned>);

/// A job as its handle sees it.
pub(crate) trait Seen<T>: Send + Sync {
    fn outcome(&self) -> &Outcome<T>;

    /// The key of the post that is held for the job; without meaning while it waits. Read and
    /// written under the lock of the pool.
    fn post(&self) -> &AtomicUsize;
}

struct Cell<B: Body> {
    /// The runtime on which the job was handed in, and on which it is to run.
    home: Handle,
    post: AtomicUsize,
    outcome: Outcome<B::Output>,
    run: UnsafeCell<Run<B>>,
}

// SAFETY: `run` is only reached through the `Owner`, which is unique (`Owner::new` makes the only
// one) and goes from thread to thread as a whole, and by the drop of the cell, when no `Owner` and
// no handle is left. So it is never accessed from two threads at once; `B: Send` lets it go from
// one to another. The other fields are `Sync` by themselves.
unsafe impl<B: Body> Sync for Cell<B> {}

/// What an owner does to its cell, whatever the type of the job.
trait Owned: Send + Sync {
    fn home(&self) -> &Handle;
    fn post(&self) -> &AtomicUsize;
    fn take_waker(&self) -> Option<Waker>;

    /// # Safety
    ///
    /// Only the owner may call this, from a method that borrows it mutably.
    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;

    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn give_up(&self) -> Ended;
}

impl Owner {
    /// Puts a job into its allocation, to be run on `home`.
    pub(crate) fn new<B: Body>(body: B, home: Handle) -> (Self, Arc<dyn Seen<B::Output>>) {
        let cell = Arc::new(Cell {
            home,
            post: AtomicUsize::new(usize::MAX),
            outcome: Outcome::new(),
            run: UnsafeCell::new(Run::new(body)),
        });
        (Self(cell.clone()), cell)
    }

    pub(crate) fn home(&self) -> &Handle {
        self.0.home()
    }

    /// Lets the handle know the post of the job. Under the lock of the pool.
    pub(crate) fn posted_at(&self, key: usize) {
        self.0.post().store(key, Ordering::Relaxed);
    }

    /// The waker of the blocked caller of `spawn`, to be told that the job starts.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.0.take_waker()
    }

    /// Runs the job on, or stops it. At its end its result has been stored.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: `self` is the owner, borrowed mutably.
        unsafe { self.0.poll(cx, stop) }
    }

    /// Drops the job where it stands; it is settled as cancelled.
    pub(crate) fn give_up(self) -> Ended {
        // SAFETY: `self` is the owner, and nobody borrows it.
        unsafe { self.0.give_up() }
    }
}

impl<B: Body> Cell<B> {
    /// # Safety
    ///
    /// As [`Owned::poll`].
    unsafe fn with_run<R>(&self, f: impl FnOnce(Pin<&mut Run<B>>) -> R) -> R {
        // SAFETY: the caller is the unique owner, so the reference is unique. A cell lives in an
        // `Arc` from its birth in `Owner::new` and nothing moves out of it, so `run` is pinned.
        self.run
            .with_mut(|run| f(unsafe { Pin::new_unchecked(&mut *run) }))
    }
}

impl<B: Body> Owned for Cell<B> {
    fn home(&self) -> &Handle {
        &self.home
    }

    fn post(&self) -> &AtomicUsize {
        &self.post
    }

    fn take_waker(&self) -> Option<Waker> {
        self.outcome.take_waker()
    }

    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        let settle = |result, stopped| self.outcome.settle(result, stopped);
        // SAFETY: passed on to the caller.
        unsafe { self.with_run(|run| run.poll(cx, stop, settle)) }
    }

    unsafe fn give_up(&self) -> Ended {
        let settle = |result, stopped| self.outcome.settle(result, stopped);
        // SAFETY: passed on to the caller.
        unsafe { self.with_run(|run| run.give_up(settle)) }
    }
}

impl<B: Body> Seen<B::Output> for Cell<B> {
    fn outcome(&self) -> &Outcome<B::Output> {
        &self.outcome
    }

    fn post(&self) -> &AtomicUsize {
        &self.post
    }
}
