//! Running a job: polling, stopping and dropping it, with each panic caught.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::options::Options;
use crate::stats::Outcome;
use crate::sys::unwind::{discard, guarded};

/// Only this crate can name this type, so only this crate can implement [`Job`](crate::Job).
#[derive(Debug)]
pub struct Sealed;

/// A job that is run. Once one of its methods has returned the end, all foreign values in it have
/// been dropped, and the pool calls none of its methods again.
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub trait Body: Send + 'static {
    type Output: Send + 'static;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Output, JobError>>;

    /// Drops the running future. `None` if the callback runs next, and has to be polled.
    fn stop(self: Pin<&mut Self>, why: Stop) -> Option<Result<Self::Output, JobError>>;

    /// Drops the future and the callback. Neither runs any more.
    fn give_up(self: Pin<&mut Self>) -> JobError;

    /// Whether its callback runs. Options are around that which knows.
    fn is_callback(&self) -> bool {
        false
    }

    /// The options of the job, if it may have some.
    fn options(self: Pin<&mut Self>) -> Option<&mut Options> {
        None
    }

    /// How many slots it takes.
    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }
}

/// Why a job is stopped.
#[derive(Debug, Clone, Copy)]
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub enum Stop {
    Cancelled,
    TimedOut,
}

pin_project! {
    /// A future whose panics, in poll and in drop, become errors.
    pub struct Caught<F> {
        #[pin]
        future: Option<F>,
    }
}

pin_project! {
    /// `W` holds a future with its callback; later `G` holds the future of the callback.
    #[project = CaughtWithCallbackProjection]
    pub enum CaughtWithCallback<W, G> {
        Job {
            #[pin]
            job: W,
        },
        /// The future has been dropped, and its callback is being called.
        Between,
        Callback {
            #[pin]
            callback: Caught<G>,
        },
    }
}

/// A future and its callback, here or in a box.
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub trait Parts {
    type Future;
    type Callback;

    fn future(self: Pin<&mut Self>) -> Pin<&mut Self::Future>;
    fn take_callback(self: Pin<&mut Self>) -> Option<Self::Callback>;
}

impl<W: Parts> Parts for Pin<Box<W>> {
    type Future = W::Future;
    type Callback = Box<W::Callback>;

    fn future(self: Pin<&mut Self>) -> Pin<&mut W::Future> {
        self.get_mut().as_mut().future()
    }

    fn take_callback(self: Pin<&mut Self>) -> Option<Box<W::Callback>> {
        // The captures of the callback may be large too, and are moved several times before its
        // call.
        self.get_mut().as_mut().take_callback().map(Box::new)
    }
}

/// Holds the future of a callback, here or in a box.
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub trait Holds<F> {
    fn hold(future: F) -> Self;
}

impl<F> Holds<F> for F {
    fn hold(future: F) -> Self {
        future
    }
}

impl<F> Holds<F> for Pin<Box<F>> {
    fn hold(future: F) -> Self {
        Box::pin(future)
    }
}

impl Stop {
    fn error(self) -> JobError {
        match self {
            Self::Cancelled => JobError::Cancelled,
            Self::TimedOut => JobError::TimedOut,
        }
    }
}

impl<F> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Some(future),
        }
    }

    fn end<T>(self: Pin<&mut Self>, result: Result<T, JobError>) -> Result<T, JobError> {
        end(result, || self.project().future.set(None))
    }
}

impl<F: Future> Caught<F> {
    fn run(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, JobError>> {
        let Some(future) = self.as_mut().project().future.as_pin_mut() else {
            unreachable!("a job is polled after its end");
        };
        let result = ready!(run(future, cx));
        Poll::Ready(self.end(result))
    }
}

impl<F> Body for Caught<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, JobError>> {
        self.run(cx)
    }

    fn stop(self: Pin<&mut Self>, why: Stop) -> Option<Result<F::Output, JobError>> {
        Some(self.end(Err(why.error())))
    }

    fn give_up(self: Pin<&mut Self>) -> JobError {
        self.end::<()>(Err(JobError::Cancelled))
            .err()
            .unwrap_or(JobError::Cancelled)
    }
}

impl<W: Parts, G> CaughtWithCallback<W, G> {
    pub(crate) fn new(job: W) -> Self {
        Self::Job { job }
    }

    /// Drops the future and calls the callback with its result. The error is the panic of the call.
    fn call_back<T, R>(
        mut self: Pin<&mut Self>,
        result: Result<T, JobError>,
    ) -> Result<(), JobError>
    where
        W::Callback: FnOnce(Result<T, JobError>) -> R,
        G: Holds<R>,
    {
        let Some(callback) = self.as_mut().take_callback() else {
            unreachable!("a callback is called twice");
        };
        let result = end(result, || self.set(Self::Between));
        let callback = guarded(|| G::hold(callback(result))).map_err(JobError::panicked)?;
        self.set(Self::Callback {
            callback: Caught::new(callback),
        });
        Ok(())
    }

    fn take_callback(self: Pin<&mut Self>) -> Option<W::Callback> {
        match self.project() {
            CaughtWithCallbackProjection::Job { job } => job.take_callback(),
            _ => None,
        }
    }
}

