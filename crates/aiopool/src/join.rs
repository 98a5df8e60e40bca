//! Waiting until nobody waits and nothing is active.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aiopool_core::Ticket;

use crate::state::Shared;

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
}

impl Future for Join {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.shared.lock();
        let before = match self.ticket {
            Some(ticket) => state.admission.leave(ticket),
            None => None,
        };
        // One who had come before and is not there any more has been told.
        let told = self.ticket.is_some() && before.is_none();
        if told || state.is_idle() {
            drop(state);
            self.ticket = None;
            return Poll::Ready(());
        }
        let ticket = state.admission.join(waker);
        drop(state);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.shared.lock().admission.leave(ticket);
            drop(waker);
        }
    }
}
