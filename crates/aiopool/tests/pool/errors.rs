//! What a user reads when something is wrong: panics that name the caller's line, and `JobError`.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::time::Duration;

use aiopool::{Job, JobError, Panic, Pool, Rate};
use futures_util::StreamExt;

use crate::common::{in_frozen_time, on_both, poll_once, raise};

/// What a panic tells: its message, and the place that the panic hook was given.
#[derive(Debug)]
struct Told {
    message: String,
    place: (String, u32),
}

thread_local! {
    static LISTENING: RefCell<Option<Vec<(String, u32)>>> = const { RefCell::new(None) };
}

/// What a panic of `f` tells. Nothing of it is printed.
fn panic_of<T>(f: impl FnOnce() -> T) -> Told {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let location = info.location().unwrap();
            let place = (location.file().into(), location.line());
            let heard = LISTENING.with_borrow_mut(|listening| {
                listening.as_mut().map(|heard| heard.push(place)).is_some()
            });
            if !heard {
                default(info);
            }
        }));
    });
    LISTENING.set(Some(Vec::new()));
    let result = catch_unwind(AssertUnwindSafe(f));
    let heard = LISTENING.take().unwrap();
    let payload = result.err().expect("a panic");
    let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
    Told {
        message: literal.or_else(|| payload.downcast_ref().cloned()).unwrap(),
        place: heard.into_iter().next().unwrap(),
    }
}

/// The panic is said to be at `line` of this file.
#[track_caller]
fn assert_here(told: &Told, line: u32) {
    assert_eq!(told.place, (file!().into(), line), "{told:?}");
}

#[test]
fn a_pool_of_no_slots_panics_where_it_is_made_and_says_what_to_do() {
    let line = line!() + 1;
    let told = panic_of(|| Pool::new(0));
    assert_here(&told, line);
    assert!(told.message.contains("at least 1 slot"), "{told:?}");
    let line = line!() + 1;
    let told = panic_of(|| Pool::builder(0));
    assert_here(&told, line);
}

#[test]
fn a_size_may_be_parsed_where_it_is_given() -> Result<(), Box<dyn Error>> {
    assert_eq!(Pool::new("7".parse()?).size(), 7);
    assert_eq!(Pool::builder("7".parse()?).build().size(), 7);
    Ok(())
}

#[test]
fn a_stream_that_may_not_go_ahead_panics_where_it_is_told_so() {
    let results = Pool::new(1).itermap(0..3, |_| async {});
    let line = line!() + 1;
    let told = panic_of(|| results.ahead(0));
    assert_here(&told, line);
    assert!(told.message.contains("at least 1"), "{told:?}");
}

#[test]
fn outside_a_runtime_what_hands_in_at_once_panics_where_it_is_called() {
    let pool = Pool::new(1);
    let line = line!() + 1;
    let told = panic_of(|| pool.spawn_n(async {}));
    assert_here(&told, line);
    assert!(told.message.contains("Tokio"), "{told:?}");
    let line = line!() + 1;
    let told = panic_of(|| pool.map_n(0..3, |_| async {}));
    assert_here(&told, line);
    assert!(told.message.contains("Tokio"), "{told:?}");
    assert!(pool.is_empty());
}

#[test]
fn without_timers_what_needs_them_panics_where_it_is_called() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let _entered = runtime.enter();
    let (pool, time) = (Pool::new(1), Duration::from_secs(1));
    let line = line!() + 1;
    let told = panic_of(|| pool.pause(Some(time)));
    assert_here(&told, line);
    assert!(told.message.contains("enable_time"), "{told:?}");
    let line = line!() + 1;
    assert_here(&panic_of(|| pool.pause_key("a", Some(time))), line);
    let line = line!() + 1;
    assert_here(&panic_of(|| pool.set_rate(Rate::new(1, time))), line);
    let pool = Pool::builder(1).rate(Rate::new(1, time)).build();
    let line = line!() + 1;
    assert_here(&panic_of(|| pool.spawn_n(async {})), line);
    let line = line!() + 1;
    let told = panic_of(|| pool.try_spawn(async {}).is_ok());
    assert_here(&told, line);
    let line = line!() + 1;
    let told = panic_of(|| pool.try_spawn(async {}.key("a")).is_ok());
    assert_here(&told, line);
    let line = line!() + 1;
    assert_here(&panic_of(|| pool.spawn_n(async {}.key("a"))), line);
    assert_eq!((pool.len(), pool.stats().started), (0, 0));
}

