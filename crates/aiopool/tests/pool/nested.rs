//! The priority of what a job hands into its own pool.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, block_in_place};

use crate::common::{
    Gate, Log, assert_whole, current_thread, for_both, in_time, multi_thread, on_both, poll_once,
    raise,
};

#[test]
fn what_a_job_hands_into_its_pool_has_its_priority() {
    let verbs: [(&str, Verb); 6] = [
        ("spawn", |pool, log| {
            go_on(pool.spawn(adding(log, "nested")))
        }),
        ("spawn_n", |pool, log| {
            go_on(pool.spawn_n(adding(log, "nested")))
        }),
        ("exec", |pool, log| go_on(pool.exec(adding(log, "nested")))),
        ("map_n", |pool, log| {
            go_on(pool.map_n(0..1, |_| adding(log, "nested")).remove(0))
        }),
        ("map", |pool, log| {
            go_on(pool.map(unsized_by(1), {
                let log = log.clone();
                move |_| adding(&log, "nested")
            }))
        }),
        ("itermap", |pool, log| {
            let log = log.clone();
            let results = pool.itermap(unsized_by(1), move |_| adding(&log, "nested"));
            go_on(results.collect::<Vec<_>>())
        }),
    ];
    on_both(async move || {
        for (verb, hand_in) in verbs {
            assert_eq!(from_a_job(hand_in).await, ["nested", "plain"], "{verb}");
        }
    });
}

#[test]
fn a_map_in_a_job_goes_on_with_the_priority_of_the_job() {
    on_both(async || {
        let order = from_a_job(|pool, log| {
            let log = log.clone();
            go_on(pool.map(unsized_by(3), move |_| adding(&log, "nested")))
        });
        assert_eq!(order.await, ["nested", "nested", "nested", "plain"]);
    });
}

