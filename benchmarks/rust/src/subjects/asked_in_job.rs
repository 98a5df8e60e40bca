//! A limiter that each job asks before it begins, with each of the things that give it a slot.

use std::marker::PhantomData;
use std::sync::Arc;

use aiopool::{JobHandle, Pool};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::subject::{Limit, Rated};

pub(crate) trait Limiter: Clone + Send + Sync + 'static {
    fn new(limit: Limit) -> Self;

    fn until_ready(&self) -> impl Future<Output = ()> + Send;
}

/// In the tasks of a set, behind a permit.
pub(crate) struct InJoinSet<L> {
    permits: Arc<Semaphore>,
    limiter: Option<L>,
    tasks: JoinSet<usize>,
}

/// In the jobs of our pool, which has no rate.
pub(crate) struct InPool<L> {
    pool: Pool,
    limiter: Option<L>,
    handles: Vec<JobHandle<usize>>,
}

/// The limiter and nothing else: one job after another.
pub(crate) struct Alone<L> {
    limit: Option<Limit>,
    jobs: Vec<BoxFuture<'static, usize>>,
    limiter: PhantomData<L>,
}

impl<L: Limiter> Rated for InJoinSet<L> {
    fn new(slots: usize, limit: Option<Limit>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(slots)),
            limiter: limit.map(L::new),
            tasks: JoinSet::new(),
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        let permits = Arc::clone(&self.permits);
        let limiter = self.limiter.clone();
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            if let Some(limiter) = limiter {
                limiter.until_ready().await;
            }
            job.await
        });
    }

    async fn sum(mut self) -> usize {
        let mut sum = 0;
        while let Some(ended) = self.tasks.join_next().await {
            // A job that failed is missed in the sum.
            sum += ended.unwrap_or(0);
        }
        sum
    }
}

impl<L: Limiter> Rated for InPool<L> {
    fn new(slots: usize, limit: Option<Limit>) -> Self {
        Self {
            pool: Pool::new(slots),
            limiter: limit.map(L::new),
            handles: Vec::new(),
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        let handle = match self.limiter.clone() {
            None => self.pool.spawn_n(job),
            Some(limiter) => self.pool.spawn_n(async move {
                limiter.until_ready().await;
                job.await
            }),
        };
        self.handles.push(handle);
    }

    async fn sum(self) -> usize {
        let mut sum = 0;
        for handle in self.handles {
            sum += handle.await.unwrap_or(0);
        }
        sum
    }
}

impl<L: Limiter> Rated for Alone<L> {
    fn new(_: usize, limit: Option<Limit>) -> Self {
        Self {
            limit,
            jobs: Vec::new(),
            limiter: PhantomData,
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.jobs.push(Box::pin(job));
    }

    async fn sum(self) -> usize {
        let limiter = self.limit.map(L::new);
        let mut sum = 0;
        for job in self.jobs {
            if let Some(limiter) = &limiter {
                limiter.until_ready().await;
            }
            sum += job.await;
        }
        sum
    }
}
