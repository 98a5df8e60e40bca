//! Streams that poll a limited number of futures, all in the task that polls the stream.

use futures_buffered::BufferedStreamExt;
use futures_util::{StreamExt, stream};

use crate::subject::{Subject, sum};
use crate::workloads::Work;

pub(crate) struct Unordered;
pub(crate) struct Ordered;
/// A task for each job, which is how a multi-thread runtime is put to use.
pub(crate) struct UnorderedTasks;
pub(crate) struct Bounded;
pub(crate) struct BoundedOrdered;

impl Subject for Unordered {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let jobs = stream::iter(0..jobs).map(move |n| work.job(n));
        sum(jobs.buffer_unordered(slots)).await
    }
}

impl Subject for Ordered {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let jobs = stream::iter(0..jobs).map(move |n| work.job(n));
        sum(jobs.buffered(slots)).await
    }
}

impl Subject for UnorderedTasks {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let tasks = stream::iter(0..jobs).map(move |n| tokio::spawn(work.job(n)));
        // A job that failed is missed in the sum.
        let results = tasks
            .buffer_unordered(slots)
            .map(|ended| ended.unwrap_or(0));
        sum(results).await
    }
}

impl Subject for Bounded {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let jobs = stream::iter(0..jobs).map(move |n| work.job(n));
        sum(jobs.buffered_unordered(slots)).await
    }
}

impl Subject for BoundedOrdered {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let jobs = stream::iter(0..jobs).map(move |n| work.job(n));
        sum(jobs.buffered_ordered(slots)).await
    }
}
