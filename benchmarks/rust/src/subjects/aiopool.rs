//! The verbs of this project's pool.

use aiopool::{JobError, JobHandle, Pool};
use futures_util::StreamExt;

use super::tally::Tally;
use crate::subject::{Queue, Subject, sum};
use crate::workloads::Work;

/// As its documentation shows it: the handles are dropped, and `join` waits for the end.
pub(crate) struct Spawn;

pub(crate) struct Map;
pub(crate) struct Itermap;
pub(crate) struct ItermapOrdered;

/// It keeps the handles, for the peers keep what their jobs give.
pub(crate) struct SpawnN {
    pool: Pool,
    handles: Vec<JobHandle<usize>>,
}

impl Subject for Spawn {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let pool = Pool::new(slots);
        let tally = Tally::default();
        for n in 0..jobs {
            pool.spawn(tally.counted(work.job(n))).await;
        }
        pool.join().await;
        tally.sum()
    }
}

impl Queue for SpawnN {
    fn new(jobs: usize, slots: usize) -> Self {
        Self {
            pool: Pool::new(slots),
            handles: Vec::with_capacity(jobs),
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.handles.push(self.pool.spawn_n(job));
    }

    async fn sum(self) -> usize {
        let mut sum = 0;
        for handle in self.handles {
            sum += result(handle.await);
        }
        sum
    }

    async fn cancel(self) {
        self.pool.cancel_all().await;
    }
}

impl Subject for Map {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let results = Pool::new(slots).map(0..jobs, move |n| work.job(n)).await;
        results.into_iter().map(result).sum()
    }
}

impl Subject for Itermap {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let results = Pool::new(slots).itermap(0..jobs, move |n| work.job(n));
        sum(results.map(result)).await
    }
}

impl Subject for ItermapOrdered {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let results = Pool::new(slots).itermap_ordered(0..jobs, move |n| work.job(n));
        sum(results.map(result)).await
    }
}

/// A job that failed is missed in the sum.
fn result(result: Result<usize, JobError>) -> usize {
    result.unwrap_or(0)
}
