//! What a pool records, with the feature `metrics`.

#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::{Job, Pool, record_metrics};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use tokio::time::sleep;

/// Keeps all that is recorded, by name and labels.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

/// Counts what is recorded in a histogram, and adds it up, in milliseconds.
struct Counted(Arc<AtomicU64>, Arc<AtomicU64>);

impl HistogramFn for Counted {
    fn record(&self, value: f64) {
        let millis = Duration::from_secs_f64(value).as_millis();
        self.0.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(millis).expect("a test is short");
        self.1.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Kept {
    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        self.named(key.name(), key)
    }

    fn named(&self, name: &str, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{name} of {}", labels.join(" "));
        let mut kept = self.0.lock().expect("nobody panics with it");
        kept.entry(name).or_default().clone()
    }

    fn all(&self) -> BTreeMap<String, u64> {
        let kept = self.0.lock().expect("nobody panics with it");
        let values = kept.iter();
        values
            .map(|(name, value)| (name.clone(), value.load(Ordering::Relaxed)))
            .collect()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let sum = format!("{} in ms", key.name());
        Histogram::from_arc(Arc::new(Counted(self.of(key), self.named(&sum, key))))
    }
}

#[test]
fn what_happens_in_a_pool_is_recorded_under_its_name() {
    let kept = Kept::default();
    with_local_recorder(&kept, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("it needs nothing").block_on(async {
            let pool = Pool::builder(1).observer(record_metrics("pages")).build();
            let _panics = pool.spawn_n(async {
                sleep(Duration::from_millis(30)).await;
                panic!("on purpose")
            });
            let _returns = pool.spawn_n(async { sleep(Duration::from_millis(5)).await });
            let late = sleep(Duration::from_secs(1)).timeout(Duration::from_millis(7));
            let _takes_longer = pool.spawn_n(late);
            pool.join().await;
            pool.pause(None);
            let waits = pool.spawn_n(async {});
            waits.cancel();
            pool.resume();
            pool.resize(4);
            pool.join().await;
        });
    });
    let expected = [
        ("aiopool_job_run_seconds in ms of pages", 42),
        ("aiopool_job_run_seconds of pages", 3),
        ("aiopool_job_wait_seconds in ms of pages", 65),
        ("aiopool_job_wait_seconds of pages", 3),
        ("aiopool_jobs_finished_total of pages cancelled", 1),
        ("aiopool_jobs_finished_total of pages failed", 1),
        ("aiopool_jobs_finished_total of pages succeeded", 1),
        ("aiopool_jobs_finished_total of pages timed_out", 1),
        ("aiopool_jobs_queued_total of pages", 4),
        ("aiopool_jobs_started_total of pages", 3),
        ("aiopool_pauses_total of pages", 1),
        ("aiopool_resumes_total of pages", 1),
        ("aiopool_size of pages", 4.0_f64.to_bits()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(kept.all(), BTreeMap::from(expected));
}
