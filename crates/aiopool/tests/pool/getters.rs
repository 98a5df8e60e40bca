//! What a pool tells of itself.

use std::future::{pending, poll_fn};
use std::task::Poll;

use aiopool::{Job, Pool};
use tokio_test::{assert_pending, task};

use crate::common::{Count, Gate, let_others_run, on_both, raise, until};

fn told(pool: &Pool) -> (usize, usize, usize, bool, bool) {
    (
        pool.active(),
        pool.waiting(),
        pool.len(),
        pool.is_empty(),
        pool.is_full(),
    )
}

#[test]
fn jobs_are_counted_from_the_call_to_their_end() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        assert_eq!(told(&pool), (0, 0, 0, true, false));
        drop(pool.spawn_n(gate.passed()));
        assert_eq!(told(&pool), (1, 0, 1, false, false));
        drop(pool.spawn_n(gate.passed()));
        assert_eq!(told(&pool), (2, 0, 2, false, true));
        drop(pool.spawn_n(gate.passed()));
        assert_eq!(told(&pool), (2, 1, 3, false, true));
        gate.let_pass();
        until(|| pool.executed() == 1).await;
        assert_eq!(told(&pool), (2, 0, 2, false, true));
        gate.open();
        pool.join().await;
        assert_eq!(told(&pool), (0, 0, 0, true, false));
    });
}

#[test]
fn a_running_map_counts_as_one_that_waits() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let passed = gate.clone();
        let mut map = task::spawn(pool.map(0..10, move |_| passed.passed()));
        assert_eq!(told(&pool), (0, 0, 0, true, false));
        assert_pending!(map.poll());
        until(|| told(&pool) == (2, 1, 3, false, true)).await;
        let_others_run().await;
        assert_eq!(told(&pool), (2, 1, 3, false, true));
        gate.open();
        map.await;
    });
}

#[test]
fn a_stream_that_is_held_back_by_its_reader_does_not_count() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut results = task::spawn(pool.itermap(0.., |n: u64| async move { n }));
        if results.poll_next().is_pending() {
            pool.join().await;
        }
        until(|| pool.executed() >= 2).await;
        pool.join().await;
        assert_eq!(told(&pool), (0, 0, 0, true, false));
    });
}

#[test]
fn the_size_is_what_the_pool_was_made_with() {
    for pool in [Pool::new(7), Pool::builder(7).build()] {
        assert_eq!(pool.size(), 7);
        assert_eq!(pool.clone().size(), 7);
    }
}

#[test]
fn a_clone_is_the_same_pool() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let clone = pool.clone();
        drop(pool.spawn_n(gate.passed()));
        assert_eq!(told(&clone), (1, 0, 1, false, true));
        drop(pool);
        gate.open();
        clone.join().await;
        assert_eq!(clone.executed(), 1);
    });
}

#[test]
fn executed_counts_the_jobs_that_were_run_however_they_ended() {
    on_both(async || {
        let pool = Pool::new(1);
        pool.exec(async {}).await.unwrap();
        assert_eq!(pool.executed(), 1);
        pool.exec(async { raise("no") }).await.unwrap_err();
        pool.join().await;
        assert_eq!(pool.executed(), 2);

        let begun = Count::new();
        let job = {
            let begun = begun.clone();
            async move {
                begun.add();
                pending::<()>().await;
            }
        };
        let mut active = pool.spawn_n(job);
        until(|| begun.get() == 1).await;
        pool.cancel([&mut active]).await;
        pool.join().await;
        assert_eq!(pool.executed(), 3);

        pool.map(0..10, |_| async {}).await;
        pool.join().await;
        assert_eq!(pool.executed(), 13);
    });
}

#[test]
fn executed_counts_a_job_and_its_callback_as_one() {
    on_both(async || {
        let (pool, begun) = (Pool::new(1), Count::new());
        let job = async {}.with_callback(|_| async {});
        pool.exec(job).await.unwrap();
        assert_eq!(pool.executed(), 1);

        // Stopped where its job is suspended, and once more where its callback is.
        let endless = |begun: &Count| {
            let begun = begun.clone();
            poll_fn(move |_| {
                begun.add();
                Poll::<()>::Pending
            })
        };
        let callback = endless(&begun);
        let handle = pool.spawn_n(endless(&begun).with_callback(|_| callback));
        until(|| begun.get() == 1).await;
        handle.cancel();
        until(|| begun.get() == 2).await;
        handle.cancel();
        handle.await.unwrap_err();
        pool.join().await;
        assert_eq!(pool.executed(), 2);

        // Stopped before it was polled, perhaps, so that its callback alone is run.
        let job = pending::<()>().with_callback(|_| async {});
        let handle = pool.spawn_n(job);
        handle.cancel();
        handle.await.unwrap();
        pool.join().await;
        assert_eq!(pool.executed(), 3);
    });
}

#[test]
fn executed_does_not_count_what_never_ran() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let mut handles = pool.map_n(0..10, |_| async {}.with_callback(|_| async {}));
        assert_eq!(pool.cancel(&mut handles).await.0, 10);
        gate.open();
        pool.join().await;
        assert_eq!(pool.executed(), 1);
    });
}
