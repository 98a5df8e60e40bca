//! Tokio's set of tasks with a limit.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use crate::subject::{Queue, Subject};
use crate::workloads::Work;

/// Whoever spawns waits for the permit.
pub(crate) struct PermitBefore;

/// Each task waits for its permit.
pub(crate) struct PermitInside {
    permits: Arc<Semaphore>,
    tasks: JoinSet<usize>,
}

/// The crate that does the same.
pub(crate) struct Bounded(bounded_join_set::JoinSet<usize>);

impl Subject for PermitBefore {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let permits = Arc::new(Semaphore::new(slots));
        let mut tasks = JoinSet::new();
        let mut sum = 0;
        for n in 0..jobs {
            // The semaphore is never closed.
            let permit = permits.clone().acquire_owned().await.ok();
            let job = work.job(n);
            tasks.spawn(async move {
                let result = job.await;
                drop(permit);
                result
            });
            // The tasks that have ended stay in the set until then.
            while let Some(ended) = tasks.try_join_next() {
                sum += result(ended);
            }
        }
        sum + rest(tasks).await
    }
}

impl Queue for PermitInside {
    fn new(_: usize, slots: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(slots)),
            tasks: JoinSet::new(),
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        let permits = Arc::clone(&self.permits);
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            job.await
        });
    }

    async fn sum(self) -> usize {
        rest(self.tasks).await
    }

    async fn cancel(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Queue for Bounded {
    fn new(_: usize, slots: usize) -> Self {
        Self(bounded_join_set::JoinSet::new(slots))
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.0.spawn(job);
    }

    async fn sum(mut self) -> usize {
        let mut sum = 0;
        while let Some(ended) = self.0.join_next().await {
            sum += result(ended);
        }
        sum
    }

    async fn cancel(mut self) {
        self.0.shutdown().await;
    }
}

async fn rest(mut tasks: JoinSet<usize>) -> usize {
    let mut sum = 0;
    while let Some(ended) = tasks.join_next().await {
        sum += result(ended);
    }
    sum
}

/// A job that failed is missed in the sum.
fn result(ended: Result<usize, JoinError>) -> usize {
    ended.unwrap_or(0)
}
