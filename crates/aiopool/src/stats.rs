//! What a pool counts.

use std::time::Duration;

/// The numbers of a pool at one moment: see [`Pool::stats`](crate::Pool::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of slots.
    pub size: usize,
    /// How many jobs are active, permits included. Each holds as many slots as its weight says.
    pub active: usize,
    /// How many jobs wait.
    pub waiting: usize,
    /// How many jobs have begun and hold no slot: they wait [outside](crate::Pool::outside), or for their
    /// own pool.
    pub outside: usize,
    /// How many of those that wait do so for their key, and let others pass.
    pub parked: usize,
    /// How many starts there have been, those of active jobs and of permits among them.
    pub started: u64,
    /// How many jobs have given a result.
    pub succeeded: u64,
    /// How many jobs have panicked.
    pub failed: u64,
    /// How many jobs have been cancelled, before their start or after it.
    pub cancelled: u64,
    /// How many jobs have taken longer than their [timeout](crate::Job::timeout).
    pub timed_out: u64,
    /// For how long all jobs that have been started had waited, together. Only a pool with an
    /// observer measures it.
    pub wait_time: Option<Duration>,
    /// For how long all jobs that have been started and ended were active, together. Only a pool
    /// with an observer measures it.
    pub run_time: Option<Duration>,
    /// What holds the next start back. `None` if nobody waits.
    pub held_by: Option<HeldBy>,
}

/// What holds back the job that is next: see [`Stats::held_by`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeldBy {
    /// Too few slots are free.
    Slots,
    /// The rate of the pool.
    Rate,
    /// The pool is paused.
    Pause,
    /// Each job that waits does so for its key: for another job of it, for its rate, or because it
    /// is paused.
    Keys,
}

/// How a job has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It has given a result. If that is a `Result`, the pool does not look into it.
    Succeeded,
    /// It has panicked.
    Failed,
    /// It was cancelled, or its runtime has shut down.
    Cancelled,
    /// It has taken longer than its [timeout](crate::Job::timeout).
    TimedOut,
}

/// How many jobs have ended how.
#[derive(Debug, Default)]
pub(crate) struct Tally([u64; 4]);

impl Tally {
    #[inline]
    pub(crate) fn count(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (here, more) in self.0.iter_mut().zip(other.0) {
            *here += more;
        }
    }

    /// How many jobs have ended.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }
}

impl Stats {
    /// With the times that all have waited and run, if they are measured.
    pub(crate) fn new(
        core: aiopool_core::Stats,
        tally: &Tally,
        times: Option<(Duration, Duration)>,
    ) -> Self {
        Self {
            size: core.size.get(),
            active: core.active,
            waiting: core.waiting,
            outside: core.outside,
            parked: core.parked,
            started: core.started,
            succeeded: tally.of(Outcome::Succeeded),
            failed: tally.of(Outcome::Failed),
            cancelled: tally.of(Outcome::Cancelled),
            timed_out: tally.of(Outcome::TimedOut),
            wait_time: times.map(|(wait, _)| wait),
            run_time: times.map(|(_, run)| run),
            held_by: core.held_by.map(HeldBy::of),
        }
    }
}

impl HeldBy {
    fn of(held_by: aiopool_core::HeldBy) -> Self {
        match held_by {
            aiopool_core::HeldBy::Slots => Self::Slots,
            aiopool_core::HeldBy::Rate => Self::Rate,
            aiopool_core::HeldBy::Pause => Self::Pause,
            aiopool_core::HeldBy::Keys => Self::Keys,
        }
    }
}
