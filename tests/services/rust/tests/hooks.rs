//! A hook of a runtime that panics when a worker is to be started.

#![cfg(tokio_unstable)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiopool::Pool;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
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
fn jobs_are_cancelled_while_the_hook_panics_and_run_when_it_does_so_no_more() -> anyhow::Result<()>
{
    for builder in flavours() {
        runtime(builder, 3)?.block_on(async {
            let pool = Pool::new(1);
            for _ in 0..3 {
                let job = pool.spawn_n(async {});
                let error = timeout(PATIENCE, job).await?.unwrap_err();
                assert!(error.is_cancelled());
            }
            for number in 0..10 {
                let job = pool.spawn_n(async move { number });
                assert_eq!(timeout(PATIENCE, job).await??, number);
            }
            timeout(PATIENCE, pool.join()).await?;
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn jobs_that_wait_for_a_time_are_cancelled_when_the_hook_panics_for_their_timer()
-> anyhow::Result<()> {
    for builder in flavours() {
        let pool = Pool::new(1);
        runtime(builder, 1)?.block_on(async {
            pool.pause(Some(Duration::from_millis(1)));
            let job = pool.spawn_n(async {});
            let error = timeout(PATIENCE, job).await?.unwrap_err();
            assert!(error.is_cancelled());
            for number in 0..10 {
                pool.pause(Some(Duration::from_millis(1)));
                let job = pool.spawn_n(async move { number });
                assert_eq!(timeout(PATIENCE, job).await??, number);
            }
            timeout(PATIENCE, pool.join()).await?;
            anyhow::Ok(())
        })?;
        // Its runtime has kept the timer that was never polled, and drops it now.
        assert!(pool.is_empty());
    }
    Ok(())
}

#[test]
fn each_slot_can_be_used_after_the_hook_has_panicked() -> anyhow::Result<()> {
    for builder in flavours() {
        runtime(builder, 2)?.block_on(async {
            let pool = Pool::new(4);
            let barrier = Arc::new(Barrier::new(4));
            let jobs = (0..6).map(|_| {
                let barrier = barrier.clone();
                pool.spawn_n(async move {
                    barrier.wait().await;
                })
            });
            let ended = timeout(PATIENCE, join_all(jobs)).await?;
            assert_eq!(ended.iter().filter(|end| end.is_ok()).count(), 4);
            timeout(PATIENCE, pool.join()).await?;
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_pool_goes_on_when_a_runtime_has_shut_down_whose_hook_has_panicked() -> anyhow::Result<()> {
    for builder in flavours() {
        let first = runtime(builder, 1)?;
        let pool = Pool::new(1);
        let entered = first.enter();
        let job = pool.spawn_n(async {});
        drop(entered);
        assert!(job.is_finished());
        drop(first);
        let second = Builder::new_current_thread().enable_time().build()?;
        second.block_on(async {
            let job = pool.spawn_n(async { 1 });
            assert_eq!(timeout(PATIENCE, job).await??, 1);
            timeout(PATIENCE, pool.join()).await?;
            anyhow::Ok(())
        })?;
        assert!(pool.is_empty());
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);
