//! A pool as one would describe it on a napkin: a queue, those who hold a slot, and what has become
//! of each job.
//!
//! The model is told what the user does, before it is done, and what the user's own code sees: a
//! future that is polled, a callback that is called, an iterator that is asked. It says whether
//! that may be, and what must come of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::callers::{Caller, CallerId};
use crate::program::Plan;
use crate::sources::{Source, Stage};

pub(crate) type JobId = usize;
pub(crate) type SourceId = usize;

/// A future: that of a job, or that of its callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) JobId, pub(crate) Part);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Job,
    Callback,
}

/// What a job settles with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Output(Name),
    Panic(String),
    Cancelled,
}

/// Who stands in the queue, or holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    Job(JobId),
    Source(SourceId),
}

pub(crate) struct Model {
    pub(crate) size: usize,
    pub(crate) queue: VecDeque<Waiter>,
    pub(crate) active: BTreeSet<Waiter>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) sources: Vec<Source>,
    pub(crate) callers: BTreeMap<CallerId, Caller>,
    pub(crate) executed: u64,
    /// The runtime is gone: whatever is given a slot is dropped.
    pub(crate) is_shut_down: bool,
    /// What the pool did that it may not do.
    pub(crate) violations: Vec<String>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that a naive reader looks up"
)]
pub(crate) struct Job {
    pub(crate) plan: Plan,
    /// The map or stream that made it, and its place among the items.
    pub(crate) source: Option<(SourceId, usize)>,
    pub(crate) state: State,
    /// It is to be stopped before it is polled again.
    pub(crate) stop: bool,
    /// A cancellation has reached it.
    pub(crate) stopped: bool,
    /// One of its futures has been polled.
    pub(crate) begun: bool,
    /// Somebody may still ask for its result.
    pub(crate) wanted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has handed it in.
    Made,
    Waiting,
    /// Taken out of the queue, to be dropped before the call returns.
    Withdrawn,
    /// Holds a slot: which future, and how far it has come.
    Active(Part, Phase),
    Settled(Told),
    /// Dropped by its maker.
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Admitted,
    Polled,
    /// It has returned or panicked, and is to be dropped.
    Ended(Told),
    /// It has been dropped, and the callback is to be called.
    Dropped(Told),
}

/// What the user does.
impl Model {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            queue: VecDeque::new(),
            active: BTreeSet::new(),
            jobs: Vec::new(),
            sources: Vec::new(),
            callers: BTreeMap::new(),
            executed: 0,
            is_shut_down: false,
            violations: Vec::new(),
        }
    }

    pub(crate) fn make(&mut self, plan: &Plan) -> JobId {
        self.jobs.push(Job {
            plan: plan.clone(),
            source: None,
            state: State::Made,
            stop: false,
            stopped: false,
            begun: false,
            wanted: true,
        });
        self.jobs.len() - 1
    }

    pub(crate) fn hand_in(&mut self, job: JobId) {
        self.jobs[job].state = State::Waiting;
        self.queue.push_back(Waiter::Job(job));
        self.admit();
    }

    /// Whether there was something to cancel.
    pub(crate) fn cancel(&mut self, job: JobId) -> bool {
        match self.jobs[job].state {
            State::Waiting => self.withdraw(job),
            State::Active(..) => self.jobs[job].stop = true,
            _ => return false,
        }
        true
    }

    /// Nobody wants the result any more.
    pub(crate) fn detach(&mut self, job: JobId) {
        self.jobs[job].wanted = false;
    }

    /// The result of a job, once it is settled.
    pub(crate) fn result(&self, job: JobId) -> Option<&Told> {
        match &self.jobs[job].state {
            State::Settled(told) => Some(told),
            _ => None,
        }
    }

    /// Takes the result of a job out of its handle, once it is settled.
    pub(crate) fn take(&mut self, job: JobId) -> Option<Told> {
        let told = self.result(job).cloned();
        self.jobs[job].wanted &= told.is_none();
        told
    }

    pub(crate) fn withdraw(&mut self, job: JobId) {
        self.queue.retain(|waiter| *waiter != Waiter::Job(job));
        self.jobs[job].state = State::Withdrawn;
    }
}

