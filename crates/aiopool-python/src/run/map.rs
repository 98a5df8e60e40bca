//! A running `map` or `itermap`: standing in the queue, pulling an item, and calling `fn` with it.

use std::num::NonZeroU32;

use aiopool_core::{Admission, Level};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::py::check::check_kind_given;
use crate::py::ffi::in_context;
use crate::py::outcome::Outcome;
use crate::py::{apart, context, errors, name};
use crate::run::keys::{self, Rejected};
use crate::run::{observe, options, settle, withdraw};
use crate::state::{Asked, Extras, Items, Observed, Other, Place, Pool, Pulled, Target, Waiter};

/// A `map` takes the last place in the queue, where it waits for the slot of its next item.
/// `pulled` is the number of items that it pulled in the turn before.
/// Tells whether it could: what its key raises ends the `map`.
pub(crate) fn stand_in_queue(items: &Bound<'_, Items>, pulled: usize) -> bool {
    let py = items.py();
    let pool = items.get().pool(py);
    let mapped = items.get().mapped();
    let waiter = Waiter::Other(Other::Item {
        items: items.clone().unbind(),
        item: None,
        extras: Extras {
            weight: mapped.weight,
            ..Extras::plain()
        }
        .boxed(),
    });
    let submitted = keys::submit(pool, waiter, &mapped.place);
    // The place is noted before foreign code runs again, which may stop the map and so withdraw it.
    let place = submitted.as_ref().ok().copied();
    items.get().stood_in_queue(py, place, pulled);
    let Err(rejected) = submitted else {
        return true;
    };
    match rejected.error {
        Some(error) => fail(items, error),
        // Its own items have closed the pool, after `close` looked for the maps that it ends.
        None if pool.get().is_closed(py) => end_early(items, errors::pool_is_closed()),
        None => withdraw::withdraw(pool, rejected.waiter),
    }
    false
}

/// Those of the `map`s that are aside stand in the queue again that may in a pool of this size.
pub(crate) fn let_pull_if_grown(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let size = pool.get().ask(py, Admission::size);
    for items in pool.get().aside(py) {
        if items.get().may_pull_again(py, size) {
            pool.get().let_pull(items.bind(py));
        }
    }
}

/// A `map` ends with an error. The jobs of earlier items are cancelled.
fn fail(items: &Bound<'_, Items>, error: PyErr) {
    end_early(items, error);
    withdraw::cancel_active(items);
}

/// A `map` without a place in the queue pulls no more. It raises the error when its jobs have ended.
pub(crate) fn end_early(items: &Bound<'_, Items>, error: PyErr) {
    let error = error.into_value(items.py()).into_bound(items.py());
    items.get().fail(error.into_any());
    items.get().pool(items.py()).get().forget_aside(items);
    settle::tell_waiter(items);
}

/// Pulls the next item of a `map`. None at the end.
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
        Ok(Some(item)) => Some(item.unbind()),
        Err(error) => {
            fail(items, error);
            None
        }
    }
}

/// What becomes of an item that a `map` has pulled.
pub(crate) enum Next {
    /// It starts in the slot of the `map`.
    Starts(Py<PyAny>, Option<Box<Extras>>),
    /// It has asked for something else than the `map` has and stands in the queue, or it has asked for
    /// what cannot be and is settled.
    Settles,
}

/// The place in the queue that an item asks for, and its weight, which is among its extras too.
type Wanted = (Place, NonZeroU32, Option<Box<Extras>>);
/// The error that an item ends with instead.
type Unwanted = (PyErr, Option<Box<Observed>>);

/// Asks what `options` asks for an item that the `map` has pulled, and whether that may start. The
/// `map` goes to the back of the queue.
pub(crate) fn ask(items: &Bound<'_, Items>, item: Py<PyAny>, may_start: impl Fn() -> bool) -> Next {
    let py = items.py();
    let pool = items.get().pool(py).get();
    let mapped = items.get().mapped();
    if mapped.options.is_none() && pool.observer().is_none() && may_start() {
        // At once, not when the item has started: jobs that `fn` hands in come after the map.
        stand_in_queue(items, 1);
        return Next::Starts(item, None);
    }
    let asked = asked(items, item.bind(py));
    let (has_own_place, is_alike) = asked.as_ref().map_or((false, false), |(place, weight, _)| {
        let has_own_place =
            place.level != mapped.place.level || place.key.is_some() && mapped.place.key.is_none();
        (has_own_place, !has_own_place && *weight == mapped.weight)
    });
    let starts = is_alike && may_start();
    // What its key raises ends the map, and the item with it.
    let is_over = starts && !stand_in_queue(items, 1);
    if starts && !is_over {
        let extras = asked.ok().and_then(|(_, _, extras)| extras);
        tell_queued(items, extras.as_deref());
        return Next::Starts(item, extras);
    }
    let pulled = Pulled {
        index: next_index(items),
        place: items.get().will_wait(py),
        is_next: is_alike && !is_over,
    };
    let asked = asked.map(|(place, weight, extras)| {
        let mut extras = extras.unwrap_or_else(|| Box::new(Extras::plain()));
        extras.pulled = Some(pulled);
        let place = Place {
            // It keeps the turn of its map, unless it has another place.
            front: !has_own_place || mapped.place.front,
            ..place
        };
        (place, weight, Some(extras))
    });
    if is_over {
        let extras = asked.ok().and_then(|(_, _, extras)| extras);
        tell_queued(items, extras.as_deref());
        settle::settle_waiting(items, extras.as_deref(), Outcome::Cancelled(None));
        return Next::Settles;
    }
    if is_alike {
        items.get().waits_for_start(py);
    } else if items.get().stays_aside(py, pool.ask(py, Admission::size)) {
        pool.lay_aside(items);
    } else {
        stand_in_queue(items, 1);
    }
    submit(items, item, asked, Some(pulled));
    Next::Settles
}

