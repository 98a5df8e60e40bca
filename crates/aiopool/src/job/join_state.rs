//! The state at which the runnable and the receiver of a job meet.

#![expect(
    unsafe_code,
    reason = "a boxed waker in an atomic pointer, and no lock; what that gains stands in `cell`"
)]

use std::mem;
use std::ptr;
use std::task::{Context, Poll, Waker};

use crate::sys::sync::{AtomicPtr, Ordering};
use crate::sys::unwind::discard;

/// The state at which the runnable and the receiver meet: `OPEN`, `SETTLED`, `DETACHED`, or the
/// boxed waker that the receiver of an open job has left.
pub(crate) struct JoinState(AtomicPtr<Waker>);

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
        Ok(waker_in(state).map(|waker| *waker))
    }

    /// The receiver leaves. Tells whether the result is stored.
    pub(crate) fn detach(&self) -> bool {
        // A settled state stays as it is: it needs no exchange, and observers may read it.
        let leave = |state| (state != SETTLED).then_some(DETACHED);
        let left = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, leave);
        let settled = left.is_err();
        discard(left.ok().and_then(waker_in));
        settled
    }

    /// Takes the waker that the receiver has left. Only the runnable, to wake it, and the receiver
    /// itself do that. If one of them changes the state meanwhile, the other sees it: a receiver
    /// looks once more when it leaves its waker again.
    pub(crate) fn take_waker(&self) -> Option<Box<Waker>> {
        let state = self.0.load(Ordering::Relaxed);
        if !is_waker(state) {
            return None;
        }
        let taken = self
            .0
            .compare_exchange(state, OPEN, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().and_then(waker_in)
    }

    /// Waits until the job is settled. For the receiver.
    pub(crate) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_settled() {
            return Poll::Ready(());
        }
        // A poll by the same task takes its waker out and puts it back. If the receiver compared
        // the waker in its place, the runnable might take and drop it meanwhile.
        let waker = match self.take_waker() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            // In the same box: whether it has been replaced does not depend on where the next one is.
            Some(mut waker) => {
                discard(mem::replace(&mut *waker, cx.waker().clone()));
                waker
            }
            None => Box::new(cx.waker().clone()),
        };
        let waker = Box::into_raw(waker);
        let left = self
            .0
            .compare_exchange(OPEN, waker, Ordering::AcqRel, Ordering::Acquire);
        if left.is_ok() {
            return Poll::Pending;
        }
        // The runnable has settled the job meanwhile.
        discard(waker_in(waker));
        Poll::Ready(())
    }
}

/// The waker that a former state stands for.
fn waker_in(state: *mut Waker) -> Option<Box<Waker>> {
    // SAFETY: `JoinState::poll_settled` alone puts such a pointer there, out of a box, and whoever
    // takes it out by an exchange is the only one to have it.
    is_waker(state).then(|| unsafe { Box::from_raw(state) })
}

fn is_waker(state: *mut Waker) -> bool {
    ![OPEN, SETTLED, DETACHED].contains(&state)
}

const OPEN: *mut Waker = ptr::null_mut();
const SETTLED: *mut Waker = ptr::without_provenance_mut(1);
const DETACHED: *mut Waker = ptr::without_provenance_mut(2);
