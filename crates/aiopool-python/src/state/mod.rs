//! The state of a pool: its tables, and the steps that change them.
//!
//! A step makes one whole change and runs no foreign code. It returns everything that the caller
//! has to call or to drop after it: see [`effects`]. No step starts a job.

mod classes;
mod closing;
mod counts;
mod effects;
mod enqueued;
mod index;
mod items;
mod job;
mod keys;
mod mailbox;
mod nested;
mod options;
mod outside;
mod pump;
mod results;
mod source;
mod stall;
mod tasks;
mod unawaited;
mod watch;
mod worker;
mod workers;

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aiopool_core::{
    Admission, KeyId, Level, Phase, Rate, Refused, Request, Slot, Stats, Ticket, Time,
};
use pyo3::prelude::*;
use slab::Slab;

pub(crate) use classes::{
    Apart, Awaiting, Back, Begun, Callbacks, Called, End, Enqueued, Given, Items, Job, JoinTicket,
    Kind, Made, Mail, Other, Pool, Sent, Single, Target, Task, Unawaited, Verbs, Waiter,
    WaitingCall, Work, Worker,
};
pub(crate) use closing::{Ending, Member};
pub(crate) use counts::between;
pub(crate) use effects::{Ended, FirstStep, Next, NextOfWorker, Timer};
pub(crate) use enqueued::Stopping;
pub(crate) use keys::Candidates;
pub(crate) use options::{
    Arity, Asked, Call, Callback, Extras, Observed, OptionValues, Options, Place, Pulled,
    WaitingJob,
};
pub(crate) use results::When;
pub(crate) use source::Mapped;

use crate::py::context::{self, Snapshot};
use crate::py::event_loop::{EventLoop, OwnLoop};
use crate::py::guarded::Guarded;
use crate::py::loop_end::LoopEnd;
use crate::py::outcome::How;
use classes::{Closing, Held, PoolState, Runner};
use counts::Counts;
use effects::{Closed, Emptied};
use index::{OfFuture, TicketIndex};
use keys::Keys;
use mailbox::Mailbox;
use pump::Pump;
use tasks::Tasks;
use watch::Watch;
use workers::Workers;

/// Making a pool, and questions.
impl Pool {
    pub(crate) fn of_size(
        size: NonZeroUsize,
        event_loop: Option<&Bound<'_, PyAny>>,
        reuses_tasks: bool,
        is_eager: bool,
        [per_key, per_key_rate, observer]: [Option<Py<PyAny>>; 3],
    ) -> PyResult<Self> {
        Ok(Self {
            own_loop: OwnLoop::new(event_loop)?,
            reuses_tasks,
            is_eager,
            begins_at_once: AtomicBool::new(false),
            sees_close: AtomicBool::new(false),
            has_levels: AtomicBool::new(false),
            per_key,
            per_key_rate,
            observer,
            mailbox: Guarded::new(Mailbox::default()),
            state: Guarded::new(PoolState {
                admission: Admission::new(size),
                index: TicketIndex::default(),
                pump: Pump::default(),
                jobs: Slab::new(),
                tasks: Tasks::default(),
                workers: Workers::new(),
                looking: None,
                snapshot: None,
                loop_end: None,
                looks_after: false,
                executed: 0,
                sources: Vec::new(),
                aside: Vec::new(),
                keys: Keys::default(),
                now: Time::ZERO,
                timer: None,
                counts: Counts::default(),
                watch: Watch::default(),
                closing: Closing::No,
            }),
        })
    }

    pub(crate) fn own_loop(&self) -> &OwnLoop {
        &self.own_loop
    }

    /// See [`OwnLoop::enter`].
    pub(crate) fn enter<'a>(&'a self, py: Python<'a>) -> PyResult<&'a EventLoop> {
        self.own_loop.enter(py)
    }

    /// The same for what may be done before the pool has a loop.
    pub(crate) fn enter_if_bound(&self, py: Python<'_>) -> PyResult<()> {
        match self.own_loop.get() {
            Some(_) => self.enter(py).map(drop),
            None => Ok(()),
        }
    }

