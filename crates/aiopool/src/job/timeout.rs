//! For how long a job may be active, and the clock that measures it.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::sys::clock::{Deadline, Instant, now};

/// The timeout of a job. Its clock runs from the first poll of the job on.
#[derive(Debug)]
pub(crate) struct Timeout {
    limit: Duration,
    clock: Clock,
}

#[derive(Debug)]
enum Clock {
    /// The job has not been polled.
    Unset,
    Running(Deadline),
    /// It stands still, with so much left.
    Stopped(Duration),
    /// The job has ended. What runs now is its callback.
    Over,
}

impl Timeout {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            clock: Clock::Unset,
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// The job is polled.
    ///
    /// # Panics
    ///
    /// If that is the first time, and the runtime has no timers.
    pub(crate) fn begin(&mut self) {
        if let Clock::Unset = self.clock {
            self.clock = Clock::Running(Deadline::after(now(), self.limit));
        }
    }

    /// Whether the time is up. If not, the task is woken when it is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.clock {
            Clock::Running(deadline) => deadline.poll(cx),
            Clock::Unset | Clock::Stopped(_) | Clock::Over => Poll::Pending,
        }
    }

    /// The clock stands still from now on. To be called under no lock: a waker is dropped.
    pub(crate) fn pause(&mut self, now: Instant) {
        if let Clock::Running(deadline) = &self.clock {
            self.clock = Clock::Stopped(deadline.left(now));
        }
    }

    /// The clock runs on with what was left. The job is to be polled for that.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Clock::Stopped(left) = self.clock {
            self.clock = Clock::Running(Deadline::after(now, left));
        }
    }

    /// The time does not matter any more.
    pub(crate) fn end(&mut self) {
        self.clock = Clock::Over;
    }
}

/// The same timeout for another job.
impl Clone for Timeout {
    fn clone(&self) -> Self {
        Self::new(self.limit)
    }
}
