//! The task that runs jobs, one after another.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aiopool_core::{Admitted, Slot, Ticket};

use crate::cell::Owner;
use crate::foreign::wake;
use crate::line::{Shared, State, Waiter};
use crate::run::Ended;
use crate::runtime::{Handle, poll_proceed};
use crate::source::{End, Item, Pulled, Source};
use crate::stop::{Group, Tether};
use crate::sync::{AtomicBool, Ordering};

/// Holds a slot: runs what it has been started with, then whoever is next in line, and ends when
/// nobody waits.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    home: Handle,
    key: usize,
    slot: Option<Slot>,
    tether: Option<Arc<Tether>>,
    work: Work,
}

enum Work {
    Begin(Waiter),
    Job(Owner),
    Item(Pin<Box<dyn Item>>),
    Done,
}

/// What the pool knows of a worker.
pub(crate) struct Entry {
    /// The place that its job, or its source, had in the line.
    ticket: Ticket,
    /// The source whose item it runs.
    source: Option<u64>,
    /// How to reach it; it is tied on when the worker is first polled.
    tether: Option<Arc<Tether>>,
    /// Whether its job is to be stopped as soon as it is tied.
    stop: bool,
    /// Those who wait for the end of its job.
    watchers: Vec<Arc<Group>>,
}

/// Whose turn it is for a free slot, as a worker sees it.
enum Turn {
    /// One that can be run on this worker's runtime.
    Here(Admitted<Waiter>),
    /// One that was handed in on another runtime, with a worker to be started there.
    Elsewhere(Worker),
    Nobodys,
}

impl Shared {
    fn turn(self: &Arc<Self>, state: &mut State, home: &Handle) -> Turn {
        match state.admission.poll_admit() {
            Some(admitted) if admitted.waiter.home().id() == home.id() => Turn::Here(admitted),
            Some(admitted) => Turn::Elsewhere(self.employ(state, admitted)),
            None => Turn::Nobodys,
        }
    }

    /// A worker for a waiter that has been admitted.
    pub(crate) fn employ(
        self: &Arc<Self>,
        state: &mut State,
        admitted: Admitted<Waiter>,
    ) -> Worker {
        let Admitted {
            slot,
            ticket,
            waiter,
        } = admitted;
        let key = state.workers.vacant_key();
        let mut entry = Entry {
            ticket,
            source: None,
            tether: None,
            stop: false,
            watchers: Vec::new(),
        };
        entry.begin(key, ticket, &waiter);
        state.workers.insert(entry);
        Worker {
            shared: self.clone(),
            home: waiter.home().clone(),
            key,
            slot: Some(slot),
            tether: None,
            work: Work::Begin(waiter),
        }
    }
}

impl Worker {
    /// Starts the task, to be called under no lock: a runtime that shuts down drops it here.
    pub(crate) fn start(self) {
        self.home.clone().spawn(self);
    }

    /// Ties the worker to the pool at its first poll, so that it can be told to stop.
    fn tie(&mut self, cx: &Context<'_>) {
        if self.tether.is_none() {
            let waker = cx.waker().clone();
            let mut state = self.shared.lock();
            let entry = &mut state.workers[self.key];
            let stop = AtomicBool::new(entry.stop);
            self.tether = Some(Arc::new(Tether { stop, waker }));
            entry.tether.clone_from(&self.tether);
        }
    }

    /// Takes up the work it has been given.
    fn begin(&mut self) {
        match mem::replace(&mut self.work, Work::Done) {
            Work::Begin(Waiter::Job(job)) => self.work = Work::Job(job),
            Work::Begin(Waiter::Blocked(job)) => {
                wake(job.take_waker());
                self.work = Work::Job(job);
            }
            Work::Begin(Waiter::Source(mut source)) => {
                self.outlive_stop();
                match source.pull() {
                    Pulled::Item(item) => {
                        self.work = Work::Item(item);
                        self.put_back(source);
                    }
                    Pulled::Nothing(end) => {
                        self.next(Ended::without_a_job(source.retire(end)));
                    }
                }
            }
            work => self.work = work,
        }
    }

    /// The source of the item that is to be run goes to the back of the line, or aside while its
    /// reader is behind. If its turn comes again at once, because slots are free, a new worker runs
    /// the item and this one asks for the next: so a source takes all free slots in one go, and not
    /// one slot each time the runtime comes round.
    fn put_back(&mut self, source: Box<Source>) {
        let Some(source) = source.park() else { return };
        let mut state = self.shared.lock();
        if let Err(abandoned) = state.line_up(source) {
            drop(state);
            wake(abandoned.retire(End::CutShort));
            return;
        }
        // Whoever starts workers now starts one for the source.
        if state.starting {
            return;
        }
        let worker = match self.shared.turn(&mut state, &self.home) {
            Turn::Here(Admitted {
                slot,
                ticket,
                waiter,
            }) => {
                let entry = &mut state.workers[self.key];
                let handed_over = entry.hand_over();
                entry.begin(self.key, ticket, &waiter);
                let key = state.workers.insert(handed_over);
                let slot = self.slot.replace(slot);
                let work = mem::replace(&mut self.work, Work::Begin(waiter));
                let (shared, home) = (self.shared.clone(), self.home.clone());
                Worker {
                    shared,
                    home,
                    key,
                    slot,
                    tether: None,
                    work,
                }
            }
            Turn::Elsewhere(worker) => worker,
            Turn::Nobodys => return,
        };
        drop(state);
        worker.start();
    }