#[test]
fn a_timeout_of_zero_panics_where_it_is_given_and_says_what_to_do() {
    let line = line!() + 1;
    let told = panic_of(|| drop(async {}.timeout(Duration::ZERO)));
    assert_here(&told, line);
    assert!(
        told.message.contains("a longer timeout, or none"),
        "{told:?}"
    );
    let line = line!() + 1;
    let told = panic_of(|| drop(async {}.name("it").timeout(Duration::ZERO)));
    assert_here(&told, line);
}

#[test]
fn without_timers_what_hands_in_a_job_with_a_timeout_names_the_line_of_its_call() {
    let runtime = crate::common::current_thread();
    let _entered = runtime.enter();
    let pool = Pool::new(1);
    let job = || async {}.timeout(Duration::from_secs(1));
    let line = line!() + 1;
    let told = panic_of(|| pool.spawn_n(job()));
    assert_here(&told, line);
    assert!(told.message.contains("enable_time"), "{told:?}");
    let line = line!() + 1;
    assert_here(&panic_of(|| pool.map_n(0..3, |_| job())), line);
    let line = line!() + 1;
    let told = panic_of(|| pool.try_spawn(job()).is_ok());
    assert_here(&told, line);
    let permit = runtime.block_on(pool.reserve()).unwrap();
    let line = line!() + 1;
    assert_here(&panic_of(|| permit.spawn(job())), line);
    let says = |told: &Told, line: u32| {
        let place = format!("{}:{line}", file!());
        assert!(told.message.contains(&place), "{told:?}");
        assert!(told.message.contains("enable_time"), "{told:?}");
    };
    let (spawn, line) = (pool.spawn(job()), line!());
    says(&panic_of(|| poll_once(pin!(spawn))), line);
    let (exec, line) = (pool.exec(job()), line!());
    says(&panic_of(|| poll_once(pin!(exec))), line);
    assert_eq!((pool.len(), pool.stats().started), (0, 1));
}

#[test]
fn outside_a_runtime_what_hands_in_when_it_is_polled_names_the_line_of_its_call() {
    let pool = Pool::new(1);
    let says = |told: &Told, line: u32| {
        let place = format!("{}:{line}", file!());
        assert!(told.message.contains(&place), "{told:?}");
        assert!(told.message.contains("Tokio"), "{told:?}");
    };
    let (spawn, line) = (pool.spawn(async {}), line!());
    says(&panic_of(|| poll_once(pin!(spawn))), line);
    let (exec, line) = (pool.exec(async {}), line!());
    says(&panic_of(|| poll_once(pin!(exec))), line);
    let (map, line) = (pool.map(0..3, |_| async {}), line!());
    says(&panic_of(|| poll_once(pin!(map))), line);
    let (mut results, line) = (pool.itermap(0..3, |_| async {}), line!());
    says(&panic_of(|| poll_once(pin!(results.next()))), line);
    let (results, line) = (pool.itermap_ordered(0..3, |_| async {}), line!());
    let mut results = results.ahead(2);
    says(&panic_of(|| poll_once(pin!(results.next()))), line);
    assert!(pool.is_empty());
}

#[test]
fn what_was_polled_outside_a_runtime_may_be_polled_again_inside_one() {
    let (pool, runtime) = (Pool::new(1), crate::common::current_thread());
    let mut spawn = pin!(pool.spawn(async { 6 * 7 }));
    let told = panic_of(|| poll_once(spawn.as_mut()));
    assert!(told.message.contains("Tokio"), "{told:?}");
    assert_eq!(runtime.block_on(async { spawn.await.await }).unwrap(), 42);
    let mut exec = pin!(pool.exec(async { 6 * 7 }));
    let told = panic_of(|| poll_once(exec.as_mut()));
    assert!(told.message.contains("Tokio"), "{told:?}");
    assert_eq!(runtime.block_on(exec).unwrap(), 42);
}

#[test]
fn outside_a_runtime_waiting_and_stopping_work() {
    let pool = Pool::new(1);
    assert!(poll_once(pin!(pool.join())).is_ready());
    assert!(poll_once(pin!(pool.cancel_all())).is_ready());
    let none: [&mut aiopool::JobHandle<()>; 0] = [];
    assert!(poll_once(pin!(pool.cancel(none))).is_ready());
}

