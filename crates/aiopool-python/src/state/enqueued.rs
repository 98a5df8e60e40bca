//! A job that is a call, as its holder sees it: what it waits for, and how it has ended.

use std::collections::VecDeque;
use std::mem;

use aiopool_core::Ticket;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::classes::{Callbacks, End, Enqueued, EnqueuedState, Job, Mail, Pool, Sent, Stage};
use super::mailbox::Mailbox;
use super::options::Call;
use crate::py::guarded::Guarded;

/// What is to be done so that it stops.
pub(crate) enum Stopping {
    /// It stands in the queue.
    Withdraw(Ticket),
    Cancel(Py<Job>),
    /// It has been cancelled, and has not ended yet.
    Wait,
    /// It has ended.
    Nothing,
}

impl Enqueued {
    pub(crate) fn new<'py>(pool: &Bound<'py, Pool>, call: Call) -> PyResult<Bound<'py, Self>> {
        let state = EnqueuedState {
            stage: Stage::Waiting {
                function: call.function,
                arguments: call.arguments,
                arity: call.arity,
                place: None,
            },
            awaited: None,
        };
        let enqueued = Self {
            pool: pool.clone().unbind(),
            state: Guarded::new(state),
        };
        Bound::new(pool.py(), enqueued)
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.pool.bind(py)
    }

    /// It stands at this place in the queue.
    pub(crate) fn waits(&self, py: Python<'_>, ticket: Ticket) {
        self.state.with(py, |state| {
            if let Stage::Waiting { place, .. } = &mut state.stage {
                *place = Some(ticket);
            }
        });
    }

    /// The call, until it is made.
    pub(crate) fn call(&self, py: Python<'_>) -> Option<Call> {
        self.state.with(py, |state| match &state.stage {
            Stage::Waiting {
                function,
                arguments,
                arity,
                ..
            } => Some(Call {
                function: function.clone_ref(py),
                arguments: arguments.as_ref().map(|arguments| arguments.clone_ref(py)),
                arity: *arity,
            }),
            Stage::Active { .. } | Stage::Ended(..) => None,
        })
    }

    /// It has its slot. From here on the job has the call.
    pub(crate) fn starts(&self, job: &Bound<'_, Job>) {
        let active = Stage::Active {
            job: job.clone().unbind(),
            is_stopped: false,
        };
        let replaced = self
            .state
            .with(job.py(), |state| mem::replace(&mut state.stage, active));
        drop(replaced);
    }

    pub(crate) fn begin_stop(&self, py: Python<'_>) -> Stopping {
        self.state.with(py, |state| match &mut state.stage {
            Stage::Waiting { place, .. } => place.map_or(Stopping::Wait, Stopping::Withdraw),
            Stage::Active { job, is_stopped } => {
                if mem::replace(is_stopped, true) {
                    Stopping::Wait
                } else {
                    Stopping::Cancel(job.clone_ref(py))
                }
            }
            Stage::Ended(..) => Stopping::Nothing,
        })
    }

    /// The active job.
    pub(crate) fn active(&self, py: Python<'_>) -> Option<Py<Job>> {
        self.state.with(py, |state| match &state.stage {
            Stage::Active { job, .. } => Some(job.clone_ref(py)),
            Stage::Waiting { .. } | Stage::Ended(..) => None,
        })
    }

    /// It has ended. Gives whom to tell.
    pub(crate) fn end(&self, py: Python<'_>, end: End, name: Option<Py<PyString>>) -> Callbacks {
        let (replaced, awaited) = self.state.with(py, |state| {
            let replaced = mem::replace(&mut state.stage, Stage::Ended(end, name));
            (replaced, state.awaited.take())
        });
        drop(replaced);
        awaited.map_or_else(Callbacks::new, |awaited| awaited.callbacks)
    }

    /// How it has ended; None if it has not.
    pub(crate) fn ended(&self, py: Python<'_>) -> Option<End> {
        self.state.with(py, |state| match &state.stage {
            Stage::Ended(end, _) => Some(end.clone_ref(py)),
            Stage::Waiting { .. } | Stage::Active { .. } => None,
        })
    }

    pub(crate) fn has_ended(&self, py: Python<'_>) -> bool {
        self.state
            .with(py, |state| matches!(state.stage, Stage::Ended(..)))
    }

    pub(crate) fn is_cancelled(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            matches!(state.stage, Stage::Ended(End::Cancelled(_), _))
        })
    }

    /// The name that it was given; otherwise the function that it has its name from.
    pub(crate) fn name(&self, py: Python<'_>) -> Result<Py<PyString>, Option<Py<PyAny>>> {
        enum From {
            Waiter(Py<PyAny>, Option<Ticket>),
            Job(Py<Job>),
            Given(Option<Py<PyString>>),
        }

        let from = self.state.with(py, |state| match &state.stage {
            Stage::Waiting {
                function, place, ..
            } => From::Waiter(function.clone_ref(py), *place),
            Stage::Active { job, .. } => From::Job(job.clone_ref(py)),
            Stage::Ended(_, name) => From::Given(name.as_ref().map(|name| name.clone_ref(py))),
        });
        match from {
            From::Waiter(function, place) => {
                let given = self.pool.get().state.with(py, |state| {
                    let waiter = state.admission.get(place?)?;
                    Some(waiter.name()?.clone_ref(py))
                });
                given.ok_or(Some(function))
            }
            From::Job(job) => job.get().name(py).map(Bound::unbind).ok_or(None),
            From::Given(name) => name.ok_or(None),
        }
    }

    /// False if it has ended: then the function is still to be called.
    pub(crate) fn add_callback(
        &self,
        function: &Bound<'_, PyAny>,
        context: &Bound<'_, PyAny>,
    ) -> bool {
        let added = (function.clone().unbind(), context.clone().unbind());
        let left = self.state.with(function.py(), |state| {
            if matches!(state.stage, Stage::Ended(..)) {
                return Some(added);
            }
            let awaited = state.awaited.get_or_insert_default();
            awaited.callbacks.push(added);
            None
        });
        left.is_none()
    }

    pub(crate) fn callbacks(&self, py: Python<'_>) -> Callbacks {
        self.state.with(py, |state| {
            let callbacks = state.awaited.iter().flat_map(|awaited| &awaited.callbacks);
            let callbacks = callbacks
                .map(|(function, context)| (function.clone_ref(py), context.clone_ref(py)));
            callbacks.collect()
        })
    }

    /// Gives those that were removed, to be dropped.
    pub(crate) fn remove_callbacks(&self, py: Python<'_>, removed: &[Py<PyAny>]) -> Callbacks {
        self.state.with(py, |state| {
            let Some(awaited) = &mut state.awaited else {
                return Callbacks::new();
            };
            let is_removed = |(function, _): &mut (Py<PyAny>, _)| {
                removed.iter().any(|other| other.is(&*function))
            };
            awaited.callbacks.extract_if(.., is_removed).collect()
        })
    }

    pub(crate) fn is_blocking(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| {
            let awaited = state.awaited.as_ref();
            awaited.is_some_and(|awaited| awaited.is_blocking)
        })
    }

    pub(crate) fn set_blocking(&self, py: Python<'_>, is_blocking: bool) {
        self.state.with(py, |state| {
            if let Some(awaited) = &mut state.awaited {
                awaited.is_blocking = is_blocking;
            } else if is_blocking {
                state.awaited.get_or_insert_default().is_blocking = true;
            }
        });
    }
}

