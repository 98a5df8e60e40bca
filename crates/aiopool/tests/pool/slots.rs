//! `active <= size` always, and `active == size` while anybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use tokio::task::yield_now;

use crate::common::{Count, Gate, assert_whole, on_both, until};

/// What a pool tells of itself at one moment: how many are active, how many wait. The getters tell
/// it at two; only `Debug` tells both at once, and nothing if another thread looks.
fn at_one_moment(pool: &Pool) -> Option<(usize, usize)> {
    let text = format!("{pool:?}");
    let number = |name: &str| {
        let (_, after) = text.split_once(name)?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    Some((number("active: ")?, number("waiting: ")?))
}

/// Counts those who are inside, and remembers the most there have been.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Inside {
    fn enter(self: &Arc<Self>) -> Entered {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Entered(self.clone())
    }
}

struct Entered(Arc<Inside>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn never_more_than_size_are_active_whatever_hands_them_in() {
    on_both(async || {
        let (pool, inside) = (Pool::new(3), Arc::new(Inside::default()));
        let job = |inside: &Arc<Inside>| {
            let (inside, again) = (inside.clone(), inside.clone());
            let job = async move {
                let _entered = inside.enter();
                yield_now().await;
            };
            job.with_callback(|_| async move {
                let _entered = again.enter();
                yield_now().await;
            })
        };
        let jobs = |inside: &Arc<Inside>| {
            let inside = inside.clone();
            move |_| job(&inside)
        };
        let mut tasks = Vec::new();
        for round in 0..20 {
            drop(pool.map_n(0..5, jobs(&inside)));
            tasks.push(tokio::spawn({
                let map = pool.map(0..5, jobs(&inside));
                async move { drop(map.await) }
            }));
            tasks.push(tokio::spawn({
                let stream = pool.itermap(0..5, jobs(&inside)).ahead(2);
                stream.for_each(async |_| yield_now().await)
            }));
            tasks.push(tokio::spawn({
                let exec = pool.exec(job(&inside));
                async move { drop(exec.await) }
            }));
            tasks.push(tokio::spawn({
                let spawn = pool.spawn(job(&inside));
                async move { drop(spawn.await.await) }
            }));
            if round % 5 == 0 {
                pool.cancel_all().await;
            }
            assert!(pool.active() <= 3);
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(inside.most.load(Ordering::SeqCst), 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn every_slot_is_taken_while_anybody_waits() {
    on_both(async || {
        let (pool, gate, seen) = (Pool::new(3), Gate::new(), Count::new());
        drop(pool.map_n(0..3, |_| gate.passed()));
        // The queue is full before the first of them runs: what follows are only ends and starts.
        let handles = pool.map_n(0..1000, |n| {
            let (pool, seen) = (pool.clone(), seen.clone());
            async move {
                for _ in 0..n % 3 {
                    yield_now().await;
                }
                if let Some((active, waiting)) = at_one_moment(&pool) {
                    assert!(
                        active == 3 || waiting == 0,
                        "{active} active, {waiting} wait"
                    );
                    seen.add();
                }
            }
        });
        gate.open();
        for handle in handles {
            handle.await.unwrap();
        }
        assert!(seen.get() > 0);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_slot_that_comes_free_is_taken_by_the_next_in_line_however_the_job_ended() {
    on_both(async || {
        let (pool, drops, begun) = (Pool::new(1), Count::new(), Count::new());
        let cancelled = pool.spawn_n(drops.pending());
        let given_up = pool.spawn_n(drops.pending());
        let panicked = pool.spawn_n(async { crate::common::raise("no") });
        let last = {
            let begun = begun.clone();
            pool.spawn_n(async move { begun.add() })
        };
        assert_eq!((pool.active(), pool.waiting()), (1, 3));
        assert!(given_up.cancel());
        assert_eq!((pool.active(), pool.waiting()), (1, 2));
        assert!(cancelled.cancel());
        until(|| begun.get() == 1).await;
        assert!(panicked.await.unwrap_err().is_panic());
        last.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_pool_of_one_slot_runs_one_after_the_other() {
    on_both(async || {
        let (pool, inside) = (Pool::new(1), Arc::new(Inside::default()));
        drop(pool.map_n(0..200, |_| {
            let inside = inside.clone();
            async move {
                let _entered = inside.enter();
                yield_now().await;
            }
        }));
        pool.join().await;
        assert_eq!(inside.most.load(Ordering::SeqCst), 1);
    });
}
