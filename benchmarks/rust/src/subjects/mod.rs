//! The ways to run many jobs, a limited number at a time: a file for each family. Each does what
//! the documentation of its crate suggests for this, in the form that was the fastest.

mod aiopool;
mod buffered;
mod concurrency;
mod join_set;
mod spawn;
mod tally;
mod task_pool;
mod workers;

use std::fmt;
use std::pin::Pin;

use crate::load::Load;
use crate::meter::Cost;
use crate::run;
use crate::subject::{Queue, Subject};

/// A subject in the list.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) run: fn(Load) -> Running,
}

type Running = Pin<Box<dyn Future<Output = anyhow::Result<Cost>> + Send>>;

/// What becomes of the jobs for which there is no slot yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// They wait.
    Queues,
    /// Who hands in the next one is held back.
    Blocks,
    /// They have not been made: the subject pulls them out of an iterator.
    Pulls,
}

pub(crate) static SUBJECTS: &[Entry] = &[
    Entry::of::<aiopool::Spawn>("aiopool.spawn", Kind::Blocks),
    Entry::queue::<aiopool::SpawnN>("aiopool.spawn_n"),
    Entry::of::<aiopool::Map>("aiopool.map", Kind::Pulls),
    Entry::of::<aiopool::Itermap>("aiopool.itermap", Kind::Pulls),
    Entry::of::<aiopool::ItermapOrdered>("aiopool.itermap_ordered", Kind::Pulls),
    Entry::of::<join_set::PermitBefore>("join_set.permit_before", Kind::Blocks),
    Entry::queue::<join_set::PermitInside>("join_set.permit_inside"),
    Entry::queue::<join_set::Bounded>("bounded_join_set"),
    Entry::of::<task_pool::TaskPool>("tokio-task-pool", Kind::Blocks),
    Entry::of::<buffered::Unordered>("buffer_unordered", Kind::Pulls),
    Entry::of::<buffered::UnorderedTasks>("buffer_unordered.tasks", Kind::Pulls),
    Entry::of::<buffered::Ordered>("buffered", Kind::Pulls),
    Entry::of::<buffered::Bounded>("futures-buffered", Kind::Pulls),
    Entry::of::<buffered::BoundedOrdered>("futures-buffered.ordered", Kind::Pulls),
    Entry::of::<concurrency::Limit>("futures-concurrency", Kind::Pulls),
    Entry::queue::<spawn::Unlimited>("tokio.spawn"),
    Entry::of::<workers::Workers>("workers", Kind::Pulls),
];

impl Entry {
    const fn of<S: Subject>(name: &'static str, kind: Kind) -> Self {
        let run = |load| Box::pin(run::subject::<S>(load)) as _;
        Self { name, kind, run }
    }

    const fn queue<Q: Queue>(name: &'static str) -> Self {
        let run = |load| Box::pin(run::queue::<Q>(load)) as _;
        let kind = Kind::Queues;
        Self { name, kind, run }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
