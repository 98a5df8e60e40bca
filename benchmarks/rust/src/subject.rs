//! What a subject can do.

use std::pin::pin;

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

/// What the streams of all families are read with.
pub(crate) async fn sum(results: impl Stream<Item = usize>) -> usize {
    let mut results = pin!(results);
    let mut sum = 0;
    while let Some(result) = results.next().await {
        sum += result;
    }
    sum
}
