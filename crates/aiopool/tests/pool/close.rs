//! Closing a pool, and its report.

use std::future::pending;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use aiopool::{Event, Job, JobError, JobInfo, Key, Pool, Rate, Report};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::common::{
    Count, Gate, Log, Wakes, assert_names_enable_time, current_thread, for_both, in_frozen_time,
    in_time, let_others_run, like, millis, on_both, on_current_thread, poll_once, raise, since,
    until,
};

fn names(jobs: &[JobInfo]) -> Vec<&str> {
    let mut names: Vec<_> = jobs
        .iter()
        .map(|job| job.name.as_deref().unwrap_or("-"))
        .collect();
    names.sort_unstable();
    names
}

/// How many jobs have finished, and the names of those that were cancelled, never started and still run.
fn told(report: &Report) -> (u64, Vec<&str>, Vec<&str>, Vec<&str>) {
    let Report {
        finished,
        cancelled,
        unstarted,
        running,
        ..
    } = report;
    (
        *finished,
        names(cancelled),
        names(unstarted),
        names(running),
    )
}

fn is_closed<T>(result: &Result<T, JobError>) -> bool {
    result.as_ref().is_err_and(JobError::is_closed)
}

/// A closed pool in which nothing has been.
async fn closed(pool: Pool) -> Pool {
    let report = pool.close(None, Duration::ZERO).await;
    assert_eq!(told(&report), (0, vec![], vec![], vec![]));
    assert_eq!(report.sources, 0);
    pool
}

/// Begins to close the pool, and waits for the end in a task.
async fn close(pool: &Pool, timeout: Option<u64>, grace: u64) -> tokio::task::JoinHandle<Report> {
    let mut close = Box::pin(pool.close(timeout.map(millis), millis(grace)));
    let polled = std::future::poll_fn(|cx| Poll::Ready(close.as_mut().poll(cx))).await;
    tokio::spawn(async move {
        match polled {
            Poll::Ready(report) => report,
            Poll::Pending => close.await,
        }
    })
}

#[test]
fn a_closed_pool_refuses_what_is_handed_in_by_any_verb() {
    on_both(async || {
        let pool = closed(Pool::builder(2).per_key(1).build()).await;
        let dropped = Count::new();
        let handle = pool.spawn_n(dropped.pending());
        assert!(handle.is_finished() && !handle.cancel());
        assert_eq!(dropped.get(), 1, "in the call");
        assert!(is_closed(&handle.await));
        for handle in pool.map_n(0..3, |_| dropped.pending()) {
            assert!(is_closed(&handle.await));
        }
        let handle = pool.spawn(dropped.pending()).await;
        assert!(is_closed(&handle.await));
        assert!(is_closed(&pool.exec(dropped.pending()).await));
        let keyed = dropped.pending().key("a").weight(2).priority(3).name("it");
        assert!(is_closed(&pool.spawn_n(keyed).await));
        assert_eq!(dropped.get(), 7);
        let drops = dropped.clone();
        let results = pool.map(0..9, move |_| drops.pending()).await;
        assert!(results.len() == 1 && is_closed(&results[0]));
        for stream in [
            pool.itermap(0..9, |_| async {}),
            pool.itermap_ordered(0..9, |_| async {}),
        ] {
            let results: Vec<_> = stream.collect().await;
            assert!(results.len() == 1 && is_closed(&results[0]));
        }
        let refused = pool.try_spawn(async { 7 }).unwrap_err();
        assert!(refused.is_closed() && refused.to_string().contains("closed"));
        assert_eq!(refused.into_job().await, 7);
        let refused = pool.try_spawn(async {}.key("b")).unwrap_err();
        assert!(refused.is_closed());
        assert!(is_closed(&pool.reserve().await));
        let stats = pool.stats();
        assert_eq!((pool.len(), stats.started, stats.cancelled), (0, 0, 0));
    });
}

#[test]
fn a_pool_that_is_full_is_not_said_to_be_closed() {
    on_both(async || {
        let pool = Pool::new(1);
        let _job = pool.spawn_n(pending::<()>());
        let refused = pool.try_spawn(async {}).unwrap_err();
        assert!(!refused.is_closed() && !refused.to_string().contains("closed"));
    });
}

#[test]
fn a_refused_job_that_panics_in_its_drop_settles_with_that_and_its_callback_is_not_called() {
    struct Raises;
    impl Drop for Raises {
        fn drop(&mut self) {
            raise("a drop");
        }
    }
    on_both(async || {
        let (pool, called) = (closed(Pool::new(1)).await, Count::new());
        let raises = Raises;
        let job = async move {
            pending::<()>().await;
            drop(raises);
        };
        let error = pool.exec(job).await.unwrap_err();
        assert!(error.is_panic());
        let calls = called.clone();
        let job = async {}.with_callback(move |_| async move { calls.add() });
        assert!(is_closed(&pool.exec(job).await));
        assert_eq!(called.get(), 0);
    });
}

