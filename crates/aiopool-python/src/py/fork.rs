//! Counts the forks that lead to this process.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict};

/// Has forks counted from the first call on, and gives their number. None if this platform has none.
pub(crate) fn tell(py: Python<'_>) -> PyResult<Option<usize>> {
    static TOLD: PyOnceLock<bool> = PyOnceLock::new();
    let is_told = TOLD.get_or_try_init(py, || {
        let Some(register) = py
            .import("os")?
            .getattr_opt(intern!(py, "register_at_fork"))?
        else {
            return Ok::<_, PyErr>(false);
        };
        let counts = PyCFunction::new_closure(py, None, None, |_, _| {
            FORKS.fetch_add(1, Ordering::Relaxed);
        })?;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "after_in_child"), counts)?;
        register.call((), Some(&keywords))?;
        Ok(true)
    })?;
    Ok(is_told.then(count))
}

pub(crate) fn count() -> usize {
    FORKS.load(Ordering::Relaxed)
}

static FORKS: AtomicUsize = AtomicUsize::new(0);
