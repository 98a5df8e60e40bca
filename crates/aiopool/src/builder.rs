//! Making a pool.

use std::num::NonZeroUsize;

use crate::pool::{Pool, checked_size};
use crate::rate::Rate;
use crate::state::Shared;

/// Builds a [`Pool`]. Later versions add their options here.
#[derive(Debug, Clone)]
#[must_use = "a builder makes a pool when `build` is called"]
pub struct Builder {
    size: NonZeroUsize,
    rates: Vec<Rate>,
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
        Builder {
            size,
            rates: Vec::new(),
        }
    }
}

impl Builder {
    /// Limits how many jobs start in a time: one [`Rate`], or several that all have to agree. Jobs
    /// can be handed in to such a pool only on a runtime with timers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use aiopool::{Pool, Rate};
    ///
    /// let rate = Rate::new(10, Duration::from_secs(1));
    /// let pool = Pool::builder(20).rate(rate).build();
    /// ```
    pub fn rate(mut self, rates: impl IntoIterator<Item = Rate>) -> Self {
        self.rates = rates.into_iter().collect();
        self
    }

    /// Makes the pool.
    #[must_use]
    pub fn build(self) -> Pool {
        let shared = Shared::new(self.size);
        if !self.rates.is_empty() {
            shared.begin_with_rates(self.rates);
        }
        Pool { shared }
    }
}