#[test]
fn an_observer_is_told_once_that_the_pool_is_closed_and_of_no_job_that_is_refused() {
    on_both(async || {
        let log = Log::new();
        let heard = log.clone();
        let hear = move |event: &Event| heard.add(format!("{event:?}"));
        let pool = closed(Pool::builder(1).observer(hear).build()).await;
        pool.close(None, Duration::ZERO).await;
        assert!(is_closed(&pool.exec(async {}).await));
        assert!(is_closed(&pool.exec(async {}.name("a").key("b")).await));
        assert!(pool.try_spawn(async {}).is_err());
        pool.map(0..3, |_| async {}).await;
        pool.pause(None);
        pool.pause_key("b", None);
        assert_eq!(log.take(), ["Closed"]);
    });
}

#[test]
fn callers_that_wait_for_a_slot_are_refused_and_jobs_that_wait_go_on() {
    on_both(async || {
        let (pool, gate, dropped) = (Pool::new(1), Gate::new(), Count::new());
        let active = pool.spawn_n(gate.passed());
        let mut spawn = Box::pin(pool.spawn(dropped.pending().name("spawned")));
        let mut reserve = Box::pin(pool.reserve());
        let (spawned, reserved) = (Wakes::new(), Wakes::new());
        assert!(spawned.poll(spawn.as_mut()).is_pending());
        assert!(reserved.poll(reserve.as_mut()).is_pending());
        let mut exec = Box::pin(pool.exec(async { 1 }));
        assert!(poll_once(exec.as_mut()).is_pending());
        let waiting = pool.map_n(0..3, |n| async move { n });
        let report = close(&pool, None, 0).await;
        assert_eq!((spawned.get(), reserved.get()), (1, 1));
        assert!(is_closed(&spawn.await.await) && is_closed(&reserve.await));
        assert_eq!((dropped.get(), pool.waiting()), (1, 4));
        gate.open();
        active.await.unwrap();
        assert_eq!(exec.await.unwrap(), 1);
        for (n, handle) in waiting.into_iter().enumerate() {
            assert_eq!(handle.await.unwrap(), n);
        }
        let report = report.await.unwrap();
        assert_eq!(told(&report), (5, vec![], vec!["spawned"], vec![]));
    });
}

#[test]
fn a_running_map_pulls_no_more_and_ends_with_one_error_when_its_jobs_have_ended() {
    on_both(async || {
        let (pool, gate, pulled) = (Pool::new(2), Gate::new(), Count::new());
        let items = std::iter::repeat_with({
            let pulled = pulled.clone();
            move || pulled.add()
        });
        let passes = gate.clone();
        let mut map = Box::pin(pool.map(items, move |()| passes.passed()));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| pulled.get() == 2).await;
        let report = close(&pool, None, 0).await;
        let_others_run().await;
        assert!(poll_once(map.as_mut()).is_pending(), "its jobs run");
        gate.open();
        let results = map.await;
        assert_eq!((results.len(), pulled.get()), (3, 2));
        assert!(results[0].is_ok() && results[1].is_ok() && is_closed(&results[2]));
        let report = report.await.unwrap();
        assert_eq!((report.finished, report.sources), (2, 1));
    });
}

#[test]
fn a_running_stream_gives_what_its_jobs_give_and_then_one_error() {
    on_both(async || {
        for is_ordered in [false, true] {
            let (pool, gate, begun) = (Pool::new(2), Gate::new(), Count::new());
            let function = {
                let (gate, begun) = (gate.clone(), begun.clone());
                move |n| {
                    begun.add();
                    let passed = gate.passed();
                    async move {
                        passed.await;
                        n
                    }
                }
            };
            let mut stream = if is_ordered {
                pool.itermap_ordered(0.., function)
            } else {
                pool.itermap(0.., function)
            };
            let wakes = Wakes::new();
            assert!(wakes.poll(pin!(stream.next())).is_pending());
            until(|| begun.get() == 2).await;
            let report = close(&pool, None, 0).await;
            assert!(wakes.poll(pin!(stream.next())).is_pending());
            gate.open();
            let mut results: Vec<_> = stream.collect().await;
            assert!(is_closed(&results.pop().unwrap()));
            let mut given: Vec<_> = results.into_iter().map(Result::unwrap).collect();
            given.sort_unstable();
            assert_eq!(given, [0, 1]);
            assert_eq!(report.await.unwrap().sources, 1);
        }
    });
}

#[test]
fn a_stream_that_waits_for_its_reader_ends_and_is_not_waited_for() {
    on_both(async || {
        for is_ordered in [false, true] {
            let (pool, dropped) = (Pool::new(2), Count::new());
            let drops = dropped.drops();
            let function = move |n: u32| {
                let _ = &drops;
                async move { n }
            };
            let stream = if is_ordered {
                pool.itermap_ordered(0.., function)
            } else {
                pool.itermap(0.., function)
            };
            let mut stream = stream.ahead(3);
            assert_eq!(stream.next().await.unwrap().unwrap(), 0);
            pool.join().await;
            assert_eq!(dropped.get(), 0);
            let report = pool.close(None, Duration::ZERO).await;
            assert_eq!((report.sources, dropped.get()), (1, 1));
            let mut results: Vec<_> = stream.collect().await;
            assert!(is_closed(&results.pop().unwrap()));
            assert_eq!(results.len(), 3);
        }
    });
}

