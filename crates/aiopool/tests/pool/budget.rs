//! What is awaited takes part in Tokio's budget: a task that awaits again and again what is ready
//! at once lets others have their turn.

use std::time::Duration;

use aiopool::{JobHandle, Pool};
use futures_util::StreamExt;
use tokio::task::yield_now;

use crate::common::{Count, on_both, on_current_thread, poll_once};

/// Awaits things in a task, beside one that wants a turn again and again, and counts its turns.
fn gives_turns(awaits: impl AsyncFn() + Send + 'static) {
    on_current_thread(async move || {
        let turns = Count::new();
        let counted = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                counted.add();
                yield_now().await;
            }
        });
        awaits().await;
        other.abort();
        let turns = turns.get();
        // A task of Tokio does 128 things before it has to let others run.
        assert!(turns >= MANY / 128, "{turns} turns");
    });
}

#[test]
fn a_loop_of_spawns_with_slots_free_gives_turns() {
    gives_turns(async || {
        let pool = Pool::new(2 * MANY);
        for _ in 0..MANY {
            drop(pool.spawn(async {}).await);
        }
    });
}

#[test]
fn a_spawn_that_is_given_up_for_want_of_budget_has_handed_nothing_in() {
    on_current_thread(async || {
        let pool = Pool::new(1);
        use_up().await;
        let made = Count::new();
        let mut spawn = Box::pin(pool.spawn(made.pending()));
        assert!(poll_once(spawn.as_mut()).is_pending());
        assert_eq!((pool.len(), made.get()), (0, 0));
        drop(spawn);
        assert_eq!((pool.len(), made.get()), (0, 1));
    });
}

#[test]
fn a_loop_that_reserves_slots_that_are_free_gives_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        for _ in 0..MANY {
            drop(pool.reserve().await.unwrap());
        }
    });
}

#[test]
fn joins_of_an_idle_pool_give_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        for _ in 0..MANY {
            pool.join().await;
        }
    });
}

#[test]
fn closes_of_a_closed_pool_give_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        for _ in 0..MANY {
            pool.close(None, Duration::ZERO).await;
        }
    });
}

#[test]
fn cancels_without_a_job_that_could_be_stopped_give_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        let mut settled = pool.spawn_n(async {});
        pool.join().await;
        for n in 0..MANY {
            let stopped = if n % 2 == 0 {
                pool.cancel([&mut settled]).await.0
            } else {
                pool.cancel_all().await
            };
            assert_eq!(stopped, 0);
        }
    });
}

#[test]
fn a_cancel_of_many_jobs_that_wait_gives_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        let mut handles = pool.map_n(0..MANY, |_| std::future::pending::<()>());
        assert_eq!(pool.cancel(&mut handles).await.0, MANY);
    });
}

#[test]
fn many_settled_handles_give_turns() {
    gives_turns(async || {
        for handle in settled(MANY).await {
            handle.await.unwrap();
        }
    });
}

#[test]
fn execs_that_end_at_once_give_turns() {
    on_both(async || {
        let pool = Pool::new(2);
        // Where jobs run on another thread an exec may be ready when it is first polled.
        for n in 0..MANY {
            assert_eq!(pool.exec(async move { n }).await.unwrap(), n);
        }
    });
}

#[test]
fn maps_of_nothing_give_turns() {
    gives_turns(async || {
        let pool = Pool::new(1);
        for _ in 0..MANY {
            let results = pool.map(0..0, |_| async {}).await;
            assert!(results.is_empty());
        }
    });
}

#[test]
fn many_results_that_are_there_give_turns() {
    for ordered in [false, true] {
        gives_turns(async move || {
            let pool = Pool::new(1);
            let job = |n| async move { n };
            let mut results = if ordered {
                pool.itermap_ordered(0..MANY, job).ahead(MANY)
            } else {
                pool.itermap(0..MANY, job).ahead(MANY)
            };
            results.next().await.unwrap().unwrap();
            pool.join().await;
            // Nobody has to wait for the others.
            assert_eq!(results.count().await, MANY - 1);
        });
    }
}

/// Handles whose jobs have ended.
async fn settled(jobs: usize) -> Vec<JobHandle<()>> {
    let pool = Pool::new(1);
    let handles = pool.map_n(0..jobs, |_| async {});
    pool.join().await;
    handles
}

/// Takes all of the budget that this poll has.
async fn use_up() {
    yield_now().await;
    while tokio::task::coop::has_budget_remaining() {
        tokio::task::consume_budget().await;
    }
}

const MANY: usize = 10_000;