    pub(crate) fn reuses_tasks(&self) -> bool {
        self.reuses_tasks
    }

    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager
    }

    /// Notes whether a job begins at its start.
    pub(crate) fn note_begins_at_once(&self, at_once: bool) {
        self.begins_at_once.store(at_once, Ordering::Relaxed);
    }

    /// Whether the next job may begin in the step in which another one ends.
    pub(crate) fn may_begin_at_once(&self) -> bool {
        self.reuses_tasks || self.begins_at_once.load(Ordering::Relaxed)
    }

    /// Whether the pool will be told when its loop is closed. From here on it will.
    pub(crate) fn sees_close(&self) -> bool {
        self.sees_close.swap(true, Ordering::Relaxed)
    }

    /// Asks the core.
    pub(crate) fn ask<R>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&Admission<Waiter, Py<PyAny>>) -> R,
    ) -> R {
        self.state.with(py, |state| question(&state.admission))
    }

    /// How many coroutines have run to their end.
    pub(crate) fn count_of_executed(&self, py: Python<'_>) -> u64 {
        self.state.with(py, |state| state.executed)
    }

    /// Whether a job would get a slot at once, if it has no options.
    pub(crate) fn has_free_slot(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let admission = &state.admission;
            let free = admission.held() < admission.size().get() && admission.waiting() == 0;
            free && !admission.is_timed() && state.admits_at_once()
        })
    }

    /// The slots that a pool gains are given out at once, also if this turn is over for others.
    pub(crate) fn resize(&self, py: Python<'_>, size: NonZeroUsize) {
        self.state.with(py, |state| {
            if size > state.admission.size() {
                state.pump.reopen_turn();
            }
            state.admission.resize(size);
        });
    }

    pub(crate) fn active_jobs(&self, py: Python<'_>) -> Vec<Py<Job>> {
        self.state.with(py, |state| {
            let jobs = state.jobs.iter();
            jobs.map(|(_, job)| job.clone_ref(py)).collect()
        })
    }

    /// The active jobs of a `map` or an `itermap`.
    pub(crate) fn active_jobs_of(&self, items: &Bound<'_, Items>) -> Vec<Py<Job>> {
        let py = items.py();
        let indexes = items.get().active_jobs(py);
        self.state.with(py, |state| {
            let jobs = indexes
                .into_iter()
                .filter_map(|index| state.jobs.get(index));
            jobs.map(|job| job.clone_ref(py)).collect()
        })
    }

    /// Whether `task` runs jobs of this pool.
    pub(crate) fn is_own_task(&self, task: &Bound<'_, PyAny>) -> bool {
        self.state
            .with(task.py(), |state| state.tasks.contains(task))
    }
}

/// Handing in and withdrawing. These steps change the core and the index of tickets together.
impl Pool {
    /// A copy of the current context. Calls share one snapshot while no variable changes, so that a
    /// million waiting jobs do not hold a million equal copies. Each job runs in a
    /// [copy](context::of_job) of its own.
    ///
    /// Tells whether the caller may be a job of this pool.
    pub(crate) fn snapshot(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, bool)> {
        let py = slf.py();
        let context = context::current(py)?;
        let Some(variables) = context::variables(&context) else {
            context::name_pool(&context, slf)?;
            return Ok((context.unbind(), true));
        };
        let shared = slf.get().state.with(py, |state| {
            let last = state.snapshot.as_ref()?;
            let is_of_job = last.is_of(&variables)?;
            Some((last.context(py), is_of_job))
        });
        if let Some(shared) = shared {
            return Ok(shared);
        }
        let snapshot = Snapshot::new(context, variables, slf)?;
        let shared = snapshot.context(py);
        let replaced = |state: &mut PoolState| state.snapshot.replace(snapshot);
        drop(slf.get().state.with(py, replaced));
        Ok((shared, true))
    }

    /// Puts a waiter in the queue, or gives it back if the pool is closed or its key has gone.
    pub(crate) fn submit(
        &self,
        py: Python<'_>,
        waiter: Waiter,
        request: Request,
    ) -> Result<Ticket, Refused<Waiter>> {
        self.state.with(py, |state| {
            let future = waiter.future();
            let ticket = state.admission.submit(waiter, request)?;
            if let Some(future) = future {
                state.index.insert(future, ticket, &state.admission);
            }
            Ok(ticket)
        })
    }

    /// Takes a waiter that is not found by its future out of the queue. None if it is not in the queue.
    pub(crate) fn withdraw(&self, py: Python<'_>, ticket: Ticket) -> Option<Waiter> {
        self.state.with(py, |state| {
            let waiter = state.admission.withdraw(ticket);
            state.index.remove(None, ticket, &state.admission);
            waiter
        })
    }

