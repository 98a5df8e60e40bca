//! Jobs that may be active for so long.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use aiopool::{AbortHandle, Event, Job, JobError, JobHandle, Outcome, Pool};
use futures_util::StreamExt;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, advance, sleep};

use crate::common::{
    Count, Gate, Log, assert_names_enable_time, assert_whole, current_thread, frozen,
    in_frozen_time, in_time, let_others_run, millis, poll_once, raise, since,
};

#[test]
fn a_job_whose_time_is_up_is_dropped_and_its_slot_comes_back_then() {
    in_frozen_time(async || {
        let (pool, dropped, begun) = (Pool::new(1), Count::new(), Instant::now());
        let late = pool.spawn_n(dropped.pending().timeout(millis(50)));
        let seen = dropped.clone();
        let next = pool.spawn_n(async move { (since(begun), seen.get()) });
        assert!(matches!(late.await, Err(JobError::TimedOut)));
        assert_eq!(next.await.unwrap(), (50, 1));
        let stats = pool.stats();
        assert_eq!((stats.timed_out, stats.succeeded), (1, 1));
        assert_eq!((stats.cancelled, stats.failed), (0, 0));
        assert_eq!(pool.executed(), 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn the_time_in_the_queue_does_not_count() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(1), Instant::now());
        let first = pool.spawn_n(sleep(millis(100)));
        let second = pool.spawn_n(async { sleep(millis(40)).await }.timeout(millis(50)));
        let third = pool.spawn_n(pending::<()>().timeout(millis(50)));
        first.await.unwrap();
        second.await.unwrap();
        assert!(third.await.unwrap_err().is_timed_out());
        assert_eq!(since(begun), 190);
    });
}

#[test]
fn the_clock_runs_from_the_first_poll_on() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = pool.spawn_n(async { sleep(millis(40)).await }.timeout(millis(50)));
        assert_eq!(pool.active(), 1);
        // Time goes by before its worker comes.
        assert!(poll_once(pin!(advance(millis(1000)))).is_pending());
        let begun = Instant::now();
        job.await.unwrap();
        assert_eq!(since(begun), 40);
    });
}

#[test]
fn every_verb_takes_jobs_with_a_timeout() {
    in_frozen_time(async || {
        let pool = Pool::new(3);
        let job = |time: u64| {
            async move {
                sleep(millis(time)).await;
                time
            }
            .timeout(millis(25))
        };
        let times = [10, 20, 30, 40];
        let check = |results: Vec<Result<u64, JobError>>| {
            assert!(matches!(
                results[..],
                [
                    Ok(10),
                    Ok(20),
                    Err(JobError::TimedOut),
                    Err(JobError::TimedOut)
                ]
            ));
        };
        let (mut exec, mut spawn, mut spawn_n, mut try_spawn, mut permit) =
            (vec![], vec![], vec![], vec![], vec![]);
        for time in times {
            exec.push(pool.exec(job(time)).await);
            spawn.push(pool.spawn(job(time)).await.await);
            spawn_n.push(pool.spawn_n(job(time)).await);
            try_spawn.push(pool.try_spawn(job(time)).unwrap().await);
            permit.push(pool.reserve().await.unwrap().spawn(job(time)).await);
        }
        for results in [exec, spawn, spawn_n, try_spawn, permit] {
            check(results);
        }
        let mut map_n = Vec::new();
        for handle in pool.map_n(times, job) {
            map_n.push(handle.await);
        }
        check(map_n);
        check(pool.map(times, job).await);
        check(pool.itermap(times, job).collect().await);
        check(pool.itermap_ordered(times, job).collect().await);
        assert_eq!(pool.stats().timed_out, 9 * 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_callback_gets_the_error_and_has_all_the_time() {
    in_frozen_time(async || {
        let (pool, dropped, begun) = (Pool::new(1), Count::new(), Instant::now());
        let seen = dropped.clone();
        let job = dropped.pending().with_callback(move |result| async move {
            assert_eq!(seen.get(), 1);
            sleep(millis(1000)).await;
            result.unwrap_err().to_string()
        });
        let job = pool.spawn_n(job.timeout(millis(50)));
        let next = pool.spawn_n(async move { since(begun) });
        assert_eq!(job.await.unwrap(), "the job took longer than its timeout");
        assert_eq!(next.await.unwrap(), 1050, "it runs in the slot of its job");
        assert_eq!(pool.stats().timed_out, 0, "its callback has succeeded");
    });
}

#[test]
fn the_callback_of_a_job_that_has_ended_in_time_has_all_the_time() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        for time in [0, 40] {
            let job = sleep(millis(time)).with_callback(|result| async move {
                result.unwrap();
                // In many polls, as the time of the job comes and goes.
                for _ in 0..10 {
                    sleep(millis(10)).await;
                }
                "called"
            });
            let result = pool.exec(job.timeout(millis(50))).await;
            assert_eq!(result.unwrap(), "called");
        }
    });
}

#[test]
fn a_callback_that_panics_after_a_timeout_is_the_result() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = || pending::<()>().timeout(millis(50));
        let in_call = job().with_callback(|_| -> std::future::Pending<()> { raise("in its call") });
        let later = job().with_callback(|_| async { raise("later") });
        assert!(pool.exec(in_call).await.unwrap_err().is_panic());
        let later: Result<(), _> = pool.exec(later).await;
        assert!(later.unwrap_err().is_panic());
        assert_eq!(pool.stats().failed, 2);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_drop_that_panics_at_the_timeout_is_the_result() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = || {
            let panics = Panics;
            async move {
                let _panics = panics;
                pending::<()>().await;
            }
            .timeout(millis(50))
        };
        assert!(pool.exec(job()).await.unwrap_err().is_panic());
        let told = job().with_callback(|result| async { result.unwrap_err().is_panic() });
        assert!(pool.exec(told).await.unwrap());
        let results = pool.map(0..3, move |_| job()).await;
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(JobError::Panicked(_))))
        );
        assert_eq!((pool.stats().timed_out, pool.stats().failed), (0, 4));
        assert_whole(&pool).await;
    });
}

