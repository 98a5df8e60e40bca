//! A task for each job, without limit: what the limit costs is what the others cost more.

use tokio::task::JoinHandle;

use crate::subject::Queue;

pub(crate) struct Unlimited(Vec<JoinHandle<usize>>);

impl Queue for Unlimited {
    fn new(jobs: usize, _: usize) -> Self {
        Self(Vec::with_capacity(jobs))
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.0.push(tokio::spawn(job));
    }

    async fn sum(self) -> usize {
        let mut sum = 0;
        for handle in self.0 {
            // A job that failed is missed in the sum.
            sum += handle.await.unwrap_or(0);
        }
        sum
    }

    async fn cancel(self) {
        self.0.iter().for_each(JoinHandle::abort);
        self.sum().await;
    }
}
