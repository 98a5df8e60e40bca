//! A running `map` or `itermap`: standing in the queue, pulling an item, and calling `fn` with it.

use pyo3::prelude::*;

use crate::py::check::check_kind_given;
use crate::py::ffi::in_context;
use crate::py::{apart, context};
use crate::run::withdraw;
use crate::state::{Items, Target, Waiter};

/// A `map` takes the last place in the queue, where it waits for the slot of its next item.
/// `pulled` is the number of items that it pulled in the turn before.
pub(crate) fn stand_in_queue(items: &Bound<'_, Items>, pulled: usize) {
    let waiter = Waiter::Item {
        items: items.clone().unbind(),
        item: None,
    };
    let py = items.py();
    let pool = items.get().pool(py);
    let submitted = pool.get().submit(py, waiter);
    // The place is noted before foreign code runs again, which may stop the map and so withdraw it.
    let place = submitted.as_ref().ok().copied();
    items.get().stood_in_queue(py, place, pulled);
    if let Err(refused) = submitted {
        withdraw::withdraw(pool, refused);
    }
}

/// Pulls the next item of a `map`, which then goes to the back of the queue. None at the end.
pub(crate) fn pull(items: &Bound<'_, Items>) -> Option<Py<PyAny>> {
    let py = items.py();
    let mut source = items.get().leave_queue(py)?.into_bound(py);
    let context = items.get().mapped().source_context.bind(py);
    match in_context(context, || source.next().transpose()) {
        Ok(None) => {
            // The map has no place in the queue now, so there is none to withdraw.
            items.get().end_source(py);
            None
        }
        Ok(Some(item)) => {
            // At once, not when the item has started: jobs that `fn` hands in come after the map.
            stand_in_queue(items, 1);
            Some(item.unbind())
        }
        Err(error) => {
            // The jobs of earlier items are cancelled. The map raises the error when they have
            // ended.
            items
                .get()
                .fail(error.into_value(py).into_bound(py).into_any());
            withdraw::cancel_active(items);
            None
        }
    }
}

/// Calls `fn` with an item in the context that its job will have.
pub(crate) fn call<'py>(
    items: &Bound<'py, Items>,
    item: Py<PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = items.py();
    let mapped = items.get().mapped();
    let context = context::of_job(mapped.context.bind(py))?;
    let function = mapped.function.bind(py);
    let awaitable = in_context(&context, || {
        if items.get().starts() {
            let event_loop = items.get().pool(py).get().enter(py)?;
            apart::call(event_loop, function, (item,))
        } else {
            function.call1((item,))
        }
    })?;
    check_kind_given(items.get().verb(), function, &awaitable)?;
    Ok((awaitable, context))
}

/// The target for the outcome of an item that is being started.
pub(crate) fn target(items: &Bound<'_, Items>) -> Target {
    let py = items.py();
    let results = items.get().results(py);
    let results = results.bind(py);
    let index = results.len();
    if items.get().ordered()
        && let Err(error) = results.append(py.None())
    {
        items.get().lose(py, error);
    }
    Target::Item {
        items: items.clone().unbind(),
        index,
        place: None,
        future: None,
    }
}
