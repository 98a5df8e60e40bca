//! Those who wait for the pool, as the naive model sees them.

use std::collections::{BTreeSet, VecDeque};
use std::task::Poll;

use crate::model::{JobId, Model, SourceId, State, Told, Waiter};

pub(crate) type CallerId = usize;

/// Who waits for something: the futures that the methods of the pool return.
#[derive(Debug)]
pub(crate) enum Caller {
    Spawn(JobId),
    Exec(JobId),
    Map(SourceId),
    Join {
        /// That the pool was empty.
        told: bool,
    },
    Cancel {
        /// The jobs whose end it waits for.
        left: VecDeque<JobId>,
        stopped: Vec<JobId>,
    },
    CancelAll {
        /// Those who held a slot then, and hold it still.
        active: BTreeSet<Waiter>,
        stopped: usize,
    },
}

/// What a caller gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    Count(usize),
    Result(Told),
    Results(Vec<Told>),
    Stopped(usize, Vec<Told>),
    Panic(String),
}

impl Model {
    /// A caller begins to wait.
    pub(crate) fn enter(&mut self, id: CallerId, mut caller: Caller) {
        match &mut caller {
            Caller::Spawn(job) | Caller::Exec(job) => self.hand_in(*job),
            Caller::Map(source) => self.enqueue(*source),
            Caller::Join { told } => *told = self.is_empty(),
            Caller::Cancel { left, .. } => left.retain(|job| self.cancel(*job)),
            Caller::CancelAll { stopped, active } => {
                let waiting: Vec<_> = self.queue.iter().copied().collect();
                for waiter in waiting {
                    if let Waiter::Job(job) = waiter {
                        self.withdraw(job);
                        *stopped += 1;
                    }
                }
                active.clone_from(&self.active);
                for holder in self.active.clone() {
                    match holder {
                        Waiter::Job(job) => self.jobs[job].stop = true,
                        Waiter::Source(source) => self.sources[source].stop_item(),
                    }
                }
            }
        }
        self.callers.insert(id, caller);
    }

    /// A caller looks whether it has waited for long enough.
    pub(crate) fn poll(&mut self, id: CallerId) -> Poll<Answer> {
        let Some(mut caller) = self.callers.remove(&id) else {
            unreachable!("caller {id} does not wait");
        };
        let answer = self.answer(&mut caller);
        if answer.is_pending() {
            self.callers.insert(id, caller);
        }
        answer
    }

    fn answer(&mut self, caller: &mut Caller) -> Poll<Answer> {
        match caller {
            _ if !self.can_go_on(caller) => Poll::Pending,
            Caller::Spawn(_) | Caller::Join { .. } => Poll::Ready(Answer::Nothing),
            Caller::Exec(job) => match self.take(*job) {
                Some(told) => Poll::Ready(Answer::Result(told)),
                None => Poll::Pending,
            },
            Caller::Map(source) => self.poll_map(*source),
            Caller::Cancel { left, stopped } => {
                while let Some(job) = left.front() {
                    if self.result(*job).is_none() {
                        return Poll::Pending;
                    }
                    stopped.extend(self.jobs[*job].stopped.then_some(job));
                    left.pop_front();
                }
                let results: Vec<_> = stopped.iter().filter_map(|job| self.take(*job)).collect();
                Poll::Ready(Answer::Stopped(results.len(), results))
            }
            Caller::CancelAll { stopped, .. } => Poll::Ready(Answer::Count(*stopped)),
        }
    }

    /// Whether a caller has to be woken.
    pub(crate) fn can_go_on(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Spawn(job) => self.jobs[*job].state != State::Waiting,
            Caller::Exec(job) => self.result(*job).is_some(),
            Caller::Map(source) => self.sources[*source].map_can_go_on(),
            Caller::Join { told } => *told,
            Caller::Cancel { left, .. } => {
                left.front().is_none_or(|job| self.result(*job).is_some())
            }
            Caller::CancelAll { active, .. } => active.is_empty(),
        }
    }

    /// A caller is dropped.
    pub(crate) fn leave(&mut self, id: CallerId) {
        match self.callers.remove(&id) {
            Some(Caller::Spawn(job)) => {
                if self.jobs[job].state == State::Waiting {
                    self.withdraw(job);
                }
                self.detach(job);
            }
            Some(Caller::Exec(job)) => {
                self.cancel(job);
                self.detach(job);
            }
            Some(Caller::Map(source)) => self.abandon(source),
            _ => {}
        }
    }

    /// Who cancels all need not wait for this one any more.
    pub(crate) fn spare(&mut self, holder: Waiter, was_stopped: bool) {
        for caller in self.callers.values_mut() {
            if let Caller::CancelAll { active, stopped } = caller {
                *stopped += usize::from(active.remove(&holder) && was_stopped);
            }
        }
    }
}
