//! What a subject is given.

use anyhow::ensure;
use clap::ValueEnum;

/// The jobs that a subject runs, and how many of them may be active at a time.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub(crate) workload: Workload,
    pub(crate) jobs: usize,
    /// Subjects without a limit ignore it.
    pub(crate) slots: usize,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Workload {
    /// Jobs that never suspend.
    Ready,
    /// Jobs that yield once.
    YieldOnce,
    /// Jobs that yield once, then use 5 microseconds of CPU.
    YieldCompute,
    /// Jobs that are woken from another task.
    Woken,
    /// A sleep of 1 millisecond, again and again, beside jobs that use 10 microseconds of CPU and
    /// never suspend.
    Latency,
    /// Many more jobs that yield once, from an iterator.
    Items,
    /// To queue jobs while all slots are held.
    Waiting,
    /// To cancel jobs that wait.
    Cancel,
    /// Jobs of random length that come in bursts, with a rate.
    Strictness,
    /// Jobs that yield once, with a rate that is never reached, by turns with as many without.
    Rate,
    /// Jobs that yield once, with 10,000 keys of one place each, by turns with as many without.
    Keys,
    /// To queue jobs of 10,000 keys while all slots are held, and to run them then.
    WaitingKeyed,
    /// The same without keys.
    WaitingKeyless,
    /// A flood on all levels but the lowest, on which one job waits. The jobs are the levels.
    Levels,
}

impl Load {
    /// So many jobs of that workload.
    pub fn new(workload: Workload, jobs: usize, slots: usize) -> anyhow::Result<Self> {
        ensure!(slots > 0, "without a slot no job runs");
        Ok(Self {
            workload,
            jobs,
            slots,
        })
    }
}
