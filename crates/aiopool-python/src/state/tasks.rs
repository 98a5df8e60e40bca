//! The tasks that run jobs.

use std::collections::HashSet;

use pyo3::prelude::*;
use rustc_hash::FxBuildHasher;

/// The addresses of these tasks. Each is removed before the pool lets go of its task, so no address
/// can belong to another task.
#[derive(Default)]
pub(super) struct Tasks(HashSet<usize, FxBuildHasher>);

impl Tasks {
    pub(super) fn insert(&mut self, task: &Py<PyAny>) {
        self.0.insert(task.as_ptr() as usize);
    }

    pub(super) fn remove(&mut self, task: &Py<PyAny>) {
        self.0.remove(&(task.as_ptr() as usize));
    }

    pub(super) fn contains(&self, task: &Bound<'_, PyAny>) -> bool {
        self.0.contains(&(task.as_ptr() as usize))
    }
}