    /// Takes the job of a future out of the queue. None if it is not in the queue.
    pub(crate) fn withdraw_job(
        &self,
        future: &Bound<'_, PyAny>,
    ) -> Option<(WaitingJob, Option<Box<Extras>>)> {
        self.state.with(future.py(), |state| {
            let future = future.as_ptr() as usize;
            let ticket = state.index.find(future, &state.admission)?;
            let waiter = state.admission.withdraw(ticket);
            state.index.remove(Some(future), ticket, &state.admission);
            match waiter? {
                Waiter::Job(job) => Some((job, None)),
                Waiter::Other(Other::Apart(Apart::Single(single))) => match *single {
                    Single::Job(job, extras) => Some((job, Some(extras))),
                    Single::Call(..) | Single::Back(_) => None,
                },
                Waiter::Other(_) => None,
            }
        })
    }

    /// Takes all jobs and items out of the queue that have not begun, in their order. A running `map`,
    /// whose items do not exist before they are pulled, keeps its place.
    pub(crate) fn withdraw_all(&self, py: Python<'_>) -> Vec<Waiter> {
        let is_there = |waiter: &Waiter| {
            let is_map = matches!(waiter, Waiter::Other(Other::Item { item: None, .. }));
            !is_map && waiter.back().is_none()
        };
        self.state.with(py, |state| state.withdraw_those(is_there))
    }

    /// Empties the queue, and closes it until the pool is empty. None if it is closed already.
    pub(crate) fn close(&self, py: Python<'_>) -> Option<Closed> {
        self.state.with(py, |state| {
            (state.admission.phase() != Phase::Closed).then(|| {
                state.admission.enter(Phase::Closed);
                state.looks_after = false;
                Closed {
                    waiters: state.withdraw_those(|_| true),
                    loop_end: state.loop_end.take(),
                }
            })
        })
    }

    /// Adds a future to settle when the pool is empty.
    pub(crate) fn add_joiner(&self, joiner: &Bound<'_, PyAny>) -> JoinTicket {
        let told = joiner.clone().unbind();
        let ticket = self
            .state
            .with(joiner.py(), |state| state.admission.join(told));
        JoinTicket(ticket)
    }

    pub(crate) fn remove_joiner(&self, py: Python<'_>, joiner: &JoinTicket) {
        drop(self.state.with(py, |state| state.admission.leave(joiner.0)));
    }
}

/// Admitting the next waiter: `begin_advance`, and then `admit` and `go_on` as long as they give
/// [someone](Next::Someone).
impl Pool {
    /// None if a caller further up the stack is admitting: it sees the change when it looks again.
    pub(crate) fn begin_advance(&self, py: Python<'_>) -> Option<Next> {
        self.state.with(py, |state| {
            let begins = state.admission.begin_advance();
            begins.then(|| state.next(py, state.admission.may_admit()))
        })
    }

    /// `is_held` says that the core has admitted nobody.
    pub(crate) fn go_on(&self, py: Python<'_>, is_held: bool) -> Next {
        self.state.with(py, |state| {
            state.next(py, !is_held && state.admission.may_admit())
        })
    }

    /// The same for a caller that is not the one who advances: it leaves [nobody](Next::Nobody) to that
    /// one.
    pub(crate) fn next_someone(&self, py: Python<'_>) -> Option<Next> {
        self.state.with(py, |state| {
            let may_admit = state.admission.may_admit() && !state.pump.is_over();
            (may_admit || !state.sources.is_empty()).then(|| state.next(py, may_admit))
        })
    }

    /// Without a time it is that which was told last: a limit that has come since was told it.
    pub(crate) fn admit(&self, py: Python<'_>, now: Option<Time>) -> Option<(Slot, Waiter)> {
        let (admitted, gone) = self.state.with(py, |state| {
            let now = now.unwrap_or(state.now);
            let gone = state.forget_keys(now);
            let admitted = state.admission.poll_admit(now).map(|admitted| {
                let future = admitted.waiter.future();
                state
                    .index
                    .remove(future, admitted.ticket, &state.admission);
                (admitted.slot, admitted.waiter)
            });
            (admitted, gone)
        });
        drop(gone);
        admitted
    }