#[test]
fn a_map_and_a_stream_that_stand_in_the_queue_end_before_their_first_item() {
    on_both(async || {
        let (pool, gate, pulled) = (Pool::new(1), Gate::new(), Count::new());
        let active = pool.spawn_n(gate.passed());
        let pulls = || {
            let pulled = pulled.clone();
            std::iter::from_fn(move || {
                pulled.add();
                Some(())
            })
        };
        let mut map = Box::pin(pool.map(pulls(), |()| async {}));
        assert!(poll_once(map.as_mut()).is_pending());
        let mut stream = pool.itermap(pulls(), |()| async {});
        assert!(poll_once(pin!(stream.next())).is_pending());
        let report = close(&pool, None, 0).await;
        let results = map.await;
        assert!(results.len() == 1 && is_closed(&results[0]));
        assert!(is_closed(&stream.next().await.unwrap()));
        assert!(stream.next().await.is_none());
        gate.open();
        active.await.unwrap();
        let report = report.await.unwrap();
        assert_eq!((report.finished, report.sources, pulled.get()), (1, 2, 0));
    });
}

#[test]
fn a_map_that_has_its_slot_and_has_not_been_asked_yet_is_not() {
    on_current_thread(async || {
        let (pool, pulled) = (Pool::new(1), Count::new());
        let pulls = pulled.clone();
        let items = std::iter::from_fn(move || {
            pulls.add();
            Some(())
        });
        let mut map = Box::pin(pool.map(items, |()| async {}));
        assert!(poll_once(map.as_mut()).is_pending());
        assert_eq!(pool.active(), 1);
        // Nothing else has had a turn.
        let mut close = Box::pin(pool.close(None, Duration::ZERO));
        assert!(poll_once(close.as_mut()).is_pending());
        let results = map.await;
        assert!(results.len() == 1 && is_closed(&results[0]));
        assert_eq!((pulled.get(), close.await.sources), (0, 1));
    });
}

#[test]
fn a_map_that_has_pulled_all_its_items_ends_without_an_error() {
    on_both(async || {
        let (pool, gate) = (Pool::new(3), Gate::new());
        let passes = gate.clone();
        let mut map = Box::pin(pool.map(0..3, move |_| passes.passed()));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| pool.active() == 3).await;
        let report = close(&pool, None, 0).await;
        gate.open();
        assert!(map.await.iter().all(Result::is_ok));
        let report = report.await.unwrap();
        assert_eq!((report.finished, report.sources), (3, 0));
    });
}

/// A map of items with a key, of which one is active, and others wait for themselves.
#[test]
fn items_that_have_been_pulled_and_wait_for_their_key_go_on() {
    on_both(async || {
        let (pool, gate) = (Pool::builder(2).per_key(1).build(), Gate::new());
        let passes = gate.clone();
        let mut map = Box::pin(pool.map(0.., move |_| passes.passed().key("a")));
        assert!(poll_once(map.as_mut()).is_pending());
        // No slot is held for the pull of another.
        until(|| (pool.stats().parked, pool.active()) == (7, 1)).await;
        let report = close(&pool, None, 0).await;
        gate.open();
        let results = map.await;
        assert_eq!(results.len(), 9);
        assert!(results[..8].iter().all(Result::is_ok) && is_closed(&results[8]));
        let report = report.await.unwrap();
        assert_eq!((report.finished, report.sources), (8, 1));
    });
}

