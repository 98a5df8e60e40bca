//! How a subject is measured under each workload, and seen to have done its work.

use std::time::Instant;

use anyhow::{bail, ensure};

use crate::load::{Load, Workload};
use crate::meter::{Cost, Meter, quiet};
use crate::sleeper::Sleeper;
use crate::subject::{Queue, Subject};
use crate::workloads::{Compute, Gated, Ready, Woken, Work, YieldCompute, YieldOnce};

/// Runs a subject that does not let jobs wait: it asks for them.
pub(crate) async fn subject<S: Subject>(load: Load) -> anyhow::Result<Cost> {
    match load.workload {
        Workload::Ready => jobs::<S>(Ready, load).await,
        Workload::YieldOnce | Workload::Items => jobs::<S>(YieldOnce, load).await,
        Workload::YieldCompute => jobs::<S>(YieldCompute, load).await,
        Workload::Woken => jobs::<S>(Woken::new(), load).await,
        Workload::Latency => latency::<S>(load).await,
        Workload::Waiting | Workload::Cancel => bail!("no jobs wait in this subject"),
        _ => bail!("this subject has no limit but that of its slots"),
    }
}

/// Runs a subject in which jobs can wait.
pub(crate) async fn queue<Q: Queue>(load: Load) -> anyhow::Result<Cost> {
    match load.workload {
        Workload::Waiting => waiting::<Q>(load).await,
        Workload::Cancel => cancel::<Q>(load).await,
        _ => subject::<Q>(load).await,
    }
}

async fn jobs<S: Subject>(work: impl Work, load: Load) -> anyhow::Result<Cost> {
    let meter = Meter::start()?;
    let sum = S::run(work, load.jobs, load.slots).await;
    let cost = meter.stop(load.jobs)?;
    check(sum, load.jobs)?;
    Ok(cost)
}

/// Another task of the runtime sleeps while the jobs run.
async fn latency<S: Subject>(load: Load) -> anyhow::Result<Cost> {
    let work = Compute::default();
    let sleeper = Sleeper::start(work.clone());
    let cost = jobs::<S>(work, load).await?;
    let mut sleeps = sleeper.stop().await?;
    sleeps.sort_unstable_by_key(|slept| slept.delay);
    let (median, most) = (&sleeps[sleeps.len() / 2], &sleeps[sleeps.len() - 1]);
    let jobs = sleeps.iter().map(|slept| slept.jobs).max();
    Ok(cost
        .with("sleeps", sleeps.len())
        .with("delay_median", median.delay.as_secs_f64())
        .with("delay_most", most.delay.as_secs_f64())
        .with("jobs_most", jobs))
}

/// The wall time is that of queueing. The CPU time and the memory are taken when all wait: the
/// peers start a task for each job, and it has to be polled before it waits.
async fn waiting<Q: Queue>(load: Load) -> anyhow::Result<Cost> {
    let (work, mut queue) = full::<Q>(load).await;
    let meter = Meter::start()?;
    fill(&mut queue, &work, load.slots, load.jobs);
    let wall = meter.wall();
    quiet().await;
    let cost = meter.stop(load.jobs)?.within(wall);

    let drain = Instant::now();
    work.open();
    let sum = queue.sum().await;
    let drain = drain.elapsed();
    check(sum, load.slots + load.jobs)?;
    Ok(cost
        .with("drain_wall", drain.as_secs_f64())
        .with("future_bytes", size_of_val(&work.job(0))))
}

async fn cancel<Q: Queue>(load: Load) -> anyhow::Result<Cost> {
    let (work, mut queue) = full::<Q>(load).await;
    fill(&mut queue, &work, load.slots, load.jobs);
    quiet().await;
    let meter = Meter::start()?;
    queue.cancel().await;
    let cost = meter.stop(load.jobs)?;
    ensure!(work.is_left_alone(), "not all futures have been dropped");
    Ok(cost)
}

/// A queue whose slots are held by jobs that wait for the gate.
async fn full<Q: Queue>(load: Load) -> (Gated, Q) {
    let work = Gated::default();
    let mut queue = Q::new(load.slots + load.jobs, load.slots);
    fill(&mut queue, &work, 0, load.slots);
    quiet().await;
    (work, queue)
}

fn fill(queue: &mut impl Queue, work: &impl Work, first: usize, jobs: usize) {
    for n in first..first + jobs {
        queue.queue(work.job(n));
    }
}

pub(crate) fn check(sum: usize, jobs: usize) -> anyhow::Result<()> {
    let expected: usize = (0..jobs).sum();
    ensure!(
        sum == expected,
        "the results sum up to {sum}, not {expected}"
    );
    Ok(())
}

impl<Q: Queue> Subject for Q {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let mut queue = Q::new(jobs, slots);
        fill(&mut queue, &work, 0, jobs);
        queue.sum().await
    }
}