    /// A `map` has pulled as far ahead as it may.
    pub(crate) fn lay_aside(&self, items: &Bound<'_, Items>) {
        let own = items.clone().unbind();
        self.state.with(items.py(), |state| state.aside.push(own));
    }

    /// The `map`s that are aside: a pool that grows may let them pull.
    pub(crate) fn aside(&self, py: Python<'_>) -> Vec<Py<Items>> {
        self.state.with(py, |state| {
            let aside = state.aside.iter();
            aside.map(|items| items.clone_ref(py)).collect()
        })
    }

    /// A `map` that is aside may pull again.
    pub(crate) fn let_pull(&self, items: &Bound<'_, Items>) {
        let own = items.clone().unbind();
        let found = self.state.with(items.py(), |state| {
            state.sources.push(own);
            state.take_aside(items)
        });
        drop(found);
    }

    /// A `map` has ended. If it is aside, it is so no more.
    pub(crate) fn forget_aside(&self, items: &Bound<'_, Items>) {
        let found = self.state.with(items.py(), |state| state.take_aside(items));
        drop(found);
    }

    /// See [`Pump::count_unstarted`].
    pub(crate) fn count_unstarted(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.pump.count_unstarted())
    }

    /// See [`Pump::count_ended_at_once`].
    pub(crate) fn count_ended_at_once(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let free = state.admission.size().get();
            let free = free.saturating_sub(state.admission.held());
            state.pump.count_ended_at_once(free)
        })
    }

    /// Whether a waiter would be admitted now.
    pub(crate) fn has_turn(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            state.admission.may_admit() && state.admits_at_once()
        })
    }

    /// Admits no waiter before [`start_turn`](Self::start_turn).
    pub(crate) fn end_turn(&self, py: Python<'_>) {
        self.state.with(py, |state| state.pump.end_turn());
    }

    /// Whether slots come back in the next turn of the loop.
    pub(crate) fn has_spent_slots(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.pump.has_spent())
    }

    /// The slot comes back in the [next turn](Self::start_turn).
    pub(crate) fn spend(&self, py: Python<'_>, slot: Slot) {
        self.state.with(py, |state| state.pump.spend(slot));
    }

    /// The next turn of the loop: waiters are admitted again.
    pub(crate) fn start_turn(&self, py: Python<'_>) {
        self.state.with(py, |state| {
            for slot in state.pump.begin_turn() {
                state.admission.finish(slot);
            }
        });
    }

    /// A callback runs after a cancellation, which may be that of all tasks at the end of the loop.
    /// A job that it hands in is not cancelled with them, so the pool closes it with the loop.
    pub(crate) fn look_after(&self, py: Python<'_>) {
        self.state.with(py, |state| state.looks_after = true);
    }

    pub(crate) fn watch(&self, py: Python<'_>, loop_end: LoopEnd) {
        drop(
            self.state
                .with(py, |state| state.loop_end.replace(loop_end)),
        );
    }

    /// No job waits and none is active.
    pub(crate) fn become_empty(&self, py: Python<'_>) -> Emptied {
        self.state.with(py, |state| {
            // The end of the loop closes the pool. If the loop goes on nevertheless, it finds the
            // pool open.
            state.admission.enter(Phase::Open);
            state.looks_after = false;
            Emptied {
                loop_end: state.loop_end.take(),
                snapshot: state.snapshot.take(),
            }
        })
    }

    /// The joiners to tell that nothing is active, if nothing is.
    pub(crate) fn drained(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.state.with(py, |state| {
            let drained = state.admission.poll_drained();
            drained.map_or_else(Vec::new, Iterator::collect)
        })
    }

    /// The next joiner to tell that the pool is empty, while it is empty.
    pub(crate) fn next_joiner(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| state.admission.poll_idle())
    }
}

/// Limits.
impl Pool {
    pub(crate) fn per_key(&self) -> Option<&Py<PyAny>> {
        self.per_key.as_ref()
    }

    pub(crate) fn per_key_rate(&self) -> Option<&Py<PyAny>> {
        self.per_key_rate.as_ref()
    }

    /// A clock has told this time. Gives the latest: time never goes back.
    pub(crate) fn note_time(&self, py: Python<'_>, told: Time) -> Time {
        self.state.with(py, |state| {
            state.now = state.now.max(told);
            state.now
        })
    }

