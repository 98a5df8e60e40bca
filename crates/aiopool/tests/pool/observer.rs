//! What an observer is told.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use aiopool::{AbortHandle, Event, Job, Key, Outcome, Pool};
use tokio::time::Instant;

use crate::common::{
    Count, Gate, Log, assert_whole, current_thread, in_frozen_time, in_time, let_others_run,
    millis, multi_thread, on_both, on_current_thread, raise, until,
};

#[test]
fn an_observer_is_told_of_a_job_with_its_name_its_key_and_its_times() {
    in_frozen_time(async || {
        let log = Log::new();
        let pool = observed(1, &log);
        let first = pool.spawn_n(tokio::time::sleep(millis(100)));
        let second = async { tokio::time::sleep(millis(50)).await };
        let second = pool.spawn_n(second.name("second").key("a"));
        let withdrawn = pool.spawn_n(async {}.name("withdrawn"));
        tokio::time::sleep(millis(20)).await;
        assert!(withdrawn.cancel());
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(
            log.take(),
            [
                "queued None None",
                "queued Some(\"second\") Some(\"a\")",
                "queued Some(\"withdrawn\") None",
                "started None None 0ns",
                "finished Some(\"withdrawn\") None Cancelled 20ms never",
                "finished None None Succeeded 0ns 100ms",
                "started Some(\"second\") Some(\"a\") 100ms",
                "finished Some(\"second\") Some(\"a\") Succeeded 100ms 50ms",
            ]
        );
        let stats = pool.stats();
        assert_eq!(stats.wait_time, Some(millis(100)));
        assert_eq!(stats.run_time, Some(millis(150)));
    });
}

#[test]
fn an_observer_is_told_what_is_done_to_the_pool() {
    in_frozen_time(async || {
        let log = Log::new();
        let pool = observed(1, &log);
        pool.pause(None);
        pool.pause(Some(millis(5)));
        assert!(pool.resume() && !pool.resume());
        pool.pause_key("a", Some(millis(5)));
        assert!(pool.resume_key("a") && !pool.resume_key("b"));
        pool.resize(3);
        assert_eq!(
            log.take(),
            [
                "paused None None",
                "paused None Some(5ms)",
                "resumed None",
                "paused Some(\"a\") Some(5ms)",
                "resumed Some(\"a\")",
                "resized 3",
            ]
        );
    });
}

