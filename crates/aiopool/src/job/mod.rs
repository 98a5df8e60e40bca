//! The types that can be handed to a pool: a future, or a future with a callback.

pub(crate) mod body;
pub(crate) mod cell;
pub(crate) mod join_state;

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::body::{Body, Caught, CaughtWithCallback, Parts, Sealed};

/// The work that a pool runs: a future, or a future [with a callback](Self::with_callback).
///
/// Every `Future + Send + 'static` whose output is `Send + 'static` is a job. The trait is sealed.
///
/// A verb boxes a large future, of more than 16 KiB or 2 KiB in a debug build, in the call, as
/// Tokio does. So every verb takes any future that `tokio::spawn` takes without overflowing the
/// stack.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job for a pool",
    label = "not a job",
    note = "a job is a `Future + Send + 'static` whose output is `Send + 'static`",
    note = "an `async fn` or a closure is not a future yet: call it"
)]
pub trait Job: Send + 'static {
    /// The result type of the job, which its handle gives.
    type Output: Send + 'static;

    #[doc(hidden)]
    type Body: Body<Output = Self::Output>;

    /// The body of a large job, which stays in its box.
    #[doc(hidden)]
    type BoxedBody: Body<Output = Self::Output>;

    #[doc(hidden)]
    fn into_body(self, sealed: Sealed) -> Self::Body;

    #[doc(hidden)]
    fn into_boxed_body(self: Pin<Box<Self>>, sealed: Sealed) -> Self::BoxedBody;

    /// The job with a callback, which runs after it in the same slot.
    ///
    /// The callback gets the result of the future. If the future panicked, or was cancelled while
    /// it was active, the callback gets the error. A job that is cancelled while it waits in the
    /// queue never starts, and the pool does not call its callback. When the runtime shuts down,
    /// the pool does not call it either.
    ///
    /// The job settles with the result of the callback. If the callback panics, the job settles
    /// with [`JobError::Panicked`]. If the callback is cancelled itself, the job settles with
    /// [`JobError::Cancelled`]. The captures of a closure take the place of the `ctx` of the
    /// asyncio face.
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
            callback: Some(callback),
        }
    }
}

pin_project! {
    /// A future and the callback that runs after it; see [`Job::with_callback`].
    #[derive(Debug, Clone)]
    #[must_use = "a job does nothing unless it is handed to a pool"]
    pub struct WithCallback<F, C> {
        #[pin]
        future: F,
        callback: Option<C>,
    }
}

/// Makes the body of the job `$job`, whose type is `$type`, and gives it to `$take`. A large job
/// goes into a box first, so that a debug build moves only the box from here on.
///
/// This is a macro, because a function would put the job on the stack once more.
macro_rules! with_body {
    ($type:ty, $job:expr, |$body:ident| $take:expr) => {
        if const { $crate::job::is_large::<$type>() } {
            let $body =
                $crate::job::Job::into_boxed_body(Box::pin($job), $crate::job::body::Sealed);
            $take
        } else {
            let $body = $crate::job::Job::into_body($job, $crate::job::body::Sealed);
            $take
        }
    };
}

pub(crate) use with_body;

/// Whether a job would take too much of the stack on its way to its allocation.
pub(crate) const fn is_large<J: Job>() -> bool {
    size_of::<J::Body>() > LARGE
}

impl<F> Job for F
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;
    type Body = Caught<F>;
    type BoxedBody = Caught<Pin<Box<F>>>;

    fn into_body(self, _: Sealed) -> Self::Body {
        Caught::new(self)
    }

    fn into_boxed_body(self: Pin<Box<Self>>, _: Sealed) -> Self::BoxedBody {
        Caught::new(self)
    }
}

// A caller who hands in another type did not mean a `WithCallback`.
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
    type Body = CaughtWithCallback<Self, G>;
    type BoxedBody = CaughtWithCallback<Pin<Box<Self>>, Pin<Box<G>>>;

    fn into_body(self, _: Sealed) -> Self::Body {
        CaughtWithCallback::new(self)
    }

    fn into_boxed_body(self: Pin<Box<Self>>, _: Sealed) -> Self::BoxedBody {
        CaughtWithCallback::new(self)
    }
}

impl<F, C> Parts for WithCallback<F, C> {
    type Future = F;
    type Callback = C;

    fn future(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().future
    }

    fn take_callback(self: Pin<&mut Self>) -> Option<C> {
        self.project().callback.take()
    }
}

/// In bytes. Tokio boxes larger futures, and puts smaller ones beside the header of a task.
const LARGE: usize = if cfg!(debug_assertions) { 2048 } else { 16384 };
