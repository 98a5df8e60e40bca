//! A pool that closes: whom it refuses, and of whom its report tells.

use aiopool_core::{Phase, Ticket, Time};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{
    Apart, Closing, Items, Job, Other, Pool, PoolState, Single, Waiter, WaitingCall,
};
use super::index::OfFuture;

/// What a report tells of a job. The name is asked of an object that has none, if nobody has given it
/// one.
pub(crate) struct Member {
    pub(crate) name: Option<Py<PyString>>,
    pub(crate) named: Option<Py<PyAny>>,
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) queued_at: Option<Time>,
}

/// What ends at once when a pool begins to close.
pub(crate) struct Ending {
    /// Those who wait and will not start, each with what is told of it.
    pub(crate) refused: Vec<(Waiter, Member)>,
    /// The calls that pull no more.
    pub(crate) sources: Vec<Py<Items>>,
    /// The jobs that cannot come back.
    pub(crate) outside: Vec<Py<Job>>,
}

impl Pool {
    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.closing != Closing::No)
    }

    /// Whether what is handed in is refused; what a job waits for is so later.
    pub(crate) fn refuses(&self, py: Python<'_>, is_nested: bool) -> bool {
        self.state.with(py, |state| match state.closing {
            Closing::No => false,
            Closing::Begun => !is_nested,
            Closing::Stopped => true,
        })
    }

    /// The pool begins to close. Gives what has to end at once: callers that wait for the start of a
    /// job, calls that would pull more, and what waits for the end of a pause.
    pub(crate) fn begin_closing(&self, py: Python<'_>, now: Time) -> Ending {
        self.state.with(py, |state| {
            state.closing = Closing::Begun;
            if state.admission.phase() == Phase::Open {
                state.admission.enter(Phase::Draining);
            }
            let sources = state.sources(py);
            let is_paused = state.admission.is_paused(now);
            let mut refused = Vec::new();
            for (ticket, waiter) in state.admission.waiters() {
                let is_map = matches!(waiter, Waiter::Other(Other::Item { item: None, .. }));
                let key = state.admission.key_of_waiter(ticket);
                let is_paused =
                    is_paused || key.is_some_and(|key| state.admission.is_key_paused(key, now));
                let is_refused = waiter.tells_of_start() || is_paused && waiter.back().is_none();
                if is_refused && !is_map {
                    refused.push(ticket);
                }
            }
            let refused = refused.into_iter().filter_map(|ticket| {
                let member = state.waiting_member(py, ticket)?;
                let waiter = state.admission.withdraw(ticket)?;
                state
                    .index
                    .remove(waiter.future(), ticket, &state.admission);
                Some((waiter, member))
            });
            let refused = refused.collect();
            let jobs = state.jobs.iter().map(|(_, job)| job);
            let outside = jobs.filter(|job| {
                let is_key_paused = |key| state.admission.is_key_paused(key, now);
                is_paused && job.get().is_outside(py)
                    || job.get().is_outside_with(py, is_key_paused)
            });
            let outside = outside.map(|job| job.clone_ref(py)).collect();
            // Nobody may resume them, and what jobs wait for must start.
            state.admission.resume(now);
            for key in state.keys.ids() {
                state.admission.resume_key(key, now);
            }
            Ending {
                refused,
                sources,
                outside,
            }
        })
    }

    /// From here on nobody hands anything in. Gives what is told of those who wait, and the running maps
    /// that would pull more.
    pub(crate) fn refuse_all(&self, py: Python<'_>) -> (Vec<Member>, Vec<Py<Items>>) {
        self.state.with(py, |state| {
            state.closing = Closing::Stopped;
            let tickets = state.admission.waiters().map(|(ticket, _)| ticket);
            let tickets: Vec<_> = tickets.collect();
            let members = tickets.into_iter();
            let members = members.filter_map(|ticket| state.waiting_member(py, ticket));
            (members.collect(), state.sources(py))
        })
    }

    /// The jobs that have begun, with what is told of each.
    pub(crate) fn begun_members(&self, py: Python<'_>) -> Vec<(Py<Job>, Member)> {
        self.state.with(py, |state| {
            let jobs = state.jobs.iter();
            jobs.map(|(_, job)| (job.clone_ref(py), state.begun_member(py, job)))
                .collect()
        })
    }
}

impl PoolState {
    /// The calls whose items or which themselves wait, and those that stand aside.
    fn sources(&self, py: Python<'_>) -> Vec<Py<Items>> {
        let waiting = self
            .admission
            .waiters()
            .filter_map(|(_, waiter)| match waiter {
                Waiter::Other(Other::Item { items, .. }) => Some(items),
                _ => None,
            });
        let sources = waiting.chain(&self.sources).chain(&self.aside);
        sources.map(|items| items.clone_ref(py)).collect()
    }

    /// None for a `map`, which is no job, and for a job that has begun.
    fn waiting_member(&self, py: Python<'_>, ticket: Ticket) -> Option<Member> {
        let called = |call: &WaitingCall| call.job.get().call(py).map(|call| call.function);
        let (named, extras) = match self.admission.get(ticket)? {
            Waiter::Job(job) => (Some(job.awaitable.clone_ref(py)), None),
            Waiter::Other(Other::Apart(Apart::Call(call))) => (called(call), None),
            Waiter::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(job, extras) => (Some(job.awaitable.clone_ref(py)), Some(extras)),
                Single::Call(call, extras) => (called(call), Some(extras)),
                Single::Back(_) => return None,
            },
            Waiter::Other(Other::Item {
                items,
                item,
                extras,
            }) => {
                item.as_ref()?;
                let function = &items.get().mapped.function;
                (Some(function.clone_ref(py)), extras.as_ref())
            }
        };
        let name = extras.and_then(|extras| extras.name.as_ref());
        let observed = extras.and_then(|extras| extras.observed.as_ref());
        Some(Member {
            name: name.map(|name| name.clone_ref(py)),
            named,
            key: self.key_object(py, self.admission.key_of_waiter(ticket)),
            queued_at: observed.map(|observed| observed.queued_at),
        })
    }

    fn begun_member(&self, py: Python<'_>, job: &Py<Job>) -> Member {
        let job = job.get();
        // The coroutine has the name of the job.
        let named = job.work(py).map(|work| work.object().clone_ref(py));
        let named = named.or_else(|| job.coroutine(py));
        job.state.with(py, |state| {
            let held = state.held.as_ref();
            let slot = held.and_then(|held| held.slot.as_ref()?.key());
            let outside = held.and_then(|held| held.outside.as_ref()?.key());
            Member {
                name: job.name.as_ref().map(|name| name.clone_ref(py)),
                named,
                key: self.key_object(py, slot.or(outside)),
                queued_at: state.observed.as_ref().map(|observed| observed.queued_at),
            }
        })
    }

    fn key_object(&self, py: Python<'_>, index: Option<u32>) -> Option<Py<PyAny>> {
        let key = self.keys.object(index? as usize)?;
        Some(key.clone_ref(py))
    }
}
