//! Waiting until no job waits and none is active, or until none is active.

use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::Ticket;

use crate::run::nested;
use crate::state::{Shared, State};
use crate::sys::runtime::poll_in_budget;
use crate::sys::unwind::discard;

/// The future of [`Pool::join`](crate::Pool::join) and [`Pool::drained`](crate::Pool::drained).
pub(crate) struct Join {
    shared: Arc<Shared>,
    until: Until,
    ticket: Option<Ticket>,
    caller: &'static Location<'static>,
}

/// What a joiner waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Nobody waits, and nothing is active.
    Idle,
    /// Nothing is active.
    Drained,
}

impl Join {
    pub(crate) fn new(
        shared: Arc<Shared>,
        until: Until,
        caller: &'static Location<'static>,
    ) -> Self {
        Self {
            shared,
            until,
            ticket: None,
            caller,
        }
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        nested::refuse(&self.shared, self.until.verb(), self.caller);
        let waker = cx.waker().clone();
        let mut state = self.shared.lock();
        let before = match self.ticket {
            Some(ticket) => self.until.leave(&mut state, ticket),
            None => None,
        };
        // This joiner has a ticket, but is not in the table any more: it has been told.
        let told = self.ticket.is_some() && before.is_none();
        if told || self.until.is_so(&state) {
            drop(state);
            self.ticket = None;
            // One by one: if two wakers panic in one drop, the process aborts.
            discard(waker);
            discard(before);
            return Poll::Ready(());
        }
        let ticket = self.until.join(&mut state, waker);
        drop(state);
        self.ticket = Some(ticket);
        discard(before);
        Poll::Pending
    }
}

impl Until {
    fn verb(self) -> &'static str {
        match self {
            Self::Idle => "join",
            Self::Drained => "drained",
        }
    }

    fn is_so(self, state: &State) -> bool {
        match self {
            Self::Idle => state.is_idle(),
            Self::Drained => state.admission().active() == 0,
        }
    }

    fn join(self, state: &mut State, waker: Waker) -> Ticket {
        match self {
            Self::Idle => state.join(waker),
            Self::Drained => state.join_active(waker),
        }
    }

    fn leave(self, state: &mut State, ticket: Ticket) -> Option<Waker> {
        match self {
            Self::Idle => state.leave_joiners(ticket),
            Self::Drained => state.leave_drainers(ticket),
        }
    }
}

impl Future for Join {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let join = self.get_mut();
        poll_in_budget(cx, |cx| join.poll_told(cx))
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.until.leave(&mut self.shared.lock(), ticket);
            discard(waker);
        }
    }
}
