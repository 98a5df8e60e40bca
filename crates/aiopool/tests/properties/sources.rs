//! Maps and streams, as the naive model sees them.

use std::collections::VecDeque;
use std::mem;
use std::task::Poll;

use crate::callers::{Answer, Caller};
use crate::model::{JobId, Model, Part, Phase, SourceId, State, Told, Waiter};
use crate::program::Plan;

/// A map or a stream.
pub(crate) struct Source {
    order: Order,
    /// How many items may be pulled and not read.
    ahead: usize,
    pub(crate) stage: Stage,
    /// The results that have not been read, and in the order of items the places of those to come.
    results: VecDeque<Option<Told>>,
    /// The place of the first of them.
    first: usize,
    /// How many items have been pulled and not been read.
    unread: usize,
    /// How many of these have not ended.
    active: usize,
    end: Option<End>,
    /// What the iterator panicked with, once the caller of `map` has seen it.
    panic: Option<String>,
    /// Nobody reads the results any more.
    abandoned: bool,
    /// The item that is being pulled is to be stopped.
    stop_item: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Completion,
    Items,
    /// That of items, all results at once.
    Whole,
}

/// Where the iterator of a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has polled the map or stream.
    Made,
    InLine,
    /// Holds a slot, and is to be asked for an item.
    Admitted,
    /// Is asked for one.
    Pulled,
    /// As many results as may be are ahead of the reader.
    Parked,
    /// To be dropped; it may hold a slot.
    Retiring {
        end: End,
        slot: bool,
    },
    Retired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Exhausted,
    Panic(String),
    CutShort,
}

/// What the reader of a stream gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Result(Told),
    Panic(String),
    End,
}

impl Source {
    pub(crate) fn new(order: Order, ahead: usize) -> Self {
        Self {
            order,
            ahead,
            stage: Stage::Made,
            results: VecDeque::new(),
            first: 0,
            unread: 0,
            active: 0,
            end: None,
            panic: None,
            abandoned: false,
            stop_item: false,
        }
    }

    /// The result of an item that has ended.
    pub(crate) fn put(&mut self, place: usize, told: Told) {
        self.active -= 1;
        if self.abandoned {
            return;
        }
        match self.order {
            Order::Completion => self.results.push_back(Some(told)),
            _ => self.results[place - self.first] = Some(told),
        }
    }

    /// All items are to be cancelled, that which is being pulled too.
    pub(crate) fn stop_item(&mut self) {
        self.stop_item = self.stage == Stage::Pulled;
    }

    pub(crate) fn results(&self) -> impl Iterator<Item = &Told> {
        self.results.iter().flatten()
    }

    pub(crate) fn map_can_go_on(&self) -> bool {
        match &self.end {
            Some(End::Panic(_)) => true,
            Some(_) => self.active == 0,
            None => false,
        }
    }

    /// Whether the reader of a stream has something to see.
    pub(crate) fn can_be_read(&self) -> bool {
        self.has_result() || self.unread == 0 && self.end.is_some()
    }

    pub(crate) fn has_result(&self) -> bool {
        matches!(self.results.front(), Some(Some(_)))
    }
}

/// What the user does.
impl Model {
    pub(crate) fn make_source(&mut self, source: Source) -> SourceId {
        self.sources.push(source);
        self.sources.len() - 1
    }

    pub(crate) fn enqueue(&mut self, id: SourceId) {
        self.sources[id].stage = Stage::InLine;
        self.queue.push_back(Waiter::Source(id));
        self.admit();
    }

    /// The reader of a stream polls it.
    pub(crate) fn read(&mut self, id: SourceId) -> Poll<Read> {
        if self.sources[id].stage == Stage::Made {
            self.enqueue(id);
        }
        let source = &mut self.sources[id];
        if let Some(told) = source.results.front_mut().and_then(Option::take) {
            source.results.pop_front();
            source.first += 1;
            source.unread -= 1;
            if source.stage == Stage::Parked && source.unread < source.ahead {
                self.enqueue(id);
            }
            return Poll::Ready(Read::Result(told));
        }
        if !source.can_be_read() {
            return Poll::Pending;
        }
        match source.end.replace(End::Exhausted) {
            Some(End::Panic(message)) => Poll::Ready(Read::Panic(message)),
            _ => Poll::Ready(Read::End),
        }
    }