    pub(crate) fn change_rates(&self, py: Python<'_>, rates: &[Rate], now: Time) {
        self.state
            .with(py, |state| state.admission.set_rates(rates, now));
    }

    pub(crate) fn pause_until(&self, py: Python<'_>, until: Time) {
        self.state.with(py, |state| state.admission.pause(until));
    }

    /// Tells whether the pool was paused.
    pub(crate) fn end_pause(&self, py: Python<'_>, now: Time) -> bool {
        self.state.with(py, |state| state.admission.resume(now))
    }

    /// False if the key has gone.
    pub(crate) fn pause_key(&self, py: Python<'_>, key: KeyId, until: Time) -> bool {
        self.state
            .with(py, |state| state.admission.pause_key(key, until))
    }

    /// Tells whether the key was paused.
    pub(crate) fn resume_key(&self, py: Python<'_>, key: KeyId, now: Time) -> bool {
        self.state
            .with(py, |state| state.admission.resume_key(key, now))
    }

    pub(crate) fn keys_with_hash(&self, py: Python<'_>, hash: u64) -> Candidates {
        self.state.with(py, |state| state.keys.candidates(py, hash))
    }

    pub(crate) fn has_key(&self, py: Python<'_>, key: KeyId) -> bool {
        self.ask(py, |admission| admission.has_key(key))
    }

    /// Whether a key with this hash has been opened since the candidates were looked up.
    pub(crate) fn has_more_keys(&self, py: Python<'_>, hash: u64, seen: &Candidates) -> bool {
        self.state.with(py, |state| state.keys.has_more(hash, seen))
    }

    /// Opens a key, unless another with its hash has been opened since the candidates were looked up.
    pub(crate) fn open_key(
        &self,
        object: &Bound<'_, PyAny>,
        hash: u64,
        seen: &Candidates,
        limit: Option<NonZeroU32>,
        rates: &[Rate],
    ) -> Option<KeyId> {
        let own = object.clone().unbind();
        self.state.with(object.py(), |state| {
            (!state.keys.has_more(hash, seen)).then(|| {
                let id = state.admission.open_key(limit, rates);
                state.keys.insert(id, hash, own);
                id
            })
        })
    }

    /// Whether jobs may have another level than that of all others. From here on they may.
    pub(crate) fn use_levels(&self) {
        self.has_levels.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_levels(&self) -> bool {
        self.has_levels.load(Ordering::Relaxed)
    }

    pub(crate) fn next_timer(&self, py: Python<'_>) -> Timer {
        self.state.with(py, PoolState::next_timer)
    }

    /// The timer has been set. Gives the one that it replaces.
    pub(crate) fn timer_set(
        &self,
        py: Python<'_>,
        at: Time,
        handle: Py<PyAny>,
    ) -> Option<Py<PyAny>> {
        let replaced = self
            .state
            .with(py, |state| state.timer.replace((at, handle)));
        replaced.map(|(_, handle)| handle)
    }

    /// The timer has fired: does what is due.
    pub(crate) fn timer_has_fired(&self, py: Python<'_>, now: Time) {
        let (handle, gone) = self.state.with(py, |state| {
            let handle = state.timer.take();
            let gone: Vec<_> = (0..PORTIONS)
                .filter_map(|_| state.forget_keys(now))
                .collect();
            (handle, gone)
        });
        drop((handle, gone));
    }
}

/// What is told of the pool.
impl Pool {
    pub(crate) fn observer(&self) -> Option<&Py<PyAny>> {
        self.observer.as_ref()
    }

    pub(crate) fn count_wait(&self, py: Python<'_>, wait: Duration) {
        self.state.with(py, |state| state.counts.waited += wait);
    }

    pub(crate) fn count_run(&self, py: Python<'_>, run: Duration) {
        self.state.with(py, |state| state.counts.ran += run);
    }

    /// Whether the core has to be asked what holds the next one back: it is not asked for that one while
    /// no slot is free, and so reads no clock for it.
    pub(crate) fn may_be_held(&self, py: Python<'_>) -> bool {
        self.ask(py, |admission| {
            admission.is_timed() && admission.waiting() > 0 && !admission.may_admit()
        })
    }

