//! Handing in a call, and the future-like object that it gives: see `aiopool.Job`.

use std::sync::atomic::{AtomicBool, Ordering};

use aiopool_core::Ticket;
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::py::check::check_function;
use crate::py::{errors, imports, name};
use crate::run::enqueued;
use crate::run::keys::{self, Rejected};
use crate::run::{observe, options, start, withdraw};
use crate::state::{
    Arity, Asked, Awaiting, Call, Callbacks, End, Enqueued, Place, Pool, Stopping, Verbs, Waiter,
    WaitingCall,
};

#[pymethods]
impl Verbs {
    /// Hands in a job that is a call, which is made when the job begins.
    fn enqueue<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
        named: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, Enqueued>> {
        let py = function.py();
        check_function("enqueue", function)?;
        let asked = self.values.as_ref().map(|values| values.of_job(py));
        let call = call_of(function, arguments, named)?;
        hand_in(self.pool.bind(py), call, asked.transpose()?, None)
    }
}

/// A single argument stands for itself, because a million of waiting calls would hold a million tuples.
pub(crate) fn call_of<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    named: &Bound<'py, PyDict>,
) -> PyResult<Call> {
    let py = function.py();
    let (arguments, arity) = match arguments.len() {
        _ if !named.is_empty() => {
            let both = (arguments, named).into_pyobject(py)?;
            (Some(both.into_any()), Arity::Named)
        }
        0 => (None, Arity::Single),
        1 => (Some(arguments.get_item(0)?), Arity::Single),
        _ => (Some(arguments.clone().into_any()), Arity::Many),
    };
    Ok(Call {
        function: function.clone().unbind(),
        arguments: arguments.map(Bound::unbind),
        arity,
    })
}

/// The job sees the variables of `context`; of the current one, if none is given.
pub(crate) fn hand_in<'py>(
    pool: &Bound<'py, Pool>,
    call: Call,
    asked: Option<Asked>,
    context: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, Enqueued>> {
    let py = pool.py();
    pool.get().enter(py)?;
    if pool.get().refuses(py, false) {
        return Err(errors::pool_is_closed());
    }
    let mut asked = asked.unwrap_or_default();
    let level = options::level(pool, asked.level)?;
    let snapshot = context.map_or_else(|| Pool::snapshot(pool), |context| Ok((context, false)));
    let (context, may_be_nested) = snapshot?;
    let name = asked.name.as_ref().map(|name| name.bind(py).clone());
    let observed = observe::watch(pool, asked.key.as_ref(), || {
        name.map_or_else(|| name::of(call.function.bind(py)), Ok)
    });
    let told = observed.as_ref().map(|observed| observed.clone_ref(py));
    let extras = asked.extras(observed);
    let job = Enqueued::new(pool, call)?;
    let waiting = WaitingCall {
        job: job.clone().unbind(),
        context,
    };
    let place = Place {
        level,
        key: asked.key,
        front: false,
    };
    let submitted = keys::submit(pool, Waiter::call(waiting, extras.boxed()), &place);
    match &submitted {
        // The place is noted before foreign code runs again, which may cancel the job.
        Ok(ticket) => job.get().waits(py, *ticket),
        Err(Rejected {
            error: Some(error), ..
        }) => return Err(error.clone_ref(py)),
        Err(_) => {}
    }
    start::has_come(pool, submitted, told.as_ref(), may_be_nested);
    Ok(job)
}

/// Takes a job that waits out of the queue, for `cancel` of the pool.
pub(crate) fn withdraw(job: &Bound<'_, Enqueued>) -> bool {
    match job.get().begin_stop(job.py()) {
        Stopping::Withdraw(place) => withdraw_waiting(job, place, None),
        Stopping::Cancel(_) | Stopping::Wait | Stopping::Nothing => false,
    }
}

/// Takes a job out of the queue. False if it is not there.
fn withdraw_waiting(job: &Bound<'_, Enqueued>, place: Ticket, message: Option<Py<PyAny>>) -> bool {
    let py = job.py();
    let pool = job.get().pool(py);
    let Some(waiter) = pool.get().withdraw(py, place) else {
        return false;
    };
    withdraw::withdraw_with(pool, waiter, message);
    true
}

