//! State behind a lock under which no foreign code runs.

use std::sync::{Mutex, PoisonError, TryLockError};

use pyo3::gc::PyTraverseError;

/// Shared state that is changed one short step at a time.
pub(crate) struct Guarded<S>(Mutex<S>);

impl<S> Guarded<S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(state))
    }

    /// Makes one step. It must neither call into Python nor drop a Python object, whose destructor
    /// may be anybody's: what it takes out it returns, to be dropped when the lock is free.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&mut S) -> R) -> R {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the state to the garbage collector. A collection in the midst of a step sees nothing:
    /// that keeps alive what the state refers to, and the next collection looks again.
    pub(crate) fn traverse(
        &self,
        look: impl FnOnce(&S) -> Result<(), PyTraverseError>,
    ) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(state) => look(&state),
            Err(TryLockError::Poisoned(state)) => look(&state.into_inner()),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }
}