#[test]
fn a_job_of_a_job_that_starts_at_once_may_pass_those_that_the_job_may() {
    on_both(async || {
        for (priority, may_pass) in [(1, true), (0, false)] {
            let (pool, gate) = (Pool::new(2), Gate::new());
            let parent = {
                let (pool, passed) = (pool.clone(), gate.passed());
                async move {
                    passed.await;
                    pool.try_spawn(async {}).is_ok()
                }
            };
            let parent = pool.spawn_n(parent.priority(priority));
            let heavy = pool.spawn_n(async {}.weight(2));
            gate.open();
            assert_eq!(parent.await.unwrap(), may_pass);
            heavy.await.unwrap();
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn what_a_job_of_a_job_hands_in_has_the_priority_too() {
    on_both(async || {
        let order = from_a_job(|pool, log| {
            let (nested, log) = (pool.clone(), log.clone());
            go_on(pool.spawn_n(async move {
                log.add("child");
                drop(nested.spawn_n(adding(&log, "grandchild")));
            }))
        });
        assert_eq!(order.await, ["child", "grandchild", "plain"]);
        let order = from_a_job(|pool, log| {
            let (nested, log) = (pool.clone(), log.clone());
            go_on(pool.map(unsized_by(1), move |_| {
                let (nested, log) = (nested.clone(), log.clone());
                async move {
                    log.add("item");
                    drop(nested.spawn_n(adding(&log, "of the item")));
                }
            }))
        });
        assert_eq!(order.await, ["item", "of the item", "plain"]);
        let order = from_a_job(|pool, log| {
            let (nested, log) = (pool.clone(), log.clone());
            go_on(pool.map(0..1, move |_| {
                drop(nested.spawn_n(adding(&log, "of the function")));
                adding(&log, "item")
            }))
        });
        assert_eq!(order.await, ["item", "of the function", "plain"]);
    });
}

#[test]
fn what_a_callback_hands_in_has_the_priority_of_its_job() {
    on_both(async || {
        let (pool, log, gate) = (Pool::new(1), Log::new(), Gate::new());
        let (nested, seen) = (pool.clone(), log.clone());
        let job = gate
            .passed()
            .with_callback(move |_| {
                drop(nested.spawn_n(adding(&seen, "of the call")));
                async move { drop(nested.spawn_n(adding(&seen, "of the callback"))) }
            })
            .priority(1);
        let job = pool.spawn_n(job);
        let plain = pool.spawn_n(adding(&log, "plain"));
        gate.open();
        job.await.unwrap();
        plain.await.unwrap();
        assert_eq!(log.take(), ["of the call", "of the callback", "plain"]);
        // Also if the job is stopped.
        let (nested, seen) = (pool.clone(), log.clone());
        let job = std::future::pending::<()>().with_callback(move |_| {
            drop(nested.spawn_n(adding(&seen, "of the callback")));
            async {}
        });
        let mut job = pool.spawn_n(job.priority(1));
        let plain = pool.spawn_n(adding(&log, "plain"));
        assert_eq!(pool.cancel([&mut job]).await.0, 1);
        plain.await.unwrap();
        assert_whole(&pool).await;
        assert_eq!(log.take(), ["of the callback", "plain"]);
    });
}

#[test]
fn a_job_of_a_job_may_have_a_priority_of_its_own() {
    on_both(async || {
        let order = from_a_job(|pool, log| go_on(pool.spawn_n(adding(log, "own").priority(0))));
        assert_eq!(order.await, ["plain", "own"]);
        let order = from_a_job(|pool, log| {
            let log = log.clone();
            let own = move |n| adding(&log, if n == 0 { "own" } else { "higher" }).priority(n);
            go_on(pool.map([0, 1, 2], own))
        });
        // Those that it waits for stand before all others of their priority.
        assert_eq!(order.await, ["higher", "higher", "own", "plain"]);
        let order = from_a_job(|pool, log| go_on(pool.spawn_n(adding(log, "named").name("n"))));
        assert_eq!(order.await, ["named", "plain"]);
    });
}

#[test]
fn what_is_handed_into_another_pool_or_by_a_task_of_the_job_does_not_have_the_priority() {
    on_both(async || {
        let order = from_a_job(|pool, log| {
            let (pool, log) = (pool.clone(), log.clone());
            tokio::spawn(async move {
                pool.spawn_n(adding(&log, "of the task")).await.unwrap();
            })
        });
        assert_eq!(order.await, ["plain", "of the task"]);
        let (pool, other, log, gate) = (Pool::new(1), Pool::new(1), Log::new(), Gate::new());
        let first = other.spawn_n(gate.passed());
        let plain = other.spawn_n(adding(&log, "plain"));
        let (into, seen) = (other.clone(), log.clone());
        let job = async move { drop(into.spawn_n(adding(&seen, "of another pool"))) };
        pool.exec(job.priority(1)).await.unwrap();
        gate.open();
        for job in [first, plain] {
            job.await.unwrap();
        }
        assert_whole(&other).await;
        assert_eq!(log.take(), ["plain", "of another pool"]);
    });
}

#[test]
fn a_job_that_a_permit_starts_hands_its_own_priority_on_or_that_of_the_permit() {
    on_both(async || {
        let (pool, log) = (Pool::new(1), Log::new());
        for (priority, order) in [(None, ["plain", "nested"]), (Some(1), ["nested", "plain"])] {
            let permit = pool.reserve().await.unwrap();
            let plain = pool.spawn_n(adding(&log, "plain"));
            let (nested, seen) = (pool.clone(), log.clone());
            let job = async move { drop(nested.spawn_n(adding(&seen, "nested"))) };
            let job = match priority {
                None => permit.spawn(job),
                Some(priority) => permit.spawn(job.priority(priority)),
            };
            job.await.unwrap();
            plain.await.unwrap();
            pool.join().await;
            assert_eq!(log.take(), order);
        }
    });
}

#[test]
fn a_job_of_a_runtime_that_a_job_drives_hands_in_for_itself() {
    in_time("multi_thread", || {
        multi_thread().block_on(async {
            for inner in [0, 2] {
                let order = from_a_job(move |pool, log| {
                    let (pool, log) = (pool.clone(), log.clone());
                    let (other, outer) = (Pool::new(1), Handle::current());
                    let (into, seen) = (pool.clone(), log.clone());
                    block_in_place(|| {
                        let job = async move {
                            let _entered = outer.enter();
                            drop(into.spawn_n(adding(&seen, "of the inner job")));
                        };
                        let runtime = current_thread();
                        runtime.block_on(other.exec(job.priority(inner))).unwrap();
                        let failing = async { raise("the inner job") }.priority(inner);
                        runtime.block_on(other.exec(failing)).unwrap_err();
                        // Nor does a panic on the way leave anything behind.
                        let driven = || runtime.block_on(async { raise("the runtime") });
                        catch_unwind(AssertUnwindSafe(driven)).unwrap_err();
                    });
                    drop(pool.spawn_n(adding(&log, "of the job")));
                    block_in_place(|| {
                        let nested = async { drop(pool.spawn_n(adding(&log, "of the job too"))) };
                        Handle::current().block_on(nested);
                    });
                    go_on(async {})
                });
                let expected = ["of the job", "of the job too", "plain", "of the inner job"];
                assert_eq!(order.await, expected);
            }
        });
    });
}

#[test]
fn the_priority_ends_with_the_job() {
    for_both(|runtime| {
        runtime.block_on(async {
            let (pool, log) = (Pool::new(1), Log::new());
            let failing = pool.spawn_n(async { raise("a job") }.priority(1));
            let (nested, seen) = (pool.clone(), log.clone());
            // In the worker of the one before.
            let job = pool.spawn_n(async move {
                drop(nested.spawn_n(adding(&seen, "nested")));
            });
            let plain = pool.spawn_n(adding(&log, "plain"));
            failing.await.unwrap_err();
            job.await.unwrap();
            plain.await.unwrap();
            assert_whole(&pool).await;
            assert_eq!(log.take(), ["plain", "nested"]);
        });
    });
}

type Verb = fn(&Pool, &Log<&'static str>) -> JoinHandle<()>;

/// In which order a job comes that waits, and what a job of a higher priority hands in behind it.
async fn from_a_job(
    hand_in: impl FnOnce(&Pool, &Log<&'static str>) -> JoinHandle<()> + Send + 'static,
) -> Vec<&'static str> {
    let (pool, log, gate) = (Pool::new(1), Log::new(), Gate::new());
    let (rest, received) = oneshot::channel();
    let parent = {
        let (pool, log, passed) = (pool.clone(), log.clone(), gate.passed());
        async move {
            passed.await;
            drop(rest.send(hand_in(&pool, &log)));
        }
    };
    let parent = pool.spawn_n(parent.priority(1));
    let plain = pool.spawn_n(adding(&log, "plain"));
    gate.open();
    parent.await.unwrap();
    received.await.unwrap().await.unwrap();
    plain.await.unwrap();
    assert_whole(&pool).await;
    log.take()
}

/// Polls a verb once, here, and leaves the rest to a task.
fn go_on<F>(future: F) -> JoinHandle<()>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut future = Box::pin(future);
    let is_ready = poll_once(future.as_mut()).is_ready();
    tokio::spawn(async move {
        if !is_ready {
            drop(future.await);
        }
    })
}

fn adding(log: &Log<&'static str>, entry: &'static str) -> impl Future<Output = ()> + Send + use<> {
    let log = log.clone();
    async move { log.add(entry) }
}

/// An iterator that does not know its length.
fn unsized_by(count: usize) -> impl Iterator<Item = usize> + Send {
    let mut left = 0..count;
    std::iter::from_fn(move || left.next())
}
