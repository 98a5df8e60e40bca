//! Notices that a loop ends: see `_loop_end.py`.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::event_loop::EventLoop;
use crate::py::{errors, imports};

/// A pool has one from the first waiter on, or from the first callback after a cancellation, until
/// it is released.
pub(crate) struct LoopEnd {
    object: Py<PyAny>,
    /// The method `cancelling` of its task.
    cancelling: Py<PyAny>,
}

impl LoopEnd {
    /// When the loop ends, this calls the method `end` of `ended`.
    pub(crate) fn watch(ended: &Bound<'_, PyAny>, event_loop: &EventLoop) -> PyResult<Self> {
        let py = ended.py();
        let object = imports::loop_end(py)?.call1((ended, event_loop.object.bind(py)))?;
        Ok(Self {
            cancelling: object.getattr(intern!(py, "cancelling"))?.unbind(),
            object: object.unbind(),
        })
    }

    /// The method that [`is_cancelled`] calls.
    pub(crate) fn cancelling(&self, py: Python<'_>) -> Py<PyAny> {
        self.cancelling.clone_ref(py)
    }

    /// Stops watching: no job waits any more.
    pub(crate) fn release(self, about: &Bound<'_, PyAny>) {
        let py = about.py();
        let released = self.object.call_method0(py, intern!(py, "release"));
        errors::report(py, released.map(drop), about);
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.cancelling)
    }
}

/// Has the method `end` of `told` called when the loop is closed.
pub(crate) fn tell_close(told: &Bound<'_, PyAny>, event_loop: &EventLoop) -> PyResult<()> {
    let py = told.py();
    imports::tell_close(py)?.call1((told, event_loop.object.bind(py)))?;
    Ok(())
}

/// Whether this `cancelling` of a task reports a request to cancel it.
pub(crate) fn is_cancelled(cancelling: &Bound<'_, PyAny>) -> bool {
    let requests = cancelling.call0();
    requests.is_ok_and(|requests| requests.is_truthy().unwrap_or(false))
}
