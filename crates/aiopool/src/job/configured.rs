//! A job with its options.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::body::{Body, Parts, Stop};
use crate::job::callback::WithCallback;
use crate::job::options::Options;
use crate::job::timeout::Timeout;
#[cfg(feature = "tracing")]
use crate::job::traced::tell_timeout;
use crate::sys::unwind::{Payload, discard, guarded};

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
        let this = self.as_mut().project();
        let polled = match this.options.timeout_mut() {
            None => this.body.poll(cx),
            Some(timeout) => poll_in_time(this.body, timeout, cx),
        };
        if polled.is_ready() {
            self.end();
        }
        polled
    }

    fn stop(mut self: Pin<&mut Self>, why: Stop) -> Option<Result<B::Output, JobError>> {
        let stopped = self.as_mut().project().body.stop(why);
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

/// Continues a body, and stops it if its time is up then. A callback has all the time.
fn poll_in_time<B: Body>(
    mut body: Pin<&mut B>,
    timeout: &mut Timeout,
    cx: &mut Context<'_>,
) -> Poll<Result<B::Output, JobError>> {
    // An item of a map comes here although its runtime may have no timers.
    if let Err(payload) = guarded(|| timeout.begin()) {
        return Poll::Ready(Err(fail(body, payload)));
    }
    let polled = body.as_mut().poll(cx);
    if polled.is_ready() {
        return polled;
    }
    if body.is_callback() {
        timeout.end();
        return Poll::Pending;
    }
    match guarded(|| timeout.poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => {
            #[cfg(feature = "tracing")]
            tell_timeout(timeout.limit());
            match body.as_mut().stop(Stop::TimedOut) {
                Some(result) => Poll::Ready(result),
                None => body.poll(cx),
            }
        }
        // The runtime shuts down.
        Err(payload) => Poll::Ready(Err(fail(body, payload))),
    }
}

fn fail<B: Body>(body: Pin<&mut B>, payload: Payload) -> JobError {
    discard(body.give_up());
    JobError::panicked(payload)
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

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use crate::error::JobError;
    use crate::job::Job;
    use crate::job::body::Sealed;
    use crate::job::cell::Runnable;

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_a_job_stands_still_from_when_it_is_paused_until_it_is_resumed() {
        let millis = Duration::from_millis;
        let job = pending::<()>().timeout(millis(50)).into_body(Sealed);
        let (mut job, mut result) = Runnable::new(job, false);
        let pause = |job: &mut Runnable| {
            job.with_options(|options| options.pause_timeout(Instant::now()));
        };
        let resume = |job: &mut Runnable| {
            job.with_options(|options| options.resume_timeout(Instant::now()));
        };
        let is_over = |job: &mut Runnable| {
            let mut cx = Context::from_waker(Waker::noop());
            job.poll(&mut cx, false).is_ready()
        };
        // It does not run yet.
        pause(&mut job);
        resume(&mut job);
        advance(millis(1000)).await;
        assert!(!is_over(&mut job));
        for _ in 0..2 {
            advance(millis(20)).await;
            pause(&mut job);
            advance(millis(1000)).await;
            pause(&mut job);
            assert!(!is_over(&mut job));
            resume(&mut job);
            resume(&mut job);
            assert!(!is_over(&mut job));
        }
        advance(millis(9)).await;
        assert!(!is_over(&mut job));
        advance(millis(1)).await;
        assert!(is_over(&mut job));
        drop(job.settle());
        assert!(matches!(result.take(), Some(Err(JobError::TimedOut))));
    }
}