    /// What was stopped before a source is asked for its item is not that item.
    fn outlive_stop(&mut self) {
        if self.is_stopped() {
            let watchers = self.shared.lock().workers[self.key].end();
            tell(&watchers, false);
        }
    }

    fn is_stopped(&self) -> bool {
        self.tether
            .as_ref()
            .is_some_and(|tether| tether.is_pulled())
    }

    /// Gives the slot back after a job, and takes up whoever is next.
    fn next(&mut self, ended: Ended) {
        let Some(slot) = self.slot.take() else { return };
        let mut state = self.shared.lock();
        let watchers = state.workers[self.key].end();
        state.executed += ended.begun;
        state.admission.finish(slot);
        let turn = self.shared.turn(&mut state, &self.home);
        let (mut left, mut elsewhere, mut idle) = (None, None, Vec::new());
        match turn {
            Turn::Here(Admitted {
                slot,
                ticket,
                waiter,
            }) => {
                state.workers[self.key].begin(self.key, ticket, &waiter);
                self.slot = Some(slot);
                self.work = Work::Begin(waiter);
            }
            Turn::Elsewhere(worker) => {
                left = Some(state.workers.remove(self.key));
                elsewhere = Some(worker);
            }
            Turn::Nobodys => {
                left = Some(state.workers.remove(self.key));
                idle = state.idle();
            }
        }
        drop(state);
        drop(left);
        if let Some(worker) = elsewhere {
            worker.start();
        }
        wake(ended.waker);
        tell(&watchers, ended.stopped);
        wake(idle);
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.get_mut();
        worker.tie(cx);
        loop {
            if let Work::Begin(_) = worker.work {
                // However many jobs end without ever suspending, other tasks get their turn.
                ready!(poll_proceed(cx)).made_progress();
                worker.begin();
                continue;
            }
            let stop = worker.is_stopped();
            let ended = match &mut worker.work {
                Work::Job(job) => ready!(job.poll(cx, stop)),
                Work::Item(item) => ready!(item.as_mut().poll(cx, stop)),
                Work::Begin(_) | Work::Done => return Poll::Ready(()),
            };
            worker.work = Work::Done;
            worker.next(ended);
        }
    }
}

/// A worker that is dropped with its slot was dropped by its runtime, which shuts down.
impl Drop for Worker {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let ended = match mem::replace(&mut self.work, Work::Done) {
            Work::Begin(waiter) => waiter.give_up(),
            Work::Job(job) => job.give_up(),
            Work::Item(item) => item.give_up(),
            Work::Done => Ended::without_a_job(None),
        };
        let mut state = self.shared.lock();
        let mut left = state.workers.remove(self.key);
        let watchers = left.end();
        state.executed += ended.begun;
        state.admission.finish(slot);
        self.shared.advance(state);
        drop(left);
        wake(ended.waker);
        tell(&watchers, ended.stopped);
    }
}

impl Entry {
    fn begin(&mut self, key: usize, ticket: Ticket, waiter: &Waiter) {
        self.ticket = ticket;
        self.source = None;
        match waiter {
            Waiter::Job(job) | Waiter::Blocked(job) => job.taken_by(key),
            Waiter::Source(source) => self.source = Some(source.id()),
        }
    }

    /// Whether it runs the job that had `ticket` in the line.
    pub(crate) fn has_job(&self, ticket: Ticket) -> bool {
        self.ticket == ticket
    }

    /// Whether it runs an item of the source with this id.
    pub(crate) fn is_of_source(&self, id: u64) -> bool {
        self.source == Some(id)
    }

    /// The worker is to stop its job: the tether, once there is one, is to be pulled.
    pub(crate) fn stop(&mut self) -> Option<Arc<Tether>> {
        match &self.tether {
            Some(tether) => tether.stop.store(true, Ordering::Relaxed),
            None => self.stop = true,
        }
        self.tether.clone()
    }

    /// `watcher` is to be told of the end of the job.
    pub(crate) fn watch(&mut self, watcher: Arc<Group>) {
        self.watchers.push(watcher);
    }

    /// The entry of another worker that runs on with the job of this one.
    fn hand_over(&mut self) -> Self {
        let stop = self
            .tether
            .as_ref()
            .is_some_and(|tether| tether.is_pulled());
        let watchers = mem::take(&mut self.watchers);
        Self {
            ticket: self.ticket,
            source: self.source,
            tether: None,
            stop,
            watchers,
        }
    }

    /// The job has ended: forgets that it was to be stopped, and gives those who wait for its end.
    fn end(&mut self) -> Vec<Arc<Group>> {
        self.stop = false;
        if let Some(tether) = &self.tether {
            tether.stop.store(false, Ordering::Relaxed);
        }
        mem::take(&mut self.watchers)
    }
}

/// Tells those who wait for the end of a job, under no lock.
fn tell(watchers: &[Arc<Group>], stopped: bool) {
    wake(watchers.iter().filter_map(|watcher| watcher.tell(stopped)));
}
