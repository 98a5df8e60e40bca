//! Jobs in spans, with the feature `tracing`.

#![cfg(feature = "tracing")]

use std::fmt::{Debug, Write};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiopool::{Job, JobHandle, Pool};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Subscriber, info, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

#[test]
fn a_job_runs_in_a_span_with_its_name_its_key_and_its_wait_within_that_of_its_hand_in() {
    let lines = seen(LevelFilter::INFO, async {
        let pool = Pool::new(1);
        let first = info_span!("one").in_scope(|| pool.spawn_n(sleep(Duration::from_millis(20))));
        let job = async { info!("runs") }.name("it").key("a");
        let second = info_span!("two").in_scope(|| pool.spawn_n(job));
        first.await.expect("it sleeps");
        second.await.expect("it logs");
        let call = info_span!("three");
        let map = call.in_scope(|| pool.map(0..2, |n| async move { info!("item {n}") }.key(n)));
        map.await;
        pool.join().await;
    });
    assert_eq!(
        lines,
        [
            "begun one/job wait=0ns",
            "ended one/job",
            "begun two/job name=\"it\" key=\"a\" wait=20ms",
            "two/job: runs",
            "ended two/job",
            "begun three/job key=0 wait=0ns",
            "three/job: item 0",
            "ended three/job",
            "begun three/job key=1 wait=0ns",
            "three/job: item 1",
            "ended three/job",
        ]
    );
}

#[test]
fn a_job_whose_span_is_filtered_out_runs_in_that_of_its_hand_in() {
    let lines = seen(LevelFilter::WARN, async {
        let pool = Pool::new(1);
        let job = async { tracing::warn!("runs") };
        let span = tracing::warn_span!("one");
        let job = span.in_scope(|| pool.spawn_n(job));
        job.await.expect("it logs");
    });
    assert_eq!(lines, ["one: runs"]);
}

#[test]
fn the_span_of_a_job_ends_with_it_though_its_handle_is_kept() {
    let lines = seen(LevelFilter::INFO, async {
        let pool = Pool::new(1);
        let ended = pool.spawn_n(async {}.name("ended"));
        pool.join().await;
        let active = pool.spawn_n(pending::<()>().name("active"));
        while pool.stats().started < 2 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        let waiting = pool.spawn_n(pending::<()>().name("waiting"));
        waiting.cancel();
        active.cancel();
        pool.join().await;
        info_span!("here").in_scope(|| info!("they are kept"));
        assert!([ended, active, waiting].iter().all(JobHandle::is_finished));
    });
    assert_eq!(
        lines,
        [
            "begun job name=\"ended\" wait=0ns",
            "ended job",
            "begun job name=\"active\" wait=0ns",
            "begun job name=\"waiting\" wait=0ns",
            "ended job",
            "ended job",
            "here: they are kept",
        ]
    );
}

#[test]
fn a_job_is_dropped_in_its_span_when_it_is_cancelled() {
    let lines = seen(LevelFilter::INFO, async {
        let pool = Pool::new(1);
        let job = |tells| async move {
            let _tells: Tells = tells;
            pending::<()>().await;
        };
        let active = pool.spawn_n(job(Tells));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let waiting = pool.spawn_n(job(Tells));
        assert!(waiting.cancel() && active.cancel());
        pool.join().await;
    });
    let dropped = lines.iter().filter(|line| **line == "job: dropped");
    assert_eq!(dropped.count(), 2, "{lines:?}");
}

#[test]
fn a_timeout_is_told_in_the_span_of_the_job_before_its_future_is_dropped() {
    let lines = seen(LevelFilter::INFO, async {
        let pool = Pool::new(1);
        let job = async {
            let _tells = Tells;
            pending::<()>().await;
        };
        let told = job.with_callback(|_| async { info!("called") });
        let told = told.timeout(Duration::from_millis(20));
        pool.exec(told).await.expect("its callback is called");
    });
    assert_eq!(
        lines,
        [
            "begun job timeout=20ms wait=0ns",
            "job: timed out timeout=20ms",
            "job: dropped",
            "job: called",
            "ended job",
        ]
    );
}

struct Tells;

impl Drop for Tells {
    fn drop(&mut self) {
        info!("dropped");
    }
}

/// What a subscriber sees of spans that are named `job`, and of events.
fn seen(level: LevelFilter, body: impl Future<Output = ()>) -> Vec<String> {
    // What a place in the code is interested in is kept for all threads: two subscribers at once would
    // be in the way of each other.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let subscriber = Registry::default().with(Lines(lines.clone()).with_filter(level));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    with_default(subscriber, || runtime.block_on(body));
    drop(runtime);
    let lines = lines.lock().expect("nobody panics who has it");
    lines.clone()
}

static ALONE: Mutex<()> = Mutex::new(());

struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn add(&self, line: String) {
        self.0.lock().expect("nobody panics who has it").push(line);
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        }
        .expect("a text grows");
    }
}

fn path<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>) -> String {
    let scope = context.span_scope(id).expect("it is open");
    let names: Vec<_> = scope.from_root().map(|span| span.name()).collect();
    names.join("/")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "job" {
            assert_eq!(*attributes.metadata().level(), Level::INFO);
            let mut text = Text(format!("begun {}", path(id, &context)));
            attributes.record(&mut text);
            self.add(text.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let current = context.lookup_current().expect("it is in a span");
        let mut text = Text(format!("{}:", path(&current.id(), &context)));
        event.record(&mut text);
        self.add(text.0);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is being closed");
        if span.name() == "job" {
            let path = path(&id, &context);
            self.add(format!("ended {path}"));
        }
    }
}
