//! The tasks that run the jobs: how many there are, and for how long.

use std::collections::BTreeSet;

use aiopool::Pool;
use futures_util::StreamExt;
use tokio::runtime::Handle;

use crate::common::{Count, Gate, Log, on_both, on_current_thread, until};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[test]
fn a_busy_pool_has_at_most_one_task_for_each_slot_and_an_idle_one_has_none() {
    on_both(async || {
        let (pool, gate, begun) = (Pool::new(3), Gate::new(), Count::new());
        let handles = pool.map_n(0..20, |_| {
            let (gate, begun) = (gate.clone(), begun.clone());
            async move {
                begun.add();
                gate.passed().await;
            }
        });
        until(|| begun.get() == 3).await;
        assert_eq!(tasks(), 3);
        gate.open();
        for handle in handles {
            handle.await.unwrap();
        }
        until(|| tasks() == 0).await;
    });
}

#[test]
fn the_tasks_of_a_stream_stay_while_its_reader_is_behind() {
    on_current_thread(async || {
        for slots in [1, 4, 300] {
            let (pool, ids) = (Pool::new(slots), Log::new());
            let seen = ids.clone();
            let mut results = pool.itermap(0..2_000, move |n| {
                let seen = seen.clone();
                async move {
                    seen.add(tokio::task::id());
                    tokio::task::yield_now().await;
                    n
                }
            });
            let mut sum = 0;
            while let Some(result) = results.next().await {
                sum += result.unwrap();
                // The pool comes to rest, and none of its slots is held.
                if sum % 7 == 0 {
                    pool.join().await;
                }
            }
            assert_eq!(sum, (0..2_000).sum::<usize>());
            let ids: BTreeSet<_> = ids.take().iter().map(ToString::to_string).collect();
            assert!(ids.len() <= slots, "{} tasks for {slots} slots", ids.len());
            until(|| tasks() == 0).await;
        }
    });
}

#[test]
fn the_tasks_of_a_stream_that_is_dropped_end() {
    on_both(async || {
        let pool = Pool::new(5);
        let mut results = pool.itermap(0.., |n: u64| async move { n });
        results.next().await.unwrap().unwrap();
        pool.join().await;
        drop(results);
        until(|| tasks() == 0).await;
    });
}

#[test]
fn tasks_that_a_stream_has_kept_run_the_jobs_of_others() {
    on_both(async || {
        let (pool, gate) = (Pool::new(5), Gate::new());
        let mut results = pool.itermap(0.., |n: u64| async move { n });
        results.next().await.unwrap().unwrap();
        pool.join().await;
        let handles = pool.map_n(0..20, |_| gate.passed());
        until(|| pool.active() == 5).await;
        gate.open();
        for handle in handles {
            handle.await.unwrap();
        }
        drop(results);
        until(|| tasks() == 0).await;
    });
}
