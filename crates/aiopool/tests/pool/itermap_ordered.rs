//! `Pool::itermap_ordered`: what it does differently from `itermap`.

use aiopool::Pool;
use futures_util::StreamExt;
use tokio::task::yield_now;
use tokio_test::{assert_pending, task};

use crate::common::{Count, Gate, Wakes, assert_whole, let_others_run, on_both, until};

#[test]
fn the_results_come_in_the_order_of_the_items() {
    on_both(async || {
        let pool = Pool::new(4);
        let results = pool.itermap_ordered(0..100, |n| async move {
            for _ in 0..n % 5 {
                yield_now().await;
            }
            n
        });
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!(results, (0..100).collect::<Vec<_>>());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_slow_first_item_does_not_stop_those_behind_it_up_to_the_bound() {
    on_both(async || {
        let (pool, gate, pulled, ended) = (Pool::new(2), Gate::new(), Count::new(), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..20).inspect(move |_| pulled.add())
        };
        let jobs = {
            let (gate, ended) = (gate.clone(), ended.clone());
            move |n| {
                let (passed, ended) = (gate.passed(), ended.clone());
                async move {
                    if n == 0 {
                        passed.await;
                    }
                    ended.add();
                    n
                }
            }
        };
        let mut results = task::spawn(pool.itermap_ordered(items, jobs).ahead(7));
        assert_pending!(results.poll_next());
        until(|| ended.get() == 6 && pool.active() == 1).await;
        let_others_run().await;
        assert_eq!((pulled.get(), pool.active(), pool.waiting()), (7, 1, 0));
        assert_pending!(results.poll_next());
        gate.open();
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!(results, (0..20).collect::<Vec<_>>());
        assert_whole(&pool).await;
    });
}

#[test]
fn its_reader_is_woken_only_for_the_result_it_waits_for() {
    on_both(async || {
        let pool = Pool::new(3);
        let gates: [Gate; 3] = std::array::from_fn(|_| Gate::new());
        let jobs = {
            let gates = gates.clone();
            move |n: usize| gates[n].passed()
        };
        let mut results = pool.itermap_ordered(0..3, jobs);
        let wakes = Wakes::new();
        assert_pending!(wakes.poll(std::pin::pin!(results.next())));
        gates[2].open();
        until(|| pool.executed() == 1).await;
        gates[1].open();
        until(|| pool.executed() == 2).await;
        let_others_run().await;
        assert_eq!(wakes.get(), 0);
        gates[0].open();
        until(|| wakes.get() > 0).await;
        assert_eq!(results.collect::<Vec<_>>().await.len(), 3);
        assert_eq!(wakes.get(), 1);
    });
}

#[test]
fn a_bound_of_one_runs_one_item_after_the_other() {
    on_both(async || {
        let (pool, pulled) = (Pool::new(4), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..5).inspect(move |_| pulled.add())
        };
        let mut results = pool.itermap_ordered(items, |n| async move { n }).ahead(1);
        for n in 0..5 {
            assert!(pulled.get() <= n + 1);
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(results.next().await.is_none());
    });
}
