//! What a job asks for beside a slot.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aiopool_core::Level;

use crate::job::timeout::Timeout;
use crate::key::Key;
use crate::sys::clock::Instant;

/// The options of a job. They take two words, so that a job with a key alone has no other
/// allocation.
#[derive(Clone, Default)]
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub struct Options {
    key: Option<Key>,
    rest: Option<Box<Rest>>,
}

#[derive(Clone)]
struct Rest {
    level: Option<Level>,
    weight: Option<NonZeroU32>,
    name: Option<Arc<str>>,
    timeout: Option<Timeout>,
}

impl Options {
    pub(crate) fn of_key(key: Key) -> Self {
        Self {
            key: Some(key),
            rest: None,
        }
    }

    pub(crate) fn of_level(level: Level) -> Self {
        let mut options = Self::default();
        options.rest().level = Some(level);
        options
    }

    pub(crate) fn of_weight(weight: NonZeroU32) -> Self {
        let mut options = Self::default();
        options.rest().weight = Some(weight);
        options
    }

    pub(crate) fn of_name(name: Arc<str>) -> Self {
        let mut options = Self::default();
        options.rest().name = Some(name);
        options
    }

    pub(crate) fn of_timeout(limit: Duration) -> Self {
        let mut options = Self::default();
        options.rest().timeout = Some(Timeout::new(limit));
        options
    }

    /// What is in `later` counts.
    pub(crate) fn merge(&mut self, later: Self) {
        if later.key.is_some() {
            self.key = later.key;
        }
        if let Some(later) = later.rest {
            let rest = self.rest();
            rest.level = later.level.or(rest.level);
            rest.weight = later.weight.or(rest.weight);
            if later.name.is_some() {
                rest.name = later.name;
            }
            if later.timeout.is_some() {
                rest.timeout = later.timeout;
            }
        }
    }

    /// The level that the job asks for, if it asks for one.
    pub(crate) fn level(&self) -> Option<Level> {
        self.rest.as_ref()?.level
    }

    pub(crate) fn weight(&self) -> NonZeroU32 {
        let rest = self.rest.as_ref();
        rest.and_then(|rest| rest.weight).unwrap_or(NonZeroU32::MIN)
    }

    /// The job starts in a slot that has been taken, and comes back to no more than that.
    pub(crate) fn forget_weight(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.weight = None;
        }
    }

    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.rest.as_ref()?.name.as_ref()
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        let timeout = self.rest.as_ref()?.timeout.as_ref();
        timeout.map(Timeout::limit)
    }

    pub(crate) fn timeout_mut(&mut self) -> Option<&mut Timeout> {
        self.rest.as_mut()?.timeout.as_mut()
    }

    /// The job goes outside: the clock of its timeout, if it has one, stands still. Under no lock.
    pub(crate) fn pause_timeout(&mut self, now: Instant) {
        if let Some(timeout) = self.timeout_mut() {
            timeout.pause(now);
        }
    }

    /// The job has its slots again, and is about to be polled on its runtime: the clock runs on with
    /// what was left.
    pub(crate) fn resume_timeout(&mut self, now: Instant) {
        if let Some(timeout) = self.timeout_mut() {
            timeout.resume(now);
        }
    }

    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    pub(crate) fn take_key(&mut self) -> Option<Key> {
        self.key.take()
    }

    /// In the place of the one that was taken.
    pub(crate) fn put_key(&mut self, key: Key) {
        self.key = Some(key);
    }

    /// Whether a job with these waits as one of this level without any.
    pub(crate) fn are_plain_at(&self, level: Level) -> bool {
        let is_its = self.level().is_none_or(|own| own == level);
        self.key.is_none() && is_its && self.weight() == NonZeroU32::MIN
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_with(|| {
            Box::new(Rest {
                level: None,
                weight: None,
                name: None,
                timeout: None,
            })
        })
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("key", &self.key)
            .field("level", &self.level().unwrap_or_default().get())
            .field("weight", &self.weight())
            .field("name", &self.name())
            .field("timeout", &self.timeout())
            .finish_non_exhaustive()
    }
}
