//! Handing in a job: the call is checked, and the job gets a future and a place in the queue.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::py::apart::Calls;
use crate::py::awaitable::{close_unawaited, is_future};
use crate::py::check::{Call, check_awaitable, check_callback, check_given};
use crate::py::outcome::Outcome;
use crate::py::{errors, imports, name, owner};
use crate::run::keys::{self, Rejected};
use crate::run::{nested, observe, options, start};
use crate::state::{
    Asked, Callback, Called, Extras, Job, OptionValues, Options, Place, Pool, Single, Unawaited,
    Verbs, Waiter, WaitingJob,
};

#[pymethods]
impl Verbs {
    /// Hands in a job and returns its future.
    fn spawn_n<'py>(
        &self,
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
        let (future, _) = hand_in_one(self, &call, Waits::No)?;
        Ok(future)
    }

    /// Keeps the arguments of `spawn` or `exec` for the coroutine that the verb returns.
    fn unawaited(
        slf: Bound<'_, Self>,
        awaitable: Py<PyAny>,
        cb: Option<Py<PyAny>>,
        ctx: Py<PyAny>,
    ) -> Unawaited {
        Unawaited::new(slf.unbind(), Called { awaitable, cb, ctx })
    }

    /// Calls `function` with each item and hands in the awaitable that it gives. If it raises, the
    /// error settles the future of that item. Each option may be a function of the item.
    fn map_n<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        values: &Bound<'py, PyList>,
        cb: Option<&Bound<'py, PyAny>>,
        ctx: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let pool = self.pool.bind(function.py());
        map_n(pool, self.values.as_ref(), function, values, cb, ctx)
    }
}

#[pymethods]
impl Unawaited {
    #[getter(pool)]
    fn its_pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool(py).clone().unbind()
    }

    /// Hands in the job. Returns its future, a second future that is settled when the job leaves the
    /// queue, or None instead of that if the job has a slot already, and whether the caller is a job of
    /// the same pool.
    fn spawn<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, bool)> {
        let caller = nested::caller(self.pool(py))?;
        let waits = Waits::ForStart(caller.as_ref());
        let (future, admitted) = hand_in_unawaited(self, py, "spawn", waits)?;
        Ok((future, admitted, caller.is_some()))
    }

    /// Hands in the job. Returns its future, and whether the caller is a job of the same pool.
    fn exec<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, bool)> {
        let caller = nested::caller(self.pool(py))?;
        let waits = Waits::ForEnd(caller.as_ref());
        let (future, _) = hand_in_unawaited(self, py, "exec", waits)?;
        Ok((future, caller.is_some()))
    }
}

/// What the caller waits for, who may be a job of the same pool.
#[derive(Clone, Copy)]
enum Waits<'a, 'py> {
    No,
    ForStart(Option<&'a Bound<'py, Job>>),
    ForEnd(Option<&'a Bound<'py, Job>>),
}

impl Waits<'_, '_> {
    fn is_nested(self) -> bool {
        matches!(self, Self::ForStart(Some(_)) | Self::ForEnd(Some(_)))
    }

    /// Whether what is handed in goes to the front: that for which a job waits.
    fn is_first(self, pool: &Bound<'_, Pool>) -> PyResult<bool> {
        let waits = !matches!(self, Self::No);
        Ok(self.is_nested() || waits && nested::goes_on(pool)?)
    }

    /// The job that waits for the end of the one that it hands in.
    fn for_end(self) -> Option<Py<PyAny>> {
        match self {
            Self::ForEnd(caller) => caller.map(|caller| caller.clone().into_any().unbind()),
            Self::No | Self::ForStart(_) => None,
        }
    }
}

/// Calls `function` with each item and hands in the awaitable that it gives.
fn map_n<'py>(
    pool: &Bound<'py, Pool>,
    options: Option<&OptionValues>,
    function: &Bound<'py, PyAny>,
    values: &Bound<'py, PyList>,
    cb: Option<&Bound<'py, PyAny>>,
    ctx: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?;
    if pool.get().refuses(py, false) {
        return Err(errors::pool_is_closed());
    }
    let mut calls = Calls::new(function, &imports::zip(py)?.call1((values,))?)?;
    // The items as the calls see them: `function` may change the list.
    let futures = values.clone().into_iter().map(|value| {
        let verb = "map_n";
        let made = calls.call().and_then(|awaitable| {
            check_given(verb, function, &awaitable)?;
            Ok(awaitable)
        });
        let awaitable = match &made {
            Ok(awaitable) => awaitable,
            Err(error) => return failed_future(pool, function, error),
        };
        let call = Call {
            verb,
            awaitable,
            cb,
            ctx,
        };
        let Some(options) = options else {
            return Ok(hand_in(pool, &call, None, Waits::No)?.0);
        };
        let handed_in = options
            .of_item_apart(event_loop, &value)
            .inspect_err(|_| refuse(awaitable))
            .and_then(|asked| hand_in(pool, &call, Some(asked), Waits::No));
        match handed_in {
            Ok((future, _)) => Ok(future),
            Err(error) => failed_future(pool, function, &error),
        }
    });
    let futures = futures.collect::<PyResult<_>>()?;
    calls.end(event_loop)?;
    Ok(futures)
}

