//! What the interpreter offers for contexts and coroutines and `PyO3` does not wrap: the only unsafe
//! code of this face. The methods that Python has for the same are a good part of what a job costs.
#![expect(unsafe_code, reason = "see above")]

use std::ffi::{c_int, c_void};

use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyIterator, PyTuple};

/// What a coroutine is resumed with.
pub(crate) enum Resume<'py> {
    Send(Bound<'py, PyAny>),
    /// The arguments of `throw`.
    Throw(Bound<'py, PyTuple>),
}

/// A copy of the current context.
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the thread is attached, as `py` shows. The copy is ours, and null if it failed.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// A copy of `context`.
pub(crate) fn copy<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the thread is attached, as `context` shows, and the pointer is that of an object that
    // lives. What is no context is refused with an error. The copy is ours, and null if it failed.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// Calls `f` in `context`.
pub(crate) fn in_context<R>(
    context: &Bound<'_, PyAny>,
    f: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let _entered = Entered::new(context)?;
    f()
}

/// Resumes a coroutine until it suspends or ends.
pub(crate) fn resume<'py>(
    coroutine: &Bound<'py, PyAny>,
    with: Resume<'py>,
) -> PyResult<PySendResult<'py>> {
    let py = coroutine.py();
    match with {
        Resume::Send(value) => {
            // SAFETY: `send` is `PyIter_Send`, which takes any object and calls the method of that
            // name if it is no iterator.
            let iterator = unsafe { coroutine.cast_unchecked::<PyIterator>() };
            iterator.send(&value)
        }
        Resume::Throw(arguments) => {
            let thrown = coroutine.call_method1(intern!(py, "throw"), arguments);
            match thrown {
                Ok(value) => Ok(PySendResult::Next(value)),
                Err(error) => returned(py, error).map(PySendResult::Return),
            }
        }
    }
}

/// Shows `look` what an object refers to, as the garbage collector sees it; what `gc.get_referents`
/// would list. `look` must run no Python code.
pub(crate) fn look_at_referents<'py>(
    object: &Bound<'py, PyAny>,
    mut look: impl FnMut(Borrowed<'_, 'py, PyAny>),
) {
    extern "C" fn visit(referent: *mut ffi::PyObject, show: *mut c_void) -> c_int {
        // SAFETY: `traverse` gives back what it was given below, a function that outlives the call.
        let show = unsafe { &mut *show.cast::<&mut dyn FnMut(*mut ffi::PyObject)>() };
        show(referent);
        0
    }

    let py = object.py();
    // SAFETY: the object is alive, and so is what it refers to: nothing runs meanwhile.
    let mut show = |referent| look(unsafe { Borrowed::from_ptr(py, referent) });
    let mut show: &mut dyn FnMut(*mut ffi::PyObject) = &mut show;
    // SAFETY: the thread is attached. The slot, if there is one, may be called with the object of
    // the type whose slot it is and with a function of this signature, which runs no Python code.
    unsafe {
        if let Some(traverse) = (*ffi::Py_TYPE(object.as_ptr())).tp_traverse {
            traverse(object.as_ptr(), visit, (&raw mut show).cast());
        }
    }
}

/// What a coroutine has returned that ended with this error.
fn returned(py: Python<'_>, error: PyErr) -> PyResult<Bound<'_, PyAny>> {
    if error.is_instance_of::<PyStopIteration>(py) {
        error.value(py).getattr(intern!(py, "value"))
    } else {
        Err(error)
    }
}

/// A context that has been entered, and is left when this is dropped.
struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl<'a, 'py> Entered<'a, 'py> {
    fn new(context: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        // SAFETY: as in `copy`. What has been entered already is refused with an error too.
        if unsafe { ffi::PyContext_Enter(context.as_ptr()) } == 0 {
            Ok(Self(context))
        } else {
            Err(PyErr::fetch(context.py()))
        }
    }
}

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: as above. That another context has been entered since, and not left, is an error.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(self.0));
        }
    }
}