/// Items without end, each of which says that it is asked for and waits for a word to come.
fn items_on_demand() -> (
    impl Iterator<Item = ()> + Send,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (asked, is_asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let items = std::iter::from_fn(move || {
        asked.send(()).unwrap();
        goes_on.recv().unwrap();
        Some(())
    });
    (items, is_asked, go_on)
}

#[test]
fn an_item_that_is_pulled_just_then_runs_unless_it_has_to_wait_for_itself() {
    in_time("multi_thread", || {
        for is_keyed in [false, true] {
            let runtime = crate::common::multi_thread();
            let pool = Pool::builder(2).per_key(1).build();
            let (items, is_asked, go_on) = items_on_demand();
            let map = if is_keyed {
                runtime.spawn(pool.map(items, |()| async { 1 }.key("a")))
            } else {
                runtime.spawn(pool.map(items, |()| async { 1 }.priority(0)))
            };
            is_asked.recv().unwrap();
            let mut close = Box::pin(pool.close(None, Duration::ZERO));
            assert!(poll_once(close.as_mut()).is_pending());
            go_on.send(()).unwrap();
            let report = runtime.block_on(close);
            let results = runtime.block_on(map).unwrap();
            assert_eq!(results.len(), 2);
            assert!(is_closed(&results[1]));
            assert_eq!(is_closed(&results[0]), is_keyed);
            assert_eq!(report.finished, u64::from(!is_keyed));
            assert_eq!(report.sources, 1);
        }
    });
}

#[test]
fn a_stream_that_would_wait_for_its_reader_just_then_ends() {
    in_time("multi_thread", || {
        let (runtime, pool) = (crate::common::multi_thread(), Pool::new(2));
        let (items, is_asked, go_on) = items_on_demand();
        let stream = pool.itermap(items, |()| async { 1 }).ahead(1);
        let results = runtime.spawn(stream.collect::<Vec<_>>());
        is_asked.recv().unwrap();
        let mut close = Box::pin(pool.close(None, Duration::ZERO));
        assert!(poll_once(close.as_mut()).is_pending());
        go_on.send(()).unwrap();
        let results = runtime.block_on(results).unwrap();
        assert!(results.len() == 2 && results[0].is_ok() && is_closed(&results[1]));
        assert_eq!(runtime.block_on(close).sources, 1);
    });
}

#[test]
fn what_waits_for_the_end_of_a_pause_is_refused() {
    on_both(async || {
        let (pool, gate) = (Pool::new(3), Gate::new());
        let active = pool.spawn_n(gate.passed());
        until(|| pool.active() == 1).await;
        pool.pause(None);
        let waiting = pool.spawn_n(async {}.name("waiting"));
        let mut exec = Box::pin(pool.exec(async {}.name("exec")));
        assert!(poll_once(exec.as_mut()).is_pending());
        let report = close(&pool, None, 0).await;
        assert!(is_closed(&waiting.await) && is_closed(&exec.await));
        assert!(!pool.resume(), "it is not paused any more");
        gate.open();
        active.await.unwrap();
        let report = report.await.unwrap();
        assert_eq!(told(&report), (1, vec![], vec!["exec", "waiting"], vec![]));
    });
}

#[test]
fn the_pause_of_a_key_ends_what_waits_for_that_key_and_no_other() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let active = pool.spawn_n(gate.passed());
        until(|| pool.active() == 1).await;
        pool.pause_key("a", None);
        let held = pool.spawn_n(async {}.key("a").name("held"));
        let free = pool.spawn_n(async { 7 }.key("b"));
        let mut map = Box::pin(pool.map(0..2, |_| async {}.key("a").name("item")));
        assert!(poll_once(map.as_mut()).is_pending());
        let report = close(&pool, None, 0).await;
        assert!(is_closed(&held.await));
        assert!(!pool.resume_key("a"), "it is not paused any more");
        gate.open();
        active.await.unwrap();
        assert_eq!(free.await.unwrap(), 7);
        assert!(map.await.iter().all(is_closed));
        let report = report.await.unwrap();
        assert_eq!(told(&report), (2, vec![], vec!["held"], vec![]));
        assert_eq!(report.unstarted[0].key, Some(Key::from("a")));
    });
}

#[test]
fn items_that_wait_for_a_paused_key_are_refused_in_their_places() {
    on_both(async || {
        let pool = Pool::new(2);
        pool.pause_key("a", None);
        let mut map = Box::pin(pool.map(0..5, |n| async {}.key(if n < 2 { "a" } else { "b" })));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| pool.stats().parked == 2 && pool.stats().succeeded == 3).await;
        let report = pool.close(None, Duration::ZERO).await;
        let results = map.await;
        assert!(results[..2].iter().all(is_closed) && results[2..].iter().all(Result::is_ok));
        assert_eq!(
            (results.len(), report.unstarted.len(), report.sources),
            (5, 2, 0)
        );
    });
}

#[test]
fn a_closed_pool_cannot_be_paused() {
    on_both(async || {
        let pool = Pool::new(1);
        let gate = Gate::new();
        let active = pool.spawn_n(gate.passed());
        let waiting = pool.spawn_n(async { 1 }.key("a"));
        let report = close(&pool, None, 0).await;
        pool.pause(None);
        pool.pause_key("a", None);
        gate.open();
        active.await.unwrap();
        assert_eq!(waiting.await.unwrap(), 1);
        assert_eq!(report.await.unwrap().finished, 2);
    });
}

#[test]
fn what_waits_for_a_rate_goes_on() {
    in_frozen_time(async || {
        let pool = Pool::builder(2).rate(Rate::new(1, millis(100))).build();
        let (begun, jobs) = (Instant::now(), pool.map_n(0..3, |_| async {}));
        let report = pool.close(Some(millis(1000)), millis(100)).await;
        assert_eq!((since(begun), report.finished), (200, 3));
        assert!(jobs.iter().all(aiopool::JobHandle::is_finished));
    });
}

#[test]
fn a_permit_that_is_held_is_waited_for_and_starts_its_job() {
    on_both(async || {
        let pool = Pool::new(2);
        let (first, second) = (pool.reserve().await.unwrap(), pool.reserve().await.unwrap());
        let report = close(&pool, None, 0).await;
        drop(first);
        let_others_run().await;
        assert!(!report.is_finished());
        assert_eq!(second.spawn(async { 3 }).await.unwrap(), 3);
        assert_eq!(report.await.unwrap().finished, 1);
    });
}

#[test]
fn a_permit_starts_nothing_once_the_jobs_are_cancelled() {
    in_frozen_time(async || {
        let (pool, dropped) = (Pool::new(2), Count::new());
        let permit = pool.reserve().await.unwrap();
        let report = pool.close(Some(millis(100)), millis(50)).await;
        assert_eq!(told(&report), (0, vec![], vec![], vec![]));
        assert_eq!(pool.active(), 1, "nobody takes the slot away");
        assert!(is_closed(&permit.spawn(dropped.pending()).await));
        assert_eq!(
            (pool.active(), dropped.get(), pool.stats().cancelled),
            (0, 1, 0)
        );
        pool.join().await;
    });
}

