//! What the pool needs of Tokio: a runtime to run workers on, and the budget of a task.

use std::panic::Location;

#[cfg(aiopool_loom)]
pub(crate) use in_loom::{Handle, RuntimeId, poll_proceed};
#[cfg(not(aiopool_loom))]
pub(crate) use tokio::{
    runtime::{Handle, Id as RuntimeId},
    task::coop::poll_proceed,
};

/// The runtime of the caller.
///
/// # Panics
///
/// Outside a runtime, as `tokio::spawn` does.
#[track_caller]
pub(crate) fn current() -> Handle {
    Handle::current()
}

/// The runtime in which a future is polled that was made by a call at `caller`.
pub(crate) fn current_for(caller: &Location<'_>) -> Handle {
    match Handle::try_current() {
        Ok(handle) => handle,
        Err(error) => panic!("{error} (awaited: a call of aiopool at {caller})"),
    }
}

/// A runtime made of loom's threads, one for each task.
#[cfg(aiopool_loom)]
mod in_loom {
    use std::task::{Context, Poll};

    #[derive(Debug, Clone)]
    pub(crate) struct Handle;

    #[derive(PartialEq, Eq)]
    pub(crate) struct RuntimeId;

    impl Handle {
        pub(crate) fn current() -> Self {
            Self
        }

        pub(crate) fn try_current() -> Result<Self, String> {
            Ok(Self)
        }

        pub(crate) fn id(&self) -> RuntimeId {
            RuntimeId
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
            loom::thread::spawn(move || loom::future::block_on(task));
        }
    }

    pub(crate) struct Progress;

    impl Progress {
        pub(crate) fn made_progress(&self) {}
    }

    pub(crate) fn poll_proceed(_: &mut Context<'_>) -> Poll<Progress> {
        Poll::Ready(Progress)
    }
}
