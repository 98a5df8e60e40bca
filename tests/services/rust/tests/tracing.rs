//! Spans of `tracing` across jobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aiopool::Pool;
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The parents of all spans, by name, and how many spans are entered.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    parents: HashMap<(&'static str, Option<&'static str>), usize>,
    entered: isize,
    closed: usize,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("it is there");
        let parent = span.parent().map(|parent| parent.name());
        let mut recorded = self.0.lock().expect("nobody panics with it");
        *recorded.parents.entry((span.name(), parent)).or_default() += 1;
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.0.lock().expect("nobody panics with it").entered += 1;
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.0.lock().expect("nobody panics with it").entered -= 1;
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.0.lock().expect("nobody panics with it").closed += 1;
    }
}

#[tokio::test]
async fn the_span_of_a_job_is_that_which_its_user_gave_it() {
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let pool = Pool::new(3);
    let caller = info_span!("caller");
    let work = |n: usize| async move {
        let inner = info_span!("inner");
        tokio::task::yield_now().instrument(inner).await;
        n
    };
    let handles = pool.map_n(0..100, |n| {
        work(n).instrument(info_span!(parent: &caller, "job", n))
    });
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.await.expect("nobody cancels it"), n);
    }
    // A worker takes the next job in no span of the last one.
    let bare = pool.map(0..100, work);
    assert_eq!(bare.await.len(), 100);
    drop(caller);
    let seen = recorder.0.lock().expect("nobody panics with it");
    let count = |name, parent| seen.parents.get(&(name, parent)).copied();
    assert_eq!(count("job", Some("caller")), Some(100));
    assert_eq!(count("inner", Some("job")), Some(100));
    assert_eq!(count("inner", None), Some(100));
    assert_eq!(seen.parents.len(), 4, "and the span of the caller");
    assert_eq!(seen.entered, 0);
    assert_eq!(seen.closed, 301);
}