#[expect(clippy::doc_markdown, reason = "these are docstrings of Python")]
#[pymethods]
impl Enqueued {
    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        result: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        imports::generic_alias(class.py())?.call1((class, result))
    }

    /// Stops the job in every state.
    ///
    /// One that waits never starts. An active one gets CancelledError, once: a second call does not cut
    /// off its clean-up. It has ended when it is `done`.
    ///
    /// :param msg: the message of the error.
    /// :returns: False if the job has ended already.
    /// :raises RuntimeError: if the pool belongs to another loop or thread.
    #[pyo3(signature = (msg=None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let job = slf.get();
        if job.has_ended(py) {
            return Ok(false);
        }
        let pool = job.pool(py);
        pool.get().enter(py)?;
        match job.begin_stop(py) {
            Stopping::Nothing => return Ok(false),
            Stopping::Wait => {}
            Stopping::Cancel(active) => {
                withdraw::cancel_with(active.get(), py, msg);
            }
            Stopping::Withdraw(place) => {
                let withdrawn = withdraw_waiting(slf, place, msg);
                start::advance(pool);
                return Ok(withdrawn);
            }
        }
        Ok(true)
    }

    /// Whether the job has ended, be it with a result, an error or as cancelled.
    fn done(&self, py: Python<'_>) -> bool {
        self.has_ended(py)
    }

    /// Whether the job was cancelled, and has ended with that.
    fn cancelled(&self, py: Python<'_>) -> bool {
        self.is_cancelled(py)
    }

    /// What the job has returned.
    ///
    /// :raises BaseException: what it has raised; CancelledError if it was cancelled.
    /// :raises InvalidStateError: if it has not ended.
    fn result<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match end_of(slf, "Result is not ready.")? {
            End::Returned(result) => Ok(result.into_bound(py)),
            End::Failed(failed) => {
                let failed = failed.into_bound(py);
                match failed.cast_into::<PyBaseException>() {
                    Ok(error) => Err(PyErr::from_value(error.into_any())),
                    Err(other) => other.into_inner().call_method0(intern!(py, "result")),
                }
            }
            End::Cancelled(message) => Err(PyErr::from_value(cancelled_error(py, message)?)),
        }
    }

    /// What the job has raised; None if it has returned.
    ///
    /// :raises CancelledError: if it was cancelled.
    /// :raises InvalidStateError: if it has not ended.
    fn exception<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        match end_of(slf, "Exception is not set.")? {
            End::Returned(_) => Ok(None),
            End::Failed(failed) => {
                let failed = failed.into_bound(py);
                match failed.cast_into::<PyBaseException>() {
                    Ok(error) => Ok(Some(error.into_any())),
                    Err(other) => other
                        .into_inner()
                        .call_method0(intern!(py, "exception"))
                        .map(Some),
                }
            }
            End::Cancelled(message) => Err(PyErr::from_value(cancelled_error(py, message)?)),
        }
    }

    /// Has `fn` called with the job when that has ended, by the loop and in `context`.
    ///
    /// :param fn: a function of the job.
    /// :param context: None: a copy of the current one.
    #[pyo3(signature = (r#fn, *, context=None))]
    fn add_done_callback<'py>(
        slf: &Bound<'py, Self>,
        r#fn: &Bound<'py, PyAny>,
        context: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let context = context.map_or_else(|| imports::copy_context(slf.py())?.call0(), Ok)?;
        if slf.get().add_callback(r#fn, &context) {
            return Ok(());
        }
        enqueued::call_soon(slf, r#fn, &context)
    }

    /// Takes back all calls of `add_done_callback` with this function.
    ///
    /// :returns: how many there were.
    fn remove_done_callback(slf: &Bound<'_, Self>, r#fn: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = slf.py();
        let mut equal = Vec::new();
        // Bound methods are equal and not the same. To compare them is foreign code.
        for (callback, _) in slf.get().callbacks(py) {
            if callback.is(r#fn) || callback.bind(py).eq(r#fn)? {
                equal.push(callback);
            }
        }
        Ok(slf.get().remove_callbacks(py, &equal).len())
    }

    /// The loop of the pool.
    fn get_loop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let own_loop = slf.get().pool(py).get().own_loop();
        let event_loop = own_loop.get();
        let event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("no loop"))?;
        Ok(event_loop.object.bind(py).clone())
    }

    /// The name of the job: that which `options` was given, or that of its function.
    #[getter(name)]
    fn its_name<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        enqueued::name_of(slf)
    }

    fn __await__(slf: Bound<'_, Self>) -> Awaiting {
        Awaiting {
            job: slf.unbind(),
            has_yielded: AtomicBool::new(false),
        }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Awaiting {
        Self::__await__(slf)
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        imports::described(slf.py())?.call1((slf,))
    }

    /// The error, for those who only print it: it does not count as read.
    #[getter(_exception)]
    fn unread<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(End::Failed(failed)) = self.ended(py) else {
            return Ok(None);
        };
        match failed.into_bound(py).cast_into::<PyBaseException>() {
            Ok(error) => Ok(Some(error.into_any())),
            Err(other) => other.into_inner().getattr_opt(intern!(py, "_exception")),
        }
    }

    /// As that of a `JobFuture`.
    #[getter(_owner)]
    fn owner(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        if self.has_ended(py) {
            return None;
        }
        let pool = || self.pool(py).clone().into_any().unbind();
        Some(self.active(py).map_or_else(pool, Py::into_any))
    }

    // What follows is read by asyncio.

    #[getter(_callbacks)]
    fn all_callbacks(&self, py: Python<'_>) -> Callbacks {
        self.callbacks(py)
    }

    #[getter(_asyncio_future_blocking)]
    fn blocks(&self, py: Python<'_>) -> bool {
        self.is_blocking(py)
    }

    #[setter(_asyncio_future_blocking)]
    fn block(&self, py: Python<'_>, blocking: bool) {
        self.set_blocking(py, blocking);
    }

    #[getter(_cancel_message)]
    fn cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self.ended(py) {
            Some(End::Cancelled(message)) => message,
            _ => None,
        }
    }

    #[pyo3(name = "_make_cancelled_error")]
    fn make_cancelled_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        cancelled_error(py, self.cancel_message(py))
    }
}

#[pymethods]
impl Awaiting {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let job = self.job.bind(py);
        if job.get().has_ended(py) {
            let result = Enqueued::result(job)?;
            return Err(PyStopIteration::new_err((result.unbind(),)));
        }
        if self.has_yielded.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("await wasn't used with future"));
        }
        job.get().set_blocking(py, true);
        Ok(job.clone().into_any())
    }
}

fn end_of(job: &Bound<'_, Enqueued>, otherwise: &'static str) -> PyResult<End> {
    let py = job.py();
    if let Some(end) = job.get().ended(py) {
        return Ok(end);
    }
    let class = imports::invalid_state_error(py)?;
    Err(PyErr::from_value(class.call1((otherwise,))?))
}

fn cancelled_error(py: Python<'_>, message: Option<Py<PyAny>>) -> PyResult<Bound<'_, PyAny>> {
    let class = imports::cancelled_error(py)?;
    match message {
        None => class.call0(),
        Some(message) => class.call1((message,)),
    }
}
