//! State that is changed one short step at a time, under which no foreign code runs.
//!
//! If the interpreter has a lock, that lock guards the state. A job of a pool that reuses tasks
//! takes about fifteen steps, and a lock of our own for each step was a tenth of its cost.

#[cfg(Py_GIL_DISABLED)]
use std::sync::{PoisonError, TryLockError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// Shared state. A thread that is attached to the interpreter may change it.
pub(crate) struct Guarded<S>(Cell<S>);

#[cfg(not(Py_GIL_DISABLED))]
type Cell<S> = std::cell::RefCell<S>;
#[cfg(Py_GIL_DISABLED)]
type Cell<S> = std::sync::Mutex<S>;

#[cfg(not(Py_GIL_DISABLED))]
#[expect(unsafe_code, reason = "see above")]
// SAFETY: the cell, its count of borrows included, is touched in `with` and in `traverse` only. Who
// calls them is attached to the interpreter, so holds its lock, and hands over what it saw there to
// the next holder. A step that let go of that lock would leave the cell borrowed, and who finds it
// so panics.
unsafe impl<S: Send> Sync for Guarded<S> {}

impl<S> Guarded<S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Cell::new(state))
    }

    /// Makes one step. The step must neither call into Python nor drop a Python object, because its
    /// destructor may be user code. The step returns the objects that it takes out, and they are
    /// dropped when it is over.
    pub(crate) fn with<R>(&self, _attached: Python<'_>, step: impl FnOnce(&mut S) -> R) -> R {
        #[cfg(not(Py_GIL_DISABLED))]
        return step(&mut self.0.borrow_mut());
        #[cfg(Py_GIL_DISABLED)]
        return step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The state, to its only owner.
    pub(crate) fn get_mut(&mut self) -> &mut S {
        #[cfg(not(Py_GIL_DISABLED))]
        return self.0.get_mut();
        #[cfg(Py_GIL_DISABLED)]
        return self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
    }

    /// Shows the state to the garbage collector. A collection in the middle of a step sees no
    /// references of the state. So it keeps their objects alive, and the next collection looks
    /// again.
    pub(crate) fn traverse(
        &self,
        _attached: &PyVisit<'_>,
        look: impl FnOnce(&S) -> Result<(), PyTraverseError>,
    ) -> Result<(), PyTraverseError> {
        #[cfg(not(Py_GIL_DISABLED))]
        let state = self.0.try_borrow();
        #[cfg(Py_GIL_DISABLED)]
        let state = match self.0.try_lock() {
            Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
            state => state,
        };
        state.map_or(Ok(()), |state| look(&state))
    }
}
