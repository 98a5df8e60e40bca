//! Calls of foreign code while a caller of the pool is on the stack. Their errors must not lead to the
//! frames of that caller: see `apart` in `_job.py`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyString, PyTuple};

use crate::py::event_loop::EventLoop;
use crate::py::ffi::{Resume, resume};
use crate::py::{errors, imports};

/// Calls of one function, whose errors lead to no frame of a caller.
pub(crate) struct Calls<'py> {
    generator: Bound<'py, PyAny>,
    has_failed: bool,
}

impl<'py> Calls<'py> {
    /// `arguments` gives a tuple for each call.
    pub(crate) fn new(
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            generator: imports::apart(function.py())?.call1((function, arguments))?,
            has_failed: false,
        })
    }

    /// Makes the next call.
    pub(crate) fn call(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let (result, error) = self.resume()?.extract()?;
        let error: Option<Bound<'_, PyAny>> = error;
        let Some(error) = error else {
            return Ok(result);
        };
        self.has_failed = true;
        errors::forget_own_frame(&error);
        Err(PyErr::from_value(error))
    }

    /// All calls have been made.
    pub(crate) fn end(self, event_loop: &EventLoop) -> PyResult<()> {
        if self.has_failed {
            // Not here: a frame that ends leads to the frames of its callers from then on.
            let py = self.generator.py();
            let close = self.generator.getattr(intern!(py, "close"))?;
            return event_loop.call_soon(py, (close,));
        }
        // Dropping a generator before its end would raise an error in it, which takes longer.
        self.resume().map(drop)
    }

    fn resume(&self) -> PyResult<Bound<'py, PyAny>> {
        let with = Resume::with_none(self.generator.py());
        let (PySendResult::Next(given) | PySendResult::Return(given)) =
            resume(&self.generator, with)?;
        Ok(given)
    }
}

/// Makes a task that makes its first step at once. See `begin_tasks` in `_job.py`.
pub(crate) fn begin_task(
    event_loop: &Bound<'_, PyAny>,
    coroutine: &Bound<'_, PyAny>,
    context: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
) -> PyResult<()> {
    let py = event_loop.py();
    let rested = resting().pop();
    let generator = if let Some(generator) = rested {
        generator.into_bound(py)
    } else {
        let generator = imports::begin_tasks(py)?.call0()?;
        resume(&generator, Resume::with_none(py))?;
        generator
    };
    let arguments = (event_loop, coroutine, context, name).into_pyobject(py)?;
    let (PySendResult::Next(error) | PySendResult::Return(error)) =
        resume(&generator, Resume::Send(arguments.into_any()))?;
    resting().push(generator.unbind());
    if error.is_none() {
        return Ok(());
    }
    errors::forget_own_frame(&error);
    Err(PyErr::from_value(error))
}

/// The generators of [`begin_task`] that make no task now. They are never dropped: the frame of one
/// that ends leads to the frames of its callers from then on. There are as many as pools that start
/// jobs from inside each other's jobs, or in several threads.
fn resting() -> MutexGuard<'static, Vec<Py<PyAny>>> {
    static RESTING: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());
    RESTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A single call.
pub(crate) fn call<'py>(
    event_loop: &EventLoop,
    function: &Bound<'py, PyAny>,
    arguments: impl IntoPyObject<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let calls = PyTuple::new(function.py(), [arguments])?;
    let mut calls = Calls::new(function, &calls)?;
    let called = calls.call();
    calls.end(event_loop)?;
    called
}
