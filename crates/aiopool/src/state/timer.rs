//! The timer of a pool, as its state knows it: whether there is one, and when it is to look.

use std::sync::Arc;

use aiopool_core::Time;

use crate::state::signal::Remote;
use crate::sys::runtime::Handle;

/// What is known of the one timer of a pool.
pub(crate) struct TimerEntry {
    task: Task,
    /// No two timers of a pool have the same.
    serial: u64,
    /// When it looks. Until [`Time::NEVER`], it only sees to it that the end of its runtime is
    /// noticed.
    at: Time,
    /// Whether it keeps the pool alive: nobody else may do that for those who wait.
    holds: bool,
}

enum Task {
    None,
    /// It is being started or polled, or has been woken: it asks when it is to look before it sleeps.
    Awake,
    Asleep(Arc<Remote>),
}

/// What is to be done for the timer, under no lock.
#[must_use = "the timer waits for it"]
pub(crate) enum TimerCall {
    Wake(Arc<Remote>),
    Start { runtime: Handle, serial: u64 },
}

impl TimerEntry {
    pub(crate) fn new() -> Self {
        Self {
            task: Task::None,
            serial: 0,
            at: Time::NEVER,
            holds: false,
        }
    }

    /// It is to look at the latest then. If there is no timer, it is to be started on the runtime
    /// that `home` gives.
    pub(crate) fn want(
        &mut self,
        at: Time,
        holds: bool,
        home: impl FnOnce() -> Option<Handle>,
    ) -> Option<TimerCall> {
        match &self.task {
            Task::Asleep(_) if at < self.at || (holds && !self.holds) => self.wake(),
            Task::Awake | Task::Asleep(_) => None,
            Task::None => {
                let runtime = home()?;
                self.serial += 1;
                self.task = Task::Awake;
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
        self.task = Task::Awake;
        Some(call)
    }

    /// It is polled. Tells whether it is still the timer of the pool.
    pub(crate) fn look(&mut self, serial: u64) -> bool {
        let is_it = self.is_it(serial);
        if is_it {
            self.task = Task::Awake;
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
