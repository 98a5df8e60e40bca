//! Time: the clock of the runtimes, and an alarm that one of them rings.

#[cfg(aiopool_models)]
pub(crate) use explored::{Alarm, Clock, Instant, check_time};
#[cfg(not(aiopool_models))]
pub(crate) use real::{Alarm, Clock, Instant, check_time};

#[cfg(not(aiopool_models))]
mod real {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::time::{Sleep, sleep, sleep_until};

    use crate::sys::runtime::Handle;

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
            let instant = epoch.checked_add(Duration::from_nanos(nanos));
            instant.unwrap_or_else(|| epoch + FAR)
        }
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

    /// Panics, as Tokio does, if the runtime has no timers: its user is to call `enable_time`.
    #[track_caller]
    pub(crate) fn check_time(runtime: &Handle) {
        let _entered = runtime.enter();
        drop(sleep(Duration::ZERO));
    }

    /// Farther than any runtime lives.
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
}

/// A clock that stands still unless a model advances it.
#[cfg(aiopool_models)]
mod explored {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

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
}
