//! `Pool::spawn`.

use aiopool::Pool;
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{Count, Gate, assert_whole, on_both};

#[test]
fn the_handle_comes_when_the_job_starts_not_when_it_ends() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let handle = pool.spawn(gate.passed()).await;
        assert!(!handle.is_finished());
        assert_eq!((pool.active(), pool.waiting()), (1, 0));
        gate.open();
        handle.await.unwrap();
    });
}

#[test]
fn the_handle_of_a_spawned_job_gives_its_result() {
    on_both(async || {
        let handle = Pool::new(1).spawn(async { 6 * 7 }).await;
        assert_eq!(handle.await.unwrap(), 42);
    });
}

#[test]
fn with_a_free_slot_it_does_not_suspend() {
    on_both(async || {
        let pool = Pool::new(3);
        for _ in 0..3 {
            let mut spawn = task::spawn(pool.spawn(std::future::pending::<()>()));
            drop(assert_ready!(spawn.poll()));
        }
        let mut spawn = task::spawn(pool.spawn(std::future::pending::<()>()));
        assert_pending!(spawn.poll());
    });
}

#[test]
fn without_a_free_slot_it_waits_in_the_queue() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        for _ in 0..2 {
            drop(pool.spawn(gate.passed()).await);
        }
        let mut third = task::spawn(pool.spawn(async { 3 }));
        assert_pending!(third.poll());
        assert_eq!((pool.active(), pool.waiting()), (2, 1));
        gate.let_pass();
        assert_eq!(third.await.await.unwrap(), 3);
        gate.open();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_loop_of_spawns_is_held_back_by_the_pool() {
    on_both(async || {
        let pool = Pool::new(3);
        for _ in 0..100 {
            drop(pool.spawn(tokio::task::yield_now()).await);
            assert!(pool.len() <= pool.size());
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn nothing_happens_before_the_first_poll() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let spawn = pool.spawn(drops.pending());
        assert!(pool.is_empty());
        drop(spawn);
        assert_eq!(drops.get(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_while_it_waits_its_job_is_dropped_unrun_and_those_behind_it_move_up() {
    on_both(async || {
        let (pool, gate, drops, begun) = (Pool::new(1), Gate::new(), Count::new(), Count::new());
        let first = pool.spawn_n(gate.passed());
        let job = {
            let (dropped, begun) = (drops.drops(), begun.clone());
            async move {
                let _dropped = dropped;
                begun.add();
            }
        };
        let mut second = task::spawn(pool.spawn(job));
        assert_pending!(second.poll());
        let third = pool.spawn_n(async { 3 });
        drop(second);
        assert_eq!((drops.get(), pool.waiting()), (1, 1));
        gate.open();
        first.await.unwrap();
        assert_eq!(third.await.unwrap(), 3);
        assert_eq!(begun.get(), 0);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_after_its_job_has_started_the_job_runs_on() {
    on_both(async || {
        let (pool, gate, ended) = (Pool::new(1), Gate::new(), Count::new());
        let first = pool.spawn_n(gate.passed());
        let job = {
            let ended = ended.clone();
            async move { ended.add() }
        };
        let mut second = task::spawn(pool.spawn(job));
        assert_pending!(second.poll());
        gate.open();
        first.await.unwrap();
        pool.join().await;
        assert!(second.is_woken());
        drop(second);
        assert_eq!(ended.get(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn when_its_waiting_job_is_cancelled_it_gives_the_cancelled_handle() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        drop(pool.spawn_n(drops.pending()));
        let mut second = task::spawn(pool.spawn(drops.pending()));
        assert_pending!(second.poll());
        assert_eq!(pool.cancel_all().await, 2);
        assert!(second.is_woken());
        let handle = assert_ready!(second.poll());
        assert!(handle.is_finished());
        assert!(handle.await.unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn its_future_may_outlive_the_pool_and_go_to_another_task() {
    on_both(async || {
        let pool = Pool::new(1);
        let spawn = pool.spawn(async { 6 * 7 });
        drop(pool);
        let handle = tokio::spawn(spawn).await.unwrap();
        assert_eq!(handle.await.unwrap(), 42);
    });
}