    pub(crate) fn poll_map(&mut self, id: SourceId) -> Poll<Answer> {
        let source = &mut self.sources[id];
        if let Some(End::Panic(message)) = &source.end {
            source.panic = Some(message.clone());
            source.end = Some(End::Exhausted);
            self.stop_items(id);
        }
        let source = &mut self.sources[id];
        if source.active > 0 || source.end.is_none() {
            return Poll::Pending;
        }
        source.abandoned = true;
        let results = mem::take(&mut source.results);
        Poll::Ready(match source.panic.take() {
            Some(message) => Answer::Panic(message),
            None => Answer::Results(results.into_iter().flatten().collect()),
        })
    }

    /// The future of a map, or a stream, is dropped.
    pub(crate) fn abandon(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        source.abandoned = true;
        source.results.clear();
        match source.stage {
            Stage::InLine => {
                self.queue.retain(|waiter| *waiter != Waiter::Source(id));
                self.retire(id, End::CutShort, false);
            }
            Stage::Made | Stage::Parked => self.retire(id, End::CutShort, false),
            Stage::Pulled => source.stop_item = true,
            Stage::Admitted | Stage::Retiring { .. } | Stage::Retired => {}
        }
        self.stop_items(id);
    }

    fn stop_items(&mut self, id: SourceId) {
        for waiter in &self.active {
            if let Waiter::Job(job) = *waiter {
                let job = &mut self.jobs[job];
                job.stop |= job.source.is_some_and(|(source, _)| source == id);
            }
        }
    }

    fn retire(&mut self, id: SourceId, end: End, slot: bool) {
        self.sources[id].stage = Stage::Retiring { end, slot };
    }
}

/// What the user's iterator and function see.
impl Model {
    /// The iterator is asked for an item.
    pub(crate) fn pulled(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        let stage = mem::replace(&mut source.stage, Stage::Pulled);
        let is_wanted = stage == Stage::Admitted && !source.abandoned && !self.is_shut_down;
        source.unread += 1;
        source.active += 1;
        source.stop_item = false;
        self.expect(is_wanted, || {
            format!("source {id} is pulled, but {stage:?}")
        });
        // All that was cancelled before is not this item.
        self.spare(Waiter::Source(id), false);
    }

    /// The iterator has no item.
    pub(crate) fn found_nothing(&mut self, id: SourceId, end: End) {
        let source = &mut self.sources[id];
        source.unread -= 1;
        source.active -= 1;
        self.retire(id, end, true);
    }

    /// The function has made a job of an item, or panicked with a message.
    pub(crate) fn made_item(&mut self, id: SourceId, plan: &Plan, panic: Option<&String>) -> JobId {
        let source = &mut self.sources[id];
        let place = source.first + source.results.len();
        if source.order != Order::Completion && !source.abandoned {
            source.results.push_back(None);
        }
        let stop = source.stop_item;
        let job = self.make(plan);
        self.jobs[job].source = Some((id, place));
        self.jobs[job].stop = stop;
        self.jobs[job].state = State::Active(Part::Job, Phase::Admitted);
        self.succeed(Waiter::Source(id), Waiter::Job(job));
        let source = &mut self.sources[id];
        if source.abandoned {
            self.retire(id, End::CutShort, false);
        } else if source.unread < source.ahead {
            self.enqueue(id);
        } else {
            source.stage = Stage::Parked;
        }
        if let Some(message) = panic {
            // The job that panics in its place is ours to see; the user sees nothing of it.
            self.jobs[job].stopped = stop;
            self.jobs[job].begun = !stop;
            let told = if stop {
                Told::Cancelled
            } else {
                Told::Panic(message.clone())
            };
            self.settle(job, told);
        }
        job
    }

    /// The iterator is dropped.
    pub(crate) fn dropped_source(&mut self, id: SourceId) {
        let source = &mut self.sources[id];
        let (end, slot) = match source.stage.clone() {
            Stage::Retiring { end, slot } => (end, slot),
            Stage::Admitted if source.abandoned || self.is_shut_down => (End::CutShort, true),
            stage => {
                let violation = format!("source {id} is dropped, but {stage:?}");
                return self.violations.push(violation);
            }
        };
        if end == End::CutShort && !source.abandoned {
            source.unread += 1;
            source.results.push_back(Some(Told::Cancelled));
        }
        source.stage = Stage::Retired;
        source.end = Some(end);
        if slot {
            self.give_slot_back(Waiter::Source(id), false);
        }
    }

    /// The item takes the slot of its source.
    fn succeed(&mut self, source: Waiter, item: Waiter) {
        self.active.remove(&source);
        self.active.insert(item);
        for caller in self.callers.values_mut() {
            if let Caller::CancelAll { active, .. } = caller {
                if active.remove(&source) {
                    active.insert(item);
                }
            }
        }
    }
}
