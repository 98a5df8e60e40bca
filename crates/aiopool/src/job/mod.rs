//! What can be handed to a pool: a future, or a future with a callback.

pub(crate) mod body;
pub(crate) mod cell;

use crate::error::JobError;
use crate::job::body::{Body, Caught, CaughtWithCallback, Sealed};

/// What a pool runs: a future, or a future [with a callback](Self::with_callback).
///
/// Every `Future + Send + 'static` whose output is `Send + 'static` is a job. The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job for a pool",
    label = "not a job",
    note = "a job is a `Future + Send + 'static` whose output is `Send + 'static`",
    note = "an `async fn` or a closure is not a future yet: call it"
)]
pub trait Job: Send + 'static {
    /// What the handle of the job gives.
    type Output: Send + 'static;

    #[doc(hidden)]
    type Body: Body<Output = Self::Output>;

    #[doc(hidden)]
    fn into_body(self, sealed: Sealed) -> Self::Body;

    /// The job with a callback, which runs after it in the same slot.
    ///
    /// The callback gets the result of the future, or the error if the future panicked or was
    /// cancelled while it was active. A job that is cancelled while it waits in the line never
    /// starts, and its callback is not called; nor is it when the runtime shuts down.
    ///
    /// The job settles with what the callback gives. A callback that panics settles it with
    /// [`JobError::Panicked`]; one that is cancelled itself, with [`JobError::Cancelled`]. What a
    /// closure captures takes the place of the `ctx` that the asyncio face has.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use aiopool::{Job, Pool};
    ///
    /// let pool = Pool::new(2);
    /// let job = async { 6 * 7 }.with_callback(|result| async move { format!("{result:?}") });
    /// assert_eq!(pool.exec(job).await.unwrap(), "Ok(42)");
    /// # }
    /// ```
    fn with_callback<C, G>(self, callback: C) -> WithCallback<Self, C>
    where
        Self: Future + Sized,
        C: FnOnce(Result<<Self as Future>::Output, JobError>) -> G + Send + 'static,
        G: Future + Send + 'static,
        G::Output: Send + 'static,
    {
        WithCallback {
            future: self,
            callback,
        }
    }
}

/// A future and the callback that runs after it; see [`Job::with_callback`].
#[derive(Debug, Clone)]
#[must_use = "a job does nothing unless it is handed to a pool"]
pub struct WithCallback<F, C> {
    future: F,
    callback: C,
}

impl<F> Job for F
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;
    type Body = Caught<F>;

    fn into_body(self, _: Sealed) -> Self::Body {
        Caught::new(self)
    }
}

// Whoever hands in something else did not mean this.
#[diagnostic::do_not_recommend]
impl<F, C, G> Job for WithCallback<F, C>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    C: FnOnce(Result<F::Output, JobError>) -> G + Send + 'static,
    G: Future + Send + 'static,
    G::Output: Send + 'static,
{
    type Output = G::Output;
    type Body = CaughtWithCallback<F, C, G>;

    fn into_body(self, _: Sealed) -> Self::Body {
        CaughtWithCallback::new(self.future, self.callback)
    }
}
