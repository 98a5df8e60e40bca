//! `Pool::join`.

use std::pin::pin;

use aiopool::Pool;
use futures_util::future::join_all;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{
    Count, Gate, Log, Wakes, assert_whole, in_time, let_others_run, multi_thread, on_both, raise,
    until,
};

#[test]
fn an_empty_pool_is_joined_at_once() {
    on_both(async || {
        let pool = Pool::new(1);
        assert_ready!(task::spawn(pool.join()).poll());
        pool.exec(async {}).await.unwrap();
        pool.join().await;
        assert_ready!(task::spawn(pool.join()).poll());
    });
}

#[test]
fn it_waits_for_those_who_wait_and_those_who_are_active() {
    on_both(async || {
        let (pool, gate, ended) = (Pool::new(2), Gate::new(), Count::new());
        drop(pool.map_n(0..10, |_| {
            let (passed, ended) = (gate.passed(), ended.clone());
            async move {
                passed.await;
                ended.add();
            }
        }));
        let mut join = task::spawn(pool.join());
        assert_pending!(join.poll());
        for n in 1..10 {
            gate.let_pass();
            until(|| ended.get() == n).await;
            assert_pending!(join.poll());
        }
        assert!(!join.is_woken());
        gate.open();
        join.await;
        assert_eq!((ended.get(), pool.len()), (10, 0));
    });
}

#[test]
fn all_results_can_be_read_when_it_returns() {
    on_both(async || {
        for _ in 0..50 {
            let pool = Pool::new(2);
            let mut handles = pool.map_n(0..9, |n| async move {
                if n % 3 == 0 {
                    raise("no");
                }
                std::future::poll_fn(|_| {
                    if n % 3 == 1 {
                        std::task::Poll::Pending
                    } else {
                        std::task::Poll::Ready(())
                    }
                })
                .await;
            });
            for handle in handles.iter().skip(1).step_by(3) {
                handle.cancel();
            }
            pool.join().await;
            for handle in &mut handles {
                assert!(handle.is_finished());
                drop(assert_ready!(task::spawn(handle).poll()));
            }
        }
    });
}

#[test]
fn any_number_of_tasks_may_join() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.map_n(0..3, |_| gate.passed()));
        let joins = (0..20).map(|_| tokio::spawn(pool.join()));
        let joins: Vec<_> = joins.collect();
        let_others_run().await;
        gate.open();
        for joined in join_all(joins).await {
            joined.unwrap();
        }
        assert!(pool.is_empty());
    });
}

#[test]
fn who_has_been_told_returns_though_the_pool_is_busy_again() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let mut join = task::spawn(pool.join());
        assert_pending!(join.poll());
        gate.let_pass();
        until(|| join.is_woken()).await;
        drop(pool.spawn_n(gate.passed()));
        assert_ready!(join.poll());
        let mut later = task::spawn(pool.join());
        assert_pending!(later.poll());
        gate.open();
        later.await;
    });
}

#[test]
fn it_is_told_once() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let wakes = Wakes::new();
        let mut join = pin!(pool.join());
        for _ in 0..3 {
            drop(pool.spawn_n(gate.passed()));
            assert_pending!(wakes.poll(join.as_mut()));
        }
        gate.open();
        until(|| wakes.get() > 0).await;
        for _ in 0..3 {
            pool.exec(async {}).await.unwrap();
            pool.join().await;
        }
        assert_eq!(wakes.get(), 1);
    });
}

#[test]
fn given_up_it_is_not_told_and_the_others_are() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let wakes: [_; 3] = std::array::from_fn(|_| Wakes::new());
        let mut joins: Vec<_> = wakes.iter().map(|_| Box::pin(pool.join())).collect();
        for (wakes, join) in wakes.iter().zip(&mut joins) {
            assert_pending!(wakes.poll(join.as_mut()));
        }
        drop(joins.remove(1));
        gate.open();
        until(|| wakes[0].get() + wakes[2].get() == 2).await;
        assert_eq!(wakes[1].get(), 0);
    });
}

#[test]
fn only_the_last_task_that_polled_it_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let (first, second) = (Wakes::new(), Wakes::new());
        let mut join = pin!(pool.join());
        assert_pending!(first.poll(join.as_mut()));
        assert_pending!(second.poll(join.as_mut()));
        gate.open();
        until(|| second.get() > 0).await;
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn a_stream_that_is_held_back_by_its_reader_is_not_waited_for() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut results = task::spawn(pool.itermap(0.., |n: u64| async move { n }));
        drop(results.poll_next());
        pool.join().await;
        drop(results);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_may_join_another_pool() {
    on_both(async || {
        let (outer, inner) = (Pool::new(1), Pool::new(1));
        let ended = Count::new();
        let (joined, counted) = (inner.clone(), ended.clone());
        drop(inner.map_n(0..5, |_| {
            let ended = ended.clone();
            async move { ended.add() }
        }));
        let job = async move {
            joined.join().await;
            counted.get()
        };
        assert_eq!(outer.exec(job).await.unwrap(), 5);
    });
}

/// Looks from inside its drop whether the pool can be joined. By then the active job has ended.
struct LooksInDrop {
    pool: Pool,
    gate: Gate,
    joined: Log<bool>,
}

impl Drop for LooksInDrop {
    fn drop(&mut self) {
        self.gate.open();
        while self.pool.active() > 0 {
            std::thread::yield_now();
        }
        let joined = task::spawn(self.pool.join()).poll().is_ready();
        self.joined.add(joined);
    }
}

#[test]
fn it_waits_for_the_drop_of_those_who_are_taken_out_of_the_queue() {
    in_time("multi_thread", || {
        multi_thread().block_on(async {
            let joined = Log::new();
            let scene = || {
                let (pool, gate) = (Pool::new(1), Gate::new());
                drop(pool.spawn_n(gate.passed()));
                let looks = LooksInDrop {
                    pool: pool.clone(),
                    gate,
                    joined: joined.clone(),
                };
                (pool, async move {
                    let _looks = looks;
                })
            };

            let (pool, job) = scene();
            assert!(pool.spawn_n(job).cancel());
            pool.join().await;

            let (pool, job) = scene();
            let mut spawn = task::spawn(pool.spawn(job));
            assert_pending!(spawn.poll());
            drop(spawn);
            pool.join().await;

            let (pool, job) = scene();
            let waiting = pool.spawn_n(job);
            let told = tokio::spawn(pool.join());
            pool.cancel_all().await;
            assert!(waiting.is_finished());
            told.await.unwrap();

            assert_eq!(joined.take(), [false, false, false]);
        });
    });
}