#[test]
fn at_the_timeout_less_the_grace_all_jobs_are_cancelled_and_it_returns_when_they_have_ended() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        let job = pending::<()>().with_callback(|result| async move {
            assert!(result.unwrap_err().is_cancelled());
            sleep(millis(30)).await;
        });
        let cleans_up = pool.spawn_n(job.name("cleans up"));
        let stopped = pool.spawn_n(pending::<()>().name("stopped"));
        let waiting = pool.spawn_n(async {}.name("waiting").key("a"));
        let report = pool.close(Some(millis(1000)), millis(200)).await;
        assert_eq!(since(begun), 830);
        cleans_up.await.unwrap();
        assert!(stopped.await.unwrap_err().is_cancelled());
        assert!(waiting.await.unwrap_err().is_cancelled());
        let expected = (0, vec!["cleans up", "stopped"], vec!["waiting"], vec![]);
        assert_eq!(told(&report), expected);
        assert_eq!(report.unstarted[0].key, Some(Key::from("a")));
        assert!(report.cancelled.iter().all(|job| job.age.is_none()));
    });
}

#[test]
fn it_returns_at_the_timeout_and_names_those_that_still_run() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::builder(3).per_key(2).build(), Instant::now());
        let slow = |_| async { sleep(millis(500)).await };
        let job = pending::<()>().with_callback(slow);
        let running = pool.spawn_n(job.name("slow").key(7));
        let quick = pool.spawn_n(async {}.name("quick"));
        let report = pool.close(Some(millis(100)), millis(60)).await;
        assert_eq!(since(begun), 100);
        assert_eq!(told(&report), (1, vec![], vec![], vec!["slow"]));
        assert_eq!(report.running[0].key, Some(Key::from(7)));
        assert_eq!(report.running[0].id, running.id());
        quick.await.unwrap();
        running.await.unwrap();
        assert_eq!(since(begun), 540);
        let later = pool.close(None, Duration::ZERO).await;
        assert_eq!(later, report, "it is the same");
    });
}

#[test]
fn a_timeout_shorter_than_the_grace_cancels_at_once() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let jobs = pool.map_n(0..3, |_| pending::<()>());
        let report = pool.close(Some(millis(100)), Duration::MAX).await;
        assert_eq!(since(begun), 0);
        assert_eq!((report.cancelled.len(), report.unstarted.len()), (1, 2));
        assert!(jobs.iter().all(aiopool::JobHandle::is_finished));
    });
}

#[test]
fn a_timeout_without_end_is_one() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = pool.spawn_n(sleep(Duration::from_secs(1_000_000)));
        let report = pool.close(Some(Duration::MAX), Duration::ZERO).await;
        assert_eq!(report.finished, 1);
        job.await.unwrap();
    });
}

#[test]
fn maps_that_are_cancelled_with_the_pool_end_with_one_error() {
    in_frozen_time(async || {
        let pool = Pool::new(2);
        let mut map = Box::pin(pool.map(0.., |_| pending::<()>().name("item")));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| pool.active() == 2 && pool.waiting() == 1).await;
        let report = pool.close(Some(millis(10)), millis(10)).await;
        let results = map.await;
        let is_cancelled =
            |result: &Result<_, JobError>| result.as_ref().is_err_and(JobError::is_cancelled);
        assert!(results.len() == 3 && results[..2].iter().all(is_cancelled));
        assert!(is_closed(&results[2]));
        assert_eq!(told(&report), (0, vec!["item", "item"], vec![], vec![]));
    });
}

#[test]
fn with_an_observer_the_report_tells_ages() {
    in_frozen_time(async || {
        let pool = Pool::builder(2).observer(|_| {}).build();
        let active = pool.spawn_n(pending::<()>().name("active"));
        sleep(millis(10)).await;
        let mut map = Box::pin(pool.map(0..1, |_| pending::<()>().name("item")));
        assert!(poll_once(map.as_mut()).is_pending());
        sleep(millis(10)).await;
        let waiting = pool.spawn_n(async {}.name("waiting"));
        sleep(millis(10)).await;
        let report = pool.close(Some(millis(100)), millis(30)).await;
        let mut ages: Vec<_> = report
            .cancelled
            .iter()
            .chain(&report.unstarted)
            .map(|job| (job.name.as_deref().unwrap(), job.age.unwrap().as_millis()))
            .collect();
        ages.sort_unstable();
        assert_eq!(ages, [("active", 100), ("item", 90), ("waiting", 80)]);
        drop((active, waiting));
    });
}

/// An age counts from the call, not from the start.
#[test]
fn a_job_that_has_waited_before_it_was_active_is_as_old_as_its_call() {
    in_frozen_time(async || {
        let pool = Pool::builder(1).observer(|_| {}).build();
        let first = pool.spawn_n(sleep(millis(50)));
        let second = pool.spawn_n(pending::<()>());
        let report = pool.close(Some(millis(100)), millis(20)).await;
        assert_eq!((report.finished, report.cancelled.len()), (1, 1));
        assert_eq!(report.cancelled[0].age, Some(millis(80)));
        assert_eq!(report.cancelled[0].id, second.id());
        drop(first);
    });
}

#[test]
fn a_job_that_follows_one_with_a_name_has_not_its_name() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let named = pool.spawn_n(async {}.name("named"));
        let plain = pool.spawn_n(pending::<()>());
        let report = pool.close(Some(millis(100)), millis(20)).await;
        assert_eq!(told(&report), (1, vec!["-"], vec![], vec![]));
        drop((named, plain));
    });
}

