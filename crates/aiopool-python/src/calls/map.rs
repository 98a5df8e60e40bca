//! `map` and `itermap`: starting them, waiting for their results and taking these.

use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

use crate::py::outcome::mark_read;
use crate::py::shape::Shape;
use crate::py::{context, errors};
use crate::run::{map, nested, options, start, withdraw};
use crate::state::{Callback, Items, Mapped, Place, Pool, Verbs, When};

#[pymethods]
impl Verbs {
    /// Starts a `map`, which takes a place in the queue.
    fn map<'py>(
        &self,
        function: Bound<'py, PyAny>,
        source: Bound<'py, PyIterator>,
        cb: Option<Bound<'py, PyAny>>,
        ctx: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        shape: Shape,
    ) -> PyResult<Bound<'py, Items>> {
        let pool = self.pool.bind(source.py());
        let mapped = mapped(self, function, cb, ctx, context)?;
        let items = Items::of_map(pool, mapped, source, shape)?;
        map::stand_in_queue(&items, 0);
        start::advance(pool);
        items.get().has_started();
        Ok(items)
    }

    /// Starts an `itermap`: each item takes a place in the queue.
    fn itermap<'py>(
        &self,
        function: Bound<'py, PyAny>,
        values: Bound<'py, PyList>,
        cb: Option<Bound<'py, PyAny>>,
        ctx: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        shape: Shape,
    ) -> PyResult<Bound<'py, Items>> {
        let pool = self.pool.bind(values.py());
        let mapped = mapped(self, function, cb, ctx, context)?;
        let items = Items::of_itermap(pool, mapped, values.len(), shape)?;
        map::queue(&items, values);
        start::advance(pool);
        items.get().has_started();
        Ok(items)
    }
}

#[pymethods]
impl Items {
    /// A future that gets None when the wait is over; None if the wait is over already.
    fn wait<'py>(slf: &Bound<'py, Self>, when: When) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let items = slf.get();
        if items.is_over(py, when) {
            return Ok(None);
        }
        let future = items.pool(py).get().enter(py)?.new_future(py)?;
        items.set_waiter(&future, when);
        let caller = nested::caller(items.pool(py))?;
        items.is_waited_for_by(py, caller.map(Bound::unbind));
        Ok(Some(future))
    }

    #[getter(pool)]
    fn its_pool(&self, py: Python<'_>) -> Py<Pool> {
        self.pool(py).clone().unbind()
    }

    /// Whether results are still to come or to be taken.
    #[getter]
    fn left(&self, py: Python<'_>) -> bool {
        self.has_more(py)
    }

    /// The results so far. Raises the error of the iterable of a `map`, if it has raised.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.is_waited_for_by(py, None);
        let (results, error) = self.take_results(py);
        match error {
            Some(error) => {
                drop_unread(self, results.bind(py));
                Err(PyErr::from_value(error.into_bound(py)))
            }
            None => Ok(results.into_bound(py)),
        }
    }

    /// No caller takes results any more: they are dropped as they come.
    fn close(&self, py: Python<'_>) {
        // The caller of a `map` that is stopped still waits for its jobs.
        if !self.ordered() {
            self.is_waited_for_by(py, None);
        }
        let (results, waiter) = self.close_results(py);
        drop_unread(self, results.bind(py));
        drop(waiter);
    }

    /// Ends a `map` whose caller is cancelled. Gives the tasks of the active jobs, which may need a
    /// while to end.
    fn stop(slf: &Bound<'_, Self>) -> Vec<Py<PyAny>> {
        let py = slf.py();
        let items = slf.get();
        items.close(py);
        let place = items.end_source(py);
        let pool = items.pool(py);
        pool.get().forget_aside(slf);
        drop(place.map(|place| pool.get().withdraw(py, place)));
        let tasks = withdraw::cancel_active(slf);
        start::advance(pool);
        tasks
    }
}

fn mapped<'py>(
    verbs: &Verbs,
    function: Bound<'py, PyAny>,
    cb: Option<Bound<'py, PyAny>>,
    ctx: Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
) -> PyResult<Mapped> {
    let py = function.py();
    let (pool, options) = (verbs.pool.bind(py), verbs.values.as_ref());
    pool.get().enter(py)?;
    let asked = options.map(|options| options.of_all(py));
    let asked = asked.transpose()?.unwrap_or_default();
    let level = options::level(pool, asked.level)?;
    // The iterable does not run in a job.
    let source_context = context::of_job(&context)?.unbind();
    context::name_pool(&context, pool)?;
    options::note_level(pool, &context, asked.level)?;
    // What a job waits for comes first.
    let front = nested::caller(pool)?.is_some() || nested::goes_on(pool)?;
    if pool.get().refuses(py, front) {
        return Err(errors::pool_is_closed());
    }
    Ok(Mapped {
        function: function.unbind(),
        callback: cb.map(|function| Callback {
            function: function.unbind(),
            ctx: ctx.unbind(),
        }),
        source_context,
        context: context.unbind(),
        options: options.map(|options| options.clone_ref(py)),
        place: Place {
            level,
            key: asked.key,
            front,
        },
        weight: asked.weight,
    })
}

/// Drops results that no caller gets. asyncio must not report errors in their futures as unread.
fn drop_unread(items: &Items, results: &Bound<'_, PyList>) {
    if matches!(items.shape(), Shape::Future) {
        results.iter().for_each(|future| mark_read(&future));
    }
}
