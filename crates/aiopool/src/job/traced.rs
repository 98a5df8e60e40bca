//! Jobs in spans of `tracing`: only with the feature of that name.

use std::mem;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::{Span, info, info_span};

use crate::error::JobError;
use crate::job::body::{Body, Stop};
use crate::job::options::Options;
use crate::sys::unwind::discard;

pin_project! {
    /// A body that runs in a span of its own, a child of the one in which it was handed in.
    pub struct Traced<B> {
        #[pin]
        body: B,
        stage: Stage,
    }
}

enum Stage {
    HandedIn { parent: Span, at: Option<Instant> },
    Begun(Span),
}

impl<B: Body> Traced<B> {
    /// For a job that is handed in just now.
    pub(crate) fn new(body: B) -> Self {
        Self::within(body, Span::current())
    }

    /// For a job that is handed in within `parent`.
    pub(crate) fn within(body: B, parent: Span) -> Self {
        // Nobody reads the clock for spans that nobody sees.
        let is_seen = LevelFilter::current() != LevelFilter::OFF;
        let at = is_seen.then(Instant::now);
        Self {
            body,
            stage: Stage::HandedIn { parent, at },
        }
    }

    /// Calls `f` within the span, which begins with the first call.
    fn inside<R>(self: Pin<&mut Self>, f: impl FnOnce(Pin<&mut B>) -> R) -> R {
        let mut this = self.project();
        if let Stage::HandedIn { parent, at } = this.stage {
            let options = this.body.as_mut().options();
            let span = job_span(parent, *at, options.as_deref());
            *this.stage = Stage::Begun(span);
        }
        let span = match this.stage {
            Stage::Begun(span) => span.clone(),
            Stage::HandedIn { .. } => Span::none(),
        };
        span.in_scope(|| f(this.body))
    }

    /// The span ends with the job.
    fn end(self: Pin<&mut Self>) {
        let ended = Stage::Begun(Span::none());
        discard(mem::replace(self.project().stage, ended));
    }
}

fn job_span(parent: &Span, at: Option<Instant>, options: Option<&Options>) -> Span {
    let Some(at) = at else {
        return parent.clone();
    };
    let span = info_span!(
        target: "aiopool",
        parent: parent,
        "job",
        name = options.and_then(Options::name).map(AsRef::<str>::as_ref),
        key = options.and_then(Options::key).map(tracing::field::debug),
        timeout = options.and_then(Options::timeout).map(tracing::field::debug),
        wait = tracing::field::debug(at.elapsed()),
    );
    // What filters that out still sees the job where it was handed in.
    if span.is_disabled() {
        return parent.clone();
    }
    span
}

/// In the span of a job: its time is up.
pub(crate) fn tell_timeout(limit: Duration) {
    info!(target: "aiopool", timeout = tracing::field::debug(limit), "timed out");
}

impl<B: Body> Body for Traced<B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<B::Output, JobError>> {
        let polled = self.as_mut().inside(|body| body.poll(cx));
        if polled.is_ready() {
            self.end();
        }
        polled
    }

    fn stop(mut self: Pin<&mut Self>, why: Stop) -> Option<Result<B::Output, JobError>> {
        let stopped = self.as_mut().inside(|body| body.stop(why));
        if stopped.is_some() {
            self.end();
        }
        stopped
    }

    fn give_up(mut self: Pin<&mut Self>) -> JobError {
        let error = self.as_mut().inside(Body::give_up);
        self.end();
        error
    }

    fn options(self: Pin<&mut Self>) -> Option<&mut Options> {
        self.project().body.options()
    }

    fn weight(&self) -> NonZeroU32 {
        self.body.weight()
    }
}