fn hand_in_unawaited<'py>(
    unawaited: &Unawaited,
    py: Python<'py>,
    verb: &'static str,
    waits: Waits<'_, 'py>,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let called = unawaited.take(py);
    let called = called.ok_or_else(|| PyRuntimeError::new_err("the job was handed in before"))?;
    let call = Call {
        verb,
        awaitable: called.awaitable.bind(py),
        cb: called.cb.as_ref().map(|cb| cb.bind(py)),
        ctx: called.ctx.bind(py),
    };
    hand_in_one(unawaited.verbs(), &call, waits)
}

/// Hands in a single job.
fn hand_in_one<'py>(
    verbs: &Verbs,
    call: &Call<'_, 'py>,
    waits: Waits<'_, 'py>,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    check_awaitable(call)?;
    let py = call.awaitable.py();
    let asked = verbs.values.as_ref().map(|values| values.of_job(py));
    let asked = asked.transpose();
    let asked = asked.inspect_err(|_| refuse(call.awaitable))?;
    hand_in(verbs.pool.bind(py), call, asked, waits)
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
    asked: Option<Asked>,
    waits: Waits<'_, 'py>,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let py = pool.py();
    let &Call {
        awaitable, cb, ctx, ..
    } = call;
    let front = waits.is_first(pool).inspect_err(|_| refuse(awaitable))?;
    if pool.get().refuses(py, front) {
        refuse(awaitable);
        return Err(errors::pool_is_closed());
    }
    let is_default = asked.is_none();
    let mut asked = asked.unwrap_or_default();
    let made = check_callback(cb).and_then(|()| {
        let event_loop = pool.get().enter(py)?;
        let level = options::level(pool, asked.level)?;
        let future = event_loop.new_job_future(py)?;
        owner::attach(&future, pool)?;
        // An observer may pause the pool before the job starts.
        let starts = is_default && pool.get().observer().is_none() && pool.get().has_free_slot(py);
        let is_blocked = matches!(waits, Waits::ForStart(_)) && !starts;
        let admitted = is_blocked.then(|| event_loop.new_future(py)).transpose()?;
        Ok((future, admitted, Pool::snapshot(pool)?, level))
    });
    let (future, admitted, (context, may_be_nested), level) =
        made.inspect_err(|_| refuse(awaitable))?;
    let callback = cb.map(|function| Callback {
        function: function.clone().unbind(),
        ctx: ctx.clone().unbind(),
    });
    let options = (callback.is_some() || admitted.is_some()).then(|| {
        let admitted = admitted.clone().map(Bound::unbind);
        let is_nested = front;
        Box::new(Options {
            callback,
            admitted,
            is_nested,
        })
    });
    let job = WaitingJob {
        awaitable: awaitable.clone().unbind(),
        future: future.clone().unbind(),
        context,
        options,
    };
    let name = asked.name.as_ref().map(|name| name.bind(py).clone());
    let observed = observe::watch(pool, asked.key.as_ref(), || {
        name.map_or_else(|| name::of(awaitable), Ok)
    });
    let told = observed.as_ref().map(|observed| observed.clone_ref(py));
    let extras = Extras {
        waited_for_by: waits.for_end(),
        ..asked.extras(observed)
    };
    let waiter = match extras.boxed() {
        None => Waiter::Job(job),
        Some(extras) => Waiter::single(Single::Job(job, extras)),
    };
    let place = Place {
        level,
        key: asked.key,
        front,
    };
    let submitted = keys::submit(pool, waiter, &place);
    if let Err(Rejected {
        error: Some(error), ..
    }) = submitted
    {
        owner::detach(&future);
        refuse(awaitable);
        return Err(error);
    }
    let may_wait = may_be_nested && !waits.is_nested();
    start::has_come(pool, submitted, told.as_ref(), may_wait);
    Ok((future, admitted.filter(|admitted| !is_done(admitted))))
}

fn is_done(future: &Bound<'_, PyAny>) -> bool {
    let done = future.call_method0(intern!(future.py(), "done"));
    done.is_ok_and(|done| done.is_truthy().unwrap_or(false))
}

/// Closes a coroutine that the pool does not take, so that Python does not warn that it was never
/// awaited. A future stays as it is: it belongs to its maker.
fn refuse(awaitable: &Bound<'_, PyAny>) {
    if !is_future(awaitable) {
        close_unawaited(awaitable);
    }
}
