//! Rates: how many jobs may start in a time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
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
        /// The starts that may still count, at most `limit`.
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

/// What is to be remembered when the rates change.
#[derive(Clone, Copy)]
enum Past<'a> {
    Nothing,
    /// Those that still count.
    Starts {
        starts: &'a VecDeque<Time>,
        per: NonZeroU64,
    },
    /// A bucket lacks so many of `per` that it has in a start.
    Lack {
        missing: u128,
        per: NonZeroU64,
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

    /// Other rates, which remember what these did: a strict one the starts of the strict one that
    /// remembers most, or what a bucket lacks.
    pub(crate) fn change(&mut self, rates: &[Rate], now: Time) {
        let mut changed = Self::new(rates);
        let past = self.past(now);
        for meter in &mut changed.0 {
            meter.remember(past, now);
        }
        *self = changed;
    }

    fn past(&self, now: Time) -> Past<'_> {
        let strict = self.0.iter().filter_map(|meter| match meter {
            Meter::Strict { starts, per, .. } => Some((starts, *per)),
            Meter::Bucket { .. } => None,
        });
        if let Some((starts, per)) =
            strict.max_by_key(|(starts, per)| counting(starts, *per, now).count())
        {
            return Past::Starts { starts, per };
        }
        let buckets = self.0.iter().filter_map(|meter| meter.lack(now));
        match buckets.max_by_key(|(missing, per)| missing / u128::from(per.get())) {
            Some((missing, per)) => Past::Lack { missing, per },
            None => Past::Nothing,
        }
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
                Some(first) if starts.len() >= limit.get() as usize => first.after(per.get()),
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
            Self::Strict { limit, per, starts } => {
                // The sum, as where it is asked when the next may start: never the difference.
                let is_over = |at: &Time| at.after(per.get()) <= now;
                while starts.len() >= limit.get() as usize || starts.front().is_some_and(is_over) {
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

    /// How much a bucket lacks, and how much of that is a start.
    fn lack(&self, now: Time) -> Option<(u128, NonZeroU64)> {
        match self {
            Self::Strict { .. } => None,
            Self::Bucket {
                limit,
                per,
                full_at,
                ..
            } => Some((full_at.saturating_sub(fast(now, *limit)), *per)),
        }
    }

    fn remember(&mut self, past: Past<'_>, now: Time) {
        match (past, self) {
            (Past::Nothing, _) => {}
            (Past::Starts { starts, per }, meter) => {
                counting(starts, per, now).for_each(|at| meter.count(at));
            }
            // As many starts as have been taken out: whole ones, and none of them before now.
            (Past::Lack { missing, per }, meter @ Self::Strict { .. }) => {
                let starts = missing.div_ceil(u128::from(per.get()));
                let limit = match meter {
                    Self::Strict { limit, .. } => limit.get(),
                    Self::Bucket { .. } => 0,
                };
                for _ in 0..starts.min(u128::from(limit)) {
                    meter.count(now);
                }
            }
            (
                Past::Lack { missing, per },
                Self::Bucket {
                    limit,
                    per: own,
                    full_at,
                    ..
                },
            ) => {
                let (own, per) = (u128::from(own.get()), u128::from(per.get()));
                let starts = missing / per;
                let rest = (missing % per * own).div_ceil(per);
                *full_at = fast(now, *limit) + starts * own + rest;
            }
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
