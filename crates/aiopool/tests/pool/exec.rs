//! `Pool::exec`.

use aiopool::Pool;
use tokio_test::{assert_pending, task};

use crate::common::{Count, Gate, assert_whole, for_both, on_both, raise, until};

#[test]
fn it_gives_the_result_of_the_job() {
    on_both(async || {
        let pool = Pool::new(1);
        assert_eq!(pool.exec(async { 6 * 7 }).await.unwrap(), 42);
    });
}

#[test]
fn it_gives_the_error_that_took_the_place_of_the_result() {
    on_both(async || {
        let pool = Pool::new(1);
        let error = pool.exec(async { raise("no") }).await.unwrap_err();
        assert!(error.is_panic());
        let mut pending = task::spawn(pool.exec(std::future::pending::<()>()));
        assert_pending!(pending.poll());
        assert_eq!(pool.cancel_all().await, 1);
        assert!(pending.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn nothing_happens_before_the_first_poll() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let exec = pool.exec(drops.pending());
        assert!(pool.is_empty());
        drop(exec);
        assert_eq!(drops.get(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn given_up_while_its_job_waits_the_job_is_dropped_unrun() {
    on_both(async || {
        let (pool, gate, drops, begun) = (Pool::new(1), Gate::new(), Count::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        let job = {
            let (dropped, begun) = (drops.drops(), begun.clone());
            async move {
                let _dropped = dropped;
                begun.add();
            }
        };
        let mut exec = task::spawn(pool.exec(job));
        assert_pending!(exec.poll());
        drop(exec);
        assert_eq!((drops.get(), pool.waiting()), (1, 0));
        gate.open();
        assert_whole(&pool).await;
        assert_eq!(begun.get(), 0);
    });
}

#[test]
fn given_up_while_its_job_is_active_the_job_is_cancelled() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let mut exec = task::spawn(pool.exec(drops.pending()));
        assert_pending!(exec.poll());
        drop(exec);
        until(|| drops.get() == 1).await;
        assert_whole(&pool).await;
    });
}

#[test]
fn its_future_may_outlive_the_pool_and_go_to_another_task() {
    on_both(async || {
        let pool = Pool::new(1);
        let exec = pool.exec(async { 6 * 7 });
        drop(pool);
        assert_eq!(tokio::spawn(exec).await.unwrap().unwrap(), 42);
    });
}

#[test]
fn it_may_be_called_outside_the_runtime_that_polls_it() {
    for_both(|runtime| {
        let pool = Pool::new(1);
        assert_eq!(runtime.block_on(pool.exec(async { 6 * 7 })).unwrap(), 42);
    });
}
