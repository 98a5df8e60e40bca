//! `Pool::spawn_n`.

use std::cell::Cell;
use std::rc::Rc;

use aiopool::Pool;

use crate::common::{Count, Gate, assert_whole, for_both, on_both};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn nothing_of_the_job_runs_inside_the_call() {
    on_both(async || {
        let pool = Pool::new(1);
        let handles: Vec<_> = (0..10)
            .map(|_| {
                INSIDE.set(true);
                let handle = pool.spawn_n(async { INSIDE.get() });
                INSIDE.set(false);
                handle
            })
            .collect();
        for handle in handles {
            assert!(!handle.await.unwrap());
        }
    });
}

#[test]
fn any_number_may_wait() {
    on_both(async || {
        let (pool, gate, ended) = (Pool::new(2), Gate::new(), Count::new());
        for _ in 0..1000 {
            let (passed, ended) = (gate.passed(), ended.clone());
            drop(pool.spawn_n(async move {
                passed.await;
                ended.add();
            }));
        }
        assert_eq!((pool.active(), pool.waiting(), pool.len()), (2, 998, 1000));
        gate.open();
        pool.join().await;
        assert_eq!(ended.get(), 1000);
    });
}

#[test]
fn a_job_may_hand_in_jobs() {
    on_both(async || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let handle = pool.spawn_n(async move {
            let handle = inner.spawn_n(async { 6 * 7 });
            Some(handle)
        });
        let inner = handle.await.unwrap().unwrap();
        assert_eq!(inner.await.unwrap(), 42);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_may_be_boxed_and_may_be_a_handle() {
    on_both(async || {
        let pool = Pool::new(2);
        let boxed: Box<dyn Future<Output = u8> + Send> = Box::new(async { 7 });
        let first = pool.spawn_n(Box::into_pin(boxed));
        assert_eq!(pool.spawn_n(first).await.unwrap().unwrap(), 7);
    });
}

#[test]
fn jobs_run_on_the_runtime_whose_context_the_call_was_made_in() {
    for_both(|runtime| {
        let pool = Pool::new(1);
        let handle = {
            let _guard = runtime.enter();
            pool.spawn_n(async { tokio::runtime::Handle::current().id() })
        };
        let id = runtime.handle().id();
        assert_eq!(runtime.block_on(handle).unwrap(), id);
    });
}

#[test]
fn what_a_job_makes_and_drops_between_two_awaits_need_not_be_send() {
    on_both(async || {
        let pool = Pool::new(1);
        let handle = pool.spawn_n(async {
            let sum = {
                let parts = Rc::new(vec![1, 2, 3]);
                parts.iter().sum::<u32>()
            };
            tokio::task::yield_now().await;
            sum
        });
        assert_eq!(handle.await.unwrap(), 6);
    });
}