#[test]
fn all_slots_and_the_key_of_a_job_come_back_at_its_timeout() {
    in_frozen_time(async || {
        let (pool, log, begun) = (
            Pool::builder(4).per_key(1).build(),
            Log::new(),
            Instant::now(),
        );
        let add = |name| {
            let log = log.clone();
            async move { log.add((name, since(begun))) }
        };
        let first = pending::<()>().key("a").timeout(millis(50)).weight(3);
        let first = pool.spawn_n(first);
        let same_key = pool.spawn_n(add("same key").key("a"));
        let heavy = pool.spawn_n(add("heavy").weight(4).timeout(millis(50)));
        let light = pool.spawn_n(add("light"));
        assert!(first.await.unwrap_err().is_timed_out());
        for job in [same_key, heavy, light] {
            job.await.unwrap();
        }
        let log = log.take();
        assert!(log.iter().all(|(_, at)| *at == 50), "{log:?}");
        assert_eq!(log.len(), 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn of_two_timeouts_the_later_counts_and_a_clone_has_a_clock_of_its_own() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(2), Instant::now());
        let job = pending::<()>().timeout(millis(10)).timeout(millis(50));
        let named = job.name("it").priority(1);
        assert!(pool.exec(named).await.unwrap_err().is_timed_out());
        assert_eq!(since(begun), 50);
        let job = pending::<()>().timeout(millis(10));
        let clone = job.clone();
        assert!(pool.exec(job).await.is_err() && pool.exec(clone).await.is_err());
        assert_eq!(since(begun), 70);
    });
}

#[test]
fn a_timeout_longer_than_any_runtime_lives_never_comes() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        pool.exec(sleep(year).timeout(Duration::MAX)).await.unwrap();
    });
}

#[test]
fn a_job_that_ends_as_its_time_is_up_has_ended_by_itself() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = async {
            sleep(millis(50)).await;
            7
        };
        assert_eq!(pool.exec(job.timeout(millis(50))).await.unwrap(), 7);
        // In one poll that takes far longer.
        let job = async {
            assert!(poll_once(pin!(advance(millis(1000)))).is_pending());
            7
        };
        assert_eq!(pool.exec(job.timeout(millis(50))).await.unwrap(), 7);
        let panics = async {
            sleep(millis(50)).await;
            raise("at the same time")
        };
        let result: Result<(), _> = pool.exec(panics.timeout(millis(50))).await;
        assert!(result.unwrap_err().is_panic());
    });
}

#[test]
fn a_cancellation_that_comes_first_is_one_though_the_time_is_up_too() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = pool.spawn_n(pending::<()>().timeout(millis(50)));
        sleep(millis(20)).await;
        assert!(job.cancel());
        assert!(job.await.unwrap_err().is_cancelled());
        let job = pool.spawn_n(pending::<()>().timeout(millis(50)));
        let_others_run().await;
        // The time goes by, and the job is cancelled before it is polled.
        assert!(poll_once(pin!(advance(millis(50)))).is_pending());
        assert!(job.cancel());
        assert!(job.await.unwrap_err().is_cancelled());
        assert_eq!((pool.stats().cancelled, pool.stats().timed_out), (2, 0));
        assert_whole(&pool).await;
    });
}

