//! Submitting calls from other threads: see `_submit.py`.

use aiopool_core::Level;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::calls::enqueue::{call_of, hand_in};
use crate::py::check::check_function;
use crate::py::errors;
use crate::run::{mailbox, options};
use crate::state::{Asked, Enqueued, Mail, Pool, Sent, Verbs};

#[pymethods]
impl Verbs {
    /// The call that is to be handed in, and the loop in whose thread. May be called in any thread.
    fn mail<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<(Mail, Bound<'py, PyAny>)> {
        let py = function.py();
        check_function("submit", function)?;
        let pool = self.pool.bind(py);
        let Some(event_loop) = pool.get().own_loop().get() else {
            return Err(PyRuntimeError::new_err(
                "the pool has no loop yet, in whose thread it would make the call: enter it first, \
                 as in `async with pool:`",
            ));
        };
        event_loop.check_reachable(py)?;
        if pool.get().refuses(py, false) {
            return Err(errors::pool_is_closed());
        }
        let asked = self.values.as_ref().map(|values| values.of_job(py));
        let asked = asked.transpose()?;
        // Here, because it may be that of the job that submits, from a thread of its own.
        let level = options::level(pool, asked.as_ref().and_then(|asked| asked.level))?;
        let asked = if asked.is_none() && level == Level::default() {
            None
        } else {
            Some(Asked {
                level: Some(level),
                ..asked.unwrap_or_default()
            })
        };
        let sent = Sent {
            call: call_of(function, arguments, &PyDict::new(py))?,
            asked,
            context: Pool::snapshot(pool)?.0,
        };
        Ok((Mail::new(pool, sent), event_loop.object.bind(py).clone()))
    }
}

#[pymethods]
impl Mail {
    /// Puts into the mailbox the object that has this mail. Tells whether the loop is still to be
    /// asked to read it.
    fn post(&self, delivery: &Bound<'_, PyAny>) -> bool {
        self.pool(delivery.py()).get().post(delivery)
    }

    #[getter(pool)]
    fn its_pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool(py).clone().unbind()
    }

    /// Hands the job in.
    fn hand_in<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Enqueued>> {
        let sent = self.take(py);
        let sent = sent.ok_or_else(|| PyRuntimeError::new_err("the job was handed in before"))?;
        hand_in(self.pool(py), sent.call, sent.asked, Some(sent.context))
    }
}

#[pymethods]
impl Pool {
    /// Hands in some of what is in the mailbox. Tells whether there may be more.
    fn read_mail(slf: &Bound<'_, Self>) -> bool {
        mailbox::read(slf)
    }

    /// Gives what is in the mailbox, which nobody will hand in: the loop ends.
    #[pyo3(name = "take_mail")]
    fn return_mail(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.take_mail(py).into()
    }
}
