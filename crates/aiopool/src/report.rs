//! What has become of the jobs of a pool that was closed.

use std::sync::Arc;
use std::time::Duration;

use crate::job::id::JobId;
use crate::key::Key;

/// What [`Pool::close`](crate::Pool::close) has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many jobs have ended since then that the call has neither cancelled nor withdrawn.
    pub finished: u64,
    /// The jobs that it cancelled and that have ended.
    pub cancelled: Vec<JobInfo>,
    /// The jobs that waited and never started.
    pub unstarted: Vec<JobInfo>,
    /// The jobs that it cancelled and that had not ended when it returned.
    pub running: Vec<JobInfo>,
    /// The number of running maps and streams whose items were not exhausted.
    pub sources: usize,
}

/// What a [`Report`] tells of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobInfo {
    /// The id of the job, which its [`JobHandle`](crate::JobHandle) tells too.
    pub id: JobId,
    /// Its name, if it has [one](crate::Job::name).
    pub name: Option<Arc<str>>,
    /// Its key, if it has [one](crate::Job::key).
    pub key: Option<Key>,
    /// How long ago it had been handed in. `None` in a pool without an
    /// [observer](crate::Builder::observer), which reads no clock for that.
    pub age: Option<Duration>,
}