#[test]
fn jobs_that_permits_start_and_jobs_that_are_tried_are_named() {
    in_frozen_time(async || {
        let pool = Pool::new(3);
        let permit = pool.reserve().await.unwrap();
        let in_permit = permit.spawn(pending::<()>().name("in a permit"));
        let tried = pool.try_spawn(pending::<()>().name("tried")).unwrap();
        let spawned = pool.spawn(pending::<()>().name("spawned")).await;
        let report = pool.close(Some(millis(1)), millis(1)).await;
        assert_eq!(
            names(&report.cancelled),
            ["in a permit", "spawned", "tried"]
        );
        drop((in_permit, tried, spawned));
    });
}

#[test]
fn calls_of_two_tasks_get_the_same_report_and_jobs_are_cancelled_once() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let job = pending::<()>().with_callback(|_| async { sleep(millis(50)).await });
        let job = pool.spawn_n(job);
        let first = close(&pool, Some(100), 100).await;
        let second = close(&pool, Some(100), 80).await;
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!((since(begun), &first), (50, &second));
        assert_eq!(first.cancelled.len(), 1);
        // A second cancellation would have cut its callback off.
        job.await.unwrap();
    });
}

#[test]
fn a_call_with_less_time_ends_the_pool_for_those_that_wait_without_limit() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let job = pool.spawn_n(pending::<()>());
        let first = close(&pool, None, 0).await;
        let report = pool.close(Some(millis(100)), millis(30)).await;
        assert_eq!((since(begun), first.await.unwrap()), (70, report));
        drop(job);
    });
}

#[test]
fn a_close_that_is_dropped_leaves_the_pool_closed_and_can_be_called_again() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        drop(pool.close(None, Duration::ZERO));
        let job = pool.spawn_n(async { sleep(millis(20)).await });
        let timed = tokio::time::timeout(millis(5), pool.close(None, Duration::ZERO));
        assert!(timed.await.is_err());
        assert!(is_closed(&pool.exec(async {}).await));
        let report = pool.close(Some(millis(100)), millis(5)).await;
        assert_eq!(told(&report), (1, vec![], vec![], vec![]));
        job.await.unwrap();
    });
}

#[test]
fn a_timeout_needs_a_runtime_with_timers_and_says_so_at_the_line_of_the_caller() {
    in_time("no timers", || {
        let (pool, untimed) = (Pool::new(1), current_thread());
        let second = Some(Duration::from_secs(1));
        untimed.block_on(async {
            assert_names_enable_time(|| drop(pool.close(second, Duration::ZERO)));
        });
        let mut close = Box::pin(pool.close(second, Duration::ZERO));
        untimed.block_on(async {
            assert_names_enable_time(|| drop(poll_once(close.as_mut())));
        });
        let line = Location::caller().line() + 1;
        let mut close = Box::pin(pool.close(second, Duration::ZERO));
        let polls = AssertUnwindSafe(|| poll_once(close.as_mut()));
        let payload = catch_unwind(polls).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains(&format!("close.rs:{line}")), "{message}");
        untimed.block_on(async { pool.exec(async {}).await.unwrap() });
        let report = pool.close(None, Duration::ZERO);
        let report = poll_once(Box::pin(report).as_mut());
        assert!(report.is_ready(), "without a time it needs no runtime");
    });
}

#[test]
fn a_job_that_closes_its_own_pool_panics_and_the_pool_stays_open() {
    on_both(async || {
        let (pool, other) = (Pool::new(1), Pool::new(1));
        let (own, foreign) = (pool.clone(), other.clone());
        let line = Location::caller().line() + 1;
        let job = async move { drop(own.close(None, Duration::ZERO).await) };
        match pool.exec(job).await.unwrap_err() {
            JobError::Panicked(panic) => {
                let message = panic.message().unwrap();
                assert!(message.contains(&format!("close.rs:{line}")), "{message}");
            }
            error => panic!("{error}"),
        }
        let job = async move { foreign.close(None, Duration::ZERO).await.finished };
        assert_eq!(pool.exec(job).await.unwrap(), 0);
        let own = pool.clone();
        let job = async move { [tokio::spawn(own.close(None, Duration::ZERO))] };
        let [closing] = pool.exec(job).await.unwrap();
        let report = closing.await.unwrap();
        assert!(report.finished <= 1);
    });
}

#[test]
fn jobs_that_have_begun_go_on_with_calls_that_they_wait_for() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let parent = {
            let (pool, passed) = (pool.clone(), gate.passed());
            async move {
                passed.await;
                assert_eq!(pool.exec(async { 1 }).await.unwrap(), 1);
                assert_eq!(pool.spawn(async { 2 }).await.await.unwrap(), 2);
                let mapped = pool.map(0..3, |n| async move { n }).await;
                assert_eq!(mapped.into_iter().map(Result::unwrap).sum::<usize>(), 3);
                let named = pool.map(0..3, |n| async move { n }.key(n)).await;
                assert_eq!(named.into_iter().map(Result::unwrap).sum::<usize>(), 3);
                let read: Vec<_> = pool.itermap(0..3, |n| async move { n }).collect().await;
                assert_eq!(read.into_iter().map(Result::unwrap).sum::<usize>(), 3);
                assert!(is_closed(&pool.spawn_n(async {}).await));
                pool.outside(async {}).await;
            }
        };
        let parent = pool.spawn_n(parent);
        until(|| pool.active() == 1).await;
        let report = close(&pool, None, 0).await;
        gate.open();
        parent.await.unwrap();
        assert_eq!(told(&report.await.unwrap()), (12, vec![], vec![], vec![]));
    });
}

