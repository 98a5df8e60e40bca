//! Starting those whom the core admits.

use std::sync::Arc;

use crate::foreign::wake;
use crate::line::{Shared, State};
use crate::sync::MutexGuard;

impl Shared {
    /// Starts a worker for each waiter that is admitted, then tells those who wait for an idle
    /// pool. To be called after every change but the end of a job, which its worker sees to.
    ///
    /// A runtime that shuts down drops a new task inside `spawn`, and the end of that worker comes
    /// here again. So one caller at a time starts workers, in a loop, and whoever comes meanwhile
    /// leaves its waiters to that loop: a million jobs that wait at a shutdown are dropped one
    /// after another, not one inside the other.
    pub(crate) fn advance<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if state.starting {
            return;
        }
        state.starting = true;
        while let Some(admitted) = state.admit() {
            if let Some(worker) = self.open_post(&mut state, admitted) {
                drop(state);
                worker.call();
                state = self.lock();
            }
        }
        state.starting = false;
        let idle = state.idle();
        drop(state);
        wake(idle);
    }
}
