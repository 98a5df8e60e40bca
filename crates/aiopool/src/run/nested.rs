//! The priority of the job that is polled: what it hands into its own pool has it too.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use aiopool_core::Level;

use crate::state::Shared;
use crate::sys::runtime::{TaskId, current_task};

/// The job that a thread polls.
#[derive(Clone, Copy)]
struct Polled {
    /// The address of its pool.
    pool: *const Shared,
    level: Level,
    /// Its worker. A job may drive another runtime while it is polled, whose tasks are not its own.
    task: Option<TaskId>,
}

/// Restores what was there before, also if the poll panics.
struct Restore(Polled);

thread_local! {
    /// A job of the default level is not told, so that it costs nothing.
    static POLLED: Cell<Polled> = const { Cell::new(NOTHING) };
}

/// The level of what is handed into this pool now and asks for none: that of the job of this pool
/// which the thread polls, if it polls one.
#[inline]
pub(crate) fn level_in(pool: &Arc<Shared>) -> Level {
    if POLLED.get().pool.is_null() {
        return Level::default();
    }
    level_of_polled(pool)
}

#[cold]
#[inline(never)]
fn level_of_polled(pool: &Arc<Shared>) -> Level {
    let polled = POLLED.get();
    if polled.pool == Arc::as_ptr(pool) && polled.task == current_task() {
        polled.level
    } else {
        Level::default()
    }
}

/// Panics if the thread polls a job of this pool, whose end the verb that `caller` has called would wait
/// for.
pub(crate) fn refuse_in_job(pool: &Arc<Shared>, verb: &str, caller: &Location<'_>) {
    let polled = POLLED.get();
    assert!(
        polled.pool != Arc::as_ptr(pool) || polled.task != current_task(),
        "`{verb}` in a job of its own pool waits for that job, for ever: call it in another task (awaited: a call of aiopool at {caller})"
    );
}

/// Calls `f`, which polls a job of this level and pool, or asks a source for an item.
#[cold]
#[inline(never)]
pub(crate) fn poll_at<R>(level: Level, pool: &Arc<Shared>, f: impl FnOnce() -> R) -> R {
    let polled = Polled {
        pool: Arc::as_ptr(pool),
        level,
        task: current_task(),
    };
    let _restore = Restore(POLLED.replace(polled));
    f()
}

impl Drop for Restore {
    fn drop(&mut self) {
        POLLED.set(self.0);
    }
}

const NOTHING: Polled = Polled {
    pool: ptr::null(),
    level: Level::MIN,
    task: None,
};
