//! Calls of foreign code. A panic there must harm only the job that it belongs to.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

pub(crate) type Payload = Box<dyn Any + Send>;

/// Calls `f`, and gives the payload of its panic as the error.
// State that `f` leaves half done belongs to its job, which is dropped after a panic.
pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops a value that is no longer needed, and the payload if its drop panics.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = guarded(|| drop(value)) {
        // If the drop of the payload panics too, its own payload is never dropped.
        if let Err(payload) = guarded(|| drop(payload)) {
            std::mem::forget(payload);
        }
    }
}

/// Wakes tasks. Called when no lock is held: a waker may be any code.
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(wake_one);
}

fn wake_one(waker: Waker) {
    if let Err(payload) = guarded(|| waker.wake()) {
        discard(payload);
    }
}
