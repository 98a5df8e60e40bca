//! Why a job has no result.

use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::Mutex;

use crate::sys::unwind::Payload;

/// Why a job has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobError {
    /// The job or its callback panicked, in its poll or in its drop.
    Panicked(Panic),
    /// The job was cancelled, or its runtime was shut down, before it had ended.
    Cancelled,
    /// The job was active for longer than its [timeout](crate::Job::timeout).
    TimedOut,
    /// The pool was [closed](crate::Pool::close) before the job could start.
    Closed,
}

/// The panic of a job.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use aiopool::{JobError, Pool};
///
/// let pool = Pool::new(4);
/// match pool.exec(async { panic!("no such page") }).await {
///     Err(JobError::Panicked(panic)) => assert_eq!(panic.message(), Some("no such page")),
///     other => unreachable!("{other:?}"),
/// }
/// # }
/// ```
pub struct Panic(Box<Caught>);

struct Caught {
    message: Option<Box<str>>,
    /// In a mutex, so that the error is `Sync`: error reporters need that. It is never locked.
    payload: Mutex<Payload>,
}

impl JobError {
    pub(crate) fn panicked(payload: Payload) -> Self {
        let message = match payload.downcast_ref::<&'static str>() {
            Some(message) => Some(Box::from(*message)),
            None => payload
                .downcast_ref::<String>()
                .map(|message| Box::from(message.as_str())),
        };
        let payload = Mutex::new(payload);
        Self::Panicked(Panic(Box::new(Caught { message, payload })))
    }

    /// Whether the job panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the job was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the job took longer than its [timeout](crate::Job::timeout).
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut)
    }

    /// Whether the job did not start because its pool was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl Panic {
    /// The message, if the panic has one, as that of `panic!` has.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The payload of the panic, as [`std::panic::catch_unwind`] gives it.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn std::any::Any + Send> {
        self.0
            .payload
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Resumes the panic of the job.
    ///
    /// # Panics
    ///
    /// Always, with the job's payload.
    pub fn resume(self) -> ! {
        resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "the job panicked: {message}"),
            None => f.write_str("the job panicked"),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Cancelled => f.write_str("the job was cancelled"),
            Self::TimedOut => f.write_str("the job took longer than its timeout"),
            Self::Closed => f.write_str(CLOSED),
        }
    }
}

impl std::error::Error for JobError {}

/// For `?` in functions that return `io::Result`. The new error contains this one. It is of the kind
/// [`TimedOut`](io::ErrorKind::TimedOut) if this one is, and [`Other`](io::ErrorKind::Other) if not.
impl From<JobError> for io::Error {
    fn from(error: JobError) -> Self {
        match error {
            JobError::TimedOut => Self::new(io::ErrorKind::TimedOut, error),
            JobError::Panicked(_) | JobError::Cancelled | JobError::Closed => Self::other(error),
        }
    }
}

/// A job that could not start at once: see [`Pool::try_spawn`](crate::Pool::try_spawn).
pub struct Refused<J> {
    job: J,
    is_closed: bool,
}

impl<J> Refused<J> {
    pub(crate) fn new(job: J, is_closed: bool) -> Self {
        Self { job, is_closed }
    }

    /// Whether the pool takes no more jobs, because it is [closed](crate::Pool::close).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The job, as it was handed in.
    #[must_use]
    pub fn into_job(self) -> J {
        self.job
    }
}

impl<J> fmt::Debug for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}

impl<J> fmt::Display for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_closed {
            CLOSED
        } else {
            "the job cannot start at once: queue it with `spawn_n`, or try again later"
        })
    }
}

impl<J> std::error::Error for Refused<J> {}

const CLOSED: &str = "the pool is closed";
