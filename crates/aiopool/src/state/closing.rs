//! A pool that closes: whom it refuses, and of whom its report tells.

use std::sync::Arc;
use std::task::Waker;

use crate::report::{JobInfo, Report};
use crate::state::active::Waiter;
use crate::sys::runtime::Handle;

/// How far a pool has closed.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// How many jobs had ended when it began to.
    pub(crate) ended_before: u64,
    /// How many sources have given no more items since.
    pub(crate) sources: usize,
    /// Whether something is kept of jobs for a report: some have had a name, or somebody observes them.
    pub(crate) keeps_notes: bool,
}

/// The report, while it is made.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) unstarted: Vec<JobInfo>,
    pub(crate) stopped: Vec<StoppedJob>,
    pub(crate) report: Option<Arc<Report>>,
    /// How many callers are about to add to it.
    pub(crate) authors: usize,
    /// Those who wait for that.
    pub(crate) waiting: Vec<Waker>,
}

/// A job that was active when it was stopped.
#[derive(Debug)]
pub(crate) struct StoppedJob {
    pub(crate) entry: usize,
    pub(crate) info: JobInfo,
}

/// What a closed pool has not taken, to be settled under no lock. So are the handles to be dropped.
pub(crate) struct NotTaken {
    pub(crate) waiter: Waiter,
    pub(crate) runtimes: Vec<Handle>,
}

impl Closing {
    pub(crate) fn count_source(&mut self, is_cut_off: bool) {
        self.sources += usize::from(is_cut_off);
    }
}
