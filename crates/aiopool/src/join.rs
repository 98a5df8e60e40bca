//! Waiting until no job waits and none is active.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aiopool_core::Ticket;

use crate::state::Shared;
use crate::sys::runtime::poll_in_budget;
use crate::sys::unwind::discard;

/// The future of [`Pool::join`](crate::Pool::join).
pub(crate) struct Join {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

impl Join {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ticket: None,
        }
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.shared.lock();
        let before = match self.ticket {
            Some(ticket) => state.leave_joiners(ticket),
            None => None,
        };
        // This joiner has a ticket, but is not in the table any more: it has been told.
        let told = self.ticket.is_some() && before.is_none();
        if told || state.is_idle() {
            drop(state);
            self.ticket = None;
            // One by one: if two wakers panic in one drop, the process aborts.
            discard(waker);
            discard(before);
            return Poll::Ready(());
        }
        let ticket = state.join(waker);
        drop(state);
        self.ticket = Some(ticket);
        discard(before);
        Poll::Pending
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
            let waker = self.shared.lock().leave_joiners(ticket);
            discard(waker);
        }
    }
}
