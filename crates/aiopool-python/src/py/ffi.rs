//! The C interface of the interpreter for contexts, coroutines and attributes, which `PyO3` does
//! not wrap. Python's own methods for these would be a good part of the cost of a job.
#![expect(unsafe_code, reason = "see above")]

use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;

use pyo3::exceptions::{PyStopIteration, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::iterator::PySendResult;
use pyo3::types::{PyIterator, PyNone, PyTuple};

/// The value or error with which a coroutine is resumed.
pub(crate) enum Resume<'py> {
    Send(Bound<'py, PyAny>),
    /// The arguments of `throw`.
    Throw(Bound<'py, PyTuple>),
}

impl<'py> Resume<'py> {
    /// As a loop resumes a task that awaited no future.
    pub(crate) fn with_none(py: Python<'py>) -> Self {
        Self::Send(PyNone::get(py).to_owned().into_any())
    }
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

/// The number of this thread, as `threading.get_ident` gives it.
pub(crate) fn thread_ident(_py: Python<'_>) -> c_ulong {
    // SAFETY: it has no conditions.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Whether the code that has called us handles an exception.
pub(crate) fn handles_exception(py: Python<'_>) -> bool {
    // SAFETY: the thread is attached, as `py` shows. The reference is ours, and null if there is none.
    let handled = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyErr_GetHandledException()) };
    handled.is_some_and(|handled| !handled.is_none())
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

/// Shows `look` the objects that an object refers to, as the garbage collector sees them and as
/// `gc.get_referents` would list them. `look` must run no Python code.
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

/// An attribute that C code or `__slots__` has given to a class. Access by its descriptor saves the
/// search for its name, which is two thirds of the cost of reading or writing it.
pub(crate) struct Field(Py<PyAny>);

impl Field {
    pub(crate) fn of(class: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        // Not by `getattr` of the class: if the class has a value of its own of that name,
        // `getattr` gives it.
        let descriptor = class
            .getattr(intern!(class.py(), "__dict__"))?
            .get_item(name)?;
        // SAFETY: the thread is attached, and the descriptor lives as long as its type is looked
        // at.
        let kind = unsafe { &*ffi::Py_TYPE(descriptor.as_ptr()) };
        if kind.tp_descr_get.is_none() || kind.tp_descr_set.is_none() {
            return Err(PyTypeError::new_err(format!("{class} has no field {name}")));
        }
        Ok(Self(descriptor.unbind()))
    }

    /// Reads the attribute. Raises if the object is of another class.
    pub(crate) fn get<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, descriptor) = (object.py(), self.0.as_ptr());
        let kind = object.get_type();
        // SAFETY: the thread is attached and all three are alive. The slot is there, as `of` has
        // seen, and checks the class of the object. What it gives is ours, and null if it failed.
        unsafe {
            let get = (*ffi::Py_TYPE(descriptor)).tp_descr_get;
            let value = get.map_or(ptr::null_mut(), |get| {
                get(descriptor, object.as_ptr(), kind.as_ptr())
            });
            Bound::from_owned_ptr_or_err(py, value)
        }
    }

    /// Writes the attribute. Raises if the object is of another class.
    pub(crate) fn set(&self, object: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let descriptor = self.0.as_ptr();
        // SAFETY: as in `get`. The slot takes a reference to the value of its own.
        let status = unsafe {
            let set = (*ffi::Py_TYPE(descriptor)).tp_descr_set;
            set.map_or(-1, |set| set(descriptor, object.as_ptr(), value.as_ptr()))
        };
        if status == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(object.py()))
        }
    }
}

/// The return value of a coroutine that ended with this error.
fn returned(py: Python<'_>, error: PyErr) -> PyResult<Bound<'_, PyAny>> {
    if error.is_instance_of::<PyStopIteration>(py) {
        error.value(py).getattr(intern!(py, "value"))
    } else {
        Err(error)
    }
}

/// A context that has been entered. Dropping this leaves the context.
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
