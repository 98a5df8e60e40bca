//! A waiting job, with its options.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// Its size is the memory of a waiting job beyond its coroutine and its future. So the parts that
/// few jobs have are in a box.
pub(crate) struct WaitingJob {
    pub(crate) awaitable: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
    pub(crate) context: Py<PyAny>,
    pub(crate) options: Option<Box<Options>>,
}

pub(crate) struct Options {
    pub(crate) callback: Option<Callback>,
    /// Settled when the job leaves the queue; a blocked `spawn` awaits it.
    pub(crate) admitted: Option<Py<PyAny>>,
}

pub(crate) struct Callback {
    pub(crate) function: Py<PyAny>,
    pub(crate) ctx: Py<PyAny>,
}

impl WaitingJob {
    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.awaitable)?;
        visit.call(&self.future)?;
        visit.call(&self.context)?;
        if let Some(options) = &self.options {
            visit.call(&options.admitted)?;
            if let Some(callback) = &options.callback {
                callback.traverse(visit)?;
            }
        }
        Ok(())
    }
}

impl Callback {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            function: self.function.clone_ref(py),
            ctx: self.ctx.clone_ref(py),
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.ctx)
    }
}
