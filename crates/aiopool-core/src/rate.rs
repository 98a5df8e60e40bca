//! Rates: how many jobs may start in a time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroU64};

use crate::steps::step;
use crate::time::Time;

/// A limit on starts.
///
/// Without a burst it is strict: in no half-open window of the length `per` there are more than
/// `limit` starts. With one it is a bucket of `burst` starts, which gets `limit` new ones in each
/// `per`, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many starts.
    pub limit: NonZeroU32,
    /// In how many nanoseconds.
    pub per: NonZeroU64,
    /// How many starts a bucket holds.
    pub burst: Option<NonZeroU32>,
}

/// Several rates, which all have to agree, and what they remember of past starts.
#[derive(Debug, Default)]
pub(crate) struct Rates(Box<[Meter]>);

#[derive(Debug)]
enum Meter {
    Strict {
        limit: NonZeroU32,
        per: NonZeroU64,
        /// The starts that may still count: at most `limit`, or more if the limit was higher before.
        starts: VecDeque<Time>,
    },
    /// Times are counted `limit` times as fast here, so that the time in which the bucket gets a
    /// start is a whole number: `per`.
    Bucket {
        limit: NonZeroU32,
        per: NonZeroU64,
        burst: NonZeroU32,
        /// When the bucket will be full.
        full_at: u128,
        /// The last start that was counted here.
        last: Option<Time>,
    },
}

