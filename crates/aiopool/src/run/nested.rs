//! The job that a thread polls: where what it hands into its own pool stands in the queue, and whether
//! it waits for something of that pool.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use aiopool_core::{Level, Request};

use crate::job::waiting::Waiting;
use crate::state::Shared;
use crate::sys::per_thread;
use crate::sys::runtime::{TaskId, current_task};

/// The job that a thread polls.
#[derive(Clone, Copy)]
pub(crate) struct Polled {
    /// The address of its pool.
    pool: *const Shared,
    level: Level,
    /// The index of its entry.
    entry: usize,
    /// Its worker. A job may drive another runtime while it is polled, whose tasks are not its own.
    task: Option<TaskId>,
    /// Whether it has its slots. If not, its worker polls what it waits for.
    is_active: bool,
    /// Whether it is to wait outside.
    waits: bool,
}

/// Restores what was there before, also if the poll panics.
struct Restore(Polled);

per_thread! {
    static POLLED: Cell<Polled> = Cell::new(NOTHING);
    static WAITING: RefCell<Option<Waiting>> = RefCell::new(None);
}

/// Whether the thread polls a job of this pool.
#[inline]
pub(crate) fn is_in_job(pool: &Arc<Shared>) -> bool {
    let polled = POLLED.with(Cell::get);
    polled.pool == Arc::as_ptr(pool) && is_current(polled)
}

#[cold]
#[inline(never)]
fn is_current(polled: Polled) -> bool {
    polled.task == current_task()
}

/// What is handed into this pool now and asks for nothing has the level of the job of this pool that the
/// thread polls, if it polls one. It stands at the front if that job is `to_wait` for it.
#[inline]
pub(crate) fn request_in(pool: &Arc<Shared>, to_wait: bool) -> Request {
    if !is_in_job(pool) {
        return Request::default();
    }
    Request {
        level: POLLED.with(Cell::get).level,
        key: None,
        front: to_wait,
    }
}

/// The entry of the job of this pool that the thread polls.
pub(crate) fn entry_in(pool: &Arc<Shared>) -> Option<usize> {
    is_in_job(pool).then(|| POLLED.with(Cell::get).entry)
}

/// Something of this pool is not ready. If a job of this pool polls it, the job waits outside as long as
/// what is given is kept: it may not poll this again before it is ready.
#[inline]
pub(crate) fn wait(pool: &Arc<Shared>) -> Option<Waiting> {
    is_in_active_job(pool).then(|| {
        wait_outside();
        WAITING.with(|waiting| {
            waiting
                .borrow_mut()
                .get_or_insert_with(Waiting::new)
                .clone()
        })
    })
}

/// The mark of the job that has just been polled, if it [waits](wait).
pub(crate) fn take_waiting() -> Option<Waiting> {
    WAITING.with(|waiting| waiting.borrow_mut().take())
}

/// The job that the thread polls is to wait outside.
pub(crate) fn wait_outside() {
    POLLED.with(|polled| {
        polled.set(Polled {
            waits: true,
            ..polled.get()
        });
    });
}

/// In a job of this pool the call would wait for the job itself.
///
/// # Panics
///
/// In a job of this pool.
pub(crate) fn refuse(pool: &Arc<Shared>, verb: &str, caller: &Location<'_>) {
    assert!(
        !is_in_job(pool),
        "`{verb}` in a job of its own pool would wait for that job: call it elsewhere (called at \
         {caller})"
    );
}

/// Whether the thread polls a job of this pool that has its slots.
#[inline]
pub(crate) fn is_in_active_job(pool: &Arc<Shared>) -> bool {
    is_in_job(pool) && POLLED.with(Cell::get).is_active
}

/// Calls `f`, which polls a job of this pool, or what it waits for if it is not active, or asks a
/// source for an item. Tells whether the job is to wait outside.
#[inline]
pub(crate) fn poll<R>(
    pool: &Arc<Shared>,
    level: Level,
    entry: usize,
    task: Option<TaskId>,
    is_active: bool,
    f: impl FnOnce() -> R,
) -> (R, bool) {
    let polled = Polled {
        pool: Arc::as_ptr(pool),
        level,
        entry,
        task,
        is_active,
        waits: false,
    };
    let _restore = Restore(POLLED.with(|here| here.replace(polled)));
    let result = f();
    (result, POLLED.with(Cell::get).waits)
}

impl Drop for Restore {
    fn drop(&mut self) {
        POLLED.with(|polled| polled.set(self.0));
    }
}

const NOTHING: Polled = Polled {
    pool: ptr::null(),
    level: Level::MIN,
    entry: usize::MAX,
    task: None,
    is_active: false,
    waits: false,
};
