//! Giving a waiter a slot, and starting its job.
//!
//! Each end of a job comes back to [`advance`], the only place that admits waiters.

use std::num::{NonZeroU32, NonZeroU64};

use aiopool_core::{Slot, Ticket};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::py::awaitable::close_unawaited;
use crate::py::loop_end::{self, LoopEnd, is_cancelled};
use crate::py::outcome::Outcome;
use crate::py::{context, errors, name, owner};
use crate::run::keys::Rejected;
use crate::run::{assign, map, observe, options, settle, stall, timeout, timer, withdraw};
use crate::state::{
    Apart, Back, Callback, Extras, Items, Job, Next, Observed, Other, Pool, Single, Target, Waiter,
    WaitingCall, WaitingJob, Work, Worker,
};

/// Carries out the decisions of the core. Called after each change: starts the waiters that get a
/// slot, then tells the joiners if the pool is empty.
///
/// Foreign code that runs in here may call the pool again. The inner call then leaves the work to
/// the outer one, so that neither the stack nor the order depends on the jobs.
pub(crate) fn advance(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let mut next = pool.get().begin_advance(py);
    while let Some(Next::Someone { .. } | Next::Source(_)) = &next {
        let is_held = contained_step(pool, next.take());
        next = Some(pool.get().go_on(py, is_held));
    }
    if let Some(Next::Nobody {
        unwatched,
        empty,
        drained,
        is_timed,
        stands,
        gone,
    }) = next
    {
        drop(gone);
        if is_timed {
            timer::change(pool);
        }
        if stands {
            stall::watch(pool);
        }
        rest(pool, unwatched, empty);
        if drained {
            tell_drained(pool);
        }
    }
}

/// Carries out the decisions of the core until there is a job for this worker, or none. A caller
/// further up the stack is advancing: it waits for the end of the step that the worker makes.
pub(crate) fn look_for_job(worker: &Bound<'_, Worker>) {
    let py = worker.py();
    let pool = worker.get().pool(py);
    Pool::look(worker);
    while pool.get().is_looked_for(py)
        && let Some(next) = pool.get().next_someone(py)
    {
        if contained_step(pool, Some(next)) {
            break;
        }
    }
    drop(pool.get().take_looking(py));
}

/// A job has ended at its start. Lets other tasks have their turn when there have been enough of them.
pub(crate) fn count_ended_at_once(pool: &Bound<'_, Pool>) {
    if pool.get().count_ended_at_once(pool.py()) {
        end_turn(pool);
    }
}

/// The same, after the end of a job. With a task per job, the next job gets the slot in the next turn
/// of the loop. So jobs that never suspend leave every second turn to other tasks, as tasks do that
/// are made when a semaphore has a permit.
pub(crate) fn advance_after_end(pool: &Bound<'_, Pool>) {
    // Those who go on beyond the size may wait for what its end does not let start.
    if pool.get().has_none_free(pool.py()) {
        stall::look_soon(pool);
    }
    // A reused task begins its next job by itself: a turn more would cost it another step. Jobs that
    // end at their start are [counted](count_ended_at_once), so they need no turn after each end.
    if !pool.get().may_begin_at_once() && pool.get().has_turn(pool.py()) {
        end_turn(pool);
    }
    advance(pool);
}

/// Somebody was handed in: tells the observer, and starts who may, or cancels the one that the queue has
/// not taken. A job that has handed it in may wait for it from the next turn of the loop on.
pub(crate) fn has_come(
    pool: &Bound<'_, Pool>,
    submitted: Result<Ticket, Rejected>,
    told: Option<&Observed>,
    may_wait: bool,
) {
    observe::queued(pool, told);
    match submitted {
        Ok(_) => advance(pool),
        Err(rejected) => withdraw::withdraw(pool, rejected.waiter),
    }
    if may_wait {
        stall::look_soon(pool);
    }
}

/// After an error too the pool must look again: until then it is marked as advancing.
fn contained_step(pool: &Bound<'_, Pool>, next: Option<Next>) -> bool {
    let stepped = errors::contained(pool.py(), || Ok(step(pool, next)));
    let is_held = *stepped.as_ref().unwrap_or(&false);
    errors::report(pool.py(), stepped.map(drop), pool);
    is_held
}

