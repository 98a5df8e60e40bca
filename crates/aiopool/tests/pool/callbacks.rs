//! Callbacks: `Job::with_callback`.

use aiopool::{Job, JobError, Pool};
use futures_util::StreamExt;
use tokio::task::yield_now;
use tokio_test::{assert_pending, task};

use crate::common::{Count, Gate, assert_whole, let_others_run, on_both, raise, until};

#[test]
fn it_gets_the_result_and_the_job_settles_with_what_it_gives() {
    on_both(async || {
        let pool = Pool::new(1);
        let job = async { 6 }.with_callback(|n| async move { n.unwrap() * 7 });
        assert_eq!(pool.exec(job).await.unwrap(), 42);
    });
}

#[test]
fn it_gets_the_panic() {
    on_both(async || {
        let pool = Pool::new(1);
        let job = async { raise("the job") };
        let job = job.with_callback(|result: Result<(), _>| async move { message(result) });
        assert_eq!(pool.exec(job).await.unwrap(), "the job");
        assert_whole(&pool).await;
    });
}

fn message<T>(result: Result<T, JobError>) -> String {
    match result {
        Ok(_) => "it has ended well".into(),
        Err(JobError::Panicked(panic)) => panic.message().unwrap().into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn it_gets_the_cancellation_of_an_active_job_whose_future_has_been_dropped() {
    on_both(async || {
        let (pool, drops) = (Pool::new(1), Count::new());
        let seen = drops.clone();
        let job = drops.pending().with_callback(|result| async move {
            assert!(result.unwrap_err().is_cancelled());
            seen.get()
        });
        let mut handle = pool.spawn_n(job);
        let (stopped, mut results) = pool.cancel([&mut handle]).await;
        assert_eq!(stopped, 1);
        assert_eq!(results.pop().unwrap().unwrap(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn it_is_not_called_when_the_job_is_cancelled_while_it_waits() {
    on_both(async || {
        let (pool, gate, called) = (Pool::new(1), Gate::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        let drops = Count::new();
        let job = |called: &Count| {
            let (called, held) = (called.clone(), drops.drops());
            drops.pending().with_callback(|_| async move {
                let _held = held;
                called.add();
            })
        };
        let handle = pool.spawn_n(job(&called));
        let mut exec = task::spawn(pool.exec(job(&called)));
        assert_pending!(exec.poll());
        assert!(handle.cancel());
        drop(exec);
        // The futures and what the callbacks have captured.
        assert_eq!(drops.get(), 4);
        gate.open();
        assert_whole(&pool).await;
        assert_eq!(called.get(), 0);
    });
}

#[test]
fn it_runs_in_the_slot_of_its_job() {
    on_both(async || {
        let (pool, gate, called, next) = (Pool::new(1), Gate::new(), Count::new(), Count::new());
        let (passed, entered) = (gate.passed(), called.clone());
        let handle = pool.spawn_n(async {}.with_callback(|_| async move {
            entered.add();
            passed.await;
        }));
        let begun = next.clone();
        drop(pool.spawn_n(async move { begun.add() }));
        until(|| called.get() == 1).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting(), next.get()), (1, 1, 0));
        assert!(!handle.is_finished());
        gate.open();
        handle.await.unwrap();
        assert_whole(&pool).await;
        assert_eq!(next.get(), 1);
    });
}

#[test]
fn what_it_captures_is_its_context() {
    on_both(async || {
        let pool = Pool::new(1);
        let mut context = vec![1, 2];
        let job = async { 3 }.with_callback(|result| async move {
            context.push(result.unwrap());
            context
        });
        assert_eq!(pool.exec(job).await.unwrap(), [1, 2, 3]);
    });
}

#[test]
fn its_panic_is_the_result_whether_in_the_call_or_later() {
    on_both(async || {
        let pool = Pool::new(1);
        let in_call = async {}.with_callback(|_| {
            if true {
                raise("in the call");
            }
            async {}
        });
        assert_eq!(message(pool.exec(in_call).await), "in the call");
        let later = async {}.with_callback(|_| async {
            yield_now().await;
            raise("later")
        });
        let result: Result<(), _> = pool.exec(later).await;
        assert_eq!(message(result), "later");
        assert_whole(&pool).await;
    });
}

#[test]
fn cancelled_in_its_callback_the_job_settles_as_cancelled() {
    on_both(async || {
        let (pool, called, drops) = (Pool::new(1), Count::new(), Count::new());
        let (entered, pending) = (called.clone(), drops.pending());
        let mut handle = pool.spawn_n(async { 7 }.with_callback(move |_| {
            entered.add();
            pending
        }));
        until(|| called.get() == 1).await;
        let (stopped, mut results) = pool.cancel([&mut handle]).await;
        assert_eq!((stopped, drops.get()), (1, 1));
        assert!(results.pop().unwrap().unwrap_err().is_cancelled());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_second_cancellation_stops_the_callback_of_a_cancelled_job() {
    on_both(async || {
        let (pool, called, drops) = (Pool::new(1), Count::new(), Count::new());
        let (entered, pending) = (called.clone(), drops.pending());
        let handle = pool.spawn_n(drops.pending().with_callback(move |_| {
            entered.add();
            pending
        }));
        assert!(handle.cancel());
        until(|| called.get() == 1).await;
        let_others_run().await;
        assert!(!handle.is_finished());
        assert!(handle.cancel());
        assert!(handle.await.unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn cancel_waits_for_the_callback() {
    on_both(async || {
        let (pool, gate, called) = (Pool::new(1), Gate::new(), Count::new());
        let (passed, entered) = (gate.passed(), called.clone());
        let job = std::future::pending::<()>().with_callback(|_| async move {
            entered.add();
            passed.await;
        });
        let mut handle = pool.spawn_n(job);
        let mut cancel = task::spawn(pool.cancel([&mut handle]));
        assert_pending!(cancel.poll());
        until(|| called.get() == 1).await;
        let_others_run().await;
        assert_pending!(cancel.poll());
        gate.open();
        let (stopped, results) = cancel.await;
        assert_eq!(stopped, 1);
        assert!(results.iter().all(Result::is_ok));
        assert_whole(&pool).await;
    });
}

#[test]
fn cancel_all_waits_for_the_callbacks() {
    on_both(async || {
        let (pool, called) = (Pool::new(2), Count::new());
        drop(pool.map_n(0..2, |_| {
            let called = called.clone();
            std::future::pending::<()>().with_callback(|_| async move {
                yield_now().await;
                called.add();
            })
        }));
        assert_eq!(pool.cancel_all().await, 2);
        assert_eq!(called.get(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn every_verb_takes_jobs_with_a_callback() {
    on_both(async || {
        let pool = Pool::new(2);
        let twice = |n: u32| async move { n }.with_callback(|n| async move { 2 * n.unwrap() });
        assert_eq!(pool.exec(twice(1)).await.unwrap(), 2);
        assert_eq!(pool.spawn(twice(2)).await.await.unwrap(), 4);
        assert_eq!(pool.spawn_n(twice(3)).await.unwrap(), 6);
        let results = pool.map(0..4, twice).await;
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [0, 2, 4, 6]);
        for (n, handle) in (0..).zip(pool.map_n(0..4, twice)) {
            assert_eq!(handle.await.unwrap(), 2 * n);
        }
        let results: Vec<_> = pool
            .itermap(0..4, twice)
            .map(Result::unwrap)
            .collect()
            .await;
        assert_eq!(results.into_iter().sum::<u32>(), 12);
        let results = pool.itermap_ordered(0..4, twice).map(Result::unwrap);
        assert_eq!(results.collect::<Vec<_>>().await, [0, 2, 4, 6]);
    });
}

#[test]
fn dropping_exec_while_the_job_is_active_runs_its_callback() {
    on_both(async || {
        let (pool, called) = (Pool::new(1), Count::new());
        let entered = called.clone();
        let job = std::future::pending::<()>().with_callback(|result| async move {
            assert!(result.unwrap_err().is_cancelled());
            entered.add();
        });
        let mut exec = task::spawn(pool.exec(job));
        assert_pending!(exec.poll());
        drop(exec);
        until(|| called.get() == 1).await;
        assert_whole(&pool).await;
    });
}
