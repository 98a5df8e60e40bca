//! The timer of a pool, as its state knows it: whether there is one, and when it is to look.

use std::sync::Arc;

use aiopool_core::Time;

use crate::state::signal::Remote;
use crate::sys::runtime::Handle;

/// What is known of the one timer of a pool, by whose handle of type `P` that is kept.
pub(crate) struct TimerEntry<P> {
    task: Task<P>,
    /// No two timers of a pool have the same.
    serial: u64,
    /// When it looks. Until [`Time::NEVER`], it only sees to it that the end of its runtime is
    /// noticed.
    at: Time,
    /// Whether it keeps the pool alive: nobody else may do that for those who wait.
    holds: bool,
}

enum Task<P> {
    None,
    /// It is being started or polled, or has been woken: it asks when it is to look before it sleeps.
    /// If it is to keep the pool alive, that is done here until it does so itself.
    Awake(Option<P>),
    Asleep(Arc<Remote>),
}

/// What is to be done for the timer, under no lock.
#[must_use = "the timer waits for it"]
pub(crate) enum TimerCall {
    Wake(Arc<Remote>),
    Start { runtime: Handle, serial: u64 },
}

impl<P> TimerEntry<P> {
    pub(crate) fn new() -> Self {
        Self {
            task: Task::None,
            serial: 0,
            at: Time::NEVER,
            holds: false,
        }
    }

    /// It is to look at the latest then, and to keep `pool` alive until then if it `holds` it. If there
    /// is no timer, it is to be started on the runtime that `home` gives, by somebody who has the pool.
    pub(crate) fn want(
        &mut self,
        at: Time,
        holds: bool,
        pool: &P,
        home: impl FnOnce() -> Option<Handle>,
    ) -> Option<TimerCall>
    where
        P: Clone,
    {
        match &mut self.task {
            Task::Asleep(_) if at < self.at || (holds && !self.holds) => {
                let call = self.wake();
                self.task = Task::Awake(holds.then(|| pool.clone()));
                call
            }
            Task::Awake(kept) => {
                if holds && kept.is_none() {
                    *kept = Some(pool.clone());
                }
                None
            }
            Task::Asleep(_) => None,
            Task::None => {
                let runtime = home()?;
                self.serial += 1;
                self.task = Task::Awake(None);
                Some(TimerCall::Start {
                    runtime,
                    serial: self.serial,
                })
            }
        }
    }

    /// There is nothing to look at: if it is asleep, it is to end.
    pub(crate) fn rest(&mut self) -> Option<TimerCall> {
        self.wake()
    }

    fn wake(&mut self) -> Option<TimerCall> {
        let Task::Asleep(remote) = &self.task else {
            return None;
        };
        let call = TimerCall::Wake(remote.clone());
        self.task = Task::Awake(None);
        Some(call)
    }

    /// It is polled, by somebody who has the pool. Tells whether it is still the timer of the pool.
    pub(crate) fn look(&mut self, serial: u64) -> bool {
        let is_it = self.is_it(serial);
        if is_it {
            self.task = Task::Awake(None);
        }
        is_it
    }

    /// It sleeps until then, unless it is woken.
    pub(crate) fn sleep(&mut self, at: Time, holds: bool, remote: &Arc<Remote>) {
        self.task = Task::Asleep(remote.clone());
        (self.at, self.holds) = (at, holds);
    }

    /// It is not there any more. Tells whether it still was.
    pub(crate) fn end(&mut self, serial: u64) -> bool {
        let is_it = self.is_it(serial);
        if is_it {
            self.task = Task::None;
        }
        is_it
    }

    fn is_it(&self, serial: u64) -> bool {
        self.serial == serial && !matches!(self.task, Task::None)
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_timer_is_one_at_a_time_and_woken_only_if_it_is_to_look_earlier_or_to_hold() {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().expect("a runtime needs nothing");
        let home = || Some(runtime.handle().clone());
        let remote = Arc::new(Remote::new(Waker::noop().clone()));
        let (pool, at) = (Arc::new(()), Time::from_nanos);
        let mut timer = TimerEntry::new();
        assert!(timer.rest().is_none() && !timer.look(0));
        for serial in 1..=2 {
            let call = timer.want(at(5), false, &pool, home);
            assert!(
                matches!(call, Some(TimerCall::Start { serial: found, .. }) if found == serial)
            );
            assert!(timer.want(at(1), true, &pool, home).is_none());
            assert_eq!(Arc::strong_count(&pool), 2, "until it is polled");
            assert!(timer.look(serial) && !timer.look(serial - 1));
            assert_eq!(Arc::strong_count(&pool), 1);
            timer.sleep(at(5), false, &remote);
            for (time, holds) in [(5, false), (6, false)] {
                assert!(timer.want(at(time), holds, &pool, home).is_none());
            }
            for (time, holds) in [(4, false), (6, true)] {
                let call = timer.want(at(time), holds, &pool, home);
                assert!(matches!(call, Some(TimerCall::Wake(_))));
                assert_eq!(Arc::strong_count(&pool), 1 + usize::from(holds));
                assert!(timer.look(serial));
                timer.sleep(at(5), false, &remote);
            }
            assert!(matches!(timer.rest(), Some(TimerCall::Wake(_))));
            assert!(timer.rest().is_none(), "it has been woken");
            assert!(!timer.end(serial - 1) && timer.end(serial));
            assert!(!timer.end(serial) && !timer.look(serial));
        }
        assert_eq!(Arc::strong_count(&pool), 1);
    }
}
