//! The context that a job will run in: the caller's variables at the moment of the call.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::py::{ffi, imports};

/// A copy of the caller's context in which the [pool is named](name_pool), and the immutable
/// mappings that tell whether a later copy would be the same: that of the caller, and that of the
/// jobs, which may be callers themselves.
pub(crate) struct Snapshot {
    of_caller: Py<PyAny>,
    of_jobs: Option<Py<PyAny>>,
    context: Py<PyAny>,
}

impl Snapshot {
    /// Makes a snapshot of `context`, whose variables are `of_caller`.
    pub(crate) fn new(
        context: Bound<'_, PyAny>,
        of_caller: Bound<'_, PyAny>,
        pool: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        name_pool(&context, pool)?;
        Ok(Self {
            of_caller: of_caller.unbind(),
            of_jobs: variables(&context).map(Bound::unbind),
            context: context.unbind(),
        })
    }

    /// Whether a snapshot of a context with these variables would be the same, and if so, whether the
    /// context is that of a job of the pool.
    pub(crate) fn is_of(&self, variables: &Bound<'_, PyAny>) -> Option<bool> {
        let is_it = |own: &Py<PyAny>| own.is(variables);
        let is_of_job = self.of_jobs.as_ref().is_some_and(is_it);
        (is_of_job || is_it(&self.of_caller)).then_some(is_of_job)
    }

    pub(crate) fn context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.of_caller)?;
        visit.call(&self.of_jobs)?;
        visit.call(&self.context)
    }
}

/// The current context as it is now.
pub(crate) fn current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    ffi::copy_current(py)
}

/// The immutable mapping in a context; None if the context has an unknown layout.
pub(crate) fn variables<'py>(context: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let (mut variables, mut others) = (None, false);
    ffi::look_at_referents(context, |referent| {
        others |= variables.replace(referent.to_owned()).is_some();
    });
    variables.filter(|_| !others)
}

/// Notes in a context that jobs of this pool run in copies of it. So the tasks that they make can
/// be told from others.
pub(crate) fn name_pool(context: &Bound<'_, PyAny>, pool: &Bound<'_, PyAny>) -> PyResult<()> {
    imports::enter_context(context.py())?.call1((context, pool))?;
    Ok(())
}

/// The context of one job: variables that the job sets there stay its own.
pub(crate) fn of_job<'py>(snapshot: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    ffi::copy(snapshot)
}
