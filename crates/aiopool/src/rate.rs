//! How many jobs may start in a time.

use std::fmt;
use std::iter::{Once, once};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// A limit on how many jobs start in a time.
///
/// `Rate::new(10, SECOND)` is strict: however jobs come, never more than 10 of them start in any
/// second. With a [`burst`](Self::burst) it is a bucket instead.
///
/// A job takes its part of a rate when it starts. Jobs that wait, or that are cancelled while they
/// wait, take nothing. The clock of the other side runs differently, and packets take their time:
/// leave a margin below its limit.
///
/// Where several rates are asked for, as by [`Builder::rate`](crate::Builder::rate), one rate will
/// do.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use aiopool::{Pool, Rate};
///
/// let second = Duration::from_secs(1);
/// let pool = Pool::builder(100)
///     .rate([Rate::new(20, second), Rate::new(100, 120 * second)])
///     .build();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    limit: NonZeroU32,
    /// In nanoseconds.
    per: NonZeroU64,
    burst: Option<NonZeroU32>,
}

impl Rate {
    /// At most `limit` starts in any window as long as `per`.
    ///
    /// # Panics
    ///
    /// If `limit` is 0, or `per` is zero or longer than 584 years.
    #[track_caller]
    #[must_use]
    pub fn new(limit: u32, per: Duration) -> Self {
        let Some(limit) = NonZeroU32::new(limit) else {
            panic!("a rate of 0 starts never starts a job: allow at least 1, or pause the pool");
        };
        let Ok(nanos) = u64::try_from(per.as_nanos()) else {
            panic!("a rate per {per:?} is longer than 584 years: choose a shorter time");
        };
        let Some(per) = NonZeroU64::new(nanos) else {
            panic!("a rate per no time at all is no limit: choose a longer time, or set no rate");
        };
        Self {
            limit,
            per,
            burst: None,
        }
    }

    /// Makes it a bucket, which holds `starts` starts when it is full, as it is at first, and gets
    /// `limit` new ones in each `per`, evenly. So a full one of `Rate::new(2, SECOND).burst(40)` lets
    /// 40 jobs start at once, and then 2 a second.
    ///
    /// # Panics
    ///
    /// If `starts` is 0.
    #[track_caller]
    #[must_use]
    pub fn burst(self, starts: u32) -> Self {
        let Some(burst) = NonZeroU32::new(starts) else {
            panic!("a bucket of 0 starts never starts a job: allow at least 1");
        };
        Self {
            burst: Some(burst),
            ..self
        }
    }

    /// As the core knows it.
    pub(crate) fn in_core(self) -> aiopool_core::Rate {
        let Self { limit, per, burst } = self;
        aiopool_core::Rate { limit, per, burst }
    }
}

/// So that one rate will do where several are asked for.
impl IntoIterator for Rate {
    type Item = Self;
    type IntoIter = Once<Self>;

    fn into_iter(self) -> Once<Self> {
        once(self)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rate = f.debug_struct("Rate");
        rate.field("limit", &self.limit);
        rate.field("per", &Duration::from_nanos(self.per.get()));
        if let Some(burst) = self.burst {
            rate.field("burst", &burst);
        }
        rate.finish()
    }
}
