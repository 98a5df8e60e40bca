//! The floor: a task for each slot, and a counter that all of them take their jobs from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::subject::Subject;
use crate::workloads::Work;

pub(crate) struct Workers;

impl Subject for Workers {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let next = Arc::new(AtomicUsize::new(0));
        let workers: JoinSet<_> = (0..slots)
            .map(|_| worker(work.clone(), Arc::clone(&next), jobs))
            .collect();
        workers.join_all().await.into_iter().sum()
    }
}

async fn worker(work: impl Work, next: Arc<AtomicUsize>, jobs: usize) -> usize {
    let mut sum = 0;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= jobs {
            return sum;
        }
        sum += work.job(n).await;
    }
}
