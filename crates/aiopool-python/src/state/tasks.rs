//! The tasks that run jobs.

use std::collections::HashMap;

use pyo3::prelude::*;
use rustc_hash::FxBuildHasher;

/// The addresses of these tasks, each with the index of the job that it runs. A task that waits for a
/// job may have that of its last one. Each is removed before the pool lets go of its task, so no address
/// can belong to another task.
#[derive(Default)]
pub(super) struct Tasks(HashMap<usize, usize, FxBuildHasher>);

impl Tasks {
    pub(super) fn insert(&mut self, task: &Py<PyAny>, job: usize) {
        self.0.insert(task.as_ptr() as usize, job);
    }

    /// A task that is there begins a job.
    pub(super) fn runs(&mut self, task: usize, job: usize) {
        if let Some(noted) = self.0.get_mut(&task) {
            *noted = job;
        }
    }

    /// The index of the job that a task runs.
    pub(super) fn job(&self, task: &Bound<'_, PyAny>) -> Option<usize> {
        self.0.get(&(task.as_ptr() as usize)).copied()
    }

    pub(super) fn remove(&mut self, task: &Py<PyAny>) {
        self.0.remove(&(task.as_ptr() as usize));
    }

    pub(super) fn contains(&self, task: &Bound<'_, PyAny>) -> bool {
        self.0.contains_key(&(task.as_ptr() as usize))
    }
}