/// Admits the next waiter, unless the loop ends. Tells whether the core holds it back.
fn step(pool: &Bound<'_, Pool>, next: Option<Next>) -> bool {
    let py = pool.py();
    let (cancelling, is_timed) = match next {
        Some(Next::Someone {
            cancelling,
            is_timed,
        }) => (cancelling, is_timed),
        Some(Next::Source(items)) => {
            map::stand_in_queue(items.bind(py), 0);
            return false;
        }
        Some(Next::Nobody { .. }) | None => return true,
    };
    // A loop that ends cancels all its tasks in one turn. The end of the first one leads here. A
    // job that started now would never be cancelled.
    if cancelling.is_some_and(|cancelling| is_cancelled(cancelling.bind(py))) {
        withdraw::end(pool);
        return false;
    }
    // A pool in which time makes no difference reads no clock.
    let now = is_timed.then(|| timer::now(pool));
    let Some((slot, waiter)) = pool.get().admit(py, now) else {
        return true;
    };
    if !admit(pool, slot, waiter) && pool.get().count_unstarted(py) {
        // These admissions start no task. Without an end, this turn of the loop would make all of
        // them, however many there are.
        end_turn(pool);
    }
    false
}

/// Lets other tasks have their turn of the loop before the next admission.
pub(crate) fn end_turn(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    match timer::begin_turn_soon(pool) {
        Ok(()) => pool.get().end_turn(py),
        // There would be no next one, so this one goes on.
        Err(error) => errors::report(py, Err(error), pool),
    }
}

/// No waiter can be admitted for now. Starts the watch for the end of the loop if a job needs it,
/// and tells the joiners if the pool is empty.
fn rest(pool: &Bound<'_, Pool>, unwatched: bool, empty: bool) {
    // At most one of the two applies: an empty pool has no job to watch for.
    if unwatched {
        errors::report(pool.py(), watch_loop_end(pool), pool);
    }
    if empty {
        become_empty(pool);
    }
}

/// A waiting job is not a task, so the end of the loop does not reach it by itself.
fn watch_loop_end(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let loop_end = LoopEnd::watch(pool, pool.get().enter(py)?)?;
    pool.get().watch(py, loop_end);
    Ok(())
}

fn become_empty(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    let emptied = pool.get().become_empty(py);
    drop(emptied.snapshot);
    if let Some(loop_end) = emptied.loop_end {
        loop_end.release(pool);
    }
    // One after another: the first may hand in a job, and then the pool is no longer empty.
    while let Some(joiner) = pool.get().next_joiner(py) {
        Outcome::Returned(PyBool::new(py, true).to_owned().into_any().unbind())
            .settle_future(pool.get().own_loop(), joiner.bind(py));
    }
}

/// Tells the joiners that nothing is active.
fn tell_drained(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    for joiner in pool.get().drained(py) {
        Outcome::Returned(PyBool::new(py, true).to_owned().into_any().unbind())
            .settle_future(pool.get().own_loop(), joiner.bind(py));
    }
}

/// Starts the waiter that has come to the head of the queue. False if the slot is free again.
fn admit(pool: &Bound<'_, Pool>, slot: Slot, waiter: Waiter) -> bool {
    match waiter {
        Waiter::Job(job) => admit_job(pool, slot, job, None),
        Waiter::Other(Other::Apart(Apart::Call(call))) => admit_call(pool, slot, &call, None),
        Waiter::Other(Other::Apart(Apart::Single(single))) => match *single {
            Single::Job(job, extras) => admit_job(pool, slot, job, Some(extras)),
            Single::Call(call, extras) => admit_call(pool, slot, &call, Some(extras)),
            Single::Back(back) => {
                go_on(pool, slot, &back);
                true
            }
        },
        Waiter::Other(Other::Item {
            items,
            item,
            extras,
        }) => {
            let items = items.bind(pool.py());
            match item {
                Some(item) => start_item(pool, slot, items, item, extras),
                None => pull_and_start(pool, slot, items),
            }
        }
    }
}

/// A job that was outside has its slots again.
fn go_on(pool: &Bound<'_, Pool>, slot: Slot, back: &Back) {
    let py = pool.py();
    let job = back.job.bind(py);
    pool.get().is_back(job, slot, timeout::time_of(job));
    observe::back(pool, job);
    Outcome::Returned(py.None()).settle_future(pool.get().own_loop(), back.granted.bind(py));
}