impl<W, G, R> Body for CaughtWithCallback<W, G>
where
    W: Parts + Send + 'static,
    W::Future: Future,
    W::Callback: FnOnce(Result<<W::Future as Future>::Output, JobError>) -> R,
    G: Holds<R> + Future + Send + 'static,
    G::Output: Send + 'static,
{
    type Output = G::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<G::Output, JobError>> {
        loop {
            match self.as_mut().project() {
                CaughtWithCallbackProjection::Job { job } => {
                    let result = ready!(run(job.future(), cx));
                    self.as_mut().call_back(result)?;
                }
                CaughtWithCallbackProjection::Between => {
                    unreachable!("a job is polled after its end")
                }
                CaughtWithCallbackProjection::Callback { callback } => return callback.run(cx),
            }
        }
    }

    fn stop(mut self: Pin<&mut Self>, why: Stop) -> Option<Result<G::Output, JobError>> {
        match self.as_mut().project() {
            CaughtWithCallbackProjection::Callback { callback } => callback.stop(why),
            // The callback runs after a cancellation too, and may be cancelled itself by another.
            _ => self.call_back(Err(why.error())).err().map(Err),
        }
    }

    fn is_callback(&self) -> bool {
        matches!(self, Self::Callback { .. })
    }

    fn give_up(mut self: Pin<&mut Self>) -> JobError {
        if let CaughtWithCallbackProjection::Callback { callback } = self.as_mut().project() {
            return callback.give_up();
        }
        // Not together with its job: if two values panic in one drop, the process aborts.
        let callback = self.as_mut().take_callback();
        let result = end::<()>(Err(JobError::Cancelled), || self.set(Self::Between));
        discard(callback);
        result.err().unwrap_or(JobError::Cancelled)
    }
}

/// Polls a future, and turns its panic into a result.
fn run<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Result<F::Output, JobError>> {
    match guarded(|| future.poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(JobError::panicked(payload))),
    }
}

/// Drops a future and gives `result`, or the panic of the drop if `result` is no panic.
fn end<T>(result: Result<T, JobError>, drop: impl FnOnce()) -> Result<T, JobError> {
    // The future is dropped in its place, because it is pinned. It is dropped now, so that no
    // foreign value is left when the job has ended.
    match guarded(drop) {
        Ok(()) => result,
        // The first panic is the cause.
        Err(payload) if matches!(result, Err(JobError::Panicked(_))) => {
            discard(payload);
            result
        }
        Err(payload) => {
            discard(result);
            Err(JobError::panicked(payload))
        }
    }
}

/// The progress of a job. It stands beside the body: inside, it would cost a word of padding.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whether the job or its callback has been polled.
    begun: bool,
    /// Whether a cancellation has reached it.
    pub(crate) stopped: bool,
}

/// The result of a job, and how it came to it.
pub(crate) struct Finished<T> {
    result: Result<T, JobError>,
    /// Whether a cancellation has reached it.
    stopped: bool,
    /// Whether the job or its callback was polled.
    begun: bool,
}

/// The end of a job whose result has been stored.
pub(crate) struct Ended {
    /// The worker wakes this last, when it has given the slot back.
    pub(crate) waker: Option<Waker>,
    pub(crate) stopped: bool,
    /// Whether a job or its callback was polled.
    pub(crate) begun: bool,
    /// How the job has ended, if it was one.
    pub(crate) outcome: Option<Outcome>,
}

impl Ended {
    /// The end of work other than a job: `waker` waits for the items of a source.
    pub(crate) fn without_a_job(waker: Option<Waker>) -> Self {
        Self {
            waker,
            stopped: false,
            begun: false,
            outcome: None,
        }
    }
}

impl Progress {
    /// Continues a body. If `stop`, stops it first.
    pub(crate) fn poll<B: Body>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
        stop: bool,
    ) -> Poll<Finished<B::Output>> {
        // Even if the callback then runs: the job was stopped.
        self.stopped |= stop;
        let stopped_with = if stop {
            body.as_mut().stop(Stop::Cancelled)
        } else {
            None
        };
        let result = if let Some(result) = stopped_with {
            result
        } else {
            self.begun = true;
            ready!(body.poll(cx))
        };
        Poll::Ready(self.end(result))
    }

    /// Drops a body in its present state. `why` is its result, unless that drop panics.
    pub(crate) fn give_up<B: Body>(
        &mut self,
        body: Pin<&mut B>,
        why: JobError,
    ) -> Finished<B::Output> {
        // Nobody has cancelled what a closed pool refuses.
        self.stopped |= why.is_cancelled();
        let error = body.give_up();
        self.end(Err(if error.is_cancelled() { why } else { error }))
    }

    fn end<T>(&self, result: Result<T, JobError>) -> Finished<T> {
        Finished {
            result,
            stopped: self.stopped,
            begun: self.begun,
        }
    }
}

impl<T> Finished<T> {
    /// Stores the result in `place`.
    pub(crate) fn keep(self, place: &mut Option<Result<T, JobError>>) -> Ended {
        self.settle(|result| {
            *place = Some(result);
            None
        })
    }

    /// Calls `store` with the result; `store` gives the waker of the task that waits for it.
    pub(crate) fn settle(self, store: impl FnOnce(Result<T, JobError>) -> Option<Waker>) -> Ended {
        let outcome = match &self.result {
            Ok(_) => Outcome::Succeeded,
            Err(JobError::Panicked(_)) => Outcome::Failed,
            Err(JobError::Cancelled | JobError::Closed) => Outcome::Cancelled,
            Err(JobError::TimedOut) => Outcome::TimedOut,
        };
        Ended {
            waker: store(self.result),
            stopped: self.stopped,
            begun: self.begun,
            outcome: Some(outcome),
        }
    }
}
