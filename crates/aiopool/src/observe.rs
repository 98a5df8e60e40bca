//! What an observer of a pool is told.

use std::sync::Arc;
use std::time::Duration;

use crate::job::id::JobId;
use crate::job::options::Options;
use crate::key::Key;
use crate::stats::Outcome;
use crate::sys::clock::Instant;

/// What has happened in a pool: see [`Builder::observer`](crate::Builder::observer).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A job has been handed in, or an item of a map or stream has been pulled.
    #[non_exhaustive]
    Queued {
        /// The job.
        job: Observed,
    },
    /// A job is about to be polled for the first time.
    #[non_exhaustive]
    Started {
        /// The job.
        job: Observed,
        /// When it got its slot. That is its start, which the rates count; its worker comes soon after.
        at: Instant,
        /// For how long it has waited for its slot.
        wait: Duration,
    },
    /// A job waits [outside](crate::Pool::outside), or for its own pool: it has given its slots back.
    #[non_exhaustive]
    Outside {
        /// The job.
        job: Observed,
    },
    /// A job that was outside has its slots again.
    #[non_exhaustive]
    Back {
        /// The job.
        job: Observed,
    },
    /// A job has ended, and its slot has been given back if it had one. A job that is cancelled before
    /// it starts ends too.
    #[non_exhaustive]
    Finished {
        /// The job.
        job: Observed,
        /// How it has ended.
        outcome: Outcome,
        /// For how long it has waited for its slot.
        wait: Duration,
        /// For how long it has had its slot. `None` if it has never started.
        run: Option<Duration>,
    },
    /// The pool, or a key, has been paused. It may have been paused before.
    #[non_exhaustive]
    Paused {
        /// The key, if it is not the pool.
        key: Option<Key>,
        /// For how long; without end if there is none.
        time: Option<Duration>,
    },
    /// The pool, or a key, has been resumed. No event tells when a pause ends by itself.
    #[non_exhaustive]
    Resumed {
        /// The key, if it is not the pool.
        key: Option<Key>,
    },
    /// The pool has another number of slots.
    #[non_exhaustive]
    Resized {
        /// The number of slots.
        size: usize,
    },
    /// The pool takes no more jobs: it [closes](crate::Pool::close).
    Closed,
}

/// A job as an observer sees it.
#[derive(Debug, Clone)]
pub struct Observed {
    id: JobId,
    name: Option<Arc<str>>,
    key: Option<Key>,
}

/// Foreign code, which is called under no lock.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

impl Observed {
    pub(crate) fn new(id: JobId, seen: Seen) -> Self {
        let Seen { name, key } = seen;
        Self { id, name, key }
    }

    /// The id of the job, which its [`JobHandle`](crate::JobHandle) tells too. That of an item is no
    /// other job's.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Its name, if it has [one](crate::Job::name).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its key, if it has [one](crate::Job::key).
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }
}

/// What is to be seen of a job in its options.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) key: Option<Key>,
}

impl Seen {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            name: options.name().cloned(),
            key: options.key().cloned(),
        }
    }
}