#[test]
fn a_job_that_waits_for_the_start_of_another_is_not_refused() {
    on_both(async || {
        let (pool, gate) = (Pool::builder(2).per_key(1).build(), Gate::new());
        let holder = pool.spawn_n(gate.passed().key("a"));
        let inner = pool.clone();
        let parent = async move { inner.spawn(async { 1 }.key("a")).await.await.unwrap() };
        let parent = pool.spawn_n(parent);
        until(|| pool.stats().parked == 1 && pool.stats().outside == 1).await;
        let report = close(&pool, None, 0).await;
        gate.open();
        assert_eq!(parent.await.unwrap(), 1);
        holder.await.unwrap();
        assert_eq!(told(&report.await.unwrap()), (3, vec![], vec![], vec![]));
    });
}

#[test]
fn jobs_outside_are_waited_for_and_cancelled_with_the_others() {
    in_frozen_time(async || {
        let pool = Pool::new(2);
        let waits = |time| {
            let pool = pool.clone();
            async move { pool.outside(sleep(millis(time))).await }
        };
        let quick = pool.spawn_n(waits(10).name("quick"));
        let slow = pool.spawn_n(waits(1_000).name("slow").key("a"));
        let inner = pool.clone();
        let parent = async move { inner.exec(pending::<()>().name("child")).await };
        let parent = pool.spawn_n(parent.name("parent"));
        until(|| pool.stats().outside == 3 && pool.active() == 1).await;
        let report = pool.close(Some(millis(100)), millis(50)).await;
        let cancelled = vec!["child", "parent", "slow"];
        assert_eq!(told(&report), (1, cancelled, vec![], vec![]));
        assert!(
            report
                .cancelled
                .iter()
                .any(|job| job.key == Some(Key::from("a")))
        );
        quick.await.unwrap();
        assert!(slow.await.unwrap_err().is_cancelled());
        assert!(parent.await.unwrap_err().is_cancelled());
        assert_eq!((pool.len(), pool.stats().outside), (0, 0));
    });
}

#[test]
fn a_pause_ends_the_jobs_that_are_outside_and_that_of_a_key_those_of_the_key() {
    on_both(async || {
        for of_key in [false, true] {
            let (pool, gate) = (Pool::new(2), Gate::new());
            let waits = |passed: Gate| {
                let pool = pool.clone();
                async move { pool.outside(passed.passed()).await }
            };
            let first = pool.spawn_n(waits(gate.clone()).key("a").name("first"));
            let second = pool.spawn_n(waits(gate.clone()).key("b").name("second"));
            until(|| pool.stats().outside == 2).await;
            if of_key {
                pool.pause_key("a", None);
            } else {
                pool.pause(None);
            }
            let report = close(&pool, None, 0).await;
            assert!(first.await.unwrap_err().is_cancelled());
            gate.open();
            let second = second.await;
            let report = report.await.unwrap();
            if of_key {
                second.unwrap();
                assert_eq!(told(&report), (1, vec!["first"], vec![], vec![]));
            } else {
                assert!(second.unwrap_err().is_cancelled());
                let cancelled = vec!["first", "second"];
                assert_eq!(told(&report), (0, cancelled, vec![], vec![]));
            }
        }
    });
}

#[test]
fn a_job_that_a_pause_has_ended_is_cancelled_once_and_told_once() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let job = async move { inner.outside(pending::<()>()).await };
        let job = job.with_callback(|_| sleep(millis(80))).name("job");
        let job = pool.spawn_n(job);
        until(|| pool.stats().outside == 1).await;
        pool.pause(None);
        let report = pool.close(Some(millis(100)), millis(50)).await;
        job.await.unwrap();
        assert_eq!(told(&report), (0, vec!["job"], vec![], vec![]));
    });
}

#[test]
fn a_job_that_is_stuck_in_a_poll_does_not_keep_the_pool_from_its_end() {
    in_time("stuck", || {
        let builder = &mut Builder::new_multi_thread();
        let runtime = builder.worker_threads(3).enable_time().build().unwrap();
        let (pool, (go_on, goes_on)) = (Pool::new(3), mpsc::channel::<()>());
        let is_stuck = Arc::new(AtomicBool::new(false));
        let seen = is_stuck.clone();
        runtime.block_on(async {
            let job = async move {
                seen.store(true, Ordering::SeqCst);
                goes_on.recv().unwrap();
            };
            let stuck = pool.spawn_n(job.name("stuck"));
            until(|| is_stuck.load(Ordering::SeqCst)).await;
            let stopped = pool.spawn_n(pending::<()>().name("stopped"));
            let report = pool.close(Some(millis(100)), millis(90)).await;
            assert_eq!(names(&report.running), ["stuck"]);
            assert_eq!(names(&report.cancelled), ["stopped"]);
            assert!(stopped.await.unwrap_err().is_cancelled());
            go_on.send(()).unwrap();
            stuck.await.unwrap();
            pool.join().await;
        });
    });
}

