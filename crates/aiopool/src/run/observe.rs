//! Telling the observer of a pool what has happened, under no lock.

use std::time::Duration;

use crate::job::body::Ended;
use crate::job::id::JobId;
use crate::observe::{Event, Observed, Seen};
use crate::state::{Shared, State, Watched};
use crate::stats::Outcome;
use crate::sys::clock::Instant;
use crate::sys::unwind::{discard, guarded};

/// A job that a worker runs, for the observer.
pub(crate) struct Watch {
    job: Observed,
    wait: Duration,
    /// When it got its slot, until the observer has been told.
    at: Option<Instant>,
    /// Whether it had begun when it ended, how it has ended, and how long it has run.
    end: Option<(bool, Outcome, Duration)>,
}

impl Shared {
    /// Tells the observer, if there is one. Its panic harms nobody: the panic hook has reported it.
    #[inline]
    pub(crate) fn observe(&self, event: impl FnOnce() -> Event) {
        if self.observer.is_some() {
            self.tell_observer(event());
        }
    }

    #[cold]
    fn tell_observer(&self, event: Event) {
        let Some(observer) = &self.observer else {
            return;
        };
        if let Err(payload) = guarded(|| observer(&event)) {
            discard(payload);
        }
        // The last clone of a key may be in there.
        discard(event);
    }

    /// A job has come into the queue.
    pub(crate) fn observe_queued(&self, id: JobId, seen: Seen) {
        self.observe(|| Event::Queued {
            job: Observed::new(id, seen),
        });
    }

    /// A job has left the queue before its start.
    pub(crate) fn observe_withdrawn(&self, id: JobId, seen: Seen, outcome: Outcome) {
        let wait = self.lock().leave_watch(id.0);
        self.observe(|| Event::Finished {
            job: Observed::new(id, seen),
            outcome,
            wait,
            run: None,
        });
    }

    /// A worker has a job, and is about to poll it, unless that is to be stopped.
    pub(crate) fn watch(&self, entry: usize, seen: Seen, is_item: bool, is_stopped: bool) -> Watch {
        let Watched { ticket, at, wait } = self.lock().watch(entry);
        let mut watch = Watch {
            job: Observed::new(JobId(ticket), seen),
            wait: wait.unwrap_or_default(),
            at: Some(at),
            end: None,
        };
        if is_item && wait.is_none() {
            // It was pulled in the turn of its source.
            self.observe(|| Event::Queued {
                job: watch.job.clone(),
            });
        }
        if !is_stopped {
            watch.start(self);
        }
        watch
    }

    /// That job has ended.
    pub(crate) fn observe_end(&self, mut watch: Watch) {
        let Some((begun, outcome, run)) = watch.end else {
            return;
        };
        if begun {
            watch.start(self);
        }
        let Watch { job, wait, at, .. } = watch;
        let has_started = at.is_none();
        self.observe(|| Event::Finished {
            job,
            outcome,
            wait,
            run: has_started.then_some(run),
        });
    }
}

impl Watch {
    /// The job has gone outside.
    pub(crate) fn outside(&self, shared: &Shared) {
        shared.observe(|| Event::Outside {
            job: self.job.clone(),
        });
    }

    /// It has its slots again.
    pub(crate) fn back(&self, shared: &Shared) {
        shared.observe(|| Event::Back {
            job: self.job.clone(),
        });
    }

    fn start(&mut self, shared: &Shared) {
        if let Some(at) = self.at.take() {
            shared.observe(|| Event::Started {
                job: self.job.clone(),
                at,
                wait: self.wait,
            });
        }
    }

    /// The job of an entry has ended, whose slot goes back under the same lock.
    #[cold]
    pub(crate) fn end(&mut self, state: &mut State, entry: usize, ended: &Ended) {
        let run = state.count_times(entry, ended.begun, self.wait);
        let outcome = ended.outcome.unwrap_or(Outcome::Cancelled);
        self.end = Some((ended.begun, outcome, run));
    }
}
