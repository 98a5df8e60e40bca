//! The limits of a pool beside its size: rates and pauses; and the numbers that show them.

use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::join::{Join, Until};
use crate::key::Key;
use crate::observe::Event;
use crate::pool::Pool;
use crate::rate::Rate;
use crate::state::{Shared, Timers};
use crate::stats::Stats;

/// Limits in time. They need a runtime with timers: one that was built with `enable_time` or
/// `enable_all`, as that of `#[tokio::main]` is.
impl Pool {
    /// Changes how many jobs may start in a time: one [`Rate`], or several that all have to agree, or
    /// none, by `None` or `[]`.
    ///
    /// The change takes effect at once, and grants nothing twice: the new rates count the starts that
    /// those before them remember. Rates where none were remember no earlier starts.
    ///
    /// # Panics
    ///
    /// If there is a rate, and the runtime of the caller, or one on which jobs of the pool wait or
    /// are active, has no timers: call `enable_time` when you build it. Nothing has changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use aiopool::{Pool, Rate};
    ///
    /// let pool = Pool::new(20);
    /// pool.set_rate(Rate::new(10, Duration::from_secs(1)));
    /// pool.set_rate(None);
    /// # }
    /// ```
    #[track_caller]
    pub fn set_rate(&self, rates: impl IntoIterator<Item = Rate>) {
        let rates: Vec<_> = rates.into_iter().map(Rate::in_core).collect();
        let mut state = if rates.is_empty() {
            self.shared.lock()
        } else {
            self.shared.lock_with_time()
        };
        state.set_rates(&rates);
        self.shared.advance(state);
    }

    /// Starts no job for this time, or until the pool is [resumed](Self::resume). Active jobs run on,
    /// and jobs can be handed in and cancelled meanwhile.
    ///
    /// A pool that is paused already stays so until the later of the two ends. A pool that is
    /// [closed](Self::close) is not paused any more, by whomever. Jobs that wait in a pool
    /// that is paused without end do not go on by themselves, also when the last handle of the pool is
    /// dropped: who awaits them waits.
    ///
    /// # Panics
    ///
    /// If there is a time, and a runtime has no timers: as [`set_rate`](Self::set_rate).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    ///
    /// let pool = aiopool::Pool::new(20);
    /// // The server has said `Retry-After: 2`.
    /// pool.pause(Some(Duration::from_secs(2)));
    /// assert!(pool.resume());
    /// # }
    /// ```
    #[track_caller]
    pub fn pause(&self, time: Option<Duration>) {
        let mut state = self.shared.lock_with(timers_for(time));
        let is_paused = state.pause(time.map(nanos));
        self.shared.advance(state);
        if is_paused {
            self.shared.observe(|| Event::Paused { key: None, time });
        }
    }

    /// Ends a pause of the pool, and starts who may start now.
    ///
    /// # Returns
    ///
    /// Whether the pool was paused. A pause may end by itself in any moment before the call, so this
    /// is no error that a caller could avoid.
    // As for `JobHandle::cancel`: most callers only want the pool to go on.
    #[allow(clippy::must_use_candidate)]
    pub fn resume(&self) -> bool {
        let mut state = self.shared.lock();
        let was_paused = state.resume();
        self.shared.advance(state);
        if was_paused {
            self.shared.observe(|| Event::Resumed { key: None });
        }
        was_paused
    }

    /// As [`pause`](Self::pause), for the jobs of one [key](crate::Job::key), be there any or not. Those
    /// of other keys pass them.
    ///
    /// # Panics
    ///
    /// As [`pause`](Self::pause); and if comparing the key panics, or a function that finds the limits
    /// of keys.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    ///
    /// let pool = aiopool::Pool::new(20);
    /// pool.pause_key("example.com", Some(Duration::from_secs(2)));
    /// assert!(pool.resume_key("example.com"));
    /// # }
    /// ```
    #[track_caller]
    pub fn pause_key(&self, key: impl Into<Key>, time: Option<Duration>) {
        let mut key = key.into();
        match self.shared.lock_with_key(&mut key, timers_for(time)) {
            Ok((mut state, id)) => {
                let is_paused = state.pause_key(id, time.map(nanos));
                self.shared.advance(state);
                if is_paused {
                    let key = Some(key);
                    self.shared.observe(|| Event::Paused { key, time });
                }
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// As [`resume`](Self::resume), for the jobs of one key.
    ///
    /// # Returns
    ///
    /// Whether the key was paused for itself.
    ///
    /// # Panics
    ///
    /// If comparing the key panics.
    // As for `resume`.
    #[allow(clippy::must_use_candidate)]
    pub fn resume_key(&self, key: impl Into<Key>) -> bool {
        let mut key = key.into();
        match self.shared.lock_with_known_key(&mut key) {
            Ok(None) => false,
            Ok(Some((mut state, id))) => {
                let was_paused = state.resume_key(id);
                self.shared.advance(state);
                if was_paused {
                    let key = Some(key);
                    self.shared.observe(|| Event::Resumed { key });
                }
                was_paused
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Waits until no job is active and no [permit](crate::Permit) is held, though others may wait: in a
    /// pool that is [paused](Self::pause), until all that had started have ended.
    ///
    /// # Returns
    ///
    /// As soon as no job is active, even briefly; at once if none is.
    ///
    /// # Panics
    ///
    /// When polled in a job of the pool. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any moment, with no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(1);
    /// let handles = pool.map_n(0..3, |n| async move { n });
    /// pool.pause(None);
    /// pool.drained().await;
    /// assert_eq!((pool.active(), pool.waiting()), (0, 2));
    /// pool.resume();
    /// # pool.join().await;
    /// # drop(handles);
    /// # }
    /// ```
    #[track_caller]
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        Join::new(self.shared.clone(), Until::Drained, Location::caller())
    }

    /// The numbers of this moment, which all belong together.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use aiopool::{HeldBy, Pool};
    ///
    /// let pool = Pool::new(1);
    /// let handles = pool.map_n(0..3, |n| async move { n });
    /// let stats = pool.stats();
    /// assert_eq!((stats.active, stats.waiting), (1, 2));
    /// assert_eq!(stats.held_by, Some(HeldBy::Slots));
    /// pool.join().await;
    /// assert_eq!(pool.stats().succeeded, 3);
    /// # drop(handles);
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.shared.lock();
        if state.admission().waiting() > 0 {
            // The core knows what holds the next one back when it has been asked for that one.
            self.shared.advance(state);
        } else {
            drop(state);
        }
        self.shared.lock().stats()
    }
}

impl Shared {
    /// A new pool has rates, or its keys have. It needs no runtime yet.
    pub(crate) fn begin_timed(self: &Arc<Self>, rates: Vec<Rate>) {
        let rates: Vec<_> = rates.into_iter().map(Rate::in_core).collect();
        let mut state = self.lock();
        state.begin_timed();
        state.set_rates(&rates);
    }
}

/// The timers for a pause of this length.
fn timers_for(time: Option<Duration>) -> Timers<'static> {
    match time {
        Some(_) => Timers::Everywhere,
        None => Timers::None,
    }
}

/// Longer ones have no end.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
