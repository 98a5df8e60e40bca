//! The ways to run many jobs, a limited number at a time: a file for each family. Each does what
//! the documentation of its crate suggests for this, in the form that was the fastest.

mod aiopool;
mod aiopool_limits;
mod asked_in_job;
mod buffered;
mod concurrency;
mod governor;
mod join_set;
mod leaky_bucket;
mod semaphores;
mod spawn;
mod tally;
mod task_pool;
mod tower;
mod workers;

use std::fmt;
use std::pin::Pin;

use crate::load::Load;
use crate::meter::Cost;
use crate::subject::{Keyed, Leveled, Queue, Rated, Subject};
use crate::{limits, run};

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
    /// They wait, and start by a rate too.
    Rated,
    /// They wait, and those of a key for one another.
    Keyed,
    /// They wait, and those of higher levels start first.
    Leveled,
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
    Entry::rated::<aiopool_limits::WithRate<false>>("aiopool.limits.window"),
    Entry::rated::<aiopool_limits::WithRate<true>>("aiopool.limits.bucket"),
    Entry::keyed::<aiopool_limits::WithKeys>("aiopool.limits.spawn_n"),
    Entry::leveled::<aiopool_limits::WithPriorities>("aiopool.limits.priorities"),
    Entry::rated::<asked_in_job::Alone<governor::Governor>>("governor.alone"),
    Entry::rated::<asked_in_job::InPool<governor::Governor>>("governor.pool"),
    Entry::rated::<asked_in_job::InJoinSet<governor::Governor>>("governor.join_set"),
    Entry::rated::<asked_in_job::Alone<leaky_bucket::LeakyBucket>>("leaky-bucket.alone"),
    Entry::rated::<asked_in_job::InPool<leaky_bucket::LeakyBucket>>("leaky-bucket.pool"),
    Entry::rated::<asked_in_job::InJoinSet<leaky_bucket::LeakyBucket>>("leaky-bucket.join_set"),
    Entry::rated::<tower::Limits>("tower.limits"),
    Entry::keyed::<semaphores::OfKeys>("semaphores.join_set"),
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

    const fn rated<R: Rated>(name: &'static str) -> Self {
        let run = |load| Box::pin(limits::rated::<R>(load)) as _;
        let kind = Kind::Rated;
        Self { name, kind, run }
    }

    const fn keyed<K: Keyed>(name: &'static str) -> Self {
        let run = |load| Box::pin(limits::keyed::<K>(load)) as _;
        let kind = Kind::Keyed;
        Self { name, kind, run }
    }

    const fn leveled<L: Leveled>(name: &'static str) -> Self {
        let run = |load| Box::pin(limits::leveled::<L>(load)) as _;
        let kind = Kind::Leveled;
        Self { name, kind, run }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