/// What the user's code sees.
impl Model {
    pub(crate) fn polled(&mut self, name: Name) {
        let Name(id, part) = name;
        let job = &mut self.jobs[id];
        let is_first = match &job.state {
            State::Active(active, Phase::Admitted) if *active == part => true,
            State::Active(active, Phase::Polled) if *active == part => false,
            state => {
                let violation = format!("{name:?} is polled, but {state:?}");
                return self.violations.push(violation);
            }
        };
        // A callback is polled in the same step in which its job ended.
        let is_late = job.stop && !(is_first && part == Part::Callback);
        job.begun = true;
        job.state = State::Active(part, Phase::Polled);
        self.expect(!is_late, || {
            format!("{name:?} is polled, but was cancelled")
        });
        let is_shut_down = self.is_shut_down;
        self.expect(!is_shut_down, || {
            format!("{name:?} is polled, but its runtime is shut down")
        });
    }

    pub(crate) fn ended(&mut self, name: Name, told: Told) {
        self.jobs[name.0].state = State::Active(name.1, Phase::Ended(told));
    }

    /// Gives what the drop is to panic with, if it is to.
    pub(crate) fn dropped(&mut self, name: Name) -> Option<String> {
        let Name(id, part) = name;
        let job = &mut self.jobs[id];
        let script = match (part, &job.plan.callback) {
            (Part::Callback, Some(callback)) => &callback.future,
            _ => &job.plan.future,
        };
        let panics = script.panics_when_dropped;
        let panic = panics.then(|| format!("{name:?} is dropped"));
        let told = match job.state.clone() {
            State::Made if part == Part::Job => {
                job.state = State::Never;
                return panic;
            }
            State::Withdrawn if part == Part::Job => {
                job.stopped = true;
                Told::Cancelled
            }
            State::Active(active, Phase::Ended(told)) if active == part => told,
            State::Active(active, Phase::Admitted | Phase::Polled)
                if active == part && (job.stop || self.is_shut_down) =>
            {
                job.stop = false;
                job.stopped = true;
                Told::Cancelled
            }
            state => {
                let violation = format!("{name:?} is dropped, but {state:?}");
                self.violations.push(violation);
                return None;
            }
        };
        let told = match &panic {
            Some(message) if !matches!(told, Told::Panic(_)) => Told::Panic(message.clone()),
            _ => told,
        };
        let was_active = job.state != State::Withdrawn;
        if part == Part::Job && job.plan.callback.is_some() && was_active && !self.is_shut_down {
            job.state = State::Active(Part::Job, Phase::Dropped(told));
        } else {
            self.settle(id, told);
        }
        panic
    }

    /// Gives what the call is to panic with, if it is to.
    pub(crate) fn called_back(&mut self, id: JobId, with: &Told) -> Option<String> {
        let state = self.jobs[id].state.clone();
        let expected = State::Active(Part::Job, Phase::Dropped(with.clone()));
        self.expect(state == expected, || {
            format!("{id} is called back with {with:?}, but {state:?}")
        });
        let job = &mut self.jobs[id];
        job.state = State::Active(Part::Callback, Phase::Admitted);
        let callback = job.plan.callback.as_ref();
        let panics = callback.is_some_and(|callback| callback.panics);
        let panic = panics.then(|| format!("the callback of {id} is called"));
        if let Some(message) = &panic {
            self.settle(id, Told::Panic(message.clone()));
        }
        panic
    }
}

/// What follows.
impl Model {
    /// Free slots go to those who stand first.
    pub(crate) fn admit(&mut self) {
        while self.active.len() < self.size {
            let Some(waiter) = self.queue.pop_front() else {
                break;
            };
            self.active.insert(waiter);
            match waiter {
                Waiter::Job(job) => {
                    self.jobs[job].state = State::Active(Part::Job, Phase::Admitted);
                }
                Waiter::Source(source) => self.sources[source].stage = Stage::Admitted,
            }
        }
        if self.is_empty() {
            for caller in self.callers.values_mut() {
                if let Caller::Join { told } = caller {
                    *told = true;
                }
            }
        }
    }

    pub(crate) fn settle(&mut self, id: JobId, told: Told) {
        let job = &mut self.jobs[id];
        job.state = State::Settled(told.clone());
        job.stop = false;
        let stopped = job.stopped;
        self.executed += u64::from(job.begun);
        if let Some((source, place)) = job.source {
            self.sources[source].put(place, told);
        }
        self.give_slot_back(Waiter::Job(id), stopped);
    }

    pub(crate) fn give_slot_back(&mut self, holder: Waiter, stopped: bool) {
        self.spare(holder, stopped);
        if self.active.remove(&holder) {
            self.admit();
        }
    }
}

/// What is told.
impl Model {
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.active.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn expect(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(violation());
        }
    }
}
