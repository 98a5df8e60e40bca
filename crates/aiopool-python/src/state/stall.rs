//! Whether a pool has moved, and which of its jobs hold slots.

use pyo3::prelude::*;

use super::classes::{Job, Pool, PoolState};

impl Pool {
    /// The pool is watched from here on, or no longer if nobody waits who was not admitted.
    pub(crate) fn watches(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let again = !state.jobs.is_empty() && state.admission.has_waiters();
            let moves = state.moves();
            state.watch.set(again, moves);
            again
        })
    }

    /// Whether it is to be arranged that the watch looks soon.
    pub(crate) fn looks_soon(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            state.admission.has_waiters() && state.watch.set_soon()
        })
    }

    /// Whether the end of a job has set no slot free: more were held than the pool has.
    pub(crate) fn has_none_free(&self, py: Python<'_>) -> bool {
        self.ask(py, |admission| admission.held() >= admission.size().get())
    }

    /// Whether there may be something to find in this turn.
    pub(crate) fn stands(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.stands())
    }

    /// Whether the watch, which looks now, is to look again.
    pub(crate) fn looks_again(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.watch.has_looked_soon())
    }

    /// Whether there may be something to find after a time.
    pub(crate) fn has_stood_still(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            state.stands() && !state.watch.has_moved(state.moves())
        })
    }

    /// The jobs that hold slots, those that have begun first before the others. With each its task, and
    /// the number of its key, if somebody waits for that.
    pub(crate) fn slot_holders(&self, py: Python<'_>) -> Vec<(Py<Job>, Option<u32>)> {
        let mut jobs = self.state.with(py, |state| {
            let jobs = state.jobs.iter().map(|(_, job)| job.clone_ref(py));
            jobs.collect::<Vec<_>>()
        });
        let begun = |job: &Py<Job>| {
            job.get()
                .state
                .with(py, |state| state.held.as_ref().map(|held| held.serial))
        };
        jobs.sort_by_cached_key(begun);
        let holders = jobs.into_iter().filter_map(|job| {
            let key = self.state.with(py, |pool| {
                job.get().state.with(py, |state| {
                    let slot = state.held.as_ref()?.slot.as_ref()?;
                    Some(pool.admission.awaited_key(slot))
                })
            })?;
            Some((job, key))
        });
        holders.collect()
    }
}

impl Job {
    /// The watch lets the job outside, or it has its slots again. Tells whether that is new.
    pub(crate) fn is_let_out(&self, py: Python<'_>, is_out: bool) -> bool {
        self.state.with(py, |state| {
            std::mem::replace(&mut state.is_let_out, is_out) != is_out
        })
    }
}

impl PoolState {
    /// Whether somebody waits who was not admitted, and will not be in the next turn.
    fn stands(&self) -> bool {
        self.admission.has_waiters() && !self.pump.is_over()
    }

    /// How often jobs have started and ended.
    fn moves(&self) -> u64 {
        self.admission.stats().started + self.counts.ended()
    }
}
