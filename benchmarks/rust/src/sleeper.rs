//! A task beside the jobs: how late it gets its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinHandle};
use tokio::time::sleep;

use crate::workloads::Compute;

/// Sleeps, again and again.
pub(crate) struct Sleeper {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Vec<Slept>>,
}

/// One sleep.
pub(crate) struct Slept {
    /// How much longer it took than it should have.
    pub(crate) delay: Duration,
    /// How many of the jobs have run meanwhile. What else the machine does adds nothing to it.
    pub(crate) jobs: usize,
}

impl Sleeper {
    /// Starts it beside these jobs, as a task of the current runtime.
    pub(crate) fn start(jobs: Compute) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(sleeps(jobs, Arc::clone(&is_over)));
        Self { is_over, task }
    }

    /// Its sleeps, at least one. The last may outlast the jobs: it can be the one that they held up
    /// for the longest time.
    pub(crate) async fn stop(self) -> Result<Vec<Slept>, JoinError> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await
    }
}

async fn sleeps(jobs: Compute, is_over: Arc<AtomicBool>) -> Vec<Slept> {
    let mut sleeps = Vec::new();
    while sleeps.is_empty() || !is_over.load(Ordering::Relaxed) {
        let (began, done) = (Instant::now(), jobs.done());
        sleep(SLEEP).await;
        sleeps.push(Slept {
            delay: began.elapsed().saturating_sub(SLEEP),
            jobs: jobs.done() - done,
        });
    }
    sleeps
}

const SLEEP: Duration = Duration::from_millis(1);