fn admit_job(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    job: WaitingJob,
    extras: Option<Box<Extras>>,
) -> bool {
    let py = pool.py();
    let options = job.options.map(|options| *options);
    let (callback, admitted) = options.map_or((None, None), |o| (o.callback, o.admitted));
    if let Some(admitted) = admitted {
        // The caller of `spawn` goes on in the next turn of the loop, the turn in which the job
        // begins.
        Outcome::Returned(py.None()).settle_future(pool.get().own_loop(), admitted.bind(py));
    }
    let awaitable = job.awaitable.into_bound(py);
    let target = Target::Future(job.future);
    let level = extras.as_ref().and_then(|extras| extras.level);
    let context = context::of_job(job.context.bind(py)).and_then(|context| {
        options::note_level(pool, &context, level)?;
        Ok(context)
    });
    let begun = Begins::new(target, callback, extras);
    match context {
        Ok(context) => start(
            pool,
            slot,
            Work::Awaitable(awaitable.unbind()),
            &context,
            begun,
        ),
        Err(error) => {
            close_unawaited(&awaitable);
            not_started(pool, slot, begun, &error, &awaitable);
            true
        }
    }
}

/// The call is made in the first step of the job's own task.
fn admit_call(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    waiting: &WaitingCall,
    extras: Option<Box<Extras>>,
) -> bool {
    let py = pool.py();
    let Some(call) = waiting.job.get().call(py) else {
        // It has a call as long as it waits.
        pool.get().give_back(py, slot);
        return false;
    };
    let level = extras.as_ref().and_then(|extras| extras.level);
    let target = Target::Enqueued(waiting.job.clone_ref(py));
    let mut begins = Begins::new(target, None, extras);
    let prepared = errors::contained(py, || {
        if begins.name.is_none() {
            begins.name = Some(name::of(call.function.bind(py))?.unbind());
        }
        let context = context::of_job(waiting.context.bind(py))?;
        options::note_level(pool, &context, level)?;
        Ok(context)
    });
    match prepared {
        Ok(context) => start(pool, slot, Work::Call(call), &context, begins),
        Err(error) => {
            not_started(pool, slot, begins, &error, call.function.bind(py));
            true
        }
    }
}

/// What a job takes with it out of the queue.
struct Begins {
    target: Target,
    callback: Option<Callback>,
    name: Option<Py<PyString>>,
    observed: Option<Box<Observed>>,
    timeout: Option<NonZeroU64>,
    weight: NonZeroU32,
    waited_for_by: Option<Py<PyAny>>,
}

impl Begins {
    fn new(target: Target, callback: Option<Callback>, extras: Option<Box<Extras>>) -> Self {
        let extras = extras.map_or_else(Extras::plain, |extras| *extras);
        Self {
            target,
            callback,
            name: extras.name,
            observed: extras.observed,
            timeout: extras.timeout,
            weight: extras.weight,
            waited_for_by: extras.waited_for_by,
        }
    }
}

/// Pulls the next item of a `map` that is at the head of the queue. The item starts, if all allows
/// that which allowed the `map` to pull it; otherwise it waits for itself.
fn pull_and_start(pool: &Bound<'_, Pool>, slot: Slot, items: &Bound<'_, Items>) -> bool {
    let py = pool.py();
    let Some(item) = map::pull(items) else {
        // The source has ended, so this slot is not needed. The `map` is over if all its jobs are.
        pool.get().take_back(py, slot);
        settle::tell_waiter(items);
        return false;
    };
    let level = items.get().mapped().place.level;
    // Asked now: to pull an item may have taken long, and may have changed the limits.
    let may_start = || {
        let paid = pool.get().pay(py, &slot, level, None);
        let paid = paid.or_else(|| pool.get().pay(py, &slot, level, Some(timer::now(pool))));
        paid.unwrap_or(false)
    };
    match map::ask(items, item, may_start) {
        map::Next::Starts(item, extras) => start_item(pool, slot, items, item, extras),
        map::Next::Settles => {
            pool.get().take_back(py, slot);
            false
        }
    }
}

/// Calls `fn` with an item, and starts the job that it gives.
fn start_item(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    items: &Bound<'_, Items>,
    item: Py<PyAny>,
    extras: Option<Box<Extras>>,
) -> bool {
    let py = pool.py();
    // The item takes its place among the results before `fn` can fail.
    let pulled = extras.as_ref().and_then(|extras| extras.pulled);
    let target = match pulled {
        Some(pulled) => map::begin_pulled(items, pulled),
        None => map::target(items),
    };
    let level = extras.as_ref().and_then(|extras| extras.level);
    let called = errors::contained(py, || map::call(items, item, level));
    let begins = Begins::new(target, items.get().mapped().callback(py), extras);
    match called {
        Ok((awaitable, context)) => start(
            pool,
            slot,
            Work::Awaitable(awaitable.unbind()),
            &context,
            begins,
        ),
        Err(error) => {
            let function = items.get().mapped().function.bind(py);
            not_started(pool, slot, begins, &error, function);
            true
        }
    }
}