    /// Asks it.
    pub(crate) fn note_what_holds(&self, py: Python<'_>, now: Time) {
        let gone = self.state.with(py, |state| {
            // To read the clock was foreign code, which may have changed that.
            if state.admission.may_admit() {
                return None;
            }
            let gone = state.forget_keys(now);
            let admitted = state.admission.poll_admit(now);
            debug_assert!(admitted.is_none(), "no slot is free");
            gone
        });
        drop(gone);
    }

    /// The numbers of the core, how many have succeeded, failed, were cancelled and timed out, and for how
    /// long they waited and ran.
    pub(crate) fn numbers(&self, py: Python<'_>) -> (Stats, [u64; 4], [Duration; 2]) {
        self.state.with(py, |state| {
            let Counts {
                succeeded,
                failed,
                cancelled,
                timed_out,
                waited,
                ran,
            } = state.counts;
            let stats = state.admission.stats();
            let ends = [succeeded, failed, cancelled, timed_out];
            (stats, ends, [waited, ran])
        })
    }

    /// Adds a future to settle when nothing is active.
    pub(crate) fn add_drainer(&self, drainer: &Bound<'_, PyAny>) -> JoinTicket {
        let told = drainer.clone().unbind();
        let ticket = self
            .state
            .with(drainer.py(), |state| state.admission.join_active(told));
        JoinTicket(ticket)
    }

    pub(crate) fn remove_drainer(&self, py: Python<'_>, drainer: &JoinTicket) {
        drop(
            self.state
                .with(py, |state| state.admission.leave_active(drainer.0)),
        );
    }
}

/// The active jobs.
impl Pool {
    /// A job takes its slot, and the pool holds it until it is [finished](Self::finish).
    pub(crate) fn hold(
        &self,
        job: &Bound<'_, Job>,
        slot: Slot,
        mut target: Target,
        weight: NonZeroU32,
    ) {
        let py = job.py();
        let own = job.clone().unbind();
        let (index, level, serial) = self.state.with(py, |state| {
            let index = state.jobs.insert(own);
            let admission = &state.admission;
            (index, admission.admitted_level(), admission.stats().started)
        });
        if let Target::Item { items, place, .. } = &mut target {
            *place = Some(items.get().hold(py, index));
        }
        let held = Held {
            slot: Some(slot),
            outside: None,
            place: None,
            index,
            serial,
            target,
            level,
            weight,
        };
        job.get().hold(py, held);
    }

    /// The job has this long from now on.
    pub(crate) fn begin_timeout(&self, job: &Bound<'_, Job>, timeout: NonZeroU64, now: Time) {
        let py = job.py();
        let until = now.after(timeout.get());
        job.get().may_take(py, timeout, until);
        if let Some(index) = job.get().index(py) {
            let index = small(index);
            self.state
                .with(py, |state| state.admission.begin_timeout(index, until));
        }
    }

    /// The time of the job counts no longer, also if the job goes outside and comes back.
    pub(crate) fn end_timeout(&self, job: &Bound<'_, Job>) {
        let py = job.py();
        job.get().may_take_any(py);
        if let Some(index) = job.get().index(py) {
            let index = small(index);
            self.state
                .with(py, |state| state.admission.end_timeout(index));
        }
    }

