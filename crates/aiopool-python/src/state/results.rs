//! The results of a running `map` or `itermap`, and the future that waits for them.

use std::mem;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

pub(super) struct Results {
    list: Py<PyList>,
    /// How many of the known items have no result yet.
    pending: usize,
    /// Whether an item failed since the results were last taken.
    failed: bool,
    /// Whether results are dropped because no caller will take them.
    closed: bool,
    /// The error that ended a `map` before its source ended.
    error: Option<Py<PyAny>>,
    waiter: Option<(Py<PyAny>, When)>,
}

/// When a wait is over; the words are those of `asyncio.wait`.
#[derive(Clone, Copy)]
pub(crate) enum When {
    AllCompleted,
    FirstCompleted,
    FirstException,
}

impl Results {
    pub(super) fn new(py: Python<'_>, pending: usize) -> Self {
        Self {
            list: PyList::empty(py).unbind(),
            pending,
            failed: false,
            closed: false,
            error: None,
            waiter: None,
        }
    }

    /// The list that stores the results.
    pub(super) fn list(&self, py: Python<'_>) -> Py<PyList> {
        self.list.clone_ref(py)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether results are still to come or to be taken.
    pub(super) fn has_more(&self, py: Python<'_>) -> bool {
        self.pending > 0 || !self.list.bind(py).is_empty()
    }

    /// How many of the known items have no result yet.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    pub(super) fn expect(&mut self, more: usize) {
        self.pending += more;
    }

    /// Counts an item whose result is stored, or lost.
    pub(super) fn count_settled(&mut self, failed: bool) {
        self.pending -= 1;
        self.failed |= failed;
    }

    /// Stores an error. Gives the error that it replaces.
    pub(super) fn fail(&mut self, error: Py<PyAny>) -> Option<Py<PyAny>> {
        self.error.replace(error)
    }

    /// The results so far, and the error that ended the call, if one did. `fresh` stores later
    /// results.
    pub(super) fn take(&mut self, fresh: Py<PyList>) -> (Py<PyList>, Option<Py<PyAny>>) {
        self.failed = false;
        (mem::replace(&mut self.list, fresh), self.error.take())
    }

    /// No caller takes results any more. Gives the results that are left, and the waiter.
    pub(super) fn close(&mut self, fresh: Py<PyList>) -> (Py<PyList>, Option<Py<PyAny>>) {
        self.closed = true;
        let waiter = self.waiter.take().map(|(future, _)| future);
        (mem::replace(&mut self.list, fresh), waiter)
    }

    pub(super) fn is_over(&self, py: Python<'_>, when: When, source_has_ended: bool) -> bool {
        let all = source_has_ended && self.pending == 0;
        all || match when {
            When::AllCompleted => false,
            When::FirstCompleted => !self.list.bind(py).is_empty(),
            When::FirstException => self.failed,
        }
    }

    /// Sets the future of a wait. Gives the future that it replaces.
    pub(super) fn set_waiter(&mut self, future: Py<PyAny>, when: When) -> Option<Py<PyAny>> {
        let replaced = self.waiter.replace((future, when));
        replaced.map(|(future, _)| future)
    }

    /// The future of the wait, if the wait is over.
    pub(super) fn take_waiter(
        &mut self,
        py: Python<'_>,
        source_has_ended: bool,
    ) -> Option<Py<PyAny>> {
        let (_, when) = self.waiter.as_ref()?;
        let is_over = self.is_over(py, *when, source_has_ended);
        let (future, _) = self.waiter.take_if(|_| is_over)?;
        Some(future)
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.list)?;
        visit.call(&self.error)?;
        visit.call(self.waiter.as_ref().map(|(future, _)| future))
    }

    pub(super) fn clear(&mut self) -> [Option<Py<PyAny>>; 2] {
        let waiter = self.waiter.take().map(|(future, _)| future);
        [self.error.take(), waiter]
    }
}

impl FromPyObject<'_, '_> for When {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match word.extract::<&str>()? {
            "ALL_COMPLETED" => Ok(Self::AllCompleted),
            "FIRST_COMPLETED" => Ok(Self::FirstCompleted),
            "FIRST_EXCEPTION" => Ok(Self::FirstException),
            other => Err(PyValueError::new_err(format!(
                "yield_when must be FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED of asyncio, \
                 not {other:?}"
            ))),
        }
    }
}
