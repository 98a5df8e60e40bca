//! This project's pool with its own limits.

use aiopool::{JobHandle, Pool, Rate};

use crate::subject::{Limit, Rated};

/// As many starts in any window, or as a full bucket holds.
pub(crate) struct WithRate<const BUCKET: bool> {
    pool: Pool,
    handles: Vec<JobHandle<usize>>,
}

impl<const BUCKET: bool> Rated for WithRate<BUCKET> {
    fn new(slots: usize, limit: Option<Limit>) -> Self {
        let rate = limit.map(|Limit { starts, per }| {
            let rate = Rate::new(starts.get(), per);
            if BUCKET {
                rate.burst(starts.get())
            } else {
                rate
            }
        });
        Self {
            pool: Pool::builder(slots).rate(rate).build(),
            handles: Vec::new(),
        }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.handles.push(self.pool.spawn_n(job));
    }

    async fn sum(self) -> usize {
        let mut sum = 0;
        for handle in self.handles {
            // A job that failed is missed in the sum.
            sum += handle.await.unwrap_or(0);
        }
        sum
    }
}
