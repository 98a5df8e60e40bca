//! The context a job will run in: what the caller's variables were at the moment of the call.

use pyo3::prelude::*;

use crate::native;
use crate::pool::Pool;

/// A copy of the caller's context, and the immutable mapping inside it that tells whether a later
/// copy would be the same.
pub(crate) struct Snapshot {
    variables: Py<PyAny>,
    context: Py<PyAny>,
}

impl Snapshot {
    pub(crate) fn parts(&self) -> [&Py<PyAny>; 2] {
        [&self.variables, &self.context]
    }
}

impl Pool {
    /// The current context as it is now. Calls between which no variable changed share one
    /// snapshot, so that a million waiting jobs do not hold a million copies of the same; each
    /// job runs in a [copy](of_job) of its own.
    pub(crate) fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let context = native::copy_current(py)?;
        let (mut variables, mut others) = (None, false);
        native::look_at_referents(&context, |referent| {
            others |= variables.replace(referent.to_owned()).is_some();
        });
        let Some(variables) = variables.filter(|_| !others) else {
            return Ok(context.unbind());
        };
        let shared = self.with(py, |state| match &state.snapshot {
            Some(last) if last.variables.is(&variables) => Some(last.context.clone_ref(py)),
            _ => None,
        });
        if let Some(shared) = shared {
            return Ok(shared);
        }
        let context = context.unbind();
        let snapshot = Snapshot {
            variables: variables.unbind(),
            context: context.clone_ref(py),
        };
        drop(self.with(py, |state| state.snapshot.replace(snapshot)));
        Ok(context)
    }
}

/// The context of one job: what it sets there stays its own.
pub(crate) fn of_job<'py>(snapshot: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    native::copy(snapshot)
}
