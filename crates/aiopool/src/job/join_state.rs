//! The state at which the runnable and the receiver of a job meet.

#![expect(
    unsafe_code,
    reason = "a boxed waker in an atomic pointer, and no lock; what that gains stands in `cell`"
)]

use std::mem;
use std::ptr;
use std::task::{Context, Poll, Waker};

use crate::job::waiting::Waiting;
use crate::sys::sync::{AtomicPtr, Ordering};
use crate::sys::unwind::discard;

/// The state at which the runnable and the receiver meet: `OPEN`, `SETTLED`, `DETACHED`, or, in a box,
/// what the receiver of an open job has left.
pub(crate) struct JoinState(AtomicPtr<Left>);

/// What a receiver that waits leaves.
pub(crate) struct Left {
    pub(crate) waker: Waker,
    /// If it is a job of the pool that waits: it does as long as this is here.
    waiting: Option<Waiting>,
}

/// The receiver of a job has gone before its end.
pub(crate) struct Detached;

impl JoinState {
    pub(crate) fn open() -> Self {
        Self(AtomicPtr::new(OPEN))
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.load(Ordering::Acquire) == SETTLED
    }

    /// The result is stored. Gives the waker of the receiver, if the receiver has left one.
    pub(crate) fn settle(&self) -> Result<Option<Waker>, Detached> {
        // Release: the receiver sees the result. Acquire: the accesses of a receiver that has left
        // come before the cell is freed.
        let state = self.0.swap(SETTLED, Ordering::AcqRel);
        if state == DETACHED {
            return Err(Detached);
        }
        Ok(left_in(state).map(|left| left.waker))
    }

    /// The receiver leaves. Tells whether the result is stored.
    pub(crate) fn detach(&self) -> bool {
        // A settled state stays as it is: it needs no exchange, and observers may read it.
        let leave = |state| (state != SETTLED).then_some(DETACHED);
        let left = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, leave);
        let settled = left.is_err();
        discard(left.ok().and_then(left_in));
        settled
    }

    /// Takes the waker that the receiver has left. Only the runnable, to wake it, and the receiver
    /// itself do that. If one of them changes the state meanwhile, the other sees it: a receiver
    /// looks once more when it leaves its waker again.
    pub(crate) fn take_waker(&self) -> Option<Box<Left>> {
        let state = self.0.load(Ordering::Relaxed);
        if !is_left(state) {
            return None;
        }
        let taken = self
            .0
            .compare_exchange(state, OPEN, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().and_then(left_in)
    }

    /// Waits until the job is settled. For the receiver. What `wait` gives is kept as long as the waker.
    pub(crate) fn poll_settled(
        &self,
        cx: &mut Context<'_>,
        wait: impl FnOnce() -> Option<Waiting>,
    ) -> Poll<()> {
        if self.is_settled() {
            return Poll::Ready(());
        }
        // A poll by the same task takes its waker out and puts it back. If the receiver compared
        // the waker in its place, the runnable might take and drop it meanwhile.
        let waiting = wait();
        let left = match self.take_waker() {
            // In the same box: whether it has been replaced does not depend on where the next one is.
            Some(mut left) => {
                if !left.waker.will_wake(cx.waker()) {
                    discard(mem::replace(&mut left.waker, cx.waker().clone()));
                }
                left.waiting = waiting;
                left
            }
            None => Box::new(Left {
                waker: cx.waker().clone(),
                waiting,
            }),
        };
        let left = Box::into_raw(left);
        let is_left = self
            .0
            .compare_exchange(OPEN, left, Ordering::AcqRel, Ordering::Acquire);
        if is_left.is_ok() {
            return Poll::Pending;
        }
        // The runnable has settled the job meanwhile.
        discard(left_in(left));
        Poll::Ready(())
    }
}

/// What a former state stands for.
fn left_in(state: *mut Left) -> Option<Box<Left>> {
    // SAFETY: `JoinState::poll_settled` alone puts such a pointer there, out of a box, and whoever
    // takes it out by an exchange is the only one to have it.
    is_left(state).then(|| unsafe { Box::from_raw(state) })
}

fn is_left(state: *mut Left) -> bool {
    ![OPEN, SETTLED, DETACHED].contains(&state)
}

const OPEN: *mut Left = ptr::null_mut();
const SETTLED: *mut Left = ptr::without_provenance_mut(1);
const DETACHED: *mut Left = ptr::without_provenance_mut(2);
