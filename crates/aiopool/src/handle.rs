//! The handles by which the callers of a pool hold its jobs.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aiopool_core::Ticket;
use futures_core::FusedFuture;

use crate::error::JobError;
use crate::job::cell::{Observer, Receiver};
use crate::job::id::JobId;
use crate::run::nested;
use crate::state::Shared;
use crate::sys::runtime::poll_in_budget;

/// The right to wait for the result of a job, and to cancel it.
///
/// Dropping a handle detaches the job: it runs on, and its result is dropped. To stop a job, call
/// [`cancel`](Self::cancel).
///
/// # Returns
///
/// The handle is a future. It gives the result of the job, or of its callback if the job has one,
/// or the [`JobError`] that took its place. It takes part in the [budget](tokio::task::coop) of the
/// task that awaits it.
///
/// # Panics
///
/// If the handle is polled after it has given the result.
///
/// # Cancel safety
///
/// The handle may be polled by reference (`&mut handle`) and given up at any moment: the result
/// stays in the handle.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pool = aiopool::Pool::new(2);
/// let handle = pool.spawn_n(async { 6 * 7 });
/// assert_eq!(handle.await.unwrap(), 42);
/// # }
/// ```
pub struct JobHandle<T> {
    job: Receiver<T>,
    shared: Arc<Shared>,
    ticket: Ticket,
}

/// The right to cancel a job without waiting for it, for code that does not hold its [`JobHandle`]:
/// see [`JobHandle::abort_handle`]. All clones belong to the same job.
///
/// Dropping an abort handle does not affect the job. An abort handle keeps only the allocation of
/// the job alive: the future and the result are dropped as without it.
#[derive(Clone)]
pub struct AbortHandle(Arc<Abort>);

struct Abort {
    job: Observer,
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl<T> JobHandle<T> {
    pub(crate) fn new(job: Receiver<T>, shared: Arc<Shared>, ticket: Ticket) -> Self {
        Self {
            job,
            shared,
            ticket,
        }
    }

    /// Asks the job to stop.
    ///
    /// A waiting job leaves the queue: this call drops its future unrun, and the pool does not call
    /// its callback. An active job is dropped where it is suspended, or when it next suspends. Its
    /// future has been dropped when the handle gives a result. If the job has a callback, the
    /// callback then runs with [`JobError::Cancelled`]; cancelling the job again cancels the
    /// callback. If the future ends by itself before it is stopped, the cancellation reaches its
    /// callback.
    ///
    /// # Returns
    ///
    /// Whether the call asked the job to stop: `false` if the job has ended. After `true` the job
    /// may still end by itself before it is stopped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handle = pool.spawn_n(std::future::pending::<()>());
    /// assert!(handle.cancel());
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # }
    /// ```
    // The result may be ignored: most callers only want the job to end.
    #[allow(clippy::must_use_candidate)]
    pub fn cancel(&self) -> bool {
        if self.is_finished() {
            return false;
        }
        self.shared.stop(self.ticket, || self.job.active_index());
        true
    }

    /// Whether the job has ended, so that its result can be read or has been read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.is_settled()
    }

    /// The name of the job. Those that a [closed](crate::Pool::close) pool has refused have one together.
    #[must_use]
    pub fn id(&self) -> JobId {
        JobId(self.ticket)
    }

