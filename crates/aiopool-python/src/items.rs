//! A running `map` or `itermap`: one function called with many items, and what came of them.

use aiopool_core::Ticket;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

use crate::context;
use crate::guarded::Guarded;
use crate::hand_in;
use crate::line::{Callback, Waiter};
use crate::native::in_context;
use crate::pool::Pool;
use crate::python;
use crate::settle::{Outcome, Target, mark_read};

/// A running `map` or `itermap`. The results of a `map` stand in the order of its items, those of
/// an `itermap` in the order in which they came.
#[pyclass(frozen, module = "asyncio_pool._core")]
pub struct Items {
    pool: Py<Pool>,
    function: Py<PyAny>,
    callback: Option<Callback>,
    /// What the caller of `map` saw; each job gets a copy.
    context: Py<PyAny>,
    /// Where the source is pulled, apart from what the jobs see.
    source_context: Py<PyAny>,
    shape: Shape,
    ordered: bool,
    state: Guarded<State>,
}

/// What a result looks like; see `getres`.
#[derive(Clone, Copy)]
enum Shape {
    Flat,
    Pair,
    Future,
}

struct State {
    /// What a `map` has not pulled yet.
    source: Option<Py<PyIterator>>,
    /// The place of a `map` in the line.
    place: Option<Ticket>,
    results: Py<PyList>,
    /// How many items have no result yet, of those that are known.
    pending: usize,
    /// Whether an item failed since the results were last taken.
    failed: bool,
    /// Whether results are dropped because nobody will take them.
    closed: bool,
    /// Why a `map` ended before its source did.
    error: Option<Py<PyAny>>,
    waiter: Option<(Py<PyAny>, When)>,
}

/// When a wait is over; the words are those of `asyncio.wait`.
#[derive(Clone, Copy)]
enum When {
    AllCompleted,
    FirstCompleted,
    FirstException,
}

#[pymethods]
impl Pool {
    /// Starts a `map`, which takes its place in the line.
    fn map<'py>(
        slf: &Bound<'py, Self>,
        function: Bound<'py, PyAny>,
        source: Bound<'py, PyIterator>,
        cb: Option<Bound<'py, PyAny>>,
        ctx: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        shape: Shape,
    ) -> PyResult<Bound<'py, Items>> {
        slf.get().enter(slf.py())?;
        let mut items = Items::new(slf, function, cb, ctx, context, shape)?;
        items.ordered = true;
        items
            .state
            .with(slf.py(), |state| state.source = Some(source.unbind()));
        let items = Bound::new(slf.py(), items)?;
        Items::stand_in_line(&items, 0);
        Self::advance(slf);
        Ok(items)
    }

    /// Starts an `itermap`: each item takes a place in the line.
    fn itermap<'py>(
        slf: &Bound<'py, Self>,
        function: Bound<'py, PyAny>,
        values: Bound<'py, PyList>,
        cb: Option<Bound<'py, PyAny>>,
        ctx: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        shape: Shape,
    ) -> PyResult<Bound<'py, Items>> {
        slf.get().enter(slf.py())?;
        let items = Items::new(slf, function, cb, ctx, context, shape)?;
        items
            .state
            .with(slf.py(), |state| state.pending = values.len());
        let items = Bound::new(slf.py(), items)?;
        for item in values {
            let waiter = Waiter::Item {
                items: items.clone().unbind(),
                item: Some(item.unbind()),
            };
            if let Err(refused) = slf.get().with(slf.py(), |state| state.submit(waiter)) {
                refused.withdrawn(slf);
            }
        }
        Self::advance(slf);
        Ok(items)
    }
}

