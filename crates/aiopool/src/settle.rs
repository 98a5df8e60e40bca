//! Where the result of a job waits for its handle.

use std::mem;
use std::task::{Context, Poll, Waker};

use crate::error::JobError;
use crate::foreign::discard;
use crate::sync::{Mutex, poll_locked};

/// The result of a job, from the side of the job and from the side of its handle.
#[derive(Debug)]
pub(crate) struct Outcome<T>(Mutex<Stage<T>>);

#[derive(Debug)]
enum Stage<T> {
    /// The job goes on; somebody may want to be woken.
    Open(Option<Waker>),
    Settled {
        result: Result<T, JobError>,
        stopped: bool,
    },
    /// The result has been taken, or nobody wants it.
    Gone,
}

/// The side of the job.
impl<T> Outcome<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Stage::Open(None)))
    }

    /// Stores the result. The waker it gives is to be woken last, when the slot has been given
    /// back. `stopped`: whether a cancellation ended the job.
    pub(crate) fn settle(&self, result: Result<T, JobError>, stopped: bool) -> Option<Waker> {
        let mut stage = self.0.lock();
        if let Stage::Open(waker) = &mut *stage {
            let waker = waker.take();
            *stage = Stage::Settled { result, stopped };
            return waker;
        }
        drop(stage);
        discard(result);
        None
    }

    /// The waker of a caller who waits for the start of the job.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        match &mut *self.0.lock() {
            Stage::Open(waker) => waker.take(),
            Stage::Settled { .. } | Stage::Gone => None,
        }
    }
}

/// The side of the handle.
impl<T> Outcome<T> {
    /// Waits for the end of the job, and tells whether a cancellation brought it.
    ///
    /// # Panics
    ///
    /// If the result has been taken.
    pub(crate) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let settled = poll_locked(&self.0, cx, |stage| match stage {
            Stage::Open(waker) => Err(waker),
            Stage::Settled { stopped, .. } => Ok(Some(*stopped)),
            Stage::Gone => Ok(None),
        });
        settled.map(|stopped| {
            stopped.expect("a `JobHandle` must not be polled after it has given its result")
        })
    }

    /// Takes the result, if the job is settled and nobody has taken it.
    pub(crate) fn take(&self) -> Option<Result<T, JobError>> {
        let mut stage = self.0.lock();
        match mem::replace(&mut *stage, Stage::Gone) {
            Stage::Settled { result, .. } => Some(result),
            open_or_gone => {
                *stage = open_or_gone;
                None
            }
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        !matches!(*self.0.lock(), Stage::Open(_))
    }

    /// As [`is_settled`](Self::is_settled); `None` while another thread looks.
    pub(crate) fn try_is_settled(&self) -> Option<bool> {
        self.0
            .try_lock()
            .map(|stage| !matches!(*stage, Stage::Open(_)))
    }

    /// Nobody wants the result any more: drops it now, or as soon as it is there.
    pub(crate) fn detach(&self) {
        let stage = mem::replace(&mut *self.0.lock(), Stage::Gone);
        // A panic of its drop is not wanted either, least of all while the owner is panicking.
        discard(stage);
    }
}
