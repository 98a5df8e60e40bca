//! What a step leaves to be done when it is over. To call Python is foreign code, and so is to drop an
//! object of it, which may have a destructor: neither may find the state in the midst of a change.

use aiopool_core::{Drain, Slot};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{Given, Runner, Waiter};
use super::options::Callback;
use crate::py::context::Snapshot;
use crate::py::loop_end::LoopEnd;

/// Whom the pool has to see to next.
#[must_use]
pub(crate) enum Next {
    /// Who waits, and may have a slot; and what tells whether the loop ends.
    Someone(Option<Py<PyAny>>),
    /// Nobody for now.
    Nobody {
        /// Whether somebody waits while nothing watches for the end of the loop.
        waits: bool,
        empty: bool,
    },
}

/// The pool has become empty. Its joiners are told one after another when this has been seen to.
#[must_use]
pub(crate) struct Emptied {
    pub(crate) loop_end: Option<LoopEnd>,
    pub(crate) snapshot: Option<Snapshot>,
}

/// The queue has been emptied, and stays closed until the pool is empty.
#[must_use]
pub(crate) struct Closed {
    pub(crate) waiters: Drain<Waiter>,
    pub(crate) loop_end: Option<LoopEnd>,
}

/// A job that has come to its end, to be [finished](super::classes::Pool::finish) when its outcome has
/// been told.
#[must_use]
pub(crate) struct Ended {
    pub(super) slot: Slot,
    /// Where the pool holds the job.
    pub(super) key: usize,
    pub(super) callback: Option<Callback>,
    pub(super) runner: Option<Runner>,
}

/// What the coroutine of a job does at a step before it has begun.
#[must_use]
pub(crate) enum FirstStep {
    /// Wait for the task that it is being made for.
    Pause,
    /// See whether this task makes the step.
    Compare(Py<PyAny>),
    /// It has begun, and needs no longer hold the awaitable, which is given to be dropped.
    Begin(Option<Py<PyAny>>),
}

/// What is to be told that a worker begins a job.
#[must_use]
pub(crate) struct Naming {
    /// Its coroutine, if that has another name.
    pub(crate) coroutine: Option<(Py<PyAny>, Py<PyString>)>,
    /// The method of its task, which a job may have called before.
    pub(crate) set_name: Option<Py<PyAny>>,
}

/// What a worker does that has no job under way.
#[must_use]
pub(crate) enum NextOfWorker {
    Begin(Given),
    /// Let the others have their turn of the loop.
    Pause,
    End,
}
