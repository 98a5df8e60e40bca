//! A hook of a runtime that panics when a worker is to be started.

#![cfg(tokio_unstable)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiopool::Pool;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// A runtime whose hook panics for the first `times` tasks.
fn runtime(mut builder: Builder, times: usize) -> anyhow::Result<Runtime> {
    let left = Arc::new(AtomicUsize::new(times));
    builder.on_task_spawn(move |_| {
        let found = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        assert!(found.is_err(), "the hook panics");
    });
    Ok(builder.enable_time().build()?)
}

fn flavours() -> [Builder; 2] {
    let mut threads = Builder::new_multi_thread();
    threads.worker_threads(2);
    [Builder::new_current_thread(), threads]
}

#[test]
fn a_job_runs_though_the_hook_panics_when_its_worker_is_started() -> anyhow::Result<()> {
    for builder in flavours() {
        runtime(builder, 1)?.block_on(async {
            let pool = Pool::new(1);
            let job = pool.spawn_n(async { 1 });
            assert_eq!(timeout(PATIENCE, job).await??, 1);
            for number in 0..10 {
                let job = pool.spawn_n(async move { number });
                assert_eq!(timeout(PATIENCE, job).await??, number);
            }
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_job_that_no_worker_could_be_started_for_runs_with_the_next() -> anyhow::Result<()> {
    for builder in flavours() {
        runtime(builder, 2)?.block_on(async {
            let pool = Pool::new(2);
            let first = pool.spawn_n(async { 1 });
            let second = pool.spawn_n(async { 2 });
            assert_eq!(timeout(PATIENCE, second).await??, 2);
            assert_eq!(timeout(PATIENCE, first).await??, 1);
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn what_waits_for_such_a_worker_is_cancelled_when_its_runtime_shuts_down() -> anyhow::Result<()> {
    for builder in flavours() {
        let runtime = runtime(builder, 2)?;
        let pool = Pool::new(1);
        let entered = runtime.enter();
        let (first, second) = (pool.spawn_n(async {}), pool.spawn_n(async {}));
        drop(entered);
        assert!(!first.is_finished());
        drop(runtime);
        assert!(first.is_finished() && second.is_finished());
        assert!(pool.is_empty());
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);