#[test]
fn a_cancellation_that_comes_later_leaves_the_timeout_as_it_is() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let mut job = pool.spawn_n(pending::<()>().timeout(millis(50)));
        sleep(millis(60)).await;
        assert!(!job.cancel());
        assert_eq!(pool.cancel([&mut job]).await.0, 0);
        assert!(job.await.unwrap_err().is_timed_out());
    });
}

#[test]
fn cancels_and_timeouts_at_the_same_instant_end_each_job_once() {
    in_frozen_time(async || {
        let pool = Pool::new(100);
        let jobs = pool.map_n(0..100, |_| pending::<()>().timeout(millis(50)));
        let cancels = |jobs: &[JobHandle<()>]| {
            let jobs: Vec<_> = jobs.iter().map(JobHandle::abort_handle).collect();
            async move {
                sleep(millis(50)).await;
                jobs.into_iter().filter(AbortHandle::cancel).count()
            }
        };
        let cancelled = tokio::spawn(cancels(&jobs[..50])).await.unwrap();
        let mut found = [0; 2];
        for job in jobs {
            let error = job.await.unwrap_err();
            found[0] += usize::from(error.is_cancelled());
            found[1] += usize::from(error.is_timed_out());
        }
        assert_eq!(found, [cancelled, 100 - cancelled]);
        let stats = pool.stats();
        assert_eq!(stats.cancelled + stats.timed_out, 100);
        assert_whole(&pool).await;
    });
}

#[test]
fn the_callback_of_a_job_that_has_timed_out_can_be_cancelled() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = pending::<()>().with_callback(|result| async move {
            assert!(result.unwrap_err().is_timed_out());
            pending::<()>().await;
        });
        let mut job = pool.spawn_n(job.timeout(millis(50)));
        sleep(millis(100)).await;
        let (stopped, results) = pool.cancel([&mut job]).await;
        assert_eq!(stopped, 1);
        assert!(results[0].as_ref().is_err_and(JobError::is_cancelled));
    });
}

#[test]
fn a_runtime_that_shuts_down_meanwhile_cancels_the_job() {
    in_time("shut down", || {
        let (pool, dropped, runtime) = (Pool::new(2), Count::new(), frozen());
        let jobs = runtime.block_on(async {
            let job = |_| dropped.pending().timeout(millis(50));
            let jobs = pool.map_n(0..4, job);
            sleep(millis(20)).await;
            jobs
        });
        drop(runtime);
        assert_eq!((dropped.get(), pool.len()), (4, 0));
        let other = frozen();
        for job in jobs {
            assert!(other.block_on(job).unwrap_err().is_cancelled());
        }
        other.block_on(assert_whole(&pool));
    });
}

#[test]
fn jobs_that_time_out_in_a_pool_that_shrinks_leave_it_at_its_size() {
    in_frozen_time(async || {
        let (pool, begun) = (Pool::new(3), Instant::now());
        let job = |time| pending::<()>().timeout(millis(time));
        let jobs = pool.map_n([50, 60, 70], job);
        let waiting = pool.map_n(0..2, move |_| async move {
            let at = since(begun);
            sleep(millis(100)).await;
            at
        });
        sleep(millis(20)).await;
        pool.resize(1);
        for job in jobs {
            assert!(job.await.unwrap_err().is_timed_out());
        }
        let mut starts = Vec::new();
        for job in waiting {
            starts.push(job.await.unwrap());
        }
        assert_eq!(starts, [70, 170]);
        pool.resize(3);
        assert_whole(&pool).await;
    });
}

struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        raise("in its drop");
    }
}

/// A timer of Tokio is not ready while the budget is used up.
#[test]
fn a_job_that_uses_its_budget_up_in_each_poll_times_out() {
    in_frozen_time(async || {
        let pool = Pool::new(1);
        let job = async {
            loop {
                consume_budget().await;
            }
        };
        let job = pool.spawn_n(job.timeout(millis(50)));
        let_others_run().await;
        advance(millis(50)).await;
        let result: Result<(), _> = job.await;
        assert!(result.unwrap_err().is_timed_out());
    });
}

