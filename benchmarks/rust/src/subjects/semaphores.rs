//! A Semaphore for each key, in a map that nobody empties: what one writes by hand.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::subject::Keyed;

/// A job that waits for its key holds no permit.
pub(crate) struct OfKeys {
    permits: Arc<Semaphore>,
    by_key: HashMap<u64, Arc<Semaphore>>,
    tasks: JoinSet<usize>,
}

impl Keyed for OfKeys {
    fn new(slots: usize, _: bool) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(slots)),
            by_key: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    fn queue(&mut self, key: Option<u64>, job: impl Future<Output = usize> + Send + 'static) {
        let permits = Arc::clone(&self.permits);
        let Some(key) = key else {
            self.tasks.spawn(async move {
                let _permit = permits.acquire().await;
                job.await
            });
            return;
        };
        let of_key = self.by_key.entry(key);
        let of_key = Arc::clone(of_key.or_insert_with(|| Arc::new(Semaphore::new(1))));
        self.tasks.spawn(async move {
            let _of_key = of_key.acquire().await;
            let _permit = permits.acquire().await;
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