#[test]
fn jobs_of_another_runtime_are_waited_for_and_cancelled_too() {
    for_both(|second| {
        let (pool, first) = (Pool::new(2), crate::common::frozen());
        let handles = second.block_on(async {
            let handles = [
                pool.spawn_n(pending::<()>().name("there")),
                pool.spawn_n(async {}.name("done")),
            ];
            until(|| pool.executed() == 1).await;
            handles
        });
        let report = thread::scope(|scope| {
            let closing = scope.spawn(|| {
                let entered = first.enter();
                let _job = pool.spawn_n(pending::<()>().name("here"));
                drop(entered);
                first.block_on(pool.close(Some(millis(100)), millis(50)))
            });
            // It drives that runtime.
            second.block_on(async { pool.join().await });
            closing.join().unwrap()
        });
        let ended: Vec<_> = report.cancelled.iter().chain(&report.running).collect();
        assert_eq!(ended.len(), 2);
        assert!(handles.iter().all(aiopool::JobHandle::is_finished));
    });
}

#[test]
fn a_runtime_that_shuts_down_meanwhile_ends_its_jobs_and_the_close() {
    for_both(|first| {
        let (pool, second) = (Pool::new(1), like(&first)());
        let mut map = Box::pin(pool.map(0..5, |_| pending::<()>()));
        let (_active, _waiting) = second.block_on(async {
            let active = pool.spawn_n(pending::<()>());
            until(|| pool.active() == 1).await;
            assert!(poll_once(map.as_mut()).is_pending());
            (active, pool.spawn_n(pending::<()>()))
        });
        let mut close = Box::pin(pool.close(None, Duration::ZERO));
        assert!(poll_once(close.as_mut()).is_pending());
        drop(second);
        let report = first.block_on(close);
        assert_eq!((report.finished, report.sources), (2, 1));
        let results = first.block_on(map);
        assert!(results.len() == 1 && is_closed(&results[0]));
    });
}

#[test]
fn of_what_eight_threads_hand_in_during_a_close_each_runs_or_is_refused() {
    in_time("eight threads", || {
        for round in 0..20 {
            let builder = &mut Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).build().unwrap();
            let (pool, ran, begin) = (Pool::new(3), Count::new(), Arc::new(Barrier::new(9)));
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let (pool, ran, begin) = (pool.clone(), ran.clone(), begin.clone());
                    let handle = runtime.handle().clone();
                    thread::spawn(move || {
                        let _entered = handle.enter();
                        begin.wait();
                        let hand_in = |n| {
                            let ran = ran.clone();
                            let job = async move {
                                tokio::task::yield_now().await;
                                ran.add();
                            };
                            if n % 3 == 0 {
                                pool.spawn_n(job.name("named"))
                            } else {
                                pool.spawn_n(job)
                            }
                        };
                        (0..50 + thread).map(hand_in).collect::<Vec<_>>()
                    })
                })
                .collect();
            begin.wait();
            for _ in 0..round * 10 {
                std::hint::spin_loop();
            }
            let report = runtime.block_on(pool.close(None, Duration::ZERO));
            let ended_by_then = ran.get() as u64;
            let mut settled = (0, 0);
            for thread in threads {
                for result in runtime.block_on(join_all(thread.join().unwrap())) {
                    match result {
                        Ok(()) => settled.0 += 1,
                        Err(JobError::Closed) => settled.1 += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert_eq!(settled.0 + settled.1, 8 * 50 + 28);
            assert_eq!((settled.0, settled.0 as u64), (ran.get(), ended_by_then));
            assert!(report.finished <= ended_by_then);
            assert!(pool.is_empty());
        }
    });
}

/// Whoever of the two comes to a waiter, the other does not.
#[test]
fn a_close_and_a_cancel_all_at_once_lose_nobody() {
    in_time("two walks", || {
        for _ in 0..30 {
            let builder = &mut Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).build().unwrap();
            let pool = Pool::new(1);
            let permit = runtime.block_on(pool.reserve()).unwrap();
            let spawns: Vec<_> = (0..500).map(|_| pool.spawn(async {})).collect();
            let calls: Vec<_> = (0..500).map(|_| pool.reserve()).collect();
            let spawned = runtime.spawn(join_all(spawns));
            let reserved = runtime.spawn(join_all(calls));
            let _entered = runtime.enter();
            let jobs = pool.map_n(0..1000, |_| async {});
            while pool.waiting() < 2000 {
                thread::yield_now();
            }
            let canceller = runtime.spawn(pool.cancel_all());
            let closed = runtime.spawn(pool.close(None, Duration::ZERO));
            for result in runtime.block_on(reserved).unwrap() {
                assert!(is_closed(&result));
            }
            for handle in runtime.block_on(spawned).unwrap() {
                assert!(runtime.block_on(handle).is_err());
            }
            runtime.block_on(canceller).unwrap();
            for result in runtime.block_on(join_all(jobs)) {
                assert!(result.unwrap_err().is_cancelled());
            }
            drop(permit);
            let report = runtime.block_on(closed).unwrap();
            assert!(report.running.is_empty() && pool.is_empty());
        }
    });
}