#[test]
fn a_large_job_times_out_as_a_small_one_does() {
    async fn times_out<const BYTES: usize>() {
        let (pool, dropped) = (Pool::new(1), Count::new());
        let large = async |held| {
            let bytes = [0_u8; BYTES];
            pending::<()>().await;
            drop((held, bytes));
        };
        let job = large(dropped.drops()).timeout(millis(50));
        assert!(pool.exec(job).await.unwrap_err().is_timed_out());
        let captured = ([0_u8; BYTES], dropped.drops());
        let job = large(dropped.drops()).with_callback(|result| async move {
            sleep(millis(100)).await;
            drop(captured);
            result.unwrap_err().is_timed_out()
        });
        assert!(pool.exec(job.timeout(millis(50))).await.unwrap());
        assert_eq!(dropped.get(), 3);
    }
    in_frozen_time(async || {
        times_out::<1>().await;
        times_out::<{ 32 * 1024 }>().await;
    });
}

#[test]
fn an_observer_is_told_that_a_job_has_timed_out() {
    in_frozen_time(async || {
        let log = Log::new();
        let told = log.clone();
        let pool = Pool::builder(1).observer(move |event| {
            if let Event::Finished {
                job, outcome, run, ..
            } = event
            {
                told.add((job.name().map(str::to_owned), *outcome, *run));
            }
        });
        let pool = pool.build();
        let job = pending::<()>().timeout(millis(50)).name("it");
        pool.exec(job).await.unwrap_err();
        pool.map(0..1, |_| pending::<()>().timeout(millis(70)))
            .await;
        let finished = |name: Option<&str>, time| {
            let name = name.map(str::to_owned);
            (name, Outcome::TimedOut, Some(millis(time)))
        };
        let expected = [finished(Some("it"), 50), finished(None, 70)];
        assert_eq!(log.take(), expected);
        let stats = pool.stats();
        assert_eq!((stats.timed_out, stats.run_time), (2, Some(millis(120))));
    });
}

#[test]
fn on_a_runtime_without_timers_the_verbs_say_so_and_nothing_is_handed_in() {
    in_time("no timers", || {
        current_thread().block_on(async {
            let (pool, dropped) = (Pool::new(3), Count::new());
            let job = || dropped.pending().timeout(millis(50));
            assert_names_enable_time(|| drop(pool.spawn_n(job())));
            assert_names_enable_time(|| drop(pool.try_spawn(job())));
            assert_eq!(dropped.get(), 2);
            let mut exec = pin!(pool.exec(job()));
            assert_names_enable_time(|| drop(poll_once(exec.as_mut())));
            let mut spawn = pin!(pool.spawn(job()));
            assert_names_enable_time(|| drop(poll_once(spawn.as_mut())));
            assert_eq!(dropped.get(), 4);
            assert_eq!((pool.len(), pool.stats().started), (0, 0));
            let permit = pool.reserve().await.unwrap();
            assert_names_enable_time(|| drop(permit.spawn(job())));
            assert_eq!((dropped.get(), pool.len()), (5, 0));
            // The first two need none.
            let gate = Gate::new();
            let mixed = |n| {
                let job = gate.passed().name("it");
                if n < 2 { job } else { job.timeout(millis(50)) }
            };
            assert_names_enable_time(|| drop(pool.map_n(0..4, mixed)));
            assert_eq!((pool.len(), pool.stats().started), (0, 1));
            pool.spawn_n(async {}.name("it")).await.unwrap();
            assert_whole(&pool).await;
        });
    });
}

#[test]
fn on_a_runtime_without_timers_an_item_settles_with_the_panic() {
    in_time("no timers", || {
        current_thread().block_on(async {
            let (pool, dropped, called) = (Pool::new(2), Count::new(), Count::new());
            let check = |results: Vec<Result<(), JobError>>| {
                assert_eq!(results.len(), 4);
                for (n, result) in results.into_iter().enumerate() {
                    match result {
                        Err(JobError::Panicked(panic)) if n % 2 == 1 => {
                            assert!(panic.message().unwrap().contains("enable_time"));
                        }
                        result => result.unwrap(),
                    }
                }
            };
            let job = {
                let (dropped, called) = (dropped.clone(), called.clone());
                move |n| {
                    let (held, called) = (dropped.drops(), called.clone());
                    let job = async move { drop(held) }.name("it");
                    let job = if n % 2 == 0 {
                        job
                    } else {
                        job.timeout(millis(50))
                    };
                    job.with_callback(move |result| async move {
                        called.add();
                        result.unwrap();
                    })
                }
            };
            check(pool.map(0..4, job.clone()).await);
            check(pool.itermap_ordered(0..4, job).collect().await);
            assert_eq!((dropped.get(), called.get()), (8, 4));
            assert_eq!(pool.stats().failed, 4);
            let panics = |_| {
                let panics = Panics;
                async move { drop(panics) }.timeout(millis(50))
            };
            for result in pool.map(0..3, panics).await {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("enable_time"), "{error}");
            }
            assert_whole(&pool).await;
        });
    });
}
