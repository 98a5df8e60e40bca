//! Time: the clock of the runtimes, and an alarm that one of them rings.

#[cfg(aiopool_models)]
pub(crate) use explored::{Alarm, Clock, Deadline, Instant, check_time, check_time_for, now};
#[cfg(not(aiopool_models))]
pub(crate) use real::{Alarm, Clock, Deadline, Instant, check_time, check_time_for, now};

#[cfg(not(aiopool_models))]
mod real {
    use std::panic::Location;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::task::coop::unconstrained;
    use tokio::time::{Sleep, sleep, sleep_until};

    use crate::sys::runtime::Handle;
    use crate::sys::unwind::{discard, guarded};

    /// Counts the nanoseconds since it was first read, and never backwards: two runtimes may have
    /// different clocks, if one of them is paused.
    #[derive(Debug, Default)]
    pub(crate) struct Clock {
        epoch: Option<Instant>,
        last: u64,
    }

    pub(crate) use tokio::time::Instant;

    /// Rings at a moment that can be set anew.
    #[derive(Debug, Default)]
    pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

    /// A moment that is waited for.
    #[derive(Debug)]
    pub(crate) struct Deadline(Pin<Box<Sleep>>);

    impl Clock {
        pub(crate) fn now(&mut self) -> u64 {
            let now = Instant::now();
            let epoch = *self.epoch.get_or_insert(now);
            let since = now.saturating_duration_since(epoch).as_nanos();
            self.last = self.last.max(u64::try_from(since).unwrap_or(u64::MAX));
            self.last
        }

        /// The moment at which it has counted so many nanoseconds.
        pub(crate) fn instant(&mut self, nanos: u64) -> Instant {
            let epoch = *self.epoch.get_or_insert_with(Instant::now);
            after(epoch, Duration::from_nanos(nanos))
        }
    }

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    fn after(moment: Instant, time: Duration) -> Instant {
        moment.checked_add(time).unwrap_or_else(|| moment + FAR)
    }

    impl Alarm {
        pub(crate) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
            let alarm = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if alarm.deadline() != at {
                alarm.as_mut().reset(at);
            }
            alarm.as_mut().poll(cx)
        }
    }

    impl Deadline {
        /// The moment that comes so long after another. Panics if the runtime of the caller has no
        /// timers.
        pub(crate) fn after(moment: Instant, time: Duration) -> Self {
            Self(Box::pin(sleep_until(after(moment, time))))
        }

        /// How long it takes from then on.
        pub(crate) fn left(&self, now: Instant) -> Duration {
            self.0.deadline().saturating_duration_since(now)
        }

        /// Waits for it, in Tokio's whole milliseconds.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            // If what is polled before it uses the budget up each time, it comes all the same.
            pin!(unconstrained(self.0.as_mut())).poll(cx)
        }
    }

    /// Panics, as Tokio does, if the runtime has no timers: its user is to call `enable_time`.
    #[track_caller]
    pub(crate) fn check_time(runtime: &Handle) {
        let _entered = runtime.enter();
        drop(sleep(Duration::ZERO));
    }

    /// As [`check_time`], in the poll of a future that a call at `caller` made.
    pub(crate) fn check_time_for(runtime: &Handle, caller: &Location<'_>) {
        // Nothing but this panic tells whether a runtime has timers.
        if let Err(payload) = guarded(|| check_time(runtime)) {
            discard(payload);
            panic!(
                "the runtime has no timers, which the timeout of a job needs: call `enable_time` on \
                 its builder (awaited: a call of aiopool at {caller})"
            );
        }
    }

    /// Farther than any runtime lives.
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
}

/// A clock that stands still unless a model advances it.
#[cfg(aiopool_models)]
mod explored {
    use std::panic::Location;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use crate::sys::runtime::Handle;
    use crate::sys::sync::Mutex;

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Clock(Arc<Mutex<Time>>);

    #[derive(Debug, Default)]
    struct Time {
        nanos: u64,
        wakers: Vec<Waker>,
    }

    #[derive(Debug, Clone)]
    pub struct Instant(Clock, u64);

    #[derive(Debug, Default)]
    pub(crate) struct Alarm {
        /// The moment for which it has left its waker.
        set_to: Option<u64>,
    }

    #[derive(Debug)]
    pub(crate) struct Deadline {
        at: Instant,
        alarm: Alarm,
    }

    impl Clock {
        pub(crate) fn now(&self) -> u64 {
            self.0.lock().nanos
        }

        pub(crate) fn instant(&self, nanos: u64) -> Instant {
            Instant(self.clone(), nanos)
        }

        /// So many nanoseconds go by.
        #[cfg(test)]
        pub(crate) fn advance(&self, nanos: u64) {
            let mut time = self.0.lock();
            time.nanos += nanos;
            let wakers = std::mem::take(&mut time.wakers);
            drop(time);
            crate::sys::unwind::wake(wakers);
        }
    }

    /// By a clock of its own: the jobs of the models have no timeouts.
    pub(crate) fn now() -> Instant {
        Clock::default().instant(0)
    }

    impl Deadline {
        pub(crate) fn after(Instant(clock, nanos): Instant, time: Duration) -> Self {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            Self {
                at: Instant(clock, nanos.saturating_add(time)),
                alarm: Alarm::default(),
            }
        }

        pub(crate) fn left(&self, Instant(_, now): Instant) -> Duration {
            Duration::from_nanos(self.at.1.saturating_sub(now))
        }

        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            self.alarm.poll(self.at.clone(), cx)
        }
    }

    impl Alarm {
        pub(crate) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
            let Instant(clock, at) = at;
            let waker = cx.waker().clone();
            let mut time = clock.0.lock();
            if time.nanos >= at {
                return Poll::Ready(());
            }
            if self.set_to.replace(at) != Some(at) {
                time.wakers.push(waker);
            }
            Poll::Pending
        }
    }

    pub(crate) fn check_time(_: &Handle) {}

    pub(crate) fn check_time_for(_: &Handle, _: &Location<'_>) {}
}
