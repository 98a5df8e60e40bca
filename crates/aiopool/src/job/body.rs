//! How a job is run: polled, stopped and dropped, with each panic caught.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::sys::unwind::{discard, guarded};

/// What only this crate can name, so that only it can implement [`Job`](crate::Job).
#[derive(Debug)]
pub struct Sealed;

/// Which futures of a job have begun.
#[derive(Debug, Default)]
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub struct Begun {
    job: bool,
    callback: bool,
}

/// A job that is run. Once one of its methods has told the end, everything foreign in it has been
/// dropped, and none of them is called again.
#[allow(
    unreachable_pub,
    reason = "a part of `Job`, which rustc 1.85 does not see"
)]
pub trait Body: Send + 'static {
    type Output: Send + 'static;

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begun: &mut Begun,
    ) -> Poll<Result<Self::Output, JobError>>;

    /// Drops the future that runs. `None` if a callback runs now instead, and has to be polled.
    fn stop(self: Pin<&mut Self>) -> Option<Result<Self::Output, JobError>>;

    /// Drops everything. Nothing more is run.
    fn give_up(self: Pin<&mut Self>) -> JobError;
}

pin_project! {
    /// A future whose panics, in poll and in drop, become errors.
    pub struct Caught<F> {
        #[pin]
        future: Option<F>,
    }
}

pin_project! {
    /// A future, then its callback.
    #[project = CaughtWithCallbackProjection]
    pub enum CaughtWithCallback<F, C, G> {
        Job {
            #[pin]
            job: Caught<F>,
            callback: Option<C>,
        },
        Callback {
            #[pin]
            callback: Caught<G>,
        },
    }
}

impl Begun {
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.job) + u64::from(self.callback)
    }
}

impl<F> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Some(future),
        }
    }

    /// Drops the future and gives `result`, or the panic of the drop if `result` is not one.
    fn end<T>(self: Pin<&mut Self>, result: Result<T, JobError>) -> Result<T, JobError> {
        match guarded(|| self.project().future.set(None)) {
            Ok(()) => result,
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
}

impl<F: Future> Caught<F> {
    fn run(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, JobError>> {
        let Some(future) = self.as_mut().project().future.as_pin_mut() else {
            unreachable!("a job is polled after its end");
        };
        let result = match guarded(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JobError::panicked(payload)),
        };
        Poll::Ready(self.end(result))
    }

    fn cancel(self: Pin<&mut Self>) -> Result<F::Output, JobError> {
        self.end(Err(JobError::Cancelled))
    }
}

impl<F> Body for Caught<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begun: &mut Begun,
    ) -> Poll<Result<F::Output, JobError>> {
        begun.job = true;
        self.run(cx)
    }

    fn stop(self: Pin<&mut Self>) -> Option<Result<F::Output, JobError>> {
        Some(self.cancel())
    }

    fn give_up(self: Pin<&mut Self>) -> JobError {
        self.end::<()>(Err(JobError::Cancelled))
            .err()
            .unwrap_or(JobError::Cancelled)
    }
}

impl<F, C, G> CaughtWithCallback<F, C, G>
where
    F: Future,
    C: FnOnce(Result<F::Output, JobError>) -> G,
    G: Future,
{
    pub(crate) fn new(future: F, callback: C) -> Self {
        Self::Job {
            job: Caught::new(future),
            callback: Some(callback),
        }
    }

    /// Calls the callback with the result of the job. The error is what the call panicked with.
    fn call_back(
        mut self: Pin<&mut Self>,
        result: Result<F::Output, JobError>,
    ) -> Result<(), JobError> {
        let CaughtWithCallbackProjection::Job { callback, .. } = self.as_mut().project() else {
            unreachable!("a callback has no callback");
        };
        let Some(callback) = callback.take() else {
            unreachable!("a callback is called twice");
        };
        let callback = guarded(|| callback(result)).map_err(JobError::panicked)?;
        self.set(Self::Callback {
            callback: Caught::new(callback),
        });
        Ok(())
    }
}

