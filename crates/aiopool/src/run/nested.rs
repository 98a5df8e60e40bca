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
    level: Level,
    /// The index of its entry.
    entry: usize,
    /// Its worker. A job may drive another runtime while it is polled, whose tasks are not its own.
    task: Option<TaskId>,
    what: Polling,
    /// Whether it is to wait outside.
    waits: bool,
}

/// What a thread polls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polling {
    /// A job that has its slots.
    Job,
    /// What a job waits for outside.
    Awaited,
    /// A source, for its next item: nobody who could wait.
    Source,
}

/// Which job it is, while a thread polls it: the address of its pool, and its entry.
pub(crate) type PolledJob = (*const Shared, usize);

/// Restores what was there before, also if the poll panics. Most threads poll no other job around this
/// one: then there is no more than the pool to save.
struct Restore {
    pool: *const Shared,
    polled: Option<Polled>,
}

per_thread! {
    /// The address of the pool whose job the thread polls.
    static POOL: Cell<*const Shared> = Cell::new(ptr::null());
    /// That job.
    static POLLED: Cell<Polled> = Cell::new(NOTHING);
    /// The marks of jobs that the thread polls: of several, if one of them drives another runtime.
    static WAITING: RefCell<Vec<(PolledJob, Waiting)>> = RefCell::new(Vec::new());
}

/// What the thread polls, if it is of this pool.
#[inline]
fn polled_in(pool: &Arc<Shared>) -> Option<Polled> {
    let is_its = POOL.with(Cell::get) == Arc::as_ptr(pool) && is_current();
    is_its.then(|| POLLED.with(Cell::get))
}

#[cold]
#[inline(never)]
fn is_current() -> bool {
    POLLED.with(Cell::get).task == current_task()
}

/// What is handed into this pool now and asks for nothing has the level of what the thread polls, if that
/// is of this pool. It stands at the front if it is a job that is `to_wait` for it.
#[inline]
pub(crate) fn request_in(pool: &Arc<Shared>, to_wait: bool) -> Request {
    polled_in(pool).map_or_else(Request::default, |polled| Request {
        level: polled.level,
        key: None,
        front: to_wait && polled.what != Polling::Source,
    })
}

/// The entry of the job of this pool that the thread polls, if it polls one.
#[inline]
pub(crate) fn entry_in(pool: &Arc<Shared>) -> Option<usize> {
    let polled = polled_in(pool).filter(|polled| polled.what != Polling::Source);
    polled.map(|polled| polled.entry)
}

/// Whether the thread polls a job of this pool that has its slots.
#[inline]
pub(crate) fn is_in_active_job(pool: &Arc<Shared>) -> bool {
    polled_in(pool).is_some_and(|polled| polled.what == Polling::Job)
}

/// Something of this pool is not ready. If a job of this pool polls it, the job waits outside as long as
/// what is given is kept: it may not poll this again before it is ready.
#[inline]
pub(crate) fn wait(pool: &Arc<Shared>) -> Option<Waiting> {
    is_in_active_job(pool).then(|| {
        let job = wait_outside();
        WAITING.with(|marks| {
            let mut marks = marks.borrow_mut();
            let its = marks.iter().find(|(marked, _)| *marked == job);
            let mark = its.map_or_else(Waiting::new, |(_, mark)| mark.clone());
            if its.is_none() {
                marks.push((job, mark.clone()));
            }
            mark
        })
    })
}

/// The mark of a job that has just been polled, if it [waits](wait).
pub(crate) fn take_waiting(job: PolledJob) -> Option<Waiting> {
    WAITING.with(|marks| {
        let mut marks = marks.borrow_mut();
        let its = marks.iter().position(|(marked, _)| *marked == job)?;
        Some(marks.swap_remove(its).1)
    })
}

/// The job that the thread polls is to wait outside. Gives which one that is.
pub(crate) fn wait_outside() -> PolledJob {
    POLLED.with(|here| {
        let polled = here.get();
        here.set(Polled {
            waits: true,
            ..polled
        });
        (POOL.with(Cell::get), polled.entry)
    })
}

/// In a job of this pool the call would wait for the job itself.
///
/// # Panics
///
/// In a job of this pool.
pub(crate) fn refuse(pool: &Arc<Shared>, verb: &str, caller: &Location<'_>) {
    assert!(
        entry_in(pool).is_none(),
        "`{verb}` in a job of its own pool would wait for that job: call it elsewhere (called at \
         {caller})"
    );
}

/// Calls `f`, which polls a job of this pool, or what it waits for if it is not active, or asks a
/// source for an item. Tells whether the job is to wait outside.
#[inline]
pub(crate) fn poll<R>(
    pool: &Arc<Shared>,
    level: Level,
    entry: usize,
    task: Option<TaskId>,
    what: Polling,
    f: impl FnOnce() -> R,
) -> (R, bool) {
    let polled = Polled {
        level,
        entry,
        task,
        what,
        waits: false,
    };
    let outer = POOL.with(|here| here.replace(Arc::as_ptr(pool)));
    let _restore = Restore {
        pool: outer,
        polled: (!outer.is_null()).then(|| POLLED.with(Cell::get)),
    };
    POLLED.with(|here| here.set(polled));
    let result = f();
    (result, POLLED.with(Cell::get).waits)
}

impl Drop for Restore {
    fn drop(&mut self) {
        POOL.with(|pool| pool.set(self.pool));
        if let Some(polled) = self.polled {
            POLLED.with(|here| here.set(polled));
        }
    }
}

const NOTHING: Polled = Polled {
    level: Level::MIN,
    entry: usize::MAX,
    task: None,
    what: Polling::Source,
    waits: false,
};
