//! How a subject is measured under each workload, and seen to have done its work.

use std::time::Instant;

use anyhow::{bail, ensure};

use crate::case::{Case, Workload};
use crate::meter::{Cost, Meter, quiet};
use crate::subjects::{Queue, Subject};
use crate::workloads::{Gated, Ready, Woken, Work, YieldCompute, YieldOnce};

/// Runs a subject that does not let jobs wait: it asks for them.
pub(crate) async fn subject<S: Subject>(case: Case) -> anyhow::Result<Cost> {
    match case.workload {
        Workload::Ready => jobs::<S>(Ready, case).await,
        Workload::YieldOnce | Workload::Items => jobs::<S>(YieldOnce, case).await,
        Workload::YieldCompute => jobs::<S>(YieldCompute, case).await,
        Workload::Woken => jobs::<S>(Woken::new(), case).await,
        Workload::Waiting | Workload::Cancel => bail!("no jobs wait in this subject"),
    }
}

/// Runs a subject in which jobs can wait.
pub(crate) async fn queue<Q: Queue>(case: Case) -> anyhow::Result<Cost> {
    match case.workload {
        Workload::Waiting => waiting::<Q>(case).await,
        Workload::Cancel => cancel::<Q>(case).await,
        _ => subject::<Q>(case).await,
    }
}

async fn jobs<S: Subject>(work: impl Work, case: Case) -> anyhow::Result<Cost> {
    let meter = Meter::start()?;
    let sum = S::run(work, case.jobs, case.slots).await;
    let cost = meter.stop(case.jobs)?;
    check(sum, case.jobs)?;
    Ok(cost)
}

/// The wall time is that of queueing. The CPU time and the memory are taken when all wait: the
/// peers start a task for each job, and it has to be polled before it waits.
async fn waiting<Q: Queue>(case: Case) -> anyhow::Result<Cost> {
    let (work, mut queue) = full::<Q>(case).await;
    let meter = Meter::start()?;
    fill(&mut queue, &work, case.slots, case.jobs);
    let wall = meter.wall();
    quiet().await;
    let cost = meter.stop(case.jobs)?.within(wall);

    let drain = Instant::now();
    work.open();
    let sum = queue.sum().await;
    let drain = drain.elapsed();
    check(sum, case.slots + case.jobs)?;
    Ok(cost
        .with("drain_wall", drain.as_secs_f64())
        .with("future_bytes", size_of_val(&work.job(0))))
}

async fn cancel<Q: Queue>(case: Case) -> anyhow::Result<Cost> {
    let (work, mut queue) = full::<Q>(case).await;
    fill(&mut queue, &work, case.slots, case.jobs);
    quiet().await;
    let meter = Meter::start()?;
    queue.cancel().await;
    let cost = meter.stop(case.jobs)?;
    ensure!(work.is_left_alone(), "not all futures have been dropped");
    Ok(cost)
}

/// A queue whose slots are held by jobs that wait for the gate.
async fn full<Q: Queue>(case: Case) -> (Gated, Q) {
    let work = Gated::default();
    let mut queue = Q::new(case.slots + case.jobs, case.slots);
    fill(&mut queue, &work, 0, case.slots);
    quiet().await;
    (work, queue)
}

fn fill(queue: &mut impl Queue, work: &impl Work, first: usize, jobs: usize) {
    for n in first..first + jobs {
        queue.queue(work.job(n));
    }
}

fn check(sum: usize, jobs: usize) -> anyhow::Result<()> {
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
