//! The timer: the one task of a pool that waits until somebody may start, or until something is to
//! be forgotten.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use crate::state::effects::Chores;
use crate::state::signal::Remote;
use crate::state::timer::TimerCall;
use crate::state::{Nap, Shared, State};
use crate::sys::clock::Alarm;
use crate::sys::runtime::RuntimeId;
use crate::sys::sync::MutexGuard;
use crate::sys::unwind::{discard, guarded};

/// Lives on one of the runtimes of its pool. If that ends, so do the jobs that wait to run there, and
/// another runtime on which somebody waits gets the timer.
pub(crate) struct Timer {
    shared: Weak<Shared>,
    /// Keeps the pool alive while jobs wait, perhaps without anybody else who knows of them.
    held: Option<Arc<Shared>>,
    serial: u64,
    runtime: RuntimeId,
    alarm: Alarm,
    /// How it is woken, once it has been polled.
    remote: Option<Arc<Remote>>,
    has_ended: bool,
}

impl Shared {
    /// Gives the lock back after a step that may have admitted somebody, and does what the limits ask
    /// for.
    #[inline]
    pub(crate) fn release<'a>(self: &'a Arc<Self>, state: MutexGuard<'a, State>) {
        if state.is_limited() {
            self.release_limited(state);
        }
    }

    #[cold]
    fn release_limited<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if let Some(chores) = state.chores(self) {
            drop(state);
            self.do_chores(chores);
        }
    }

    #[cold]
    fn do_chores(self: &Arc<Self>, chores: Chores) {
        chores.keys.into_iter().for_each(discard);
        match chores.timer {
            None => {}
            Some(TimerCall::Wake(remote)) => remote.wake(),
            Some(TimerCall::Start { runtime, serial }) => {
                let timer = Timer {
                    shared: Arc::downgrade(self),
                    held: Some(self.clone()),
                    serial,
                    runtime: runtime.id(),
                    alarm: Alarm::default(),
                    remote: None,
                    has_ended: false,
                };
                let id = timer.runtime;
                // A runtime that has shut down drops the timer in there. If a hook of the runtime
                // panics, Tokio keeps the timer and never polls it.
                if let Err(payload) = guarded(|| runtime.spawn(timer)) {
                    discard(payload);
                    self.lose_timer(serial, id);
                }
            }
        }
    }

    /// The timer has gone with its runtime. Those who wait to run there are dropped: nobody may be
    /// left who would do so in their turn.
    fn lose_timer(self: &Arc<Self>, serial: u64, runtime: RuntimeId) {
        if !self.lock().lose_timer(serial, runtime) {
            return;
        }
        self.withdraw_all_of(runtime);
        // Somebody may wait on another runtime, which gets the timer.
        self.advance(self.lock());
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.get_mut();
        let held = timer.held.take();
        let Some(shared) = held.or_else(|| timer.shared.upgrade()) else {
            timer.has_ended = true;
            return Poll::Ready(());
        };
        let remote = timer
            .remote
            .get_or_insert_with(|| Arc::new(Remote::new(cx.waker().clone())));
        loop {
            let mut state = shared.lock();
            if !state.look(timer.serial) {
                timer.has_ended = true;
                return Poll::Ready(());
            }
            shared.advance(state);
            let Some(Nap { until, holds }) = shared.lock().nap(timer.serial, remote) else {
                timer.has_ended = true;
                return Poll::Ready(());
            };
            let polled = match until {
                Some(at) => timer.alarm.poll(at, cx),
                None => Poll::Pending,
            };
            if polled.is_pending() {
                timer.held = holds.then_some(shared);
                return Poll::Pending;
            }
        }
    }
}

/// A timer that is dropped before its end was dropped by its runtime, which shuts down.
impl Drop for Timer {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let held = self.held.take();
        if let Some(shared) = held.or_else(|| self.shared.upgrade()) {
            shared.lose_timer(self.serial, self.runtime);
        }
    }
}
