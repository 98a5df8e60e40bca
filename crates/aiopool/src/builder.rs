//! Making a pool.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::key::{Key, KeyLimits, PerKey, checked_limit};
use crate::observe::{Event, Observer};
use crate::pool::{Pool, checked_size};
use crate::rate::Rate;
use crate::state::Shared;

/// Builds a [`Pool`]. Later versions add their options here.
#[derive(Clone)]
#[must_use = "a builder makes a pool when `build` is called"]
pub struct Builder {
    size: NonZeroUsize,
    rates: Vec<Rate>,
    key_limits: KeyLimits,
    observer: Option<Observer>,
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
            key_limits: KeyLimits::default(),
            observer: None,
        }
    }
}

impl Builder {
    /// Limits how many jobs start in a time: one [`Rate`], or several that all have to agree. Jobs
    /// can be handed in to such a pool only on a runtime with timers. A second call replaces the first,
    /// here and in all methods below.
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

    /// Limits how many jobs of each [key](crate::Job::key) are active at once.
    ///
    /// # Panics
    ///
    /// If the limit is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = aiopool::Pool::builder(20).per_key(3).build();
    /// ```
    #[track_caller]
    pub fn per_key(mut self, limit: usize) -> Self {
        checked_limit(limit);
        self.key_limits.active = Some(PerKey::Same(limit));
        self
    }

    /// As [`per_key`](Self::per_key), with a function that is asked for the limit of a key when a job
    /// of it comes and none of it is there. If it panics or gives 0, the job settles with the panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiopool::{Key, Pool};
    ///
    /// let limit = |host: &Key| if host.as_str() == Some("example.com") { 10 } else { 2 };
    /// let pool = Pool::builder(20).per_key_with(limit).build();
    /// ```
    pub fn per_key_with(mut self, limit: impl Fn(&Key) -> usize + Send + Sync + 'static) -> Self {
        self.key_limits.active = Some(PerKey::Found(Arc::new(limit)));
        self
    }

    /// Limits how many jobs of each [key](crate::Job::key) start in a time: one [`Rate`], or several
    /// that all have to agree, which each key has for itself. As with [`rate`](Self::rate), the
    /// runtime has to have timers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use aiopool::{Pool, Rate};
    ///
    /// let rate = Rate::new(1, Duration::from_secs(1));
    /// let pool = Pool::builder(20).per_key_rate(rate).build();
    /// ```
    pub fn per_key_rate(mut self, rates: impl IntoIterator<Item = Rate>) -> Self {
        self.key_limits.rates = Some(PerKey::Same(rates.into_iter().collect()));
        self
    }

    /// As [`per_key_rate`](Self::per_key_rate), with a function that is asked for the rates of a key
    /// when a job of it comes and the pool does not remember it. If it panics, the job settles with
    /// the panic.
    pub fn per_key_rate_with<R>(mut self, rates: impl Fn(&Key) -> R + Send + Sync + 'static) -> Self
    where
        R: IntoIterator<Item = Rate>,
    {
        let rates = move |key: &Key| rates(key).into_iter().collect();
        self.key_limits.rates = Some(PerKey::Found(Arc::new(rates)));
        self
    }

    /// Tells `observer` what has happened: see [`Event`].
    ///
    /// It is called where that happens, in a task or a call, when the pool has changed and its lock is
    /// free again: so it may use the pool, and it delays whom it is called by. Where threads do things
    /// at once, it is called by them at once, and may hear of the start of a job before it hears that
    /// the job was queued. Its panic is reported by the panic hook, and harms nobody.
    ///
    /// A pool has one observer. One that calls two others serves both: `move |event| { log(event);
    /// count(event) }`.
    ///
    /// With an observer the pool measures times: [`Stats::wait_time`](crate::Stats::wait_time) and
    /// [`Stats::run_time`](crate::Stats::run_time) are there too.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiopool::{Event, Pool};
    ///
    /// let pool = Pool::builder(20)
    ///     .observer(|event| {
    ///         if let Event::Finished { job, run: Some(run), .. } = event {
    ///             println!("{:?} took {run:?}", job.name());
    ///         }
    ///     })
    ///     .build();
    /// ```
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Makes the pool.
    #[must_use]
    pub fn build(self) -> Pool {
        let Self {
            size,
            rates,
            key_limits,
            observer,
        } = self;
        let is_timed = !rates.is_empty() || key_limits.rates.is_some();
        let shared = Shared::new(size, key_limits, observer);
        if is_timed {
            shared.begin_timed(rates);
        }
        Pool { shared }
    }
}

// What panics in the functions that it is given is caught where the pool calls them.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("size", &self.size)
            .field("rates", &self.rates)
            .finish_non_exhaustive()
    }
}
