//! `Pool::map_n`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use aiopool::{JobError, Pool};

use crate::common::{Count, assert_whole, on_both, raise};

#[test]
fn the_handles_come_in_the_order_of_the_items() {
    on_both(async || {
        let pool = Pool::new(2);
        let handles = pool.map_n(0..20, |n| async move { n });
        assert_eq!(handles.len(), 20);
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await.unwrap(), n);
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn all_jobs_exist_from_the_start() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut handles = pool.map_n(0..20, |_| std::future::pending::<()>());
        assert_eq!((pool.active(), pool.waiting()), (2, 18));
        assert_eq!(pool.cancel(&mut handles).await.0, 20);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_panic_of_the_function_is_the_result_of_its_item() {
    on_both(async || {
        let pool = Pool::new(2);
        let handles = pool.map_n(0..3, |n| {
            if n == 1 {
                raise("the function");
            }
            async move { n }
        });
        let mut results = Vec::new();
        for handle in handles {
            results.push(match handle.await {
                Ok(n) => n.to_string(),
                Err(JobError::Panicked(panic)) => panic.message().unwrap().into(),
                Err(error) => error.to_string(),
            });
        }
        assert_eq!(results, ["0", "the function", "2"]);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_panic_of_the_iterator_comes_out_before_any_job_is_queued() {
    on_both(async || {
        let (pool, made) = (Pool::new(2), Count::new());
        let items = (0..5).inspect(|n| {
            if *n == 3 {
                raise("the iterator");
            }
        });
        let call = || {
            drop(pool.map_n(items, |_| {
                made.add();
                async {}
            }));
        };
        let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the iterator"));
        assert_eq!((made.get(), pool.len(), pool.executed()), (3, 0, 0));
        assert_whole(&pool).await;
    });
}

#[test]
fn the_iterator_and_the_function_may_borrow_and_need_not_be_send() {
    on_both(async || {
        let pool = Pool::new(2);
        let factor = Rc::new(2);
        let numbers = [1, 2, 3];
        let handles = pool.map_n(&numbers, |n| {
            let product = n * *factor;
            async move { product }
        });
        for (handle, n) in handles.into_iter().zip(numbers) {
            assert_eq!(handle.await.unwrap(), 2 * n);
        }
    });
}