    /// A job that has had its time. It knows that from here on.
    pub(crate) fn next_timed_out<'py>(
        &self,
        py: Python<'py>,
        now: Time,
    ) -> Option<Bound<'py, Job>> {
        let job = self.state.with(py, |state| {
            let index = state.admission.poll_timed_out(now)?;
            Some(state.jobs.get(index as usize)?.clone_ref(py))
        })?;
        job.get().expire(py);
        Some(job.into_bound(py))
    }

    /// Whether an item that a `map` of this level has pulled may start now. Then it is counted. None if
    /// that depends on the time, and none is given.
    pub(crate) fn pay(
        &self,
        py: Python<'_>,
        slot: &Slot,
        level: Level,
        now: Option<Time>,
    ) -> Option<bool> {
        self.state.with(py, |state| {
            let admission = &mut state.admission;
            let now = now.or_else(|| (!admission.is_timed()).then_some(Time::ZERO))?;
            Some(admission.pay(slot, level, now))
        })
    }

    /// Takes back the slot of a `map` that no item has taken.
    pub(crate) fn take_back(&self, py: Python<'_>, slot: Slot) {
        self.state.with(py, |state| state.admission.take_back(slot));
    }

    /// Takes back the slot of a job that could not begin.
    pub(crate) fn give_back(&self, py: Python<'_>, slot: Slot) {
        self.state.with(py, |state| state.admission.finish(slot));
    }

    /// Counts a job that has ended without a slot.
    pub(crate) fn count(&self, py: Python<'_>, how: How) {
        self.state.with(py, |state| state.counts.count(how));
    }

    /// Counts a coroutine that has run to its end.
    pub(crate) fn count_executed(&self, py: Python<'_>) {
        self.state.with(py, |state| state.executed += 1);
    }

    /// An ended job gives its slot back, and its worker becomes idle. Counts the coroutine if it
    /// has `run`. Gives the rest of the job, to be dropped.
    #[must_use]
    pub(crate) fn finish(
        &self,
        py: Python<'_>,
        ended: Ended,
        how: How,
        run: bool,
    ) -> impl Sized + use<> {
        let Ended {
            slot,
            outside,
            place,
            index,
            ..
        } = ended;
        let (idle, runner) = match ended.runner {
            Some(Runner::Worker(worker)) if worker.get().becomes_idle() => (Some(worker), None),
            runner => (None, runner),
        };
        // The slot comes back and the worker becomes idle in one step. The next job may then have
        // both, and foreign code never finds one without the other.
        let job = self.state.with(py, |state| {
            state.executed += u64::from(run);
            state.counts.count(how);
            if let Some(slot) = slot {
                state.admission.finish(slot);
            }
            let back = place.and_then(|place| state.admission.withdraw(place));
            if let Some(outside) = outside {
                state.admission.end_outside(outside);
            }
            state.admission.end_timeout(small(index));
            if let Some(Runner::Own {
                task: Some(made), ..
            }) = &runner
            {
                state.tasks.remove(&made.object);
            }
            if let Some(worker) = idle {
                state.workers.become_idle(worker);
            }
            (state.jobs.try_remove(index), back)
        });
        (job, ended.callback, runner)
    }
}

/// The workers of a pool that reuses tasks.
impl Pool {
    /// Counts a job that a worker will get, before that worker is found. After that the job is
    /// [given](Self::give), or [taken back](Self::take_back_given).
    pub(crate) fn count_given(&self, py: Python<'_>) {
        self.state.with(py, |state| state.workers.count_given());
    }

    pub(crate) fn take_back_given(&self, py: Python<'_>) {
        self.state.with(py, |state| state.workers.take_back());
    }

    pub(crate) fn give(worker: Bound<'_, Worker>, job: &Bound<'_, Job>, context: Py<PyAny>) {
        let given = Given {
            job: job.clone().unbind(),
            context,
        };
        worker.get().give(job.py(), given);
        job.get().given_to(worker);
    }

    /// Takes back the job that the worker was given and has not begun.
    pub(crate) fn take_given(&self, py: Python<'_>, worker: &Worker) -> Option<Given> {
        let given = worker.take_given(py)?;
        self.take_back_given(py);
        Some(given)
    }

    /// The next act of a worker: see [`Workers::begin`].
    pub(crate) fn next_of(
        &self,
        py: Python<'_>,
        worker: &Worker,
        has_ended: bool,
        has_begun: bool,
    ) -> NextOfWorker {
        let given = match worker.look_for_job(py) {
            Ok(given) => given,
            Err(waits) if waits => return NextOfWorker::Pause,
            Err(_) => return NextOfWorker::End,
        };
        let runs = worker.runs(py, &given);
        let begins = self.state.with(py, |state| {
            let begins = state.workers.begin(has_ended, has_begun);
            if let (true, Some((task, index))) = (begins, runs) {
                state.tasks.runs(task, index);
            }
            begins
        });
        if begins {
            return NextOfWorker::Begin(given);
        }
        // The job is not lost: the next step of the task looks again.
        worker.give(py, given);
        NextOfWorker::Pause
    }

    /// The next job is for this worker.
    pub(crate) fn look(worker: &Bound<'_, Worker>) {
        let py = worker.py();
        let own = worker.clone().unbind();
        let pool = worker.get().pool(py).get();
        drop(pool.state.with(py, |state| state.looking.replace(own)));
    }

