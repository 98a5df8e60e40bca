//! Handing in a job: the call is checked, and the job gets a future and a place in the queue.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::py::apart::Calls;
use crate::py::awaitable::{close_unawaited, is_future};
use crate::py::check::{Call, check_awaitable, check_callback, check_given};
use crate::py::outcome::Outcome;
use crate::py::{errors, imports, name, owner};
use crate::run::{start, withdraw};
use crate::state::{Callback, Called, Options, Pool, Unawaited, Waiter, WaitingJob};

#[pymethods]
impl Pool {
    /// Hands in a job and returns its future.
    fn spawn_n<'py>(
        slf: &Bound<'py, Self>,
        awaitable: &Bound<'py, PyAny>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call {
            verb: "spawn_n",
            awaitable,
            cb,
            ctx,
        };
        check_awaitable(&call)?;
        let (future, _) = hand_in(slf, &call, false)?;
        Ok(future)
    }

    /// Keeps the arguments of `spawn` or `exec` for the coroutine that the verb returns.
    fn unawaited(
        slf: Bound<'_, Self>,
        awaitable: Py<PyAny>,
        cb: Option<Py<PyAny>>,
        ctx: Py<PyAny>,
    ) -> Unawaited {
        let called = Called { awaitable, cb, ctx };
        Unawaited::new(slf, called)
    }

    /// Calls `function` with each item and hands in the awaitable that it gives. If it raises, the
    /// error settles the future of that item.
    fn map_n<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        values: &Bound<'py, PyList>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let event_loop = slf.get().enter(slf.py())?;
        let mut calls = Calls::new(function, &imports::zip(slf.py())?.call1((values,))?)?;
        let futures = (0..values.len()).map(|_| {
            let verb = "map_n";
            let made = calls.call().and_then(|awaitable| {
                check_given(verb, function, &awaitable)?;
                Ok(awaitable)
            });
            let awaitable = match &made {
                Ok(awaitable) => awaitable,
                Err(error) => return failed_future(slf, function, error),
            };
            let call = Call {
                verb,
                awaitable,
                cb,
                ctx,
            };
            let (future, _) = hand_in(slf, &call, false)?;
            Ok(future)
        });
        let futures = futures.collect::<PyResult<_>>()?;
        calls.end(event_loop)?;
        Ok(futures)
    }
}

#[pymethods]
impl Unawaited {
    #[getter(pool)]
    fn its_pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool(py).clone().unbind()
    }

    /// Hands in the job. Returns its future, and a second future that is settled when the job
    /// leaves the queue; None instead of that if the job has a slot already.
    fn spawn<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        hand_in_unawaited(self, py, "spawn", true)
    }

    /// Hands in the job and returns its future.
    fn exec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (future, _) = hand_in_unawaited(self, py, "exec", false)?;
        Ok(future)
    }
}

fn hand_in_unawaited<'py>(
    unawaited: &Unawaited,
    py: Python<'py>,
    verb: &'static str,
    tell: bool,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let called = unawaited.take(py);
    let called = called.ok_or_else(|| PyRuntimeError::new_err("the job was handed in before"))?;
    let call = Call {
        verb,
        awaitable: called.awaitable.bind(py),
        cb: called.cb.as_ref().map(|cb| cb.bind(py)),
        ctx: called.ctx.bind(py),
    };
    check_awaitable(&call)?;
    hand_in(unawaited.pool(py), &call, tell)
}

/// The settled future of an item for which no job could be made.
fn failed_future<'py>(
    pool: &Bound<'py, Pool>,
    function: &Bound<'py, PyAny>,
    error: &PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pool.py();
    if errors::is_exit(error.value(py)) {
        return Err(error.clone_ref(py));
    }
    let future = pool.get().enter(py)?.new_job_future(py)?;
    owner::replace(&future, Some(name::of(function)?.into_any()));
    Outcome::of_raised(py, error).settle_future(pool.get().own_loop(), &future);
    Ok(future)
}

/// Hands in an awaitable that has been checked.
fn hand_in<'py>(
    pool: &Bound<'py, Pool>,
    call: &Call<'_, 'py>,
    tell: bool,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let py = pool.py();
    let &Call {
        awaitable, cb, ctx, ..
    } = call;
    let made = check_callback(cb).and_then(|()| {
        let event_loop = pool.get().enter(py)?;
        let future = event_loop.new_job_future(py)?;
        owner::attach(&future, pool)?;
        let is_blocked = tell && !pool.get().has_free_slot(py);
        let admitted = is_blocked.then(|| event_loop.new_future(py)).transpose()?;
        Ok((future, admitted, Pool::snapshot(pool)?))
    });
    let (future, admitted, context) = made.inspect_err(|_| refuse(awaitable))?;
    let callback = cb.map(|function| Callback {
        function: function.clone().unbind(),
        ctx: ctx.clone().unbind(),
    });
    let options = (callback.is_some() || admitted.is_some()).then(|| {
        let admitted = admitted.clone().map(Bound::unbind);
        Box::new(Options { callback, admitted })
    });
    let job = WaitingJob {
        awaitable: awaitable.clone().unbind(),
        future: future.clone().unbind(),
        context,
        options,
    };
    match pool.get().submit(py, Waiter::Job(job)) {
        Ok(_) => start::advance(pool),
        Err(refused) => withdraw::withdraw(pool, refused),
    }
    Ok((future, admitted))
}

/// Closes a coroutine that the pool does not take, so that Python does not warn that it was never
/// awaited. A future stays as it is: it belongs to its maker.
fn refuse(awaitable: &Bound<'_, PyAny>) {
    if !is_future(awaitable) {
        close_unawaited(awaitable);
    }
}