fn panicked(result: Result<(), JobError>) -> Panic {
    match result {
        Err(JobError::Panicked(panic)) => panic,
        other => panic!("no panic but {other:?}"),
    }
}

async fn cancelled() -> JobError {
    let pool = Pool::new(1);
    let handle = pool.spawn_n(std::future::pending::<()>());
    pool.cancel_all().await;
    handle.await.unwrap_err()
}

async fn timed_out() -> JobError {
    let job = std::future::pending::<()>().timeout(Duration::from_secs(1));
    Pool::new(1).exec(job).await.unwrap_err()
}

#[test]
fn an_error_tells_what_has_happened() {
    on_both(async || {
        let pool = Pool::new(1);
        let error = pool.exec(async { raise("no such page") }).await;
        let error: JobError = error.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.to_string(), "the job panicked: no such page");
        assert_eq!(
            format!("{error:?}"),
            r#"Panicked(Panic(Some("no such page")))"#
        );
        assert!(error.is_panic() && !error.is_cancelled());

        let error = cancelled().await;
        assert_eq!(error.to_string(), "the job was cancelled");
        assert_eq!(format!("{error:?}"), "Cancelled");
        assert!(error.is_cancelled() && !error.is_panic() && !error.is_timed_out());
    });
    in_frozen_time(async || {
        let error = timed_out().await;
        assert_eq!(error.to_string(), "the job took longer than its timeout");
        assert_eq!(format!("{error:?}"), "TimedOut");
        assert!(error.is_timed_out() && !error.is_cancelled() && !error.is_panic());
    });
}

#[test]
fn a_panic_has_the_message_of_panic_with_and_without_arguments() {
    on_both(async || {
        let pool = Pool::new(1);
        let literal = panicked(pool.exec(async { raise("a literal") }).await);
        assert_eq!(literal.message(), Some("a literal"));
        assert_eq!(literal.to_string(), "the job panicked: a literal");
        let owned = async { panic::resume_unwind(Box::new(format!("page {}", 7))) };
        assert_eq!(panicked(pool.exec(owned).await).message(), Some("page 7"));
        let other = async { panic::resume_unwind(Box::new(7_u8)) };
        let error = pool.exec(other).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.to_string(), "the job panicked");
        assert_eq!(panicked(Err(error)).message(), None);
    });
}

#[test]
fn a_panic_of_a_job_is_reported_where_it_was_raised() {
    let runtime = crate::common::current_thread();
    let line = line!() + 1;
    let job = async { panic!("page {}", 7) };
    let pool = Pool::new(1);
    let told = panic_of(|| panicked(runtime.block_on(pool.exec(job))).resume());
    assert_here(&told, line);
    assert_eq!(told.message, "page 7");
}

#[test]
fn the_payload_is_what_the_job_panicked_with() {
    on_both(async || {
        let pool = Pool::new(1);
        let job = || async { panic::resume_unwind(Box::new(7_u8)) };
        let payload = panicked(pool.exec(job()).await).into_payload();
        assert_eq!(payload.downcast_ref(), Some(&7_u8));
        let panic = panicked(pool.exec(job()).await);
        let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
        assert_eq!(resumed.downcast_ref(), Some(&7_u8));
    });
}

#[test]
fn an_error_goes_through_the_question_mark_and_can_be_found_again() {
    async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(cancelled().await)?
    }
    async fn any() -> anyhow::Result<()> {
        Err(cancelled().await)?
    }
    on_both(async || {
        let error = boxed().await.unwrap_err();
        assert!(error.source().is_none());
        assert!(error.downcast::<JobError>().unwrap().is_cancelled());
        let error = any().await.unwrap_err();
        assert!(error.downcast::<JobError>().unwrap().is_cancelled());
    });
}

#[test]
fn an_error_becomes_one_of_io_which_keeps_it() {
    async fn io(job: impl Job<Output = ()>) -> io::Result<()> {
        Ok(Pool::new(1).exec(job).await?)
    }
    on_both(async || {
        let error = io(async { raise("no such page") }).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert_eq!(error.to_string(), "the job panicked: no such page");
        assert!(error.downcast::<JobError>().unwrap().is_panic());
        let error = io::Error::from(cancelled().await);
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(error.downcast::<JobError>().unwrap().is_cancelled());
    });
    in_frozen_time(async || {
        let error = io::Error::from(timed_out().await);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.downcast::<JobError>().unwrap().is_timed_out());
    });
}
