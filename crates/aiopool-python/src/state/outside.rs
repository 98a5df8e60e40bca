//! A job that gives its slots back while it waits, and stands in the queue for them again.

use aiopool_core::{Outside, Slot, Time};
use pyo3::prelude::*;

use super::classes::{Back, Job, Pool, Single, Waiter};
use super::small;

/// The job that a task runs.
impl Pool {
    /// None if the task runs none of this pool.
    pub(crate) fn job_of<'py>(&self, task: &Bound<'py, PyAny>) -> Option<Bound<'py, Job>> {
        let py = task.py();
        let job = self.state.with(py, |state| {
            let index = state.tasks.job(task)?;
            Some(state.jobs.get(index)?.clone_ref(py))
        })?;
        // The task may have noted a job that it has run before.
        let is_its = job.get().task(py).is_some_and(|own| own.is(task));
        is_its.then(|| job.into_bound(py))
    }
}

/// Going outside, and coming back. Each step changes the job and the core together.
impl Pool {
    /// The job gives its slots back, if it holds them. Without a time it has no timeout.
    pub(crate) fn let_outside(&self, job: &Bound<'_, Job>, now: Option<Time>) -> bool {
        let py = job.py();
        self.state.with(py, |pool| {
            job.get().state.with(py, |state| {
                let Some(held) = &mut state.held else {
                    return false;
                };
                let Some(slot) = held.slot.take() else {
                    return false;
                };
                held.outside = Some(pool.admission.go_outside(slot));
                pool.admission.end_timeout(small(held.index));
                if let Some(now) = now {
                    let left = state.until.as_nanos().saturating_sub(now.as_nanos());
                    state.until = Time::from_nanos(left);
                }
                true
            })
        })
    }

    /// The job wants its slots again, and gets them in its turn. What is not taken is given back: the
    /// pool is closed.
    pub(crate) fn come_back(
        &self,
        job: &Bound<'_, Job>,
        granted: &Bound<'_, PyAny>,
        front: bool,
    ) -> Option<Waiter> {
        let py = job.py();
        self.state.with(py, |pool| {
            job.get().state.with(py, |state| {
                let held = state.held.as_mut()?;
                let outside = held.outside.as_ref()?;
                // A job that has waited for its own pool does not pay on its way back.
                let back = Back::new(job, granted, held.weight, !front);
                let waiter = Waiter::single(Single::Back(back));
                let place = pool.admission.come_back(outside, waiter, held.level, front);
                match place {
                    Ok(place) => {
                        held.place = Some(place);
                        None
                    }
                    Err(refused) => Some(refused.waiter),
                }
            })
        })
    }

    /// The job has its slots again, from the queue. Its time goes on, if it has one.
    pub(crate) fn is_back(&self, job: &Bound<'_, Job>, slot: Slot, now: Option<Time>) {
        let py = job.py();
        self.state.with(py, |pool| {
            job.get().state.with(py, |state| {
                let Some(held) = &mut state.held else {
                    // It has left the queue when it ended: this cannot be.
                    pool.admission.finish(slot);
                    return;
                };
                (held.slot, held.place) = (Some(slot), None);
                if let Some(outside) = held.outside.take() {
                    pool.admission.end_outside(outside);
                }
                if let Some(now) = now {
                    state.until = now.after(state.until.as_nanos());
                    pool.admission.begin_timeout(small(held.index), state.until);
                }
            });
        });
    }

    /// The job has its slots at once, be they free or not. Gives what stood for it in the queue, to be
    /// dropped.
    pub(crate) fn force_back(&self, job: &Bound<'_, Job>, now: Option<Time>) -> Option<Waiter> {
        let py = job.py();
        self.state.with(py, |pool| {
            job.get().state.with(py, |state| {
                let held = state.held.as_mut()?;
                let outside = held.outside.take()?;
                let place = held.place.take();
                held.slot = Some(pool.admission.force(outside, held.weight));
                if let Some(now) = now {
                    state.until = now.after(state.until.as_nanos());
                    pool.admission.begin_timeout(small(held.index), state.until);
                }
                pool.admission.withdraw(place?)
            })
        })
    }
}

impl Job {
    /// Whether the job is outside and has a key for which that is so, by the number of the key.
    pub(super) fn is_outside_with(&self, py: Python<'_>, is_so: impl Fn(u32) -> bool) -> bool {
        self.state.with(py, |state| {
            let held = state.held.as_ref();
            let outside = held.and_then(|held| held.outside.as_ref());
            outside.and_then(Outside::key).is_some_and(is_so)
        })
    }

    pub(crate) fn is_outside(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let held = state.held.as_ref();
            held.is_some_and(|held| held.outside.is_some())
        })
    }
}
