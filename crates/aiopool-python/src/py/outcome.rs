//! How a job has ended, and how its future is settled.

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::event_loop::OwnLoop;
use crate::py::{errors, imports};

/// How a job has ended. The errors are exception objects.
pub(crate) enum Outcome {
    Returned(Py<PyAny>),
    Failed(Py<PyAny>),
    Cancelled(Option<Py<PyAny>>),
    /// With the `JobTimeout`.
    TimedOut(Py<PyAny>),
}

/// The kind of an outcome.
#[derive(Clone, Copy)]
pub(crate) enum How {
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
}

impl Outcome {
    pub(crate) fn how(&self) -> How {
        match self {
            Self::Returned(_) => How::Succeeded,
            Self::Failed(_) => How::Failed,
            Self::Cancelled(_) => How::Cancelled,
            Self::TimedOut(_) => How::TimedOut,
        }
    }

    /// Whether its future gets an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::TimedOut(_))
    }

    pub(crate) fn of_error(error: &Bound<'_, PyAny>) -> Self {
        let own = error.clone().unbind();
        if errors::is_cancellation(error) {
            Self::Cancelled(Some(own))
        } else {
            Self::Failed(own)
        }
    }

    /// The same, for an error that a call has raised.
    pub(crate) fn of_raised(py: Python<'_>, error: &PyErr) -> Self {
        // Up to 3.11 an error that is being raised has its frames beside it, not in it.
        let error = error.clone_ref(py).into_value(py);
        Self::of_error(error.bind(py).as_any())
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Returned(result) => Self::Returned(result.clone_ref(py)),
            Self::Failed(error) => Self::Failed(error.clone_ref(py)),
            Self::TimedOut(error) => Self::TimedOut(error.clone_ref(py)),
            Self::Cancelled(error) => {
                Self::Cancelled(error.as_ref().map(|error| error.clone_ref(py)))
            }
        }
    }

    /// Settles a future, unless its holder has settled it already, usually by cancelling it.
    pub(crate) fn settle_future(self, own_loop: &OwnLoop, future: &Bound<'_, PyAny>) {
        let py = future.py();
        let Err(error) = self.deliver(future) else {
            return;
        };
        let was_done = imports::invalid_state_error(py)
            .is_ok_and(|class| error.value(py).is_instance(class).unwrap_or(false));
        // In a closed loop, no callback of the future will ever be called.
        if was_done || own_loop.is_closed(py) {
            return;
        }
        // Usually there was no memory. The task that waits gets that error instead.
        let told = Self::Failed(error.clone_ref(py).into_value(py).into_any()).deliver(future);
        if told.is_err() {
            errors::report(py, Err(error), future);
        }
    }

    fn deliver(self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        errors::contained(py, || {
            match self {
                Self::Returned(result) => future.call_method1(intern!(py, "set_result"), (result,)),
                Self::Failed(error) | Self::TimedOut(error) => {
                    let error = storable(error.into_bound(py));
                    future.call_method1(intern!(py, "set_exception"), (error,))
                }
                Self::Cancelled(error) => {
                    let message = error.and_then(|error| message_of(error.bind(py)));
                    future.call_method1(intern!(py, "cancel"), (message,))
                }
            }
            .map(drop)
        })
    }
}

/// Keeps a settled future from complaining that nobody has read its error.
pub(crate) fn mark_read(future: &Bound<'_, PyAny>) {
    // If the future is cancelled, this raises CancelledError, which may be ignored too.
    let _ = future.call_method0(intern!(future.py(), "exception"));
}

/// A future refuses `StopIteration`: awaiting the future would then end the awaiting generator.
fn storable(error: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    let py = error.py();
    if !error.is_instance_of::<PyStopIteration>() {
        return error;
    }
    let wrapped = PyRuntimeError::new_err("the job raised StopIteration");
    wrapped.set_cause(py, Some(PyErr::from_value(error)));
    wrapped.into_value(py).into_any().into_bound(py)
}

/// The message of a cancellation.
pub(crate) fn message_of(error: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    let arguments = error.getattr(intern!(error.py(), "args")).ok()?;
    Some(arguments.get_item(0).ok()?.unbind())
}
