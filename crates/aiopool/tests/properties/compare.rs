//! What is compared: the pool, and all that has been made and dropped, with the model.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use crate::model::{JobId, Model, Name, Part, Phase, SourceId, State, Told};
use crate::sources::{Source, Stage};
use crate::world::{Inside, World};

impl World {
    /// Lets the runtime do all it can, then compares everything.
    pub(crate) async fn settle(&self) {
        loop {
            // The clock stands still while any task can go on.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if !self.poll_woken() {
                break;
            }
        }
        self.compare();
    }

    /// Polls everybody who has been woken.
    pub(crate) fn poll_woken(&self) -> bool {
        let mut was_any = false;
        loop {
            let inside = self.lock();
            let mut handles = inside.handles.iter();
            let handle = handles.position(|held| held.awaited && held.handle.is_woken());
            let mut streams = inside.streams.iter();
            let stream = streams.position(|held| held.awaited && held.results.is_woken());
            let mut callers = inside.callers.iter();
            let caller = callers.find_map(|(id, future)| future.is_woken().then_some(*id));
            drop(inside);
            if let Some(index) = handle {
                self.await_handle(index);
            } else if let Some(index) = stream {
                self.read_stream(index);
            } else if let Some(id) = caller {
                self.poll_caller(id);
            } else {
                return was_any;
            }
            was_any = true;
        }
    }

    /// What holds after every act.
    pub(crate) fn compare_at_once(&self) {
        let mut inside = self.lock();
        let Inside { model, pool, .. } = &mut *inside;
        if let Some(pool) = pool {
            let found = (pool.active(), pool.waiting(), pool.executed());
            let expected = (model.active.len(), model.queue.len(), model.executed);
            model.expect(found == expected, || {
                format!("(active, waiting, executed) are {found:?}, not {expected:?}")
            });
            let found = (pool.len(), pool.is_empty(), pool.is_full());
            let expected = (model.len(), model.is_empty(), model.len() >= model.size);
            model.expect(found == expected, || {
                format!("(len, is_empty, is_full) are {found:?}, not {expected:?}")
            });
        }
        let left = model.withdrawn();
        model.violations.extend(left);
    }

    /// What holds when no task can go on.
    pub(crate) fn compare(&self) {
        self.compare_at_once();
        let mut inside = self.lock();
        let model = &inside.model;
        let mut violations = model.unrest();
        violations.extend(difference("futures", &inside.futures, &model.futures()));
        violations.extend(difference("outputs", &inside.outputs, &model.outputs()));
        violations.extend(difference(
            "callbacks",
            &inside.callbacks,
            &model.callbacks(),
        ));
        violations.extend(difference(
            "iterators",
            &inside.iterators,
            &model.iterators(),
        ));
        for held in &inside.handles {
            let expected = model.result(held.job);
            if held.handle.is_finished() != expected.is_some() {
                violations.push(format!(
                    "`is_finished` of job {} tells not {expected:?}",
                    held.job
                ));
            }
            if held.awaited && expected.is_some() {
                violations.push(format!("who awaits job {} has not been woken", held.job));
            }
        }
        for held in &inside.streams {
            if held.awaited && model.sources[held.source].can_be_read() {
                violations.push(format!(
                    "who reads source {} has not been woken",
                    held.source
                ));
            }
        }
        let missed = inside.gates.missed();
        if !missed.is_empty() {
            violations.push(format!("these have not gone on: {missed:?}"));
        }
        inside.model.violations.extend(violations);
        drop(inside);
        self.verify();
    }
}

/// What is expected.
impl Model {
    /// The futures that have been made and not been dropped.
    pub(crate) fn futures(&self) -> BTreeSet<Name> {
        self.names(|state| match state {
            State::Made | State::Waiting | State::Withdrawn => Some(Part::Job),
            State::Active(_, Phase::Dropped(_)) | State::Settled(_) | State::Never => None,
            State::Active(part, _) => Some(*part),
        })
    }

    /// The callbacks that have neither been called nor dropped.
    pub(crate) fn callbacks(&self) -> BTreeSet<JobId> {
        let names = self.names(|state| match state {
            State::Active(Part::Callback, _) | State::Settled(_) | State::Never => None,
            _ => Some(Part::Job),
        });
        let jobs = names.into_iter().map(|Name(job, _)| job);
        jobs.filter(|job| self.jobs[*job].plan.callback.is_some())
            .collect()
    }

    fn names(&self, part: impl Fn(&State) -> Option<Part>) -> BTreeSet<Name> {
        let jobs = self.jobs.iter().enumerate();
        jobs.filter_map(|(id, job)| Some(Name(id, part(&job.state)?)))
            .collect()
    }

    /// The outputs that somebody may still ask for; no others are kept.
    pub(crate) fn outputs(&self) -> BTreeSet<Name> {
        let of_jobs = self.jobs.iter().filter_map(|job| match &job.state {
            State::Settled(told) if job.wanted && job.source.is_none() => Some(told),
            _ => None,
        });
        let of_sources = self.sources.iter().flat_map(Source::results);
        let outputs = of_jobs.chain(of_sources).filter_map(|told| match told {
            Told::Output(name) => Some(*name),
            _ => None,
        });
        outputs.collect()
    }

    /// The iterators that have not been dropped.
    pub(crate) fn iterators(&self) -> BTreeSet<SourceId> {
        let sources = self.sources.iter().enumerate();
        let left = sources.filter(|(_, source)| source.stage != Stage::Retired);
        left.map(|(id, _)| id).collect()
    }

    /// What should not be found when a call has returned.
    pub(crate) fn withdrawn(&self) -> Vec<String> {
        let jobs = self.jobs.iter().enumerate();
        let left = jobs.filter(|(_, job)| job.state == State::Withdrawn);
        left.map(|(id, _)| format!("job {id} was withdrawn and not dropped"))
            .collect()
    }

    /// What should not be found once no task can go on.
    pub(crate) fn unrest(&self) -> Vec<String> {
        let jobs = self.jobs.iter().enumerate().filter_map(|(id, job)| {
            let is_calm = match &job.state {
                State::Active(_, phase) => *phase == Phase::Polled && !job.stop,
                State::Withdrawn => false,
                _ => true,
            };
            (!is_calm).then(|| format!("job {id} stays {:?}, stop: {}", job.state, job.stop))
        });
        let sources = self.sources.iter().enumerate().filter_map(|(id, source)| {
            let is_calm = matches!(
                source.stage,
                Stage::Made | Stage::InLine | Stage::Parked | Stage::Retired
            );
            (!is_calm).then(|| format!("source {id} stays {:?}", source.stage))
        });
        let callers = self.callers.values();
        let callers = callers.filter(|caller| self.can_go_on(caller));
        let callers = callers.map(|caller| format!("{caller:?} has not been woken"));
        jobs.chain(sources).chain(callers).collect()
    }
}

fn difference<T: Debug + PartialEq>(what: &str, found: &T, expected: &T) -> Option<String> {
    (found != expected).then(|| format!("these {what} live: {found:?}, not {expected:?}"))
}
