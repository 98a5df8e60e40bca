//! Making a pool.

use std::num::NonZeroUsize;

use crate::pool::{Pool, checked_size};
use crate::state::Shared;

/// Builds a [`Pool`]. Later versions add their options here.
#[derive(Debug, Clone)]
#[must_use = "a builder makes a pool when `build` is called"]
pub struct Builder {
    size: NonZeroUsize,
}

impl Pool {
    /// A pool with `size` slots.
    ///
    /// # Panics
    ///
    /// If `size` is 0: such a pool would never start a job.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = aiopool::Pool::new(20);
    /// assert_eq!(pool.size(), 20);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::builder(size).build()
    }

    /// A builder for a pool with `size` slots.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = aiopool::Pool::builder(20).build();
    /// ```
    #[track_caller]
    pub fn builder(size: usize) -> Builder {
        let size = checked_size(size);
        Builder { size }
    }
}

impl Builder {
    /// Makes the pool.
    #[must_use]
    pub fn build(self) -> Pool {
        Pool {
            shared: Shared::new(self.size),
        }
    }
}
