//! For those whose jobs give their results to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sum of the results so far.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<AtomicUsize>);

impl Tally {
    /// A job that adds the result of `job`.
    pub(crate) fn counted<F>(&self, job: F) -> impl Future<Output = ()> + use<F>
    where
        F: Future<Output = usize>,
    {
        let tally = self.clone();
        async move { tally.add(job.await) }
    }

    pub(crate) fn add(&self, result: usize) {
        self.0.fetch_add(result, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