impl Mail {
    pub(crate) fn new(pool: &Bound<'_, Pool>, sent: Sent) -> Self {
        Self {
            pool: pool.clone().unbind(),
            sent: Guarded::new(Some(sent)),
        }
    }

    pub(crate) fn pool<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Pool> {
        self.pool.bind(py)
    }

    pub(crate) fn take(&self, py: Python<'_>) -> Option<Sent> {
        self.sent.with(py, Option::take)
    }
}

impl Pool {
    /// Puts into the mailbox what hands in a job. Tells whether the loop is still to be asked to read it.
    pub(crate) fn post(&self, delivery: &Bound<'_, PyAny>) -> bool {
        let own = delivery.clone().unbind();
        self.mailbox.with(delivery.py(), |mailbox| mailbox.put(own))
    }

    /// The next in the mailbox.
    pub(crate) fn next_mail(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.mailbox.with(py, Mailbox::next)
    }

    /// Empties the mailbox.
    pub(crate) fn take_mail(&self, py: Python<'_>) -> VecDeque<Py<PyAny>> {
        self.mailbox.with(py, Mailbox::take)
    }
}

impl EnqueuedState {
    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for (function, context) in self.awaited.iter().flat_map(|awaited| &awaited.callbacks) {
            visit.call(function)?;
            visit.call(context)?;
        }
        match &self.stage {
            Stage::Waiting {
                function,
                arguments,
                ..
            } => {
                visit.call(function)?;
                visit.call(arguments)
            }
            Stage::Active { job, .. } => visit.call(job),
            Stage::Ended(End::Returned(object) | End::Failed(object), _) => visit.call(object),
            Stage::Ended(End::Cancelled(message), _) => visit.call(message),
        }
    }

    /// Gives what it had, to be dropped.
    pub(super) fn clear(&mut self) -> impl Sized + use<> {
        let cleared = Self {
            stage: Stage::Ended(End::Cancelled(None), None),
            awaited: None,
        };
        mem::replace(self, cleared)
    }
}

impl End {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Returned(result) => Self::Returned(result.clone_ref(py)),
            Self::Failed(failed) => Self::Failed(failed.clone_ref(py)),
            Self::Cancelled(message) => {
                Self::Cancelled(message.as_ref().map(|message| message.clone_ref(py)))
            }
        }
    }
}
