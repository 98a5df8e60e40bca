//! What each held slot is held for.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use aiopool_core::{Admitted, Slot, Ticket};

use crate::job::cell::Owner;
use crate::source::{Item, Source, SourceId};
use crate::state::signal::Group;

/// What stands in the line.
pub(crate) enum Waiter {
    Job(Owner),
    /// A running map or stream, for its next item.
    Source(Box<Source>),
}

/// What a slot is held for.
pub(crate) struct Post {
    /// The place that the job, or its source, had in the line.
    pub(crate) ticket: Ticket,
    /// The source whose item it is.
    pub(crate) source: Option<SourceId>,
    /// The slot and the work, until a worker takes them up.
    pub(crate) open: Option<(Slot, Work)>,
    /// The key of the tether of the worker that has taken it up.
    pub(crate) worker: Option<usize>,
    /// Whether the job is to be stopped when a worker takes it up.
    pub(crate) stop: bool,
    /// Those who wait for the end of the job.
    pub(crate) watchers: Vec<Arc<Group>>,
}

/// What a worker takes up.
pub(crate) struct Taken {
    /// The key of the post.
    pub(crate) key: usize,
    pub(crate) slot: Slot,
    pub(crate) work: Work,
}

/// What a worker does next.
pub(crate) enum Work {
    /// Take up an open post, or leave.
    Look,
    /// Ask a source for its next item.
    Pull(Box<Source>),
    Job(Owner),
    Item(Pin<Box<dyn Item>>),
    /// Nobody waits: let other tasks have their turn, one of which may hand something in, and look
    /// once more. To end and to start again costs several times as much.
    Linger,
    /// The same, while there is a source that may give something at any time: sleep until called.
    Sleep,
    Done,
}

impl Waiter {
    /// The key of its crew.
    pub(crate) fn crew(&self) -> usize {
        match self {
            Self::Job(job) => job.crew(),
            Self::Source(source) => source.crew(),
        }
    }
}

impl Taken {
    /// What was admitted, with the post at `key`, which a job is to know as its own.
    pub(crate) fn new(key: usize, admitted: Admitted<Waiter>) -> Self {
        if let Waiter::Job(job) = &admitted.waiter {
            job.posted_at(key);
        }
        Self {
            key,
            slot: admitted.slot,
            work: admitted.waiter.into(),
        }
    }
}

impl Post {
    pub(crate) fn new(admitted: &Admitted<Waiter>) -> Self {
        Self {
            ticket: admitted.ticket,
            source: admitted.waiter.source(),
            open: None,
            worker: None,
            stop: false,
            watchers: Vec::new(),
        }
    }

    /// Whether it is held for the job that had `ticket` in the line.
    pub(crate) fn has_job(&self, ticket: Ticket) -> bool {
        self.ticket == ticket
    }

    /// Whether it is held for an item of this source.
    pub(crate) fn is_of_source(&self, source: SourceId) -> bool {
        self.source == Some(source)
    }

    /// `watcher` is to be told of the end of the job.
    pub(crate) fn watch(&mut self, watcher: Arc<Group>) {
        self.watchers.push(watcher);
    }

    /// Those who wait for the end of the job.
    pub(crate) fn take_watchers(&mut self) -> Vec<Arc<Group>> {
        mem::take(&mut self.watchers)
    }
}

impl Waiter {
    /// The id of the source, if it is one.
    pub(crate) fn source(&self) -> Option<SourceId> {
        match self {
            Self::Job(_) => None,
            Self::Source(source) => Some(source.id()),
        }
    }
}

impl From<Waiter> for Work {
    fn from(waiter: Waiter) -> Self {
        match waiter {
            Waiter::Job(job) => Self::Job(job),
            Waiter::Source(source) => Self::Pull(source),
        }
    }
}
