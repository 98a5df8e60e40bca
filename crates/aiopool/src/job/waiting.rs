//! The mark of a job that waits for something of its own pool.

use std::sync::Arc;

/// Is kept by what a job waits for, as long as the job waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Waiting(Arc<()>);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(Arc::new(()))
    }

    /// Whether another is kept.
    pub(crate) fn is_kept(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
