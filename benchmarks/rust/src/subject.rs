//! What a subject can do.

use std::num::NonZeroU32;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};

use crate::workloads::Work;

/// A way to run many jobs.
pub(crate) trait Subject: 'static {
    /// Runs `jobs` jobs, at most `slots` at a time, and gives the sum of their results.
    fn run<W: Work>(work: W, jobs: usize, slots: usize) -> impl Future<Output = usize> + Send;
}

/// A way to run jobs that takes any number of them at once and lets them wait.
pub(crate) trait Queue: Send + 'static {
    /// For so many jobs, with so many slots.
    fn new(jobs: usize, slots: usize) -> Self;

    /// Takes a job, at once.
    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static);

    /// Waits for all jobs, and gives the sum of their results.
    fn sum(self) -> impl Future<Output = usize> + Send;

    /// Cancels all jobs, and waits until their futures have been dropped.
    fn cancel(self) -> impl Future<Output = ()> + Send;
}

/// So many starts in a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) starts: NonZeroU32,
    pub(crate) per: Duration,
}

/// A way to run jobs that takes any number of them at once, and starts them by a rate if it has one.
pub(crate) trait Rated: Send + Sized + 'static {
    /// With so many slots.
    fn new(slots: usize, limit: Option<Limit>) -> Self;

    /// The same, and `started` is called with the moment of each start, if the subject tells of it.
    fn observed(
        slots: usize,
        limit: Limit,
        started: impl Fn(Instant) + Send + Sync + 'static,
    ) -> Self {
        drop(started);
        Self::new(slots, Some(limit))
    }

    /// Takes a job, at once.
    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static);

    /// Waits for all jobs, and gives the sum of their results.
    fn sum(self) -> impl Future<Output = usize> + Send;
}

/// A way to run jobs that takes any number of them at once, and runs one of each key at a time.
pub(crate) trait Keyed: Send + 'static {
    /// With so many slots; `keys` tells whether jobs will have keys.
    fn new(slots: usize, keys: bool) -> Self;

    /// Takes a job, at once.
    fn queue(&mut self, key: Option<u64>, job: impl Future<Output = usize> + Send + 'static);

    /// Waits for all jobs, and gives the sum of their results.
    fn sum(self) -> impl Future<Output = usize> + Send;
}

/// One slot, and jobs that each have a level.
pub(crate) trait Leveled: Clone + Send + Sync + 'static {
    fn new() -> Self;

    /// Takes a job, at once; higher levels go first.
    fn queue(&self, level: i8, job: impl Future<Output = ()> + Send + 'static);

    /// Waits for all jobs.
    fn join(self) -> impl Future<Output = ()> + Send;
}

/// What the streams of all families are read with.
pub(crate) async fn sum(results: impl Stream<Item = usize>) -> usize {
    let mut results = pin!(results);
    let mut sum = 0;
    while let Some(result) = results.next().await {
        sum += result;
    }
    sum
}
