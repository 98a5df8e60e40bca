//! The types that can be handed to a pool: a future, or a future with a callback.

pub(crate) mod body;
pub(crate) mod callback;
pub(crate) mod cell;
pub(crate) mod configured;
pub(crate) mod id;
pub(crate) mod join_state;
pub(crate) mod options;
pub(crate) mod timeout;
#[cfg(feature = "tracing")]
pub(crate) mod traced;
pub(crate) mod waiting;

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aiopool_core::Level;

use crate::error::JobError;
use crate::job::body::{Body, Caught, CaughtWithCallback, Sealed};
use crate::job::callback::WithCallback;
use crate::job::configured::{Configured, WithOptions, Within};
use crate::job::options::Options;
use crate::key::Key;

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

    /// The body of a large job that stays in the box with its options.
    #[doc(hidden)]
    type BodyWithin: Body<Output = Self::Output>;

    #[doc(hidden)]
    fn into_body_within(within: Within<Self>, sealed: Sealed) -> Self::BodyWithin
    where
        Self: Sized;

    /// The job with options: a [`WithOptions`], which has one set of them, however many are given.
    type WithOptions: Job<Output = Self::Output>;

    #[doc(hidden)]
    fn with_options(self, options: Options, sealed: Sealed) -> Self::WithOptions;

    /// Whether it may have options.
    #[doc(hidden)]
    const HAS_OPTIONS: bool = false;

    #[doc(hidden)]
    fn options(&self) -> Option<&Options> {
        None
    }

    /// The job with a key, by which it shares limits with others: see
    /// [`Builder::per_key`](crate::Builder::per_key), [`Builder::per_key_rate`](crate::Builder::per_key_rate) and
    /// [`Pool::pause_key`](crate::Pool::pause_key). A job that waits for its key lets others pass. Keys
    /// take turns: within a level, jobs of one key do not wait for all those of another that came
    /// before.
    ///
    /// Keys are compared when the job is handed in. If that panics, the job settles with the panic. A
    /// key that is neither a text nor a whole number is made by [`Key::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use aiopool::{Job, Pool};
    ///
    /// let pool = Pool::builder(20).per_key(3).build();
    /// let pages = [("example.com", "/a"), ("example.com", "/b"), ("example.org", "/a")];
    /// let fetch = |(host, path)| async move { format!("{host}{path}") }.key(host);
    /// assert_eq!(pool.map(pages, fetch).await.len(), 3);
    /// # }
    /// ```
    fn key(self, key: impl Into<Key>) -> Self::WithOptions
    where
        Self: Sized,
    {
        self.with_options(Options::of_key(key.into()), Sealed)
    }

    /// The job with a priority, from -100 to 100. Jobs of higher ones go first; the default is 0.
    ///
    /// While lower ones wait, every 17th start goes to the one of them that has been passed longest.
    ///
    /// What the job or its callback hands into the same pool while it is polled has this priority
    /// too, unless it has one of its own. A task that it spawns is not the job.
    ///
    /// # Panics
    ///
    /// If the priority is below -100 or above 100.
    #[track_caller]
    fn priority(self, priority: i8) -> Self::WithOptions
    where
        Self: Sized,
    {
        let Some(level) = Level::new(priority) else {
            panic!("there is no priority {priority}: choose one from -100 to 100");
        };
        self.with_options(Options::of_level(level), Sealed)
    }

    /// The job with a weight: it takes so many slots, all at once. The default is 1. If the pool has
    /// fewer, the job takes them all, and runs alone.
    ///
    /// A job that waits for slots is passed by no job of its priority or below.
    ///
    /// # Panics
    ///
    /// If the weight is 0.
    #[track_caller]
    fn weight(self, weight: u32) -> Self::WithOptions
    where
        Self: Sized,
    {
        let Some(weight) = NonZeroU32::new(weight) else {
            panic!("a job of weight 0 would take no slot: give it a weight of at least 1");
        };
        self.with_options(Options::of_weight(weight), Sealed)
    }

    /// The job with a name, for those who watch the pool.
    fn name(self, name: impl Into<Arc<str>>) -> Self::WithOptions
    where
        Self: Sized,
    {
        self.with_options(Options::of_name(name.into()), Sealed)
    }

    /// The job with a timeout: how long it may be active, from its first poll on. The time in the queue
    /// does not count.
    ///
    /// When the time is up, the pool drops the future, and the job settles with
    /// [`JobError::TimedOut`]. Its slots come back when the future has been dropped. A job that ends in
    /// the poll in which its time is up has ended by itself. A job that was cancelled before settles with
    /// [`JobError::Cancelled`]. A [callback](Self::with_callback) gets the error, and has all the time.
    ///
    /// As every future, a job is dropped between two polls only. Tokio's timers count milliseconds: a
    /// job may have up to one more than its timeout.
    ///
    /// # Panics
    ///
    /// If the timeout is zero.
    ///
    /// On a runtime without timers, the verb that the job is handed to panics: in the call, or when
    /// [`spawn`](crate::Pool::spawn) or [`exec`](crate::Pool::exec) is first polled. The job is dropped,
    /// and nothing else has changed. An item of a map or stream settles with that panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    ///
    /// use aiopool::{Job, Pool};
    /// use tokio::time::sleep;
    ///
    /// let pool = Pool::new(2);
    /// let job = |seconds| sleep(Duration::from_secs(seconds)).timeout(Duration::from_secs(30));
    /// assert!(pool.exec(job(29)).await.is_ok());
    /// assert!(pool.exec(job(31)).await.unwrap_err().is_timed_out());
    /// # }
    /// ```
    #[track_caller]
    fn timeout(self, timeout: Duration) -> Self::WithOptions
    where
        Self: Sized,
    {
        assert!(
            !timeout.is_zero(),
            "a job with a timeout of zero could never end by itself: give it a longer timeout, or none"
        );
        self.with_options(Options::of_timeout(timeout), Sealed)
    }

    /// The job with a callback, which runs after it in the same slot.
    ///
    /// The callback gets the result of the future. If the future panicked, or was cancelled or timed
    /// out while it was active, the callback gets the error. A job that is cancelled while it waits in the
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
        // Here, and not in a function of its own, which would move both once more.
        WithCallback {
            future: self,
            callback: Some(callback),
        }
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

    type BodyWithin = Caught<Within<F>>;
    type WithOptions = WithOptions<F>;

    fn into_body_within(within: Within<F>, _: Sealed) -> Self::BodyWithin {
        Caught::new(within)
    }

    fn with_options(self, options: Options, _: Sealed) -> WithOptions<F> {
        WithOptions { job: self, options }
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

    type BodyWithin = CaughtWithCallback<Within<Self>, Pin<Box<G>>>;
    type WithOptions = WithOptions<Self>;

    fn into_body_within(within: Within<Self>, _: Sealed) -> Self::BodyWithin {
        CaughtWithCallback::new(within)
    }

    fn with_options(self, options: Options, _: Sealed) -> WithOptions<Self> {
        WithOptions { job: self, options }
    }
}

#[diagnostic::do_not_recommend]
impl<J: Job> Job for WithOptions<J> {
    type Output = J::Output;
    type Body = Configured<J::Body>;
    type BoxedBody = Configured<J::BodyWithin>;

    fn into_body(self, sealed: Sealed) -> Self::Body {
        Configured::new(self.job.into_body(sealed), self.options)
    }

    fn into_boxed_body(self: Pin<Box<Self>>, sealed: Sealed) -> Self::BoxedBody {
        let (within, options) = Within::new(self);
        Configured::new(J::into_body_within(within, sealed), options)
    }

    type BodyWithin = Configured<J::BodyWithin>;
    type WithOptions = Self;

    fn into_body_within(_: Within<Self>, _: Sealed) -> Self::BodyWithin {
        unreachable!("a job with options gets no second set of them")
    }

    fn with_options(mut self, options: Options, _: Sealed) -> Self {
        self.options.merge(options);
        self
    }

    const HAS_OPTIONS: bool = true;

    fn options(&self) -> Option<&Options> {
        Some(&self.options)
    }
}

/// In bytes. Tokio boxes larger futures, and puts smaller ones beside the header of a task.
const LARGE: usize = if cfg!(debug_assertions) { 2048 } else { 16384 };
