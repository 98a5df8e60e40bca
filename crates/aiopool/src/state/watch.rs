//! For how long jobs wait and run: kept only in a pool with an observer.

use std::collections::BTreeMap;
use std::time::Duration;

use aiopool_core::{Ticket, Time};

/// The times of the jobs of a pool. A tree, because it grows without moving all that is in it.
#[derive(Default)]
pub(crate) struct WatchTable {
    /// When those were handed in who wait.
    queued: BTreeMap<Ticket, Time>,
    waited: Duration,
    ran: Duration,
}

impl WatchTable {
    pub(crate) fn queue(&mut self, ticket: Ticket, now: Time) {
        self.queued.insert(ticket, now);
    }

    /// When a job was handed in that stands in the queue.
    pub(crate) fn queued_at(&self, ticket: Ticket) -> Option<Time> {
        self.queued.get(&ticket).copied()
    }

    /// For how long a job has waited until then, if it has stood in the queue.
    pub(crate) fn leave(&mut self, ticket: Ticket, now: Time) -> Option<Duration> {
        let since = self.queued.remove(&ticket)?;
        Some(between(since, now))
    }

    /// A job that had begun has ended.
    pub(crate) fn count(&mut self, wait: Duration, run: Duration) {
        self.waited = self.waited.saturating_add(wait);
        self.ran = self.ran.saturating_add(run);
    }

    /// For how long all have waited, and run.
    pub(crate) fn totals(&self) -> (Duration, Duration) {
        (self.waited, self.ran)
    }
}

pub(crate) fn between(since: Time, now: Time) -> Duration {
    Duration::from_nanos(now.as_nanos().saturating_sub(since.as_nanos()))
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::num::NonZeroUsize;

    use aiopool_core::{Admission, Request};

    use super::*;

    #[derive(Debug)]
    struct Anyone;

    impl aiopool_core::Waiter for Anyone {}

    #[test]
    fn a_time_is_forgotten_with_the_job_that_leaves_the_queue() {
        let mut admission = Admission::<_, ()>::new(NonZeroUsize::MIN);
        let mut table = WatchTable::default();
        let ticket = admission
            .submit(Anyone, Request::default())
            .expect("it is open");
        table.queue(ticket, Time::from_nanos(3));
        let waited = Some(Duration::from_nanos(4));
        assert_eq!(table.leave(ticket, Time::from_nanos(7)), waited);
        assert_eq!(table.leave(ticket, Time::from_nanos(7)), None);
    }
}