    /// A second handle, which can only cancel the job. It may be cloned and given away while this
    /// handle is awaited: to a timer, or to a task that waits for a signal.
    ///
    /// # Panics
    ///
    /// If the job has some 30,000 abort handles already. Clones of one abort handle do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handle = pool.spawn_n(std::future::pending::<()>());
    /// let abort = handle.abort_handle();
    /// tokio::spawn(async move { abort.cancel() });
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # }
    /// ```
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(Arc::new(Abort {
            job: self.job.observer(),
            shared: self.shared.clone(),
            ticket: self.ticket,
        }))
    }

    /// The place that the job has, or had, in the queue.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The index of the entry of the job, once it has been started.
    pub(crate) fn active_index(&self) -> usize {
        self.job.active_index()
    }

    pub(crate) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Waits for the start of a job whose caller is blocked. The worker wakes the caller.
    pub(crate) fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shared.lock().is_waiting(self.ticket) {
            return Poll::Ready(());
        }
        // The waker is registered first, and then this looks once more: a start in between would
        // not have woken the caller.
        if self.poll_settled(cx).is_ready() || !self.shared.lock().is_waiting(self.ticket) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits for the end of the job, and tells whether a cancellation ended it.
    pub(crate) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.job.poll_settled(cx, || nested::wait(&self.shared))
    }

    /// The result of a settled job, for `Pool::cancel`. From now on the handle says that the job
    /// was cancelled.
    pub(crate) fn take_cancelled(&mut self) -> Option<Result<T, JobError>> {
        self.job.take_cancelled()
    }

    /// Takes the job out of the queue, if it still waits.
    pub(crate) fn withdraw(&self) {
        self.shared.withdraw(self.ticket);
    }
}

impl AbortHandle {
    /// Asks the job to stop, as [`JobHandle::cancel`] does.
    ///
    /// # Returns
    ///
    /// Whether the call asked the job to stop: `false` if the job has ended.
    #[doc(alias = "abort")]
    // As for `JobHandle::cancel`.
    #[allow(clippy::must_use_candidate)]
    pub fn cancel(&self) -> bool {
        if self.is_finished() {
            return false;
        }
        let Abort {
            job,
            shared,
            ticket,
        } = &*self.0;
        shared.stop(*ticket, || job.active_index());
        true
    }

    /// Whether the job has ended, so that the holder of its handle can read the result.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.job.is_settled()
    }

    /// The name of the job.
    #[must_use]
    pub fn id(&self) -> JobId {
        JobId(self.0.ticket)
    }
}

impl<T> Future for JobHandle<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_in_budget(cx, |cx| {
            ready!(self.poll_settled(cx));
            self.job.take().map_or(Poll::Pending, Poll::Ready)
        })
    }
}

impl<T> FusedFuture for JobHandle<T> {
    fn is_terminated(&self) -> bool {
        self.job.is_taken()
    }
}

// A panic cannot leave a job half settled: `catch_unwind` is where such panics end.
impl<T> UnwindSafe for JobHandle<T> {}
impl<T> RefUnwindSafe for JobHandle<T> {}
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle")
            .field("id", &self.id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::Ready;

    use super::*;
    use crate::job::body::Caught;
    use crate::job::cell::Cell;
    use crate::job::configured::Configured;
    use crate::state::active::Waiter;

    #[test]
    fn a_waiting_job_costs_at_most_a_hundred_bytes_beyond_its_future() {
        let allocation = size_of::<Cell<Caught<Ready<u64>>>>() + HEAD_OF_AN_ALLOCATION;
        let place = size_of::<Option<Waiter>>() + REST_OF_A_PLACE;
        let all = allocation + place + size_of::<JobHandle<u64>>();
        assert!(all - size_of::<Ready<u64>>() <= 100, "{all}");
    }

    #[test]
    fn a_waiting_job_with_a_key_costs_at_most_two_words_more() {
        let plain = size_of::<Cell<Caught<Ready<u64>>>>();
        let keyed = size_of::<Cell<Configured<Caught<Ready<u64>>>>>();
        // The key is a clone of that of the pool, and the place in the queue is as large.
        assert!(keyed - plain <= 2 * size_of::<usize>());
        assert_eq!(size_of::<Option<Waiter>>(), 3 * size_of::<usize>());
    }

    /// The header that glibc keeps with each allocation.
    const HEAD_OF_AN_ALLOCATION: usize = 8;
    /// A test of the core checks this.
    const REST_OF_A_PLACE: usize = 1;
}
