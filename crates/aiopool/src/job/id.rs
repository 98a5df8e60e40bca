//! The name of a job.

use std::fmt;

use aiopool_core::Ticket;

/// The name of a job, unique among those that its pool has taken. It is printed as a number, which repeats after 2^32 jobs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(pub(crate) Ticket);

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