/// Puts the items of an `itermap` in the queue.
pub(crate) fn queue<'py>(items: &Bound<'py, Items>, values: Bound<'py, PyList>) {
    let ask = |item: Bound<'py, PyAny>| {
        let asked = asked(items, &item);
        (item.unbind(), asked)
    };
    if items.get().mapped().place.front {
        // The last one comes first, for each stands before those that are there.
        let asked: Vec<_> = values.into_iter().map(ask).collect();
        for (item, asked) in asked.into_iter().rev() {
            submit(items, item, asked, None);
        }
    } else {
        for (item, asked) in values.into_iter().map(ask) {
            submit(items, item, asked, None);
        }
    }
}

fn asked(items: &Bound<'_, Items>, item: &Bound<'_, PyAny>) -> Result<Wanted, Unwanted> {
    let py = items.py();
    let pool = items.get().pool(py);
    let mapped = items.get().mapped();
    let asked = errors::contained(py, || {
        let mut asked = match &mapped.options {
            None => Asked::default(),
            Some(options) if items.get().starts() => {
                options.of_item_apart(pool.get().enter(py)?, item)?
            }
            Some(options) => options.of_item(item)?,
        };
        let level = asked.level.unwrap_or(mapped.place.level);
        asked.level = Some(options::level(pool, Some(level))?);
        Ok(asked)
    });
    let (mut asked, error) = match asked {
        Ok(asked) => (asked, None),
        Err(error) => (Asked::default(), Some(error)),
    };
    let level = asked.level.unwrap_or(mapped.place.level);
    let name = asked.name.as_ref().map(|name| name.bind(py).clone());
    let function = mapped.function.bind(py);
    let name = || name.map_or_else(|| name::of(function), Ok);
    let observed = observe::watch(pool, asked.key.as_ref(), name);
    if let Some(error) = error {
        return Err((error, observed));
    }
    let own_level = Some(level).filter(|level| *level != mapped.place.level);
    let extras = Extras {
        level: own_level,
        ..asked.extras(observed)
    };
    let place = Place {
        level,
        key: asked.key,
        front: mapped.place.front,
    };
    Ok((place, asked.weight, extras.boxed()))
}

/// Puts an item in the queue, or settles it with its error.
fn submit(
    items: &Bound<'_, Items>,
    item: Py<PyAny>,
    asked: Result<Wanted, Unwanted>,
    pulled: Option<Pulled>,
) {
    let py = items.py();
    let pool = items.get().pool(py);
    let (place, extras) = match asked {
        Ok((place, _, extras)) => (place, extras),
        Err((error, observed)) => {
            let extras = Extras {
                pulled,
                observed,
                ..Extras::plain()
            };
            tell_queued(items, Some(&extras));
            settle::fail_waiting(items, Some(&extras), &error);
            return;
        }
    };
    let observed = extras.as_ref().and_then(|extras| extras.observed.as_ref());
    let told = observed.map(|observed| observed.clone_ref(py));
    let waiter = Waiter::Other(Other::Item {
        items: items.clone().unbind(),
        item: Some(item),
        extras,
    });
    let submitted = keys::submit(pool, waiter, &place);
    if let (Ok(ticket), Some(pulled)) = (&submitted, pulled) {
        items.get().waits(py, pulled.place, *ticket);
    }
    observe::queued(pool, told.as_ref());
    let Err(Rejected { error, waiter }) = submitted else {
        return;
    };
    let Waiter::Other(Other::Item { extras, .. }) = waiter else {
        return;
    };
    match error {
        Some(error) => settle::fail_waiting(items, extras.as_deref(), &error),
        None => settle::settle_waiting(items, extras.as_deref(), Outcome::Cancelled(None)),
    }
}

fn tell_queued(items: &Bound<'_, Items>, extras: Option<&Extras>) {
    let observed = extras.and_then(|extras| extras.observed.as_deref());
    observe::queued(items.get().pool(items.py()), observed);
}

/// Calls `fn` with an item in the context that its job will have.
pub(crate) fn call<'py>(
    items: &Bound<'py, Items>,
    item: Py<PyAny>,
    level: Option<Level>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = items.py();
    let mapped = items.get().mapped();
    let context = context::of_job(mapped.context.bind(py))?;
    options::note_level(items.get().pool(py), &context, level)?;
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
    target_at(items, next_index(items))
}

/// The same, for an item that was pulled before and starts now. If its `map` has waited for that, the
/// `map` stands in the queue again.
pub(crate) fn begin_pulled(items: &Bound<'_, Items>, pulled: Pulled) -> Target {
    items.get().waits_no_more(items.py(), pulled.place);
    if pulled.is_next && items.get().next_has_left(items.py()) {
        stand_in_queue(items, 0);
    }
    target_at(items, pulled.index)
}

/// The place of the next item among the results.
fn next_index(items: &Bound<'_, Items>) -> usize {
    let py = items.py();
    let results = items.get().results(py);
    let results = results.bind(py);
    let index = results.len();
    if items.get().ordered()
        && let Err(error) = results.append(py.None())
    {
        items.get().lose(py, error);
    }
    index
}

fn target_at(items: &Bound<'_, Items>, index: usize) -> Target {
    Target::Item {
        items: items.clone().unbind(),
        index,
        place: None,
        future: None,
    }
}
