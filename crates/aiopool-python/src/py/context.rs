//! The context that a job will run in: the caller's variables at the moment of the call.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::py::ffi;

/// A copy of the caller's context, and the immutable mapping inside it that tells whether a later
/// copy would be the same.
pub(crate) struct Snapshot {
    variables: Py<PyAny>,
    context: Py<PyAny>,
}

impl Snapshot {
    /// A snapshot of `context`; None if the context has an unknown layout.
    pub(crate) fn of(context: &Bound<'_, PyAny>) -> Option<Self> {
        let (mut variables, mut others) = (None, false);
        ffi::look_at_referents(context, |referent| {
            others |= variables.replace(referent.to_owned()).is_some();
        });
        let variables = variables.filter(|_| !others)?;
        Some(Self {
            variables: variables.unbind(),
            context: context.clone().unbind(),
        })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.variables.is(&other.variables)
    }

    pub(crate) fn context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.variables)?;
        visit.call(&self.context)
    }
}

/// The current context as it is now.
pub(crate) fn current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    ffi::copy_current(py)
}

/// The context of one job: variables that the job sets there stay its own.
pub(crate) fn of_job<'py>(snapshot: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    ffi::copy(snapshot)
}