#[pymethods]
impl Items {
    /// A future that gets None when the wait is over; None if it is.
    fn wait<'py>(slf: &Bound<'py, Self>, when: When) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let items = slf.get();
        if items.state.with(py, |state| state.is_over(py, when)) {
            return Ok(None);
        }
        let future = items.pool.bind(py).get().enter(py)?.new_future(py)?;
        let waiter = (future.clone().unbind(), when);
        drop(items.state.with(py, |state| state.waiter.replace(waiter)));
        Ok(Some(future))
    }

    /// Whether there are results to come or to take.
    #[getter]
    fn left(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            state.pending > 0 || !state.results.bind(py).is_empty()
        })
    }

    /// The results so far. Raises what the iterable of a `map` has raised.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let fresh = PyList::empty(py).unbind();
        let (results, error) = self.state.with(py, |state| {
            state.failed = false;
            let results = std::mem::replace(&mut state.results, fresh);
            (results, state.error.take())
        });
        match error {
            Some(error) => Err(PyErr::from_value(error.into_bound(py))),
            None => Ok(results.into_bound(py)),
        }
    }

    /// Nobody will take results any more: they are dropped as they come.
    fn close(&self, py: Python<'_>) {
        let fresh = PyList::empty(py).unbind();
        let (results, waiter) = self.state.with(py, |state| {
            state.closed = true;
            let results = std::mem::replace(&mut state.results, fresh);
            (results, state.waiter.take())
        });
        if matches!(self.shape, Shape::Future) {
            results
                .bind(py)
                .iter()
                .for_each(|future| mark_read(&future));
        }
        drop(waiter);
    }

    /// Ends a `map` whose caller is cancelled; gives the tasks of the jobs it had started, which
    /// may need a while.
    fn stop(slf: &Bound<'_, Self>) -> Vec<Py<PyAny>> {
        let py = slf.py();
        let items = slf.get();
        items.close(py);
        let (source, place) = items
            .state
            .with(py, |state| (state.source.take(), state.place.take()));
        drop(source);
        let pool = items.pool.bind(py);
        drop(place.map(|place| pool.get().with(py, |state| state.admission.withdraw(place))));
        let tasks = Self::cancel_active(slf);
        Pool::advance(pool);
        tasks
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        visit.call(&self.function)?;
        visit.call(&self.context)?;
        visit.call(&self.source_context)?;
        if let Some(callback) = &self.callback {
            callback.traverse(visit)?;
        }
        self.state.traverse(&visit, |state| {
            visit.call(&state.source)?;
            visit.call(&state.results)?;
            visit.call(&state.error)?;
            visit.call(state.waiter.as_ref().map(|(future, _)| future))
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        let cleared = self.state.with(py, |state| {
            (state.source.take(), state.error.take(), state.waiter.take())
        });
        drop(cleared);
    }
}

impl Items {
    fn new<'py>(
        pool: &Bound<'py, Pool>,
        function: Bound<'py, PyAny>,
        cb: Option<Bound<'py, PyAny>>,
        ctx: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        shape: Shape,
    ) -> PyResult<Self> {
        let state = State {
            source: None,
            place: None,
            results: PyList::empty(pool.py()).unbind(),
            pending: 0,
            failed: false,
            closed: false,
            error: None,
            waiter: None,
        };
        Ok(Self {
            pool: pool.clone().unbind(),
            function: function.unbind(),
            callback: cb.map(|function| Callback {
                function: function.unbind(),
                ctx: ctx.unbind(),
            }),
            source_context: context::of_job(&context)?.unbind(),
            context: context.unbind(),
            shape,
            ordered: false,
            state: Guarded::new(state),
        })
    }

    /// A `map` takes the last place in the line, where it waits for the slot of its next item; it
    /// has `pulled` so many for this one.
    pub(crate) fn stand_in_line(slf: &Bound<'_, Self>, pulled: usize) {
        let waiter = Waiter::Item {
            items: slf.clone().unbind(),
            item: None,
        };
        let pool = slf.get().pool.bind(slf.py());
        let submitted = pool.get().with(slf.py(), |state| state.submit(waiter));
        slf.get().state.with(slf.py(), |state| {
            state.pending += pulled;
            state.place = submitted.as_ref().ok().copied();
        });
        if let Err(refused) = submitted {
            refused.withdrawn(pool);
        }
    }

    /// The next item of a `map`, which goes to the back of the line; None at the end.
    pub(crate) fn pull(slf: &Bound<'_, Self>) -> Option<Py<PyAny>> {
        let py = slf.py();
        let items = slf.get();
        let source = items.state.with(py, |state| {
            state.place = None;
            state.source.as_ref().map(|source| source.clone_ref(py))
        })?;
        let context = items.source_context.bind(py);
        let mut source = source.into_bound(py);
        match in_context(context, || source.next().transpose()) {
            Ok(None) => {
                drop(items.state.with(py, |state| state.source.take()));
                None
            }
            Ok(Some(item)) => {
                Self::stand_in_line(slf, 1);
                Some(item.unbind())
            }
            Err(error) => {
                items.fail(error.into_value(py).into_bound(py).into_any());
                Self::cancel_active(slf);
                None
            }
        }
    }

    /// Calls `fn` with an item in the context that its job will have.
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        item: Py<PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let context = context::of_job(self.context.bind(py))?;
        let function = self.function.bind(py);
        let awaitable = in_context(&context, || function.call1((item,)))?;
        hand_in::check_kind(&awaitable)?;
        Ok((awaitable, context))
    }

    pub(crate) fn callback(&self, py: Python<'_>) -> Option<Callback> {
        self.callback
            .as_ref()
            .map(|callback| callback.clone_ref(py))
    }

    /// Where the outcome of an item goes that is being started.
    pub(crate) fn target(slf: &Bound<'_, Self>) -> Target {
        let py = slf.py();
        let results = slf
            .get()
            .state
            .with(py, |state| state.results.clone_ref(py));
        let results = results.bind(py);
        let index = results.len();
        if slf.get().ordered
            && let Err(error) = results.append(py.None())
        {
            slf.get().lose(error, py);
        }
        Target::Item {
            items: slf.clone().unbind(),
            index,
            future: None,
        }
    }

    /// An item gets its result, at `index` if they are ordered.
    pub(crate) fn settle(slf: &Bound<'_, Self>, index: usize, outcome: Outcome) {
        let py = slf.py();
        let items = slf.get();
        let failed = matches!(outcome, Outcome::Failed(_));
        let results = items.state.with(py, |state| {
            (!state.closed).then(|| state.results.clone_ref(py))
        });
        if let Some(results) = results {
            let stored = python::contained(py, || {
                let result = items.shape.of(items.pool.bind(py), outcome)?;
                let results = results.bind(py);
                if items.ordered {
                    results.set_item(index, result)
                } else {
                    results.append(result)
                }
            });
            if let Err(error) = stored {
                items.lose(error, py);
            }
        }
        let waiter = items.state.with(py, |state| {
            state.pending -= 1;
            state.failed |= failed;
            state.take_waiter(py)
        });
        Self::end_wait(slf, waiter);
    }

    /// Ends the wait if it is over.
    pub(crate) fn tell(slf: &Bound<'_, Self>) {
        let waiter = slf
            .get()
            .state
            .with(slf.py(), |state| state.take_waiter(slf.py()));
        Self::end_wait(slf, waiter);
    }

    fn end_wait(slf: &Bound<'_, Self>, waiter: Option<Py<PyAny>>) {
        let py = slf.py();
        if let Some(future) = waiter {
            let pool = slf.get().pool.bind(py);
            Outcome::Returned(py.None()).settle_future(pool, future.bind(py));
        }
    }

    /// The pool has ended before a `map` has pulled all its items.
    pub(crate) fn end(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if let Ok(cancelled) = python::cancelled_error(py).and_then(PyAnyMethods::call0) {
            slf.get().fail(cancelled);
        }
        Self::tell(slf);
    }

    fn fail(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        let error = error.unbind();
        drop(self.state.with(py, |state| {
            state.place = None;
            (state.source.take(), state.error.replace(error))
        }));
    }

    /// A result is lost, as a rule because there was no memory for it: who takes the others shall
    /// hear of that.
    fn lose(&self, error: PyErr, py: Python<'_>) {
        let error = error.into_value(py).into_any();
        drop(self.state.with(py, |state| state.error.replace(error)));
    }

    fn cancel_active(slf: &Bound<'_, Self>) -> Vec<Py<PyAny>> {
        let py = slf.py();
        let jobs = slf.get().pool.bind(py).get().active_jobs(py);
        let jobs = jobs.iter().map(|job| job.bind(py).get());
        jobs.filter(|job| job.is_of_items(slf))
            .filter_map(|job| job.cancel(py))
            .collect()
    }
}

