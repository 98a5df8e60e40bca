//! How jobs have ended.

use std::time::Duration;

use aiopool_core::Time;

use crate::py::outcome::How;

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) timed_out: u64,
    /// For how long those that have started had waited, and those that have ended had run. Only for
    /// a pool with an observer.
    pub(super) waited: Duration,
    pub(super) ran: Duration,
}

impl Counts {
    pub(super) fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.timed_out
    }

    pub(super) fn count(&mut self, how: How) {
        match how {
            How::Succeeded => self.succeeded += 1,
            How::Failed => self.failed += 1,
            How::Cancelled => self.cancelled += 1,
            How::TimedOut => self.timed_out += 1,
        }
    }
}

pub(crate) fn between(from: Time, to: Time) -> Duration {
    Duration::from_nanos(to.as_nanos().saturating_sub(from.as_nanos()))
}
