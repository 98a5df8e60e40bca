//! The pool never hogs: however many jobs end without ever suspending, others get their turn.

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use tokio::task::yield_now;

use crate::common::{Count, on_current_thread};

const MANY: usize = 10_000;

/// Runs `busy` beside a task that wants a turn again and again, and counts its turns.
async fn turns_beside(busy: impl Future<Output = ()>) -> usize {
    let turns = Count::new();
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.add();
            yield_now().await;
        }
    });
    busy.await;
    other.abort();
    turns.get()
}

fn gives_turns(busy: impl AsyncFn() + Send + 'static) {
    on_current_thread(async move || {
        let turns = turns_beside(busy()).await;
        // A task of Tokio does 128 things before it has to let others run; a turn is given at
        // least as often as that.
        assert!(turns >= MANY / 128, "{turns} turns");
    });
}

#[test]
fn a_worker_gives_turns_between_jobs_that_never_suspend() {
    gives_turns(async || {
        let pool = Pool::new(1);
        let ended = Count::new();
        drop(pool.map_n(0..MANY, |_| {
            let ended = ended.clone();
            async move { ended.add() }
        }));
        pool.join().await;
        assert_eq!(ended.get(), MANY);
    });
}

#[test]
fn many_workers_give_turns() {
    gives_turns(async || {
        let pool = Pool::new(8);
        drop(pool.map_n(0..8 * MANY, |_| async {}.with_callback(|_| async {})));
        pool.join().await;
    });
}

#[test]
fn a_map_gives_turns() {
    gives_turns(async || {
        let results = Pool::new(3).map(0..4 * MANY, |n| async move { n }).await;
        assert_eq!(results.len(), 4 * MANY);
    });
}

#[test]
fn a_map_whose_function_panics_gives_turns() {
    gives_turns(async || {
        let results = Pool::new(1).map(0..MANY, |_| {
            if true {
                crate::common::raise("the function");
            }
            async {}
        });
        assert_eq!(results.await.len(), MANY);
    });
}

#[test]
fn a_task_that_awaits_many_settled_handles_gives_turns() {
    on_current_thread(async || {
        let pool = Pool::new(1);
        let handles = pool.map_n(0..MANY, |_| async {});
        pool.join().await;
        let turns = turns_beside(async {
            for handle in handles {
                handle.await.unwrap();
            }
        });
        assert!(turns.await >= MANY / 128);
    });
}

#[test]
fn a_task_that_reads_many_results_gives_turns() {
    on_current_thread(async || {
        for ordered in [false, true] {
            let pool = Pool::new(1);
            let mut results = if ordered {
                pool.itermap_ordered(0..MANY, |n| async move { n })
                    .ahead(MANY)
            } else {
                pool.itermap(0..MANY, |n| async move { n }).ahead(MANY)
            };
            results.next().await.unwrap().unwrap();
            pool.join().await;
            // All results are there: nobody has to wait for them.
            let turns = turns_beside(async { assert_eq!(results.count().await, MANY - 1) });
            assert!(turns.await >= MANY / 128);
        }
    });
}

#[test]
fn jobs_that_use_up_the_budget_of_their_worker_do_not_stop_it() {
    gives_turns(async || {
        let pool = Pool::new(2);
        let results = pool.map(0..MANY, |n| async move {
            // What is ready takes one from the budget, as a socket or a channel would.
            tokio::task::consume_budget().await;
            n
        });
        assert_eq!(results.await.len(), MANY);
    });
}