    /// The worker that gets the next job.
    pub(crate) fn take_looking<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Worker>> {
        let looking = self.state.with(py, |state| state.looking.take())?;
        Some(looking.into_bound(py))
    }

    /// Whether a worker looks for the next job.
    pub(crate) fn is_looked_for(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.looking.is_some())
    }

    /// Takes the worker that has been idle longest.
    pub(crate) fn take_idle<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Worker>> {
        let worker = self
            .state
            .with(py, |state| state.workers.take_longest_idle())?;
        worker.get().leaves_idle();
        Some(worker.into_bound(py))
    }

    /// The task of the worker ends. Gives the rest of the worker, to be dropped.
    #[must_use]
    pub(crate) fn let_go(&self, worker: &Bound<'_, Worker>) -> impl Sized + use<> {
        let py = worker.py();
        worker.get().retire();
        // The list of the idle workers is searched only for a worker that is in it.
        let idle = worker.get().leaves_idle().then(|| {
            self.state
                .with(py, |state| state.workers.take_idle(|idle| idle.is(worker)))
        });
        (idle, worker.get().take_task(py))
    }
}

impl PoolState {
    /// Whether a waiter that may be admitted is admitted at once.
    fn admits_at_once(&self) -> bool {
        !self.admission.is_advancing() && !self.pump.is_over()
    }

    /// Takes those who are meant out of the queue.
    fn withdraw_those(&mut self, is_meant: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        // What stays has no future.
        self.index = TicketIndex::default();
        let mut withdrawn = Vec::with_capacity(self.admission.waiting());
        self.admission.begin_walk();
        while let Some((ticket, waiter)) = self.admission.walk_on() {
            if is_meant(waiter) {
                withdrawn.extend(self.admission.withdraw(ticket));
            }
        }
        withdrawn
    }

    fn next(&mut self, py: Python<'_>, may_admit: bool) -> Next {
        if let Some(items) = self.sources.pop() {
            return Next::Source(items);
        }
        if may_admit && !self.pump.is_over() {
            let loop_end = self.loop_end.as_ref();
            return Next::Someone {
                cancelling: loop_end.map(|loop_end| loop_end.cancelling(py)),
                is_timed: self.admission.is_timed(),
            };
        }
        // A caller that gets `Nobody` stops admitting in the same step. A later change finds that
        // nobody admits and begins anew, so no change is missed.
        self.admission.end_advance();
        // At once, without a timer: those of which nothing has to be remembered for a time.
        let gone = self.forget_keys(Time::ZERO);
        let admission = &self.admission;
        Next::Nobody {
            unwatched: self.loop_end.is_none()
                && (admission.waiting() > 0 || self.looks_after && !admission.is_empty()),
            empty: admission.is_empty(),
            drained: admission.active() == 0,
            is_timed: self.timer.is_some() || admission.next_wake().is_some(),
            stands: !self.watch.is_set() && !self.jobs.is_empty() && admission.has_waiters(),
            gone,
        }
    }

    fn take_aside(&mut self, items: &Bound<'_, Items>) -> Option<Py<Items>> {
        let place = self.aside.iter().position(|own| own.is(items))?;
        Some(self.aside.swap_remove(place))
    }

    fn next_timer(&mut self) -> Timer {
        let set = self.timer.as_ref().map(|(at, _)| *at);
        match (self.admission.next_wake(), set) {
            // One that fires too early finds nothing to do, and there is another then.
            (Some(at), Some(set)) if set <= at => Timer::Keep,
            (Some(at), _) => Timer::Set(at, self.timer.take().map(|(_, handle)| handle)),
            (None, _) => match self.timer.take() {
                Some((_, handle)) => Timer::Cancel(handle),
                None => Timer::Keep,
            },
        }
    }

    /// Does some of what is due with keys. Gives those that have gone, to be dropped.
    fn forget_keys(&mut self, now: Time) -> Option<Vec<Py<PyAny>>> {
        if self.keys.is_empty() {
            return None;
        }
        // What is left is done when the timer fires, in the next turn of the loop.
        self.admission.poll_due(now);
        let gone = std::iter::from_fn(|| self.admission.poll_key_gone());
        Some(gone.filter_map(|id| self.keys.remove(id)).collect())
    }
}

/// The index of a job, as the core knows it: there are no more jobs than it counts.
fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// How many times what is due is done in one turn of the loop.
const PORTIONS: usize = 16;
