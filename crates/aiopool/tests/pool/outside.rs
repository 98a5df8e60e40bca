//! Jobs that wait without their slots.

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use aiopool::{Event, Job, JobError, Pool, Rate};
use futures_util::future::{Either, FutureExt, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{
    Count, Gate, Log, assert_whole, current_thread, for_both, in_frozen_time, let_others_run,
    millis, on_both, on_current_thread, poll_once, raise, since, until,
};

#[test]
fn a_job_outside_has_no_slot_and_comes_back_at_the_back() {
    on_current_thread(async || {
        let (pool, log, gate, others) = (Pool::new(1), Log::new(), Gate::new(), Gate::new());
        let waiting = {
            let (pool, log, passed) = (pool.clone(), log.clone(), gate.passed());
            pool.clone().spawn_n(async move {
                log.add("leaves");
                pool.outside(passed).await;
                log.add("is back");
            })
        };
        let first = pool.spawn_n(held(&log, &others, "first"));
        until(|| pool.active() == 1 && pool.stats().outside == 1).await;
        let second = pool.spawn_n(held(&log, &others, "second"));
        gate.open();
        let_others_run().await;
        let stats = pool.stats();
        assert_eq!((stats.active, stats.outside, stats.waiting), (1, 1, 1));
        assert_eq!(pool.len(), 3);
        let third = pool.spawn_n(held(&log, &others, "third"));
        others.open();
        for job in [waiting, first, second, third] {
            job.await.unwrap();
        }
        assert_eq!(
            log.take(),
            ["leaves", "first", "second", "is back", "third"]
        );
        assert_whole(&pool).await;
    });
}

#[test]
fn the_future_is_polled_without_the_job_however_often_it_is_woken() {
    on_both(async || {
        let (pool, polls, steps) = (Pool::new(1), Count::new(), Count::new());
        let counted = {
            let (pool, steps) = (pool.clone(), steps.clone());
            let waited = async move {
                for _ in 0..10 {
                    steps.add();
                    tokio::task::yield_now().await;
                }
                7
            };
            let (polls, mut job) = (polls.clone(), Box::pin(pool.outside(waited)));
            poll_fn(move |cx| {
                polls.add();
                job.as_mut().poll(cx)
            })
        };
        let holder = Gate::new();
        let job = pool.spawn_n(counted);
        let other = pool.spawn_n(holder.passed());
        until(|| steps.get() == 10).await;
        let_others_run().await;
        // Once to leave, and once more with the waker of its own.
        assert_eq!((polls.get(), job.is_finished()), (2, false));
        holder.open();
        assert_eq!(job.await.unwrap(), 7);
        assert_eq!(polls.get(), 3);
        other.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_return_pays_the_rate_and_takes_its_key_again() {
    in_frozen_time(async || {
        let begun = Instant::now();
        let pool = Pool::builder(4).rate(Rate::new(1, millis(100))).build();
        let inner = pool.clone();
        let job = async move {
            inner.outside(sleep(millis(1))).await;
            since(begun)
        };
        assert_eq!(pool.exec(job).await.unwrap(), 100);
        let pool = Pool::builder(4).per_key(1).build();
        let inner = pool.clone();
        let first = async move {
            inner.outside(sleep(millis(1))).await;
            since(begun)
        };
        let first = pool.spawn_n(first.key("a"));
        let second = pool.spawn_n(sleep(millis(50)).key("a"));
        let at = first.await.unwrap();
        assert_eq!(at, 150, "the second had the key");
        second.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn what_is_ready_at_once_goes_outside_too() {
    on_both(async || {
        let (pool, log, gate) = (Pool::new(1), Log::new(), Gate::new());
        let job = {
            let (pool, log, passed) = (pool.clone(), log.clone(), gate.passed());
            pool.clone().spawn_n(async move {
                passed.await;
                assert_eq!(pool.outside(ready(1)).await, 1);
                log.add("is back");
            })
        };
        let open = Gate::new();
        open.open();
        let other = pool.spawn_n(held(&log, &open, "other"));
        gate.open();
        job.await.unwrap();
        other.await.unwrap();
        assert_eq!(log.take(), ["other", "is back"]);
    });
}

#[test]
fn elsewhere_the_future_runs_as_it_is() {
    on_both(async || {
        let (pool, other) = (Pool::new(1), Pool::new(1));
        assert_eq!(pool.outside(async { 1 }).await, 1);
        let (gate, inner) = (Gate::new(), pool.clone());
        let passed = gate.passed();
        // In a job of another pool, and in a task of a job.
        let job = other.spawn_n(async move { inner.outside(passed).await });
        let_others_run().await;
        assert_eq!((other.active(), other.stats().outside), (1, 0));
        gate.open();
        job.await.unwrap();
        let (gate, inner) = (Gate::new(), pool.clone());
        let passed = gate.passed();
        let task = async move { inner.outside(passed).await };
        let job = pool.spawn_n(async move { tokio::spawn(task).await.unwrap() });
        let_others_run().await;
        assert_eq!((pool.active(), pool.stats().outside), (1, 0));
        gate.open();
        job.await.unwrap();
        // Outside within outside.
        let inner = pool.clone();
        let job = async move {
            let within = inner.clone();
            inner
                .outside(async move { within.outside(async { 2 }).await })
                .await
        };
        assert_eq!(pool.exec(job).await.unwrap(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_future_that_has_been_polled_in_a_job_may_go_on_elsewhere() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (sender, receiver) = oneshot::channel();
        let (inner, passed) = (pool.clone(), gate.passed());
        let job = async move {
            let mut outside = Box::pin(inner.outside(async move {
                passed.await;
                3
            }));
            assert!(poll_once(outside.as_mut()).is_pending());
            drop(sender.send(outside));
        };
        pool.exec(job).await.unwrap();
        let outside = receiver.await.unwrap();
        gate.open();
        assert_eq!(outside.await, 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_timeout_around_it_brings_the_job_back() {
    in_frozen_time(async || {
        let (pool, begun, dropped) = (Pool::new(1), Instant::now(), Count::new());
        let (inner, future) = (pool.clone(), dropped.pending());
        let job = async move { timeout(millis(10), inner.outside(future)).await.is_err() };
        assert!(pool.exec(job).await.unwrap());
        assert_eq!((since(begun), dropped.get()), (10, 1));
        assert_whole(&pool).await;
    });
}

#[test]
fn several_may_be_waited_for_at_once() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let inner = pool.clone();
        let job = async move {
            join(
                inner.outside(sleep(millis(10))),
                inner.outside(sleep(millis(20))),
            )
            .await;
            let first = Box::pin(inner.outside(sleep(millis(30))));
            let second = Box::pin(inner.outside(sleep(millis(5))));
            matches!(select(first, second).await, Either::Right(_))
        };
        assert!(pool.exec(job).await.unwrap());
        assert_eq!(since(begun), 25);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_may_wait_outside_and_for_its_own_pool_at_once() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (inner, passed) = (pool.clone(), gate.passed());
        let job = async move {
            let ((), child) = join(inner.outside(passed), inner.exec(async { 1 })).await;
            child.unwrap()
        };
        let job = pool.spawn_n(job);
        until(|| pool.stats().succeeded == 1).await;
        gate.open();
        assert_eq!(job.await.unwrap(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn what_polls_only_those_again_that_were_woken_may_wait_for_several() {
    on_both(async || {
        let (pool, gates) = (Pool::new(1), [Gate::new(), Gate::new()]);
        let (inner, passed) = (pool.clone(), [gates[0].passed(), gates[1].passed()]);
        let job = pool.spawn_n(async move {
            let all = passed.map(|passed| inner.outside(passed));
            let all: FuturesUnordered<_> = all.into_iter().collect();
            all.count().await
        });
        for gate in &gates {
            let_others_run().await;
            until(|| pool.active() == 0 && pool.stats().outside == 1).await;
            gate.open();
        }
        assert_eq!(job.await.unwrap(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn what_is_kept_goes_on_while_the_job_waits_for_something_else() {
    on_both(async || {
        let (pool, gate, last) = (Pool::new(1), Gate::new(), Gate::new());
        let (inner, passed, opens, opened) =
            (pool.clone(), gate.passed(), last.clone(), last.passed());
        let job = pool.spawn_n(async move {
            let mut outside = Box::pin(inner.outside(async move {
                passed.await;
                opens.open();
                1
            }));
            let once = poll_fn(|cx| Poll::Ready(outside.as_mut().poll(cx)));
            assert!(once.await.is_pending());
            opened.await;
            outside.await
        });
        let_others_run().await;
        gate.open();
        assert_eq!(job.await.unwrap(), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_has_dropped_what_it_waited_for_holds_its_slots_and_pays_nothing() {
    in_frozen_time(async || {
        let begun = Instant::now();
        let pool = Pool::builder(1).rate(Rate::new(1, millis(100))).build();
        let inner = pool.clone();
        let job = async move {
            inner.outside(ready(())).await;
            assert!(inner.outside(pending::<()>()).now_or_never().is_none());
            sleep(millis(1)).await;
            since(begun)
        };
        assert_eq!(pool.exec(job).await.unwrap(), 101);
    });
}

#[test]
fn a_loop_over_what_is_ready_lets_others_run() {
    on_current_thread(async || {
        let (pool, is_over) = (Pool::new(1), Arc::new(AtomicBool::new(false)));
        let (inner, over) = (pool.clone(), is_over.clone());
        let job = pool.spawn_n(async move {
            while !over.load(Ordering::SeqCst) {
                inner.outside(ready(())).await;
            }
        });
        let_others_run().await;
        is_over.store(true, Ordering::SeqCst);
        job.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_in_the_slot_of_a_permit_comes_back_to_one_slot_whatever_its_weight() {
    on_both(async || {
        let (pool, outside, others) = (Pool::new(2), Gate::new(), Gate::new());
        let (inner, passed) = (pool.clone(), outside.passed());
        let permit = pool.reserve().await.unwrap();
        let job = permit.spawn(async move { inner.outside(passed).await }.weight(2));
        let other = pool.spawn_n(others.passed());
        until(|| pool.active() == 1 && pool.stats().outside == 1).await;
        outside.open();
        job.await.unwrap();
        others.open();
        other.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_panic_of_the_future_is_that_of_the_job() {
    on_both(async || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let job = async move { inner.outside(async { raise("outside") }).await };
        match pool.exec(job).await {
            Err(JobError::Panicked(panic)) => assert_eq!(panic.message(), Some("outside")),
            Ok(()) => unreachable!("it panics"),
            Err(other) => panic!("{other:?}"),
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_cancelled_outside_is_dropped_with_what_it_waits_for_though_no_slot_is_free() {
    on_both(async || {
        let (pool, dropped, gate) = (Pool::new(1), Count::new(), Gate::new());
        let (inner, future, drops) = (pool.clone(), dropped.pending(), dropped.drops());
        let job = async move {
            let _drops = drops;
            inner.outside(future).await;
        };
        let mut job = pool.spawn_n(job);
        let other = pool.spawn_n(gate.passed());
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        assert_eq!(pool.cancel([&mut job]).await.0, 1);
        assert_eq!(dropped.get(), 2);
        gate.open();
        other.await.unwrap();
        // Also while it stands in the queue.
        let (inner, gate, holder) = (pool.clone(), Gate::new(), Gate::new());
        let passed = gate.passed();
        let job = pool.spawn_n(async move { inner.outside(passed).await });
        let other = pool.spawn_n(holder.passed());
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        gate.open();
        let_others_run().await;
        assert!(job.cancel());
        assert!(job.await.unwrap_err().is_cancelled());
        holder.open();
        other.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_callback_of_a_job_that_was_cancelled_outside_has_slots_and_nothing_else_starts_until_they_fit()
{
    on_both(async || {
        let (pool, gate, holder) = (Pool::new(1), Gate::new(), Gate::new());
        let (inner, passed) = (pool.clone(), gate.passed());
        let job = async move { inner.outside(pending::<()>()).await };
        let job = job.with_callback(|_| passed);
        let job = pool.spawn_n(job);
        let other = pool.spawn_n(holder.passed());
        until(|| pool.stats().outside == 1 && pool.active() == 1).await;
        assert!(job.cancel());
        until(|| pool.active() == 2).await;
        let third = pool.spawn_n(async {});
        holder.open();
        other.await.unwrap();
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting()), (1, 1));
        gate.open();
        job.await.unwrap();
        third.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_pause_holds_those_back_that_come_back() {
    on_both(async || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let (inner, passed) = (pool.clone(), gate.passed());
        let job = pool.spawn_n(async move { inner.outside(passed).await });
        until(|| pool.stats().outside == 1).await;
        pool.pause(None);
        pool.drained().await;
        gate.open();
        let_others_run().await;
        assert_eq!((pool.active(), pool.stats().outside), (0, 1));
        pool.resume();
        job.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_runtime_that_shuts_down_drops_jobs_outside_and_those_that_come_back() {
    for_both(|runtime| {
        let (pool, dropped, gate) = (Pool::new(1), Count::new(), Gate::new());
        let (outside, back, holder) = {
            let _entered = runtime.enter();
            let inner = pool.clone();
            let (future, drops) = (dropped.pending(), dropped.drops());
            let outside = pool.spawn_n(async move {
                let _drops = drops;
                inner.outside(future).await;
            });
            let (inner, drops, passed) = (pool.clone(), dropped.drops(), gate.passed());
            let back = pool.spawn_n(async move {
                let _drops = drops;
                inner.outside(passed).await;
            });
            (outside, back, pool.spawn_n(dropped.pending()))
        };
        runtime.block_on(async {
            until(|| pool.stats().outside == 2 && pool.active() == 1).await;
            gate.open();
            let_others_run().await;
        });
        drop(runtime);
        assert!(outside.is_finished() && back.is_finished() && holder.is_finished());
        assert_eq!(dropped.get(), 4);
        assert_eq!((pool.len(), pool.stats().outside), (0, 0));
        current_thread().block_on(assert_whole(&pool));
    });
}

#[test]
fn a_timeout_does_not_run_while_its_job_is_outside() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let inner = pool.clone();
        let job = async move {
            sleep(millis(5)).await;
            inner.outside(sleep(millis(100))).await;
            inner.exec(sleep(millis(100))).await.unwrap();
            sleep(millis(4)).await;
            since(begun)
        };
        assert_eq!(pool.exec(job.timeout(millis(10))).await.unwrap(), 209);
        let inner = pool.clone();
        let job = async move {
            sleep(millis(5)).await;
            inner.outside(sleep(millis(100))).await;
            sleep(millis(6)).await;
        };
        let begun = Instant::now();
        let error = pool.exec(job.timeout(millis(10))).await.unwrap_err();
        assert!(error.is_timed_out());
        assert_eq!(since(begun), 110);
        assert_whole(&pool).await;
    });
}

#[test]
fn an_observer_hears_of_jobs_that_go_outside_and_come_back() {
    on_both(async || {
        let log = Log::new();
        let seen = log.clone();
        let pool = Pool::builder(1)
            .observer(move |event| {
                seen.add(match event {
                    Event::Queued { .. } => "queued",
                    Event::Started { .. } => "started",
                    Event::Outside { job, .. } => {
                        assert_eq!(job.name(), Some("job"));
                        "outside"
                    }
                    Event::Back { .. } => "back",
                    Event::Finished { .. } => "finished",
                    _ => "other",
                });
            })
            .build();
        let inner = pool.clone();
        let job = async move { inner.outside(ready(())).await };
        pool.exec(job.name("job")).await.unwrap();
        pool.join().await;
        until(|| true).await;
        assert_eq!(
            log.take(),
            ["queued", "started", "outside", "back", "finished"]
        );
    });
}

#[test]
fn an_item_of_a_map_may_wait_outside() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let inner = Arc::new(pool.clone());
        let results = pool.map(0..5, move |n| {
            let inner = inner.clone();
            async move {
                inner.outside(sleep(millis(10))).await;
                n
            }
        });
        let results: Vec<_> = results.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [0, 1, 2, 3, 4]);
        assert_eq!(since(begun), 10, "they slept at the same time");
        assert_whole(&pool).await;
    });
}

/// Tells that it runs, and waits for the gate.
fn held(
    log: &Log<&'static str>,
    gate: &Gate,
    name: &'static str,
) -> impl Future<Output = ()> + Send + use<> {
    let (log, passed) = (log.clone(), gate.passed());
    async move {
        log.add(name);
        passed.await;
    }
}

#[test]
fn a_job_that_is_polled_too_early_is_pending() {
    on_both(async || {
        let pool = Pool::new(1);
        let (inner, polls) = (pool.clone(), Count::new());
        let counted = polls.clone();
        let job = async move {
            let mut outside = Box::pin(inner.outside(async {
                tokio::task::yield_now().await;
                4
            }));
            // Woken by itself again and again while it waits.
            poll_fn(move |cx| {
                counted.add();
                let polled = outside.as_mut().poll(cx);
                if polled.is_pending() && counted.get() < 10 {
                    cx.waker().wake_by_ref();
                }
                match polled {
                    Poll::Ready(output) => Poll::Ready(output),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        assert_eq!(pool.exec(job).await.unwrap(), 4);
        assert!(polls.get() >= 3);
        assert_whole(&pool).await;
    });
}
