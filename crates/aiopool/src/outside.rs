//! Waiting without a slot.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::pool::Pool;
use crate::run::nested;
use crate::run::outside::{Awaited, place};
use crate::state::Shared;
use crate::sys::runtime::poll_in_budget;
use crate::sys::sync::Mutex;
use crate::sys::unwind::{Payload, discard, guarded, wake};

/// Waiting without a slot.
impl Pool {
    /// Waits for `future` without the slots of the job: in a job of this pool, the job gives its slots and
    /// its key back, others start in its place, and the future is polled meanwhile. When it is ready, the
    /// job stands at the back of the queue of its priority and key. It pays the rates again, as a start
    /// does, and goes on when it has its slots. So a job that waits between two tries holds nobody up.
    ///
    /// A [timeout](crate::Job::timeout) of the job does not run meanwhile. If the job is cancelled, it is
    /// dropped at once.
    ///
    /// What else wakes the job meanwhile, such as the end of a `tokio::time::timeout` around this, makes
    /// it come back as well. In code that is no job of this pool, and in a future that already waits
    /// outside, the future runs as it is.
    ///
    /// # Returns
    ///
    /// What the future gives.
    ///
    /// # Panics
    ///
    /// With the panic of the future.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, so is `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use tokio::time::sleep;
    ///
    /// let pool = aiopool::Pool::new(1);
    /// let outside = pool.clone();
    /// let retried = pool.spawn_n(async move {
    ///     outside.outside(sleep(Duration::from_secs(1))).await;
    ///     "second try"
    /// });
    /// // It has the slot while the other sleeps.
    /// assert_eq!(pool.exec(async { "other" }).await.unwrap(), "other");
    /// assert_eq!(retried.await.unwrap(), "second try");
    /// # }
    /// ```
    pub fn outside<F>(&self, future: F) -> impl Future<Output = F::Output> + Send + use<F>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Outside {
            shared: self.shared.clone(),
            future: Some(Box::pin(future)),
            handed_over: None,
        }
    }
}

/// The future of [`Pool::outside`].
struct Outside<F: Future> {
    shared: Arc<Shared>,
    /// What is waited for, unless a worker has it.
    future: Option<Pin<Box<F>>>,
    handed_over: Option<Arc<HandedOver<F>>>,
}

/// A future that a worker polls while its job is outside.
struct HandedOver<F: Future>(Mutex<Stage<F>>);

enum Stage<F: Future> {
    /// With the waker of who waits for it in the job: what drives many futures polls only those again
    /// that were woken.
    Waiting(Pin<Box<F>>, Waker),
    /// The worker has it just now, to poll it under no lock.
    Polled,
    Ready(Result<F::Output, Payload>),
    /// Nobody wants it any more.
    Gone,
}

impl<F> Future for Outside<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        // A loop of calls would go on for ever while what it waits for is ready, and a slot free.
        poll_in_budget(cx, |cx| this.poll_here(cx))
    }
}

impl<F> Outside<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(handed_over) = &self.handed_over {
            match handed_over.take() {
                Stage::Waiting(future, waker) => {
                    discard(waker);
                    self.future = Some(future);
                }
                Stage::Ready(Ok(output)) => return Poll::Ready(output),
                Stage::Ready(Err(payload)) => resume_unwind(payload),
                Stage::Polled => {
                    // The job has given this away, to a task that comes too early.
                    handed_over.give_back(Stage::Polled);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stage::Gone => unreachable!("a future must not be polled after its end"),
            }
            self.handed_over = None;
        }
        let Some(mut future) = self.future.take() else {
            unreachable!("a future must not be polled after its end");
        };
        if nested::is_in_active_job(&self.shared) {
            let waiting = Stage::Waiting(future, cx.waker().clone());
            let handed_over = Arc::new(HandedOver(Mutex::new(waiting)));
            place(handed_over.clone());
            self.handed_over = Some(handed_over);
            return Poll::Pending;
        }
        let polled = future.as_mut().poll(cx);
        self.future = Some(future);
        polled
    }
}

impl<F: Future> HandedOver<F> {
    fn take(&self) -> Stage<F> {
        std::mem::replace(&mut *self.0.lock(), Stage::Gone)
    }

    /// Gives what is to be discarded, because nobody wants it any more.
    fn give_back(&self, stage: Stage<F>) -> Option<Stage<F>> {
        let mut here = self.0.lock();
        if let Stage::Gone = *here {
            return Some(stage);
        }
        *here = stage;
        None
    }
}

impl<F> Awaited for HandedOver<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn poll(&self, cx: &mut Context<'_>, job: Option<&Waker>) -> Poll<()> {
        let mut here = self.0.lock();
        let (mut future, waker) = match std::mem::replace(&mut *here, Stage::Polled) {
            Stage::Waiting(future, waker) => (future, waker),
            other => {
                *here = other;
                return Poll::Ready(());
            }
        };
        drop(here);
        let result = match guarded(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => {
                discard(self.give_back(Stage::Waiting(future, waker)));
                return Poll::Pending;
            }
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        discard(future);
        discard(self.give_back(Stage::Ready(result)));
        if job.is_some_and(|job| waker.will_wake(job)) {
            discard(waker);
        } else {
            wake(Some(waker));
        }
        Poll::Ready(())
    }

    fn is_kept(&self) -> bool {
        matches!(*self.0.lock(), Stage::Waiting(..))
    }
}

impl<F: Future> Drop for Outside<F> {
    fn drop(&mut self) {
        if let Some(handed_over) = &self.handed_over {
            discard(handed_over.take());
        }
    }
}
