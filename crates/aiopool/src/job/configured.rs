//! A job with its options.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::body::{Body, Parts};
use crate::job::callback::WithCallback;
use crate::job::options::Options;
use crate::sys::unwind::discard;

pin_project! {
    /// A job with options: see [`Job::key`](crate::Job::key) and what stands beside it.
    #[derive(Debug, Clone)]
    #[must_use = "a job does nothing unless it is handed to a pool"]
    pub struct WithOptions<J> {
        #[pin]
        pub(crate) job: J,
        pub(crate) options: Options,
    }
}

pin_project! {
    /// A body with the options of its job.
    pub struct Configured<B> {
        #[pin]
        body: B,
        options: Options,
    }
}

/// A large job that stays in the box that holds its options too.
pub struct Within<J>(Pin<Box<WithOptions<J>>>);

impl<F> WithOptions<F> {
    /// The job with a callback, which runs after it in the same slot: see
    /// [`Job::with_callback`](crate::Job::with_callback).
    pub fn with_callback<C, G>(self, callback: C) -> WithOptions<WithCallback<F, C>>
    where
        F: Future + Send + 'static,
        C: FnOnce(Result<F::Output, JobError>) -> G + Send + 'static,
        G: Future + Send + 'static,
        G::Output: Send + 'static,
    {
        let Self { job, options } = self;
        WithOptions {
            job: WithCallback {
                future: job,
                callback: Some(callback),
            },
            options,
        }
    }
}

impl<B> Configured<B> {
    pub(crate) fn new(body: B, options: Options) -> Self {
        Self { body, options }
    }

    /// What is foreign in the options goes with the job, and a panic of it harms nobody.
    fn end(self: Pin<&mut Self>) {
        discard(std::mem::take(self.project().options));
    }
}

impl<B: Body> Body for Configured<B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<B::Output, JobError>> {
        let polled = self.as_mut().project().body.poll(cx);
        if polled.is_ready() {
            self.end();
        }
        polled
    }

    fn stop(mut self: Pin<&mut Self>) -> Option<Result<B::Output, JobError>> {
        let stopped = self.as_mut().project().body.stop();
        if stopped.is_some() {
            self.end();
        }
        stopped
    }

    fn give_up(mut self: Pin<&mut Self>) -> JobError {
        let error = self.as_mut().project().body.give_up();
        self.end();
        error
    }

    fn options(self: Pin<&mut Self>) -> Option<&mut Options> {
        Some(self.project().options)
    }

    fn weight(&self) -> NonZeroU32 {
        self.options.weight()
    }
}

impl<J> Within<J> {
    /// The job, with its options taken out.
    pub(crate) fn new(mut job: Pin<Box<WithOptions<J>>>) -> (Self, Options) {
        let options = std::mem::take(job.as_mut().project().options);
        (Self(job), options)
    }

    fn job(self: Pin<&mut Self>) -> Pin<&mut J> {
        self.get_mut().0.as_mut().project().job
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.job().poll(cx)
    }
}

impl<W: Parts> Parts for Within<W> {
    type Future = W::Future;
    type Callback = Box<W::Callback>;

    fn future(self: Pin<&mut Self>) -> Pin<&mut W::Future> {
        self.job().future()
    }

    fn take_callback(self: Pin<&mut Self>) -> Option<Box<W::Callback>> {
        self.job().take_callback().map(Box::new)
    }
}