impl Rates {
    pub(crate) fn new(rates: &[Rate]) -> Self {
        Self(rates.iter().map(|rate| Meter::new(*rate)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next start may be: now, if that is not after now.
    pub(crate) fn ready_at(&self) -> Time {
        let times = self.0.iter().map(Meter::ready_at);
        times.max().unwrap_or(Time::ZERO)
    }

    pub(crate) fn count(&mut self, now: Time) {
        self.0.iter_mut().for_each(|meter| meter.count(now));
    }

    /// There was no start at `at`, although one has been counted.
    pub(crate) fn take_back(&mut self, at: Time) {
        self.0.iter_mut().for_each(|meter| meter.take_back(at));
    }

    /// From when on no start so far counts any more.
    pub(crate) fn idle_at(&self) -> Time {
        let times = self.0.iter().map(Meter::idle_at);
        times.max().unwrap_or(Time::ZERO)
    }

    /// Other rates. One that was there before goes on as it is. A new one remembers what those before
    /// it did: as many starts as the one that counts most.
    pub(crate) fn change(&mut self, rates: &[Rate], now: Time) {
        let mut before: Vec<_> = core::mem::take(&mut self.0).into_iter().map(Some).collect();
        let mut kept = |rate: &Rate| {
            let is_it = |meter: &&mut Option<Meter>| {
                meter.as_ref().is_some_and(|meter| meter.rate() == *rate)
            };
            before.iter_mut().find(is_it).and_then(Option::take)
        };
        let kept: Vec<_> = rates.iter().map(|rate| (*rate, kept(rate))).collect();
        let all = || {
            before
                .iter()
                .flatten()
                .chain(kept.iter().filter_map(|(_, kept)| kept.as_ref()))
        };
        let mut new: Vec<_> = kept.iter().map(|(rate, _)| Meter::new(*rate)).collect();
        for meter in &mut new {
            all().for_each(|other| meter.remember(other, now));
        }
        let changed = kept.into_iter().zip(new);
        self.0 = changed
            .map(|((_, kept), new)| kept.unwrap_or(new))
            .collect();
    }
}

impl Meter {
    fn new(rate: Rate) -> Self {
        let Rate { limit, per, burst } = rate;
        match burst {
            None => Self::Strict {
                limit,
                per,
                starts: VecDeque::new(),
            },
            Some(burst) => Self::Bucket {
                limit,
                per,
                burst,
                full_at: 0,
                last: None,
            },
        }
    }

    fn ready_at(&self) -> Time {
        match self {
            Self::Strict { limit, per, starts } => match starts.front() {
                Some(_) if starts.len() >= limit.get() as usize => {
                    // When one less than the limit counts.
                    let last = starts.get(starts.len() - limit.get() as usize);
                    last.map_or(Time::ZERO, |at| at.after(per.get()))
                }
                _ => Time::ZERO,
            },
            Self::Bucket {
                limit,
                per,
                burst,
                full_at,
                ..
            } => {
                let spare = u128::from(per.get()) * u128::from(burst.get() - 1);
                time(full_at.saturating_sub(spare), *limit)
            }
        }
    }

    fn count(&mut self, now: Time) {
        match self {
            Self::Strict { per, starts, .. } => {
                // The sum, as where it is asked when the next may start: never the difference.
                let is_over = |at: &Time| at.after(per.get()) <= now;
                while starts.front().is_some_and(is_over) {
                    step();
                    starts.pop_front();
                }
                starts.push_back(now);
            }
            Self::Bucket {
                limit,
                per,
                full_at,
                last,
                ..
            } => {
                *full_at = (*full_at).max(fast(now, *limit)) + u128::from(per.get());
                *last = Some(now);
            }
        }
    }

    fn take_back(&mut self, at: Time) {
        match self {
            Self::Strict { starts, .. } => {
                if let Some(index) = starts.iter().rposition(|start| *start == at) {
                    starts.remove(index);
                }
            }
            // Before a later start the bucket may have been full with or without this one, so
            // there it stays taken.
            Self::Bucket {
                per, full_at, last, ..
            } if *last == Some(at) => *full_at = full_at.saturating_sub(u128::from(per.get())),
            Self::Bucket { .. } => {}
        }
    }

    fn idle_at(&self) -> Time {
        match self {
            Self::Strict { per, starts, .. } => match starts.back() {
                Some(last) => last.after(per.get()),
                None => Time::ZERO,
            },
            Self::Bucket { limit, full_at, .. } => time(*full_at, *limit),
        }
    }

    fn rate(&self) -> Rate {
        match self {
            Self::Strict { limit, per, .. } => Rate {
                limit: *limit,
                per: *per,
                burst: None,
            },
            Self::Bucket {
                limit, per, burst, ..
            } => Rate {
                limit: *limit,
                per: *per,
                burst: Some(*burst),
            },
        }
    }

    /// Remembers what another rate did, if that is more than it remembers already.
    fn remember(&mut self, other: &Self, now: Time) {
        match (self, other) {
            (
                Self::Strict { starts, .. },
                Self::Strict {
                    per,
                    starts: others,
                    ..
                },
            ) => {
                let others: VecDeque<_> = counting(others, *per, now).collect();
                if others.len() > starts.len() {
                    *starts = others;
                }
            }
            (Self::Strict { limit, starts, .. }, Self::Bucket { per, .. }) => {
                // A bucket knows of no times: as many starts as it lacks, and all of them now.
                let lacks = other.lack(now).div_ceil(u128::from(per.get()));
                let lacks = lacks.min(u128::from(limit.get()));
                if let Some(lacks) = usize::try_from(lacks)
                    .ok()
                    .filter(|lacks| *lacks > starts.len())
                {
                    *starts = core::iter::repeat_n(now, lacks).collect();
                }
            }
            (this @ Self::Bucket { .. }, Self::Strict { per, starts, .. }) => {
                let mut replayed = Self::new(this.rate());
                counting(starts, *per, now).for_each(|at| replayed.count(at));
                this.lack_at_least(replayed.lack(now), now);
            }
            (this @ Self::Bucket { .. }, Self::Bucket { per, .. }) => {
                let (missing, per) = (other.lack(now), u128::from(per.get()));
                let own = u128::from(this.rate().per.get());
                let rest = (missing % per * own).div_ceil(per);
                this.lack_at_least(missing / per * own + rest, now);
            }
        }
    }

    /// How much a bucket lacks, where a start takes `per`.
    fn lack(&self, now: Time) -> u128 {
        match self {
            Self::Strict { .. } => 0,
            Self::Bucket { limit, full_at, .. } => full_at.saturating_sub(fast(now, *limit)),
        }
    }

    fn lack_at_least(&mut self, missing: u128, now: Time) {
        if let Self::Bucket { limit, full_at, .. } = self {
            *full_at = (*full_at).max(fast(now, *limit) + missing);
        }
    }
}

/// The starts that a strict rate still counts.
fn counting(starts: &VecDeque<Time>, per: NonZeroU64, now: Time) -> impl Iterator<Item = Time> {
    let starts = starts.iter().copied();
    starts.filter(move |at| at.after(per.get()) > now)
}

/// A time as a bucket counts it.
fn fast(now: Time, limit: NonZeroU32) -> u128 {
    u128::from(now.as_nanos()) * u128::from(limit.get())
}

/// The first nanosecond that is not before a time as a bucket counts it.
fn time(fast: u128, limit: NonZeroU32) -> Time {
    let nanos = fast.div_ceil(u128::from(limit.get()));
    Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
