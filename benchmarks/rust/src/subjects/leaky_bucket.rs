//! `leaky-bucket`, whose limiter is asked in each job.

use std::sync::Arc;

use leaky_bucket::RateLimiter;

use super::asked_in_job::Limiter;
use crate::subject::Limit;

/// It is full at first and refills at once: that many starts, again and again.
#[derive(Clone)]
pub(crate) struct LeakyBucket(Arc<RateLimiter>);

impl Limiter for LeakyBucket {
    fn new(limit: Limit) -> Self {
        let starts = limit.starts.get() as usize;
        let mut limiter = RateLimiter::builder();
        limiter.initial(starts).max(starts);
        limiter.refill(starts).interval(limit.per);
        Self(Arc::new(limiter.build()))
    }

    async fn until_ready(&self) {
        self.0.acquire_one().await;
    }
}
