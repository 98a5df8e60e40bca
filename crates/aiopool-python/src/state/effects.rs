//! The effects of a step: the actions that follow when it is over. Calling Python runs foreign
//! code, and so does dropping a Python object, which may have a destructor. Foreign code must not
//! find the state in the middle of a change.

use aiopool_core::{Outside, Slot, Ticket, Time};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{Given, Items, Runner, Waiter, Work};
use super::options::{Callback, Observed};
use crate::py::context::Snapshot;
use crate::py::loop_end::LoopEnd;

/// The next action of the pool.
#[must_use]
pub(crate) enum Next {
    /// A waiter may have a slot.
    Someone {
        /// Tells whether the loop ends.
        cancelling: Option<Py<PyAny>>,
        /// Whether the time makes a difference.
        is_timed: bool,
    },
    /// A `map` that was aside may stand in the queue again.
    Source(Py<Items>),
    /// No waiter may have a slot for now.
    Nobody {
        /// Whether a job needs a watch for the end of the loop and has none.
        unwatched: bool,
        empty: bool,
        /// Whether nobody is active, and somebody waits for that.
        drained: bool,
        /// Whether the timer may need a change.
        is_timed: bool,
        /// Whether somebody waits, and the pool has no watch for jobs that wait for each other.
        stands: bool,
        /// Keys that are not needed any more, to be dropped.
        gone: Option<Vec<Py<PyAny>>>,
    },
}

/// The change that the timer of a pool needs.
#[must_use]
pub(crate) enum Timer {
    Keep,
    /// It is to fire then, instead of the one that is to be cancelled.
    Set(Time, Option<Py<PyAny>>),
    Cancel(Py<PyAny>),
}

/// The pool has become empty. After these effects the joiners are told, one after another.
#[must_use]
pub(crate) struct Emptied {
    pub(crate) loop_end: Option<LoopEnd>,
    pub(crate) snapshot: Option<Snapshot>,
}

/// The queue has been emptied, and stays closed until the pool is empty.
#[must_use]
pub(crate) struct Closed {
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) loop_end: Option<LoopEnd>,
}

/// A job that has come to its end. It is [finished](super::classes::Pool::finish) when its outcome
/// has been told.
#[must_use]
pub(crate) struct Ended {
    /// Its slots, or what stands for it outside and in the queue.
    pub(super) slot: Option<Slot>,
    pub(super) outside: Option<Outside>,
    pub(super) place: Option<Ticket>,
    /// Where the pool holds the job.
    pub(super) index: usize,
    pub(super) callback: Option<Callback>,
    pub(crate) observed: Option<Box<Observed>>,
    pub(super) runner: Option<Runner>,
}

/// The act of a job's coroutine in a step before the job has begun.
#[must_use]
pub(crate) enum FirstStep {
    /// Wait for its task, which is being made.
    Pause,
    /// Check whether this task makes the step.
    Compare(Py<PyAny>),
    /// Begin. The job no longer holds the awaitable, which is given to be dropped.
    Begin(Option<Work>),
}

/// The objects that get the name of the job that a worker begins.
#[must_use]
pub(crate) struct Naming {
    /// The coroutine of the worker, if it has another name, and that name.
    pub(crate) coroutine: Option<(Py<PyAny>, Py<PyString>)>,
    /// The method of its task. A job may have called it before, so it is always called.
    pub(crate) set_name: Option<Py<PyAny>>,
}

/// The next act of a worker that runs no job.
#[must_use]
pub(crate) enum NextOfWorker {
    Begin(Given),
    /// Let other tasks have their turn of the loop.
    Pause,
    End,
}
