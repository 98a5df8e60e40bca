//! A job settles: its outcome goes to its future, or to its place among the items of a `map`.

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyNone;

use crate::items::Items;
use crate::pool::Pool;
use crate::python;

/// Who is to get the outcome of a job.
pub(crate) enum Target {
    Future(Py<PyAny>),
    Item {
        items: Py<Items>,
        /// Where the outcome of an item of `map` belongs in the list of results.
        index: usize,
        /// The future of an item that `cancel` has stopped and wants to hear of.
        future: Option<Py<PyAny>>,
    },
}

/// How a job has ended. The errors are exception objects.
pub(crate) enum Outcome {
    Returned(Py<PyAny>),
    Failed(Py<PyAny>),
    Cancelled(Option<Py<PyAny>>),
}

impl Target {
    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Future(future) => visit.call(future),
            Self::Item { items, future, .. } => {
                visit.call(items)?;
                visit.call(future)
            }
        }
    }
}

impl Outcome {
    pub(crate) fn of_error(error: &Bound<'_, PyAny>) -> Self {
        let class = python::cancelled_error(error.py());
        let own = error.clone().unbind();
        if class.is_ok_and(|class| error.is_instance(class).unwrap_or(false)) {
            Self::Cancelled(Some(own))
        } else {
            Self::Failed(own)
        }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Returned(result) => Self::Returned(result.clone_ref(py)),
            Self::Failed(error) => Self::Failed(error.clone_ref(py)),
            Self::Cancelled(error) => {
                Self::Cancelled(error.as_ref().map(|error| error.clone_ref(py)))
            }
        }
    }

    pub(crate) fn settle(self, pool: &Bound<'_, Pool>, target: Target) {
        let py = pool.py();
        match target {
            Target::Future(future) => {
                let future = future.bind(py);
                disown(future);
                self.settle_future(pool, future);
            }
            Target::Item {
                items,
                index,
                future,
            } => {
                if let Some(future) = future {
                    let future = future.bind(py);
                    self.clone_ref(py).settle_future(pool, future);
                    // The error is among the results of the items, whether `cancel` is still
                    // there to read it here or not.
                    mark_read(future);
                }
                Items::settle(items.bind(py), index, self);
            }
        }
    }

    /// Settles a future, unless its holder has done so already (by giving it up, as a rule).
    pub(crate) fn settle_future(self, pool: &Bound<'_, Pool>, future: &Bound<'_, PyAny>) {
        let py = pool.py();
        let Err(error) = self.deliver(future) else {
            return;
        };
        let was_done = python::invalid_state_error(py)
            .is_ok_and(|class| error.value(py).is_instance(class).unwrap_or(false));
        // Whoever waits for a future in a loop that is closed will never be called.
        let nobody_waits = pool.get().event_loop.get().is_some_and(|l| l.is_closed(py));
        if was_done || nobody_waits {
            return;
        }
        // There was no memory, as a rule. Who waits shall hear of that instead.
        let told = Self::Failed(error.clone_ref(py).into_value(py).into_any()).deliver(future);
        if told.is_err() {
            python::report(py, Err(error), future);
        }
    }

    fn deliver(self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        python::contained(py, || {
            match self {
                Self::Returned(result) => future.call_method1(intern!(py, "set_result"), (result,)),
                Self::Failed(error) => {
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
    // It raises CancelledError if the future is cancelled, which is nothing to complain of either.
    let _ = future.call_method0(intern!(future.py(), "exception"));
}

/// From here on, to cancel the future does nothing to a job.
pub(crate) fn disown(future: &Bound<'_, PyAny>) {
    let py = future.py();
    let disowned = python::owner(py).and_then(|owner| owner.set(future, &PyNone::get(py)));
    python::report(py, disowned, future);
}

/// A future refuses `StopIteration`, because to await it would then end the awaiting generator.
fn storable(error: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    let py = error.py();
    if !error.is_instance_of::<PyStopIteration>() {
        return error;
    }
    let wrapped = PyRuntimeError::new_err("the job raised StopIteration");
    wrapped.set_cause(py, Some(PyErr::from_value(error)));
    wrapped.into_value(py).into_any().into_bound(py)
}

fn message_of(error: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    let arguments = error.getattr(intern!(error.py(), "args")).ok()?;
    Some(arguments.get_item(0).ok()?.unbind())
}
