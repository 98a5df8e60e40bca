//! The owner of a future: the pool while its job waits, the job itself while it is active, then
//! none. Cancelling the future calls `future_cancelled` of its owner. A future that failed has the
//! name of its job instead.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyNone;

use crate::py::{errors, imports};

pub(crate) fn of<'py>(future: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let owner = future.getattr_opt(intern!(future.py(), "_owner"));
    owner.ok().flatten()
}

pub(crate) fn attach(future: &Bound<'_, PyAny>, owner: &Bound<'_, PyAny>) -> PyResult<()> {
    imports::owner(future.py())?.set(future, owner)
}

/// From here on, cancelling the future does not affect a job.
pub(crate) fn detach(future: &Bound<'_, PyAny>) {
    replace(future, None);
}

/// The same, for a future that is about to fail, with the name of its job.
pub(crate) fn replace(future: &Bound<'_, PyAny>, name: Option<Bound<'_, PyAny>>) {
    let py = future.py();
    let name = name.unwrap_or_else(|| PyNone::get(py).to_owned().into_any());
    errors::report(py, attach(future, &name), future);
}