impl<F, C, G> Body for CaughtWithCallback<F, C, G>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: FnOnce(Result<F::Output, JobError>) -> G + Send + 'static,
    G: Future + Send + 'static,
    G::Output: Send + 'static,
{
    type Output = G::Output;

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begun: &mut Begun,
    ) -> Poll<Result<G::Output, JobError>> {
        loop {
            match self.as_mut().project() {
                CaughtWithCallbackProjection::Job { job, .. } => {
                    begun.job = true;
                    let result = ready!(job.run(cx));
                    self.as_mut().call_back(result)?;
                }
                CaughtWithCallbackProjection::Callback { callback } => {
                    begun.callback = true;
                    return callback.run(cx);
                }
            }
        }
    }

    fn stop(mut self: Pin<&mut Self>) -> Option<Result<G::Output, JobError>> {
        match self.as_mut().project() {
            CaughtWithCallbackProjection::Job { job, .. } => {
                let result = job.cancel();
                self.call_back(result).err().map(Err)
            }
            CaughtWithCallbackProjection::Callback { callback } => callback.stop(),
        }
    }

    fn give_up(self: Pin<&mut Self>) -> JobError {
        match self.project() {
            CaughtWithCallbackProjection::Job { job, callback } => {
                let error = job.give_up();
                discard(callback.take());
                error
            }
            CaughtWithCallbackProjection::Callback { callback } => callback.give_up(),
        }
    }
}

/// How far a job has come. It stands beside the body, in which it would cost a word of padding.
#[derive(Debug, Default)]
pub(crate) struct Course {
    begun: Begun,
    /// Whether a cancellation has reached it.
    pub(crate) stopped: bool,
}

/// What has become of a job.
pub(crate) struct Outcome<T> {
    result: Result<T, JobError>,
    /// Whether a cancellation has reached it.
    stopped: bool,
    /// How many futures were run: the job and its callback.
    begun: u64,
}

/// How a job has ended. Its result has been stored.
pub(crate) struct Ended {
    /// To be woken last, when the slot has been given back.
    pub(crate) waker: Option<Waker>,
    pub(crate) stopped: bool,
    /// How many futures were run: the job and its callback.
    pub(crate) begun: u64,
}

impl Ended {
    /// The end of work that was no job: `waker` waits for the items of a source.
    pub(crate) fn without_a_job(waker: Option<Waker>) -> Self {
        Self {
            waker,
            stopped: false,
            begun: 0,
        }
    }
}

impl Course {
    /// Runs a body on, after it was stopped if `stop`.
    pub(crate) fn poll<B: Body>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
        stop: bool,
    ) -> Poll<Outcome<B::Output>> {
        self.stopped |= stop;
        let stopped_with = if stop { body.as_mut().stop() } else { None };
        let result = match stopped_with {
            Some(result) => result,
            None => ready!(body.poll(cx, &mut self.begun)),
        };
        Poll::Ready(self.end(result))
    }

    /// Drops a body where it stands.
    pub(crate) fn give_up<B: Body>(&mut self, body: Pin<&mut B>) -> Outcome<B::Output> {
        self.stopped = true;
        self.end(Err(body.give_up()))
    }

    fn end<T>(&self, result: Result<T, JobError>) -> Outcome<T> {
        Outcome {
            result,
            stopped: self.stopped,
            begun: self.begun.count(),
        }
    }
}

impl<T> Outcome<T> {
    /// Has the result kept where it is to be.
    pub(crate) fn keep(self, place: &mut Option<Result<T, JobError>>) -> Ended {
        self.settle(|result| {
            *place = Some(result);
            None
        })
    }

    /// Has the result stored by `store`, which gives the waker of who waits for it.
    pub(crate) fn settle(self, store: impl FnOnce(Result<T, JobError>) -> Option<Waker>) -> Ended {
        Ended {
            waker: store(self.result),
            stopped: self.stopped,
            begun: self.begun,
        }
    }
}
