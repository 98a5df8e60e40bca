//! Which jobs wait for which others of their pool.

use pyo3::prelude::*;

use super::classes::{Items, Job, Target};

impl Job {
    /// From here on, until this job has ended, the other one waits for that.
    pub(crate) fn is_waited_for_by(&self, waiting: &Bound<'_, Self>) {
        let own = waiting.clone().unbind();
        self.state
            .with(waiting.py(), |state| state.waited_for_by.push(own));
    }

    /// The jobs that wait for the end of this one by `exec`, `cancel`, or a call that has many jobs.
    pub(crate) fn waiting_for_end(&self, py: Python<'_>) -> Vec<Py<Self>> {
        let (mut waiting, items) = self.state.with(py, |state| {
            let waiting = state.waited_for_by.iter().map(|job| job.clone_ref(py));
            let items = state.held.as_ref().and_then(|held| match &held.target {
                Target::Item { items, .. } => Some(items.clone_ref(py)),
                Target::Future(_) | Target::Enqueued(_) => None,
            });
            (waiting.collect::<Vec<_>>(), items)
        });
        waiting.extend(items.and_then(|items| items.get().waiting_job(py)));
        waiting
    }
}

impl Items {
    /// The job that waits for the results of this call, or none any more.
    pub(crate) fn is_waited_for_by(&self, py: Python<'_>, waiting: Option<Py<Job>>) {
        drop(self.state.with(py, |state| {
            std::mem::replace(&mut state.waited_for_by, waiting)
        }));
    }

    fn waiting_job(&self, py: Python<'_>) -> Option<Py<Job>> {
        self.state.with(py, |state| {
            Some(state.waited_for_by.as_ref()?.clone_ref(py))
        })
    }
}
