//! A pool that grows and shrinks.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use aiopool::Pool;

use crate::common::{Gate, let_others_run, on_both, until};

#[test]
fn a_pool_that_grows_starts_as_many_as_fit_before_the_call_returns() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        hand_in(200, &pool, &gate);
        pool.resize(150);
        assert_eq!((pool.size(), pool.active(), pool.waiting()), (150, 150, 50));
        gate.open();
        pool.join().await;
        assert_eq!(pool.executed(), 200);
    });
}

#[test]
fn it_does_so_in_a_waker_that_the_pool_calls_too() {
    struct Grows(Pool, AtomicUsize);

    impl Wake for Grows {
        fn wake(self: Arc<Self>) {
            self.0.resize(3);
            self.1.store(self.0.active(), Ordering::Relaxed);
        }
    }

    on_both(async || {
        let pool = Pool::new(1);
        let permit = pool.reserve().await.unwrap();
        let grows = Arc::new(Grows(pool.clone(), AtomicUsize::new(0)));
        let waker = Waker::from(grows.clone());
        let mut next = Box::pin(pool.reserve());
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let _jobs = pool.map_n(0..2, |_| std::future::pending::<()>());
        drop(permit);
        assert_eq!(grows.1.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_pool_that_shrinks_stops_nobody_and_starts_nobody_until_that_fits() {
    on_both(async || {
        let (pool, gate) = (Pool::new(4), Gate::new());
        hand_in(8, &pool, &gate);
        pool.resize(2);
        assert_eq!((pool.size(), pool.active(), pool.waiting()), (2, 4, 4));
        for ended in 1..=2 {
            gate.let_pass();
            until(|| pool.executed() == ended).await;
            let_others_run().await;
            assert_eq!(
                pool.waiting(),
                4,
                "nobody starts while more are active than fit"
            );
        }
        gate.let_pass();
        until(|| pool.executed() == 3).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting()), (2, 3));
        gate.open();
        pool.join().await;
        assert_eq!(pool.executed(), 8);
    });
}

/// The room counts, not what was added: to set the same size twice makes no room.
#[test]
fn the_size_that_a_pool_has_changes_nothing() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        hand_in(4, &pool, &gate);
        for size in [2, 2, 1, 2] {
            pool.resize(size);
            assert_eq!((pool.size(), pool.active()), (size, 2));
        }
        gate.open();
        pool.join().await;
        assert_eq!(pool.executed(), 4);
    });
}

#[test]
fn a_map_takes_the_slots_that_come_while_it_runs() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let passed = gate.clone();
        let map = tokio::spawn(pool.map(0..10, move |_| passed.passed()));
        until(|| pool.active() == 1).await;
        pool.resize(3);
        until(|| pool.active() == 3).await;
        let_others_run().await;
        assert_eq!(pool.active(), 3);
        gate.open();
        assert_eq!(map.await.unwrap().len(), 10);
    });
}

#[test]
fn a_pool_grows_from_a_thread_without_a_runtime() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        hand_in(3, &pool, &gate);
        thread::scope(|scope| scope.spawn(|| pool.resize(2)).join()).unwrap();
        assert_eq!((pool.active(), pool.waiting()), (2, 1));
        gate.open();
        pool.join().await;
        assert_eq!(pool.executed(), 3);
    });
}

#[test]
fn a_size_of_0_panics_and_changes_nothing() {
    let pool = Pool::new(2);
    let payload = catch_unwind(|| pool.resize(0)).unwrap_err();
    let message = payload.downcast_ref::<&str>().copied();
    assert!(message.is_some_and(|message| message.contains("at least 1 slot")));
    assert_eq!(pool.size(), 2);
}

fn hand_in(jobs: usize, pool: &Pool, gate: &Gate) {
    for _ in 0..jobs {
        drop(pool.spawn_n(gate.passed()));
    }
}
