//! The arguments of a verb, until the coroutine of the verb makes its first step.

use pyo3::prelude::*;

use super::classes::{Called, Pool, Unawaited, Verbs};
use crate::py::awaitable::close_if_new;
use crate::py::errors;
use crate::py::guarded::Guarded;

impl Unawaited {
    pub(crate) fn new(verbs: Py<Verbs>, called: Called) -> Self {
        Self {
            verbs,
            called: Guarded::new(Some(called)),
        }
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.verbs().pool.bind(py)
    }

    pub(crate) fn verbs(&self) -> &Verbs {
        self.verbs.get()
    }

    /// The verb runs: from here on it owns the awaitable.
    pub(crate) fn take(&self, py: Python<'_>) -> Option<Called> {
        self.called.with(py, Option::take)
    }

    pub(super) fn clear(&self, py: Python<'_>) {
        if let Some(called) = self.take(py) {
            called.close(py);
        }
    }
}

impl Drop for Unawaited {
    fn drop(&mut self) {
        if let Some(called) = self.called.get_mut().take() {
            Python::attach(|py| called.close(py));
        }
    }
}

impl Called {
    /// The verb will not run: closes the awaitable.
    fn close(self, py: Python<'_>) {
        errors::apart(py, || close_if_new(self.awaitable.bind(py)));
    }
}
