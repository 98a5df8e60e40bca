//! Calls of code that is not ours, whose panics must harm nobody but their job.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

pub(crate) type Payload = Box<dyn Any + Send>;

/// Calls `f`, and gives what it panicked with as the error.
// What `f` may leave behind half done belongs to its job, which is dropped after a panic.
pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops what nobody will see any more, and with it what its drop panics with.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = guarded(|| drop(value)) {
        // A payload whose own drop panics too is not given a third chance.
        if let Err(payload) = guarded(|| drop(payload)) {
            std::mem::forget(payload);
        }
    }
}

/// Wakes, after all locks have been released. A waker may be anybody's.
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(wake_one);
}

fn wake_one(waker: Waker) {
    if let Err(payload) = guarded(|| waker.wake()) {
        discard(payload);
    }
}
