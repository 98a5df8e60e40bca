//! A body on its way to its end, where its result is settled.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::body::Body;
use crate::error::JobError;

pin_project! {
    /// A body, and whether a cancellation has reached it.
    pub(crate) struct Run<B> {
        #[pin]
        body: B,
        stopped: bool,
    }
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

impl<B: Body> Run<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            body,
            stopped: false,
        }
    }

    /// Runs the body on, after it was stopped if `stop`.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        stop: bool,
    ) -> Poll<Outcome<B::Output>> {
        let mut this = self.project();
        *this.stopped |= stop;
        let stopped_with = if stop {
            this.body.as_mut().stop()
        } else {
            None
        };
        let result = match stopped_with {
            Some(result) => result,
            None => ready!(this.body.as_mut().poll(cx)),
        };
        Poll::Ready(Outcome {
            result,
            stopped: *this.stopped,
            begun: this.body.begun(),
        })
    }

    /// Drops the body where it stands.
    pub(crate) fn give_up(self: Pin<&mut Self>) -> Outcome<B::Output> {
        let mut body = self.project().body;
        Outcome {
            result: Err(body.as_mut().give_up()),
            stopped: true,
            begun: body.begun(),
        }
    }
}

impl<T> Outcome<T> {
    /// Has the result stored, with whether a cancellation brought it, by `store`, which gives the
    /// waker of who waits for it.
    pub(crate) fn settle(
        self,
        store: impl FnOnce(Result<T, JobError>, bool) -> Option<Waker>,
    ) -> Ended {
        Ended {
            waker: store(self.result, self.stopped),
            stopped: self.stopped,
            begun: self.begun,
        }
    }
}
