//! The way of a body to its end, where its result is settled.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use crate::body::{Begun, Body};
use crate::error::JobError;

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