#[test]
fn each_job_is_queued_and_finishes_once_and_starts_as_often_as_is_counted() {
    on_both(async || {
        let (counts, pool) = counted(2);
        let gate = Gate::new();
        let jobs = pool.map_n(0..6, |n| {
            let gate = gate.passed();
            async move {
                gate.await;
                if n == 3 {
                    raise("it fails");
                }
            }
            .key(n % 2)
        });
        until(|| pool.active() == 2).await;
        assert!(jobs[0].cancel() && jobs[5].cancel());
        gate.open();
        for job in jobs {
            drop(job.await);
        }
        let mut left = 0..7;
        let items = std::iter::from_fn(move || left.next());
        pool.map(items, |n| async {}.weight(1 + n % 2)).await;
        pool.map(0..3, |_| async {}.with_callback(|_| async {}))
            .await;
        let permit = pool.reserve().await.unwrap();
        permit.spawn(async {}).await.unwrap();
        drop(pool.try_spawn(async {}).unwrap().await);
        pool.pause(None);
        assert!(pool.try_spawn(async {}).is_err());
        pool.resume();
        drop(pool.spawn(pending::<()>()).await);
        // Active, and perhaps not begun.
        pool.cancel_all().await;
        pool.join().await;
        let stats = pool.stats();
        let [queued, started, succeeded, failed, cancelled] = counts.get();
        assert_eq!(queued, 6 + 7 + 3 + 1 + 1 + 1);
        assert_eq!(started, stats.started);
        assert_eq!(
            (succeeded, failed, cancelled),
            (stats.succeeded, stats.failed, stats.cancelled)
        );
        assert_eq!(queued, succeeded + failed + cancelled);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_that_is_stopped_before_its_worker_comes_has_not_begun_unless_its_callback_has() {
    in_frozen_time(async || {
        let log = Log::new();
        let pool = observed(1, &log);
        for called_back in [false, true] {
            pool.pause(None);
            let job = pending::<()>();
            let job = if called_back {
                pool.spawn_n(job.with_callback(|_| async {}))
            } else {
                pool.spawn_n(job)
            };
            tokio::time::sleep(millis(20)).await;
            pool.resume();
            assert_eq!(pool.active(), 1);
            log.take();
            job.cancel();
            pool.join().await;
            let_others_run().await;
            let started = u64::from(called_back);
            let events: &[_] = if called_back {
                &[
                    "started None None 20ms",
                    "finished None None Succeeded 20ms 0ns",
                ]
            } else {
                &["finished None None Cancelled 20ms never"]
            };
            assert_eq!(log.take(), events);
            let stats = pool.stats();
            assert_eq!(stats.started, started);
            assert_eq!(stats.wait_time, Some(millis(20 * started)));
        }
    });
}

#[test]
fn a_job_that_is_cancelled_as_its_start_is_told_has_begun() {
    on_both(async || {
        let (handle, begun) = (Arc::new(Mutex::new(None::<AbortHandle>)), Count::new());
        let pool = Pool::builder(1).observer({
            let handle = handle.clone();
            move |event| {
                if let Event::Started { .. } = event {
                    let handle = handle.lock().unwrap();
                    assert!(handle.as_ref().unwrap().cancel());
                }
            }
        });
        let pool = pool.build();
        let counted = begun.clone();
        let hand_in = || {
            // Until its handle is there, nobody is told.
            let mut handle = handle.lock().unwrap();
            let job = pool.spawn_n(async move {
                counted.add();
                pending::<()>().await;
            });
            *handle = Some(job.abort_handle());
            job
        };
        let job = hand_in();
        assert!(job.await.unwrap_err().is_cancelled());
        pool.join().await;
        assert_eq!((begun.get(), pool.stats().started), (1, 1));
    });
}

#[test]
fn an_item_is_told_of_with_its_key_also_if_that_panics() {
    in_frozen_time(async || {
        let log = Log::new();
        let pool = observed(1, &log);
        pool.map(0..2, |n| async {}.name("item").key(n)).await;
        assert_eq!(
            log.take(),
            [0, 1]
                .map(|n| format!("queued Some(\"item\") Some({n})"))
                .into_iter()
                .zip([0, 1].map(|n| format!("started Some(\"item\") Some({n}) 0ns")))
                .zip([0, 1].map(|n| format!("finished Some(\"item\") Some({n}) Succeeded 0ns 0ns")))
                .flat_map(|((queued, started), finished)| [queued, started, finished])
                .collect::<Vec<_>>()
        );
        let found = Log::new();
        let log = found.clone();
        let pool = Pool::builder(1)
            .per_key_with(|_| raise("no limit"))
            .observer(move |event| {
                log.add(match event {
                    Event::Queued { job, .. } => ("queued", job.id(), None),
                    Event::Started { job, .. } => ("started", job.id(), None),
                    Event::Finished { job, outcome, .. } => ("finished", job.id(), Some(*outcome)),
                    _ => return,
                });
            })
            .build();
        let results = pool.map(0..1, |_| async {}.key("a")).await;
        assert!(results[0].is_err());
        pool.join().await;
        let_others_run().await;
        let events = found.take();
        let id = events[0].1;
        assert_eq!(
            events,
            [
                ("queued", id, None),
                ("finished", id, Some(Outcome::Failed))
            ]
        );
    });
}

#[test]
fn jobs_that_end_with_their_runtime_are_told_of() {
    for hold in [|_: &Pool| {}, |pool: &Pool| pool.pause(None)] {
        in_time("shut down", move || {
            let (counts, pool) = counted(2);
            let runtime = current_thread();
            hold(&pool);
            let map = {
                let _entered = runtime.enter();
                drop(pool.map_n(0..5, |_| pending::<()>()));
                pool.map(0..5, |_| pending::<()>())
            };
            let map = runtime.spawn(map);
            runtime.block_on(let_others_run());
            drop(runtime);
            drop(map);
            let stats = pool.stats();
            let [queued, started, .., cancelled] = counts.get();
            assert_eq!((queued, started), (cancelled, stats.started));
            assert_eq!((pool.len(), cancelled), (0, stats.cancelled));
        });
    }
}

#[test]
fn an_observer_may_panic() {
    on_both(async || {
        let pool = Pool::builder(2).observer(|_| raise("observed")).build();
        assert_eq!(pool.exec(async { 1 }.key("a")).await.unwrap(), 1);
        assert_eq!(pool.map(0..5, |n| async move { n }).await.len(), 5);
        let job = pool.spawn_n(pending::<()>());
        assert!(job.cancel());
        pool.pause(None);
        assert!(pool.resume());
        pool.resize(3);
        assert_whole(&pool).await;
    });
}

#[test]
fn an_observer_may_use_the_pool() {
    on_both(async || {
        let of_itself = Arc::new(OnceLock::<Pool>::new());
        let (left, seen) = (Arc::new(Mutex::new(20)), Count::new());
        let pool = Pool::builder(2)
            .observer({
                let (of_itself, left, seen) = (of_itself.clone(), left, seen.clone());
                move |event| {
                    let Some(pool) = of_itself.get() else { return };
                    seen.add();
                    assert!(pool.stats().size > 0);
                    if let Event::Finished { .. } = event {
                        let mut left = left.lock().unwrap();
                        if *left > 0 {
                            *left -= 1;
                            drop(left);
                            drop(pool.spawn_n(async {}.key("a")));
                        }
                    }
                }
            })
            .build();
        of_itself.set(pool.clone()).unwrap();
        pool.exec(async {}).await.unwrap();
        until(|| pool.executed() == 21).await;
        pool.join().await;
        until(|| seen.get() == 63).await;
    });
}

#[test]
fn an_observer_that_blocks_delays_nobody_but_whom_it_is_called_by() {
    in_time("blocked", || {
        let (block, blocked) = mpsc::channel::<()>();
        let (blocked, blocks) = (Mutex::new(blocked), Arc::new(AtomicBool::new(false)));
        let blocking = blocks.clone();
        let pool = Pool::builder(2)
            .observer(move |event| {
                if let Event::Started { job, .. } = event {
                    if job.name() == Some("blocking") {
                        blocking.store(true, Ordering::SeqCst);
                        blocked.lock().unwrap().recv().unwrap();
                    }
                }
            })
            .build();
        let runtime = multi_thread();
        let _entered = runtime.enter();
        let slow = pool.spawn_n(async {}.name("blocking"));
        while !blocks.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let other = current_thread();
        for _ in 0..10 {
            other.block_on(pool.exec(async {})).unwrap();
        }
        block.send(()).unwrap();
        other.block_on(slow).unwrap();
    });
}

#[test]
fn a_key_that_an_event_holds_is_dropped_with_it() {
    on_both(async || {
        let last = Arc::new(Mutex::new(None::<Key>));
        let pool = Pool::builder(2)
            .observer({
                let last = last.clone();
                move |event| {
                    if let Event::Finished { job, .. } = event {
                        *last.lock().unwrap() = job.key().cloned();
                    }
                }
            })
            .build();
        pool.exec(async {}.key(7)).await.unwrap();
        until(|| last.lock().unwrap().is_some()).await;
        assert_eq!(*last.lock().unwrap(), Some(Key::from(7)));
    });
}

#[test]
fn a_job_of_a_runtime_that_has_ended_is_told_of_in_order() {
    let log = Log::new();
    let pool = observed(2, &log);
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    assert!(pool.spawn_n(async {}).is_finished());
    let kinds = log.take();
    let kinds: Vec<_> = kinds
        .iter()
        .filter_map(|event| event.split(' ').next())
        .collect();
    assert_eq!(kinds, ["queued", "finished"]);
}

#[test]
fn the_moment_of_a_start_is_that_at_which_the_job_got_its_slot() {
    on_current_thread(async || {
        let starts = Log::new();
        let log = starts.clone();
        let pool = Pool::builder(1).observer(move |event| {
            if let Event::Started { at, .. } = event {
                log.add(*at);
            }
        });
        let pool = pool.build();
        let before = Instant::now();
        let handle = pool.spawn_n(async {});
        let after = Instant::now();
        // Its worker comes when this thread is free.
        thread::sleep(millis(2));
        handle.await.unwrap();
        let starts = starts.take();
        assert!(
            matches!(starts[..], [at] if before <= at && at <= after),
            "{starts:?}"
        );
    });
}

fn observed(size: usize, log: &Log<String>) -> Pool {
    let log = log.clone();
    let builder = Pool::builder(size).observer(move |event| {
        log.add(match event {
            Event::Queued { job, .. } => format!("queued {:?} {:?}", job.name(), job.key()),
            Event::Started { job, wait, .. } => {
                format!("started {:?} {:?} {wait:?}", job.name(), job.key())
            }
            Event::Finished {
                job,
                outcome,
                wait,
                run,
                ..
            } => {
                let run = run.map_or(String::from("never"), |run| format!("{run:?}"));
                let (name, key) = (job.name(), job.key());
                format!("finished {name:?} {key:?} {outcome:?} {wait:?} {run}")
            }
            Event::Paused { key, time, .. } => format!("paused {key:?} {time:?}"),
            Event::Resumed { key, .. } => format!("resumed {key:?}"),
            Event::Resized { size, .. } => format!("resized {size}"),
            _ => "another".to_owned(),
        });
    });
    builder.build()
}

/// How many jobs were queued, started, and have succeeded, failed, been cancelled.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<[u64; 5]>>);

impl Counts {
    fn get(&self) -> [u64; 5] {
        *self.0.lock().unwrap()
    }
}

fn counted(size: usize) -> (Counts, Pool) {
    let counts = Counts::default();
    let pool = Pool::builder(size).observer({
        let counts = counts.clone();
        move |event| {
            let index = match event {
                Event::Queued { .. } => 0,
                Event::Started { .. } => 1,
                Event::Finished { outcome, .. } => match outcome {
                    Outcome::Succeeded => 2,
                    Outcome::Failed => 3,
                    _ => 4,
                },
                _ => return,
            };
            counts.0.lock().unwrap()[index] += 1;
        }
    });
    (counts, pool.build())
}
