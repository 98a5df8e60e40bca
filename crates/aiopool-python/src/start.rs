//! A waiter gets a slot, and its job is started.

use aiopool_core::Slot;
use pyo3::call::PyCallArgs;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::context;
use crate::items::Items;
use crate::job::Job;
use crate::line::{Callback, Waiter, WaitingJob};
use crate::pool::Pool;
use crate::python;
use crate::settle::{Outcome, Target};
use crate::stop::dismiss;
use crate::task;

impl Pool {
    /// Carries out what the core decides, after anything that was told to it: starts whoever got
    /// a slot, then tells the joiners if the pool is empty.
    ///
    /// Foreign code that runs in here may call the pool again; then the outer call carries on, so
    /// that neither the stack nor the order depends on what jobs do.
    pub(crate) fn advance(pool: &Bound<'_, Self>) {
        let nested = pool
            .get()
            .with(|state| std::mem::replace(&mut state.advancing, true));
        if !nested {
            admit_waiting(pool);
            rest(pool);
        }
    }
}

#[pymethods]
impl Pool {
    /// Goes on after a pause.
    fn resume(slf: &Bound<'_, Self>) {
        slf.get().with(|state| state.paused = false);
        Self::advance(slf);
    }
}

/// Starts all who get a slot, or as many as one turn of the loop is to bear.
fn admit_waiting(pool: &Bound<'_, Pool>) {
    let mut barren = 0;
    loop {
        if is_end_of_loop(pool) {
            Pool::end(pool);
        }
        let admitted = pool.get().with(|state| {
            let admitted = if state.paused { None } else { state.admit() };
            state.advancing = admitted.is_some();
            admitted
        });
        let Some((slot, waiter)) = admitted else {
            return;
        };
        if !admit(pool, slot, waiter) {
            barren += 1;
        }
        if barren == MOST_BARREN {
            pause(pool);
        }
    }
}

/// Lets others have their turn of the loop before the next admission.
fn pause(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let resume = pool.getattr(intern!(py, "resume"));
    match resume.and_then(|resume| call_soon(pool, (resume,))) {
        Ok(()) => pool.get().with(|state| state.paused = true),
        Err(error) => python::report(py, Err(error), pool),
    }
}

fn call_soon<'py>(pool: &Bound<'py, Pool>, arguments: impl PyCallArgs<'py>) -> PyResult<()> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?.object.bind(py);
    event_loop.call_method1(intern!(py, "call_soon"), arguments)?;
    Ok(())
}

fn is_end_of_loop(pool: &Bound<'_, Pool>) -> bool {
    let py = pool.py();
    let keeper = pool
        .get()
        .with(|state| state.keeper.as_ref().map(|keeper| keeper.clone_ref(py)));
    keeper.is_some_and(|keeper| {
        let cancelled = keeper.bind(py).call_method0(intern!(py, "is_cancelled"));
        cancelled.is_ok_and(|cancelled| cancelled.is_truthy().unwrap_or(false))
    })
}

/// Nobody can be admitted for now: sees to the keeper, and to the joiners of an empty pool.
fn rest(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let (waits, empty) = pool.get().with(|state| {
        (
            state.admission.waiting() > 0 && state.keeper.is_none(),
            state.admission.is_empty(),
        )
    });
    if waits {
        python::report(py, keep(pool), pool);
    }
    if empty {
        become_idle(pool);
    }
}

fn keep(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let event_loop = pool.get().enter(py)?.object.bind(py);
    let keeper = python::keeper(py)?.call1((pool, event_loop))?.unbind();
    drop(pool.get().with(|state| state.keeper.replace(keeper)));
    Ok(())
}

fn become_idle(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let (keeper, snapshot) = pool.get().with(|state| {
        state.admission.reopen();
        (state.keeper.take(), state.snapshot.take())
    });
    drop(snapshot);
    if let Some(keeper) = keeper {
        let released = keeper.bind(py).call_method0(intern!(py, "release"));
        python::report(py, released.map(drop), pool);
    }
    while let Some(joiner) = pool.get().with(|state| state.admission.poll_idle()) {
        Outcome::Returned(PyBool::new(py, true).to_owned().into_any().unbind())
            .settle_future(pool, joiner.bind(py));
    }
}

/// Starts whoever has come to the head of the line. False if that left the slot free again.
fn admit(pool: &Bound<'_, Pool>, slot: Slot, waiter: Waiter) -> bool {
    match waiter {
        Waiter::Job(job) => admit_job(pool, slot, job),
        Waiter::Item { items, item } => admit_item(pool, slot, items.bind(pool.py()), item),
    }
}

fn admit_job(pool: &Bound<'_, Pool>, slot: Slot, job: WaitingJob) -> bool {
    let py = pool.py();
    let extras = job.extras.map(|extras| *extras);
    let (callback, left_line) = extras.map_or((None, None), |e| (e.callback, e.left_line));
    if let Some(left_line) = left_line {
        Outcome::Returned(py.None()).settle_future(pool, left_line.bind(py));
    }
    let awaitable = job.awaitable.into_bound(py);
    let target = Target::Future(job.future);
    match context::of_job(job.context.bind(py)) {
        Ok(context) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => {
            dismiss(&awaitable);
            give_back(pool, slot, target, &error)
        }
    }
}

/// Pulls the next item, if a `map` is at the head of the line, and calls `fn` with it.
fn admit_item(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    items: &Bound<'_, Items>,
    item: Option<Py<PyAny>>,
) -> bool {
    let py = pool.py();
    let Some(item) = item.or_else(|| Items::pull(items)) else {
        pool.get().with(|state| state.admission.finish(slot));
        Items::tell(items);
        return false;
    };
    let target = Items::target(items);
    let called = items.get().call(py, item);
    let callback = items.get().callback(py);
    match called {
        Ok((awaitable, context)) => start(pool, slot, awaitable, &context, target, callback),
        Err(error) => give_back(pool, slot, target, &error),
    }
}

/// Starts a job in its slot.
fn start<'py>(
    pool: &Bound<'py, Pool>,
    slot: Slot,
    awaitable: Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    target: Target,
    callback: Option<Callback>,
) -> bool {
    let job = match Job::new(pool, &awaitable, callback) {
        Ok(job) => job,
        Err(error) => return give_back(pool, slot, target, &error),
    };
    Job::hold(&job, slot, target);
    match task::make(pool, &job, awaitable, context) {
        Ok(task) => {
            job.get().started(task);
            true
        }
        Err(error) => {
            Job::never_stepped(&job, Outcome::of_error(error.value(pool.py())));
            false
        }
    }
}

/// Settles what could not be started, and gives its slot back.
fn give_back(pool: &Bound<'_, Pool>, slot: Slot, target: Target, error: &PyErr) -> bool {
    let py = pool.py();
    if python::is_exit(error.value(py)) {
        python::report(py, Err(error.clone_ref(py)), pool);
    }
    Outcome::of_error(error.value(py)).settle(pool, target);
    pool.get().with(|state| state.admission.finish(slot));
    false
}

/// How many items in one turn of the loop may settle without a task of their own (because `fn`
/// raised, say) before others get their turn.
const MOST_BARREN: usize = 64;
