//! Slots without a job, and jobs that start at once or not at all.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aiopool_core::Request;

use crate::error::{JobError, Refused};
use crate::hand_in::needs_time;
use crate::handle::JobHandle;
use crate::job::cell::Runnable;
use crate::job::options::Options;
use crate::job::{Job, with_body};
use crate::pool::Pool;
use crate::run::nested;
use crate::state::permits::{Found, Grant, Refusal};
use crate::state::{Shared, Timers};
use crate::sys::clock::check_time;
use crate::sys::runtime::{current, current_for, poll_in_budget};
use crate::sys::unwind::discard;

/// A slot of a pool without a job: see [`Pool::reserve`]. When it is dropped, the slot goes back.
#[must_use = "the slot goes back when the permit is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
    /// `None` when the slot has gone to a job.
    grant: Option<Grant>,
}

/// Waits for a slot.
struct Reserve {
    shared: Arc<Shared>,
    /// The index of the caller, while it waits.
    index: Option<usize>,
    caller: &'static Location<'static>,
}

/// Slots without a job, and jobs without a wait.
impl Pool {
    /// Waits for a slot, and takes it without a job: run under it what you like, be it borrowed or not
    /// `Send`, or [spawn](Permit::spawn) a job in it.
    ///
    /// It stands in the queue as a job without options does, and counts as a start and as an active job,
    /// so `join` and `drained` wait for its permit. It is no job, however: `cancel_all` leaves it alone,
    /// and observers do not hear of it.
    ///
    /// # Returns
    ///
    /// The permit, which gives the slot back when it is dropped; or [`JobError::Closed`] if the pool is
    /// [closed](Self::close), or is so before the caller has its slot.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime, or in a job of the pool.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped while it waits, no slot is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let text = String::from("borrowed");
    /// let permit = pool.reserve().await.unwrap();
    /// assert_eq!((pool.active(), text.as_str().len()), (1, 8));
    /// drop(permit);
    /// assert_eq!(pool.active(), 0);
    /// # }
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Permit, JobError>> + Send + use<> {
        Reserve {
            shared: self.shared.clone(),
            index: None,
            caller: Location::caller(),
        }
    }

    /// Starts the job if it may start at once: if slots, rates, its key and pauses allow it, and
    /// nobody has to go before it.
    ///
    /// # Returns
    ///
    /// The handle of the job, or [`Refused`] with the job, which tells whether the pool is
    /// [closed](Self::close).
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime; on one without timers, if the job has a [timeout](Job::timeout); and if comparing the key of the job panics, or a function that finds
    /// the limits of keys.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(1);
    /// let first = pool.try_spawn(async { 1 }).unwrap();
    /// let refused = pool.try_spawn(async { 2 }).unwrap_err();
    /// assert_eq!(first.await.unwrap() + refused.into_job().await, 3);
    /// # }
    /// ```
    #[track_caller]
    pub fn try_spawn<J: Job>(&self, job: J) -> Result<JobHandle<J::Output>, Refused<J>> {
        // Outside a runtime this panics, and nothing has changed.
        let runtime = current();
        let options = job.options();
        let level = options.and_then(Options::level);
        let level = level.unwrap_or_else(|| nested::request_in(&self.shared, false).level);
        let weight = options.map_or(NonZeroU32::MIN, Options::weight);
        if options.and_then(Options::timeout).is_some() {
            check_time(&runtime);
        }
        let (state, key) = match options.and_then(|options| options.key().cloned()) {
            None => (self.shared.lock_for(&runtime), None),
            Some(mut key) => match self.shared.lock_with_key(&mut key, Timers::On(&runtime)) {
                Ok((state, id)) => (state, Some(id)),
                Err(payload) => {
                    discard(job);
                    resume_unwind(payload)
                }
            },
        };
        let request = Request {
            level,
            key,
            front: false,
        };
        match self.shared.take_slot_now(state, &runtime, request, weight) {
            Ok(grant) => {
                let permit = Permit::new(self.shared.clone(), grant);
                Ok(permit.start(job, false))
            }
            Err(refusal) => Err(Refused::new(job, refusal == Refusal::Closed)),
        }
    }
}

impl Permit {
    fn new(shared: Arc<Shared>, grant: Grant) -> Self {
        Self {
            shared,
            grant: Some(grant),
        }
    }

    /// Starts the job in this slot, which it gives back when it has ended.
    ///
    /// It does so also if the pool is [closed](Pool::close), until the jobs of that are cancelled: from
    /// then on the slot goes back, and the handle gives [`JobError::Closed`].
    ///
    /// The slot has been taken, so the weight, the priority and the key of the job make no difference.
    /// For an observer the job runs since the slot was taken.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime; and on one without timers, if the job has a [timeout](Job::timeout). The
    /// slot goes back.
    #[track_caller]
    pub fn spawn<J: Job>(self, job: J) -> JobHandle<J::Output> {
        self.start(job, true)
    }

    /// As [`spawn`](Self::spawn). If the slot was held before, that was a start, whatever becomes of the
    /// job.
    #[track_caller]
    fn start<J: Job>(mut self, job: J, was_held: bool) -> JobHandle<J::Output> {
        let runtime = current();
        let mut job = with_body!(J, job, |body| Runnable::new(body, false));
        if needs_time(&mut job) {
            check_time(&runtime);
        }
        let (job, receiver) = job;
        // Without timers that are needed this panics, and the slot goes back.
        drop(self.shared.lock_for(&runtime));
        let Some(grant) = self.grant.take() else {
            unreachable!("a permit has its slot until it is used");
        };
        let ticket = self.shared.start_in(grant, was_held, job, runtime);
        JobHandle::new(receiver, self.shared.clone(), ticket)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            let mut state = self.shared.lock();
            state.give_back_grant(grant);
            let unused = state.forget_unused();
            self.shared.advance(state);
            unused.into_iter().for_each(discard);
        }
    }
}

impl Reserve {
    fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, JobError>> {
        loop {
            let index = if let Some(index) = self.index {
                index
            } else {
                nested::refuse(&self.shared, "reserve", self.caller);
                let runtime = current_for(self.caller);
                let state = self.shared.lock_for(&runtime);
                match self.shared.ask_for_slot(state, runtime) {
                    Some(index) => *self.index.insert(index),
                    None => return Poll::Ready(Err(JobError::Closed)),
                }
            };
            let waker = cx.waker().clone();
            let found = self.shared.lock().look_for_slot(index, waker);
            match found {
                Found::Granted(grant) => {
                    self.index = None;
                    return Poll::Ready(Ok(Permit::new(self.shared.clone(), grant)));
                }
                Found::Waiting(before) => {
                    discard(before);
                    return Poll::Pending;
                }
                Found::Lost(before) => {
                    discard(before);
                    self.index = None;
                }
            }
        }
    }
}

impl Future for Reserve {
    type Output = Result<Permit, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.index.is_none() {
            // A loop of calls would go on for ever while slots are free.
            ready!(poll_in_budget(cx, |_| Poll::Ready(())));
        }
        self.poll_granted(cx)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            let mut state = self.shared.lock();
            let left = state.leave_permits(index);
            let unused = state.forget_unused();
            // The slot may be free again, or the next one may be lighter.
            self.shared.advance(state);
            discard(left);
            unused.into_iter().for_each(discard);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