/// Starts a job in its slot.
fn start<'py>(
    pool: &Bound<'py, Pool>,
    slot: Slot,
    work: Work,
    context: &Bound<'py, PyAny>,
    begins: Begins,
) -> bool {
    let Begins {
        target,
        callback,
        name,
        observed,
        timeout,
        weight,
        waited_for_by,
    } = begins;
    let given = work.clone_ref(pool.py());
    let job = match Job::new(pool, work, callback, name) {
        Ok(job) => job,
        Err(error) => {
            if let Work::Awaitable(awaitable) = &given {
                close_unawaited(awaitable.bind(pool.py()));
            }
            let begins = Begins {
                target,
                callback: None,
                name: None,
                observed,
                timeout,
                weight,
                waited_for_by,
            };
            not_started(pool, slot, begins, &error, given.object().bind(pool.py()));
            return true;
        }
    };
    if let Some(observed) = observed {
        job.get().watch(pool.py(), observed);
    }
    if let Some(waiting) = waited_for_by
        && let Ok(waiting) = waiting.bind(pool.py()).cast()
    {
        job.get().is_waited_for_by(waiting);
    }
    // Before there is a task: making one runs foreign code, which may cancel the job already.
    hold(pool, &job, slot, target, weight);
    if let Some(timeout) = timeout {
        timeout::begin(&job, timeout);
    }
    let assigned = assign(pool, &job, given, context);
    // Not before: what the observer does to the job finds its task. One that has begun has told it.
    observe::started(pool, &job);
    match assigned {
        Ok(()) => true,
        Err(error) => {
            // The job holds the slot by now, and gives it back as it settles.
            settle::never_stepped(&job, Outcome::of_raised(pool.py(), &error));
            false
        }
    }
}

/// Gives the job what runs it.
fn assign<'py>(
    pool: &Bound<'py, Pool>,
    job: &Bound<'py, Job>,
    given: Work,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    if pool.get().reuses_tasks() {
        assign::to_worker(pool, job, context)
    } else if pool.get().is_eager() && assign::begin_at_once(pool, job, context)? {
        Ok(())
    } else {
        assign::to_own_task(pool, job, given, context)
    }
}

/// Settles a job that could not be started. It keeps its slot until the next turn of the loop, as
/// if a task had run it. So other tasks get their turn, however many such jobs there are.
fn not_started(
    pool: &Bound<'_, Pool>,
    slot: Slot,
    begins: Begins,
    error: &PyErr,
    made_of: &Bound<'_, PyAny>,
) {
    let py = pool.py();
    // The next turn is arranged before the error is told. So the slot is back when a task that
    // waits for the error goes on.
    if pool.get().has_spent_slots(py)
        || errors::contained(py, || timer::begin_turn_soon(pool)).is_ok()
    {
        pool.get().spend(py, slot);
    } else {
        // Nothing would give the slot back later.
        pool.get().give_back(py, slot);
    }
    let name = begins.name.map(|name| name.into_bound(py));
    let name = name.or_else(|| name::of(made_of).ok());
    let mut observed = begins.observed;
    if let Some(observed) = &mut observed {
        observe::started_in_vain(pool, observed);
    }
    settle::not_started(pool, begins.target, error, name, observed.as_deref());
}

/// The job takes its slot. From here on the job owns its future; before, the pool owned it.
fn hold(
    pool: &Bound<'_, Pool>,
    job: &Bound<'_, Job>,
    slot: Slot,
    target: Target,
    weight: NonZeroU32,
) {
    match &target {
        Target::Future(future) => {
            let future = future.bind(pool.py());
            errors::report(pool.py(), owner::attach(future, job), future);
        }
        Target::Enqueued(enqueued) => enqueued.get().starts(job),
        Target::Item { .. } => {}
    }
    pool.get().hold(job, slot, target, weight);
    // A closed loop steps no task. So a job that has not begun by then has to be closed.
    if !pool.get().sees_close() {
        let event_loop = pool.get().enter(pool.py());
        let told = event_loop.and_then(|event_loop| loop_end::tell_close(pool, event_loop));
        errors::report(pool.py(), told, pool);
    }
}
