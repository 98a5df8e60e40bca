//! `Pool::map`.

use std::pin::pin;

use aiopool::{JobError, Pool};
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{Count, Gate, assert_whole, let_others_run, on_both, poll_once, raise, until};

#[test]
fn the_results_come_in_the_order_of_the_items() {
    on_both(async || {
        let pool = Pool::new(4);
        let results = pool.map(0..100, |n| async move {
            for _ in 0..n % 5 {
                yield_now().await;
            }
            n
        });
        let results: Vec<_> = results.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn no_items_give_no_results() {
    on_both(async || {
        let pool = Pool::new(1);
        let results = pool.map(Vec::<u8>::new(), |_| async {}).await;
        assert!(results.is_empty());
        let unknown = (0..9).filter(|_| false);
        assert!(pool.map(unknown, |_| async {}).await.is_empty());
        assert_whole(&pool).await;
    });
}

#[test]
fn of_no_items_it_needs_no_slot() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let mut map = task::spawn(pool.map(Vec::<u8>::new(), |_| async {}));
        assert!(assert_ready!(map.poll()).is_empty());
        assert_eq!((pool.active(), pool.waiting()), (1, 0));
        gate.open();
        assert_whole(&pool).await;
    });
}

#[test]
fn the_leaves_of_a_recursion_need_no_slots() {
    on_both(async || {
        let pool = Pool::new(2);
        let in_jobs = pool.clone();
        let leaves = pool.map(0..2, move |_| {
            let no_children = in_jobs.map(Vec::<u8>::new(), |_| async {});
            async { no_children.await.len() }
        });
        assert!(matches!(leaves.await[..], [Ok(0), Ok(0)]));
        assert_whole(&pool).await;
    });
}

#[test]
fn an_error_is_the_result_of_its_own_item() {
    on_both(async || {
        let pool = Pool::new(2);
        let results = pool.map(0..6, |n| {
            if n == 1 {
                raise("the function");
            }
            async move {
                if n == 3 {
                    raise("the job");
                }
                n
            }
        });
        let results: Vec<_> = results.await.into_iter().map(told).collect();
        let expected = ["0", "the function", "2", "the job", "4", "5"];
        assert_eq!(results, expected);
        assert_whole(&pool).await;
    });
}

fn told(result: Result<i32, JobError>) -> String {
    match result {
        Ok(n) => n.to_string(),
        Err(JobError::Panicked(panic)) => panic.message().unwrap().into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn nothing_happens_before_the_first_poll() {
    on_both(async || {
        let (pool, pulled) = (Pool::new(1), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..3).inspect(move |_| pulled.add())
        };
        let map = pool.map(items, |_| async {});
        let_others_run().await;
        assert_eq!((pulled.get(), pool.len()), (0, 0));
        drop(map);
        assert_whole(&pool).await;
        assert_eq!(pulled.get(), 0);
    });
}

#[test]
fn the_iterator_and_the_function_are_called_by_the_workers() {
    on_both(async || {
        let pool = Pool::new(2);
        let items = (0..9).map(|_| tokio::task::try_id());
        let map = pool.map(items, |pulled_by| {
            let called_by = tokio::task::try_id();
            async move { (pulled_by, called_by) }
        });
        for result in map.await {
            let (pulled_by, called_by) = result.unwrap();
            assert!(pulled_by.is_some(), "the test is no task, the workers are");
            assert_eq!(pulled_by, called_by);
        }
    });
}

#[test]
fn given_up_in_the_line_it_pulls_nothing_and_frees_its_iterator() {
    on_both(async || {
        let (pool, gate, pulled, drops) = (Pool::new(1), Gate::new(), Count::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        let items = {
            let (pulled, dropped) = (pulled.clone(), drops.drops());
            (0..3).inspect(move |_| {
                let _held = &dropped;
                pulled.add();
            })
        };
        let mut map = task::spawn(pool.map(items, |_| async {}));
        assert_pending!(map.poll());
        assert_eq!((pool.active(), pool.waiting()), (1, 1));
        drop(map);
        assert_eq!((pool.active(), pool.waiting(), drops.get()), (1, 0, 1));
        gate.open();
        assert_whole(&pool).await;
        assert_eq!(pulled.get(), 0);
    });
}

#[test]
fn given_up_while_its_jobs_are_active_it_cancels_them_and_pulls_no_more() {
    on_both(async || {
        let (pool, pulled, jobs, items_dropped) =
            (Pool::new(2), Count::new(), Count::new(), Count::new());
        let items = {
            let (pulled, dropped) = (pulled.clone(), items_dropped.drops());
            (0..).inspect(move |_| {
                let _held = &dropped;
                pulled.add();
            })
        };
        let pending = jobs.clone();
        let mut map = task::spawn(pool.map(items, move |_: u64| pending.pending()));
        assert_pending!(map.poll());
        until(|| pulled.get() == 2 && pool.waiting() == 1).await;
        drop(map);
        assert_eq!(pool.waiting(), 0);
        pool.join().await;
        assert_eq!((pulled.get(), jobs.get()), (2, 2));
        assert_eq!(items_dropped.get(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_it_leaves_the_jobs_of_others_alone() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(2), Gate::new(), Count::new());
        let neighbour = pool.spawn_n(gate.passed());
        let other = tokio::spawn({
            let gate = gate.clone();
            pool.map(0..3, move |_| gate.passed())
        });
        let pending = drops.clone();
        let mut map = task::spawn(pool.map(0.., move |_: u64| pending.pending()));
        assert_pending!(map.poll());
        let_others_run().await;
        drop(map);
        gate.open();
        neighbour.await.unwrap();
        assert!(other.await.unwrap().iter().all(Result::is_ok));
        assert_whole(&pool).await;
    });
}

#[test]
fn it_may_be_polled_after_everything_has_ended() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut map = task::spawn(pool.map(0..5, |n| async move { n }));
        if map.poll().is_pending() {
            pool.join().await;
            assert!(map.is_woken());
            assert_eq!(assert_ready!(map.poll()).len(), 5);
        }
    });
}

#[test]
fn its_reader_is_woken_once_at_the_end() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let passed = gate.clone();
        let mut map = pin!(pool.map(0..5, move |_| passed.passed()));
        let wakes = crate::common::Wakes::new();
        assert_pending!(wakes.poll(map.as_mut()));
        for _ in 0..3 {
            gate.let_pass();
        }
        until(|| pool.executed() == 3).await;
        let_others_run().await;
        assert_eq!(wakes.get(), 0);
        gate.open();
        until(|| wakes.get() > 0).await;
        assert_eq!(assert_ready!(poll_once(map)).len(), 5);
        assert_eq!(wakes.get(), 1);
    });
}

#[test]
fn its_future_may_outlive_the_pool_and_go_to_another_task() {
    on_both(async || {
        let pool = Pool::new(1);
        let map = pool.map(vec![1, 2, 3], |n| async move { 2 * n });
        drop(pool);
        let results = tokio::spawn(map).await.unwrap();
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [2, 4, 6]);
    });
}

#[test]
fn its_iterator_and_its_function_may_use_the_pool() {
    on_both(async || {
        let pool = Pool::new(2);
        let (of_items, of_function) = (pool.clone(), pool.clone());
        let items = (0..10).map(move |n| {
            drop(of_items.spawn_n(async {}));
            n + of_items.len()
        });
        let results = pool.map(items, move |_| {
            drop(of_function.spawn_n(async {}));
            async {}
        });
        assert_eq!(results.await.len(), 10);
        assert_whole(&pool).await;
    });
}