impl State {
    /// The future of the wait, if that is over.
    fn take_waiter(&mut self, py: Python<'_>) -> Option<Py<PyAny>> {
        let (_, when) = self.waiter.as_ref()?;
        let is_over = self.is_over(py, *when);
        let (future, _) = self.waiter.take_if(|_| is_over)?;
        Some(future)
    }

    fn is_over(&self, py: Python<'_>, when: When) -> bool {
        let all = self.source.is_none() && self.pending == 0;
        all || match when {
            When::AllCompleted => false,
            When::FirstCompleted => !self.results.bind(py).is_empty(),
            When::FirstException => self.failed,
        }
    }
}

impl Shape {
    fn of<'py>(self, pool: &Bound<'py, Pool>, outcome: Outcome) -> PyResult<Bound<'py, PyAny>> {
        let py = pool.py();
        if matches!(self, Self::Future) {
            // Not by `enter`: the loop may have been closed under the job.
            let event_loop = pool.get().event_loop.get();
            let event_loop = event_loop.ok_or_else(|| PyRuntimeError::new_err("no loop"))?;
            let future = event_loop.new_future(py)?;
            outcome.settle_future(pool, &future);
            return Ok(future);
        }
        let (result, error) = match outcome {
            Outcome::Returned(result) => (Some(result), None),
            Outcome::Failed(error) | Outcome::Cancelled(Some(error)) => (None, Some(error)),
            Outcome::Cancelled(None) => {
                (None, Some(python::cancelled_error(py)?.call0()?.unbind()))
            }
        };
        match self {
            Self::Pair => (result, error).into_bound_py_any(py),
            _ => result.or(error).into_bound_py_any(py),
        }
    }
}

impl FromPyObject<'_, '_> for Shape {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match word.extract::<&str>()? {
            "flat" => Ok(Self::Flat),
            "pair" => Ok(Self::Pair),
            "future" => Ok(Self::Future),
            other => Err(PyValueError::new_err(format!("{other:?} is no shape"))),
        }
    }
}

impl FromPyObject<'_, '_> for When {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match word.extract::<&str>()? {
            "ALL_COMPLETED" => Ok(Self::AllCompleted),
            "FIRST_COMPLETED" => Ok(Self::FirstCompleted),
            "FIRST_EXCEPTION" => Ok(Self::FirstException),
            other => Err(PyValueError::new_err(format!(
                "yield_when must be FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED of asyncio, \
                 not {other:?}"
            ))),
        }
    }
}
