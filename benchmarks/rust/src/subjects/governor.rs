//! governor, whose limiter is asked in each job.

use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota};

use super::asked_in_job::Limiter;
use crate::subject::Limit;

/// The algorithm of a leaky bucket.
#[derive(Clone)]
pub(crate) struct Governor(Arc<DefaultDirectRateLimiter>);

impl Limiter for Governor {
    fn new(limit: Limit) -> Self {
        let quota = Quota::with_period(limit.per / limit.starts.get());
        let quota = quota.map(|quota| quota.allow_burst(limit.starts));
        // No limit of the benchmark is one per no time.
        let quota = quota.unwrap_or(Quota::per_second(limit.starts));
        Self(Arc::new(DefaultDirectRateLimiter::direct(quota)))
    }

    async fn until_ready(&self) {
        self.0.until_ready().await;
    }
}
