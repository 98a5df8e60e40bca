//! What a pool knows under its one lock: the core with all who wait, and a table in each file here.
//! A table is changed in its own file only. A step that takes several of them stands here; what is
//! to be done when the lock is open again, the step gives back.

pub(crate) mod active;
pub(crate) mod closing;
pub(crate) mod effects;
pub(crate) mod keys;
pub(crate) mod permits;
pub(crate) mod signal;
pub(crate) mod sources;
pub(crate) mod timer;
pub(crate) mod watch;
pub(crate) mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use aiopool_core::{
    Admission, Admitted, Drain, KeyId, Leaving, Level, Phase, Rate, Request, Slot, Ticket, Time,
    Walk,
};

use crate::job::body::Ended;
use crate::job::cell::Runnable;
use crate::job::id::JobId;
use crate::key::{Key, KeyLimits};
use crate::observe::Observer;
use crate::report::JobInfo;
use crate::source::results::Results;
use crate::source::{
    AnyResults, Apart, ComingBack, DiscardedSource, End, Item, Items, Rest, Source, SourceBox,
    SourceId, WaitingCaller, WaitingItem,
};
use crate::state::active::{ActiveTable, Noted, Parent, Stopped, Taken, Waiter, Work};
use crate::state::closing::{Closing, Draft, NotTaken, StoppedJob};
use crate::state::effects::{Chores, Effects, Leftovers};
use crate::state::keys::KeyTable;
use crate::state::permits::{Grant, Left, PermitTable};
use crate::state::signal::{Countdown, Remote};
use crate::state::sources::{NotWanted, SourceTable};
use crate::state::timer::{TimerCall, TimerEntry};
use crate::state::watch::{WatchTable, between};
use crate::state::workers::{Idle, Member, Wakeup, WorkersTable};
use crate::stats::{Stats, Tally};
use crate::sys::clock::{Clock, Instant, check_time};
use crate::sys::runtime::{Handle, RuntimeId, current_if_any};
use crate::sys::sync::{Backoff, Mutex, MutexGuard};

/// The inside of a pool.
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) key_limits: KeyLimits,
    pub(crate) observer: Option<Observer>,
    /// Apart from the state: only those who close the pool come to it, and it may be long.
    pub(crate) draft: Mutex<Draft>,
}

// What panics in an observer, or in a function that finds limits, is caught where that is called.
impl UnwindSafe for Shared {}
impl RefUnwindSafe for Shared {}

/// The state of a pool. Nothing foreign is called, cloned or dropped under its lock.
pub(crate) struct State {
    admission: Admission<Waiter, Waker>,
    active: ActiveTable,
    workers: WorkersTable,
    sources: SourceTable,
    /// How many workers keep the slot of a job that has ended until a source has been asked.
    spinning: usize,
    executed: u64,
    tally: Tally,
    /// Whether anything but the slots has ever held a job back.
    is_limited: bool,
    /// Whether any of that depends on the time: then each runtime has to have timers.
    needs_time: bool,
    /// The times of the jobs, if somebody observes them.
    watch: Option<Box<WatchTable>>,
    clock: Clock,
    /// When the waiter was admitted that was admitted last, if that depends on the time.
    admitted_at: Time,
    /// Whether more is due than was done: it comes before the next admission.
    is_behind: bool,
    timer: TimerEntry<Arc<Shared>>,
    permits: PermitTable,
    keys: KeyTable,
    /// Keys that have gone, to be dropped under no lock.
    gone: Vec<Key>,
    /// How many callers cancel all jobs just now.
    walks: usize,
    /// Of jobs that others have handed in to wait for them: those others. A tree, because it grows without
    /// moving all that is in it.
    parents: BTreeMap<Ticket, Parent>,
    /// How many steps all walks have made.
    walked: u64,
    closing: Closing,
}

/// An active job, for an observer.
pub(crate) struct Watched {
    pub(crate) ticket: Ticket,
    /// When it got its slot.
    pub(crate) at: Instant,
    /// How long it has waited, if it has stood in the queue.
    pub(crate) wait: Option<Duration>,
}

/// Which timers a step needs.
#[derive(Clone, Copy)]
pub(crate) enum Timers<'a> {
    None,
    /// See [`Shared::lock_for`].
    On(&'a Handle),
    /// See [`Shared::lock_with_time`].
    Everywhere,
}

/// What has been taken out of the queue, to be dropped under no lock.
pub(crate) struct Withdrawn {
    pub(crate) ticket: Ticket,
    pub(crate) waiter: Waiter,
    /// Whether that is because the pool is closed.
    pub(crate) is_refused: bool,
}

/// For how long a timer sleeps.
pub(crate) struct Nap {
    /// Without end, if it only has to notice that its runtime ends.
    pub(crate) until: Option<Instant>,
    /// Whether it has to keep the pool alive.
    pub(crate) holds: bool,
}

/// What a worker that searches comes to.
pub(crate) enum Found {
    /// Another worker is to be called in its place, perhaps.
    Work(Taken, Option<Wakeup>),
    Park,
    /// There is nothing, and it has left. Another that has nothing to do either is to be called.
    Nothing(Leftovers, Option<Wakeup>),
}

/// Names jobs, or a source, that have left the pool and are to be dropped under no lock. Until that
/// has been said, the pool is not idle, and who cancels all of its jobs waits.
#[must_use = "its end is waited for"]
pub(crate) struct Withdrawal {
    index: usize,
    leaving: Leaving,
}

/// What is left of a source that has been abandoned, to be discarded under no lock.
pub(crate) struct Abandoned {
    pub(crate) results: Box<dyn AnyResults>,
    /// The source, if it stood in the queue.
    pub(crate) source: Option<Withdrawn>,
    /// The entries of its items, which are to be stopped.
    pub(crate) items: Vec<usize>,
    /// The places in the queue of its items that wait for themselves, which are to be withdrawn.
    pub(crate) waiting: Vec<Ticket>,
    /// Its withdrawal, if there is something foreign to drop.
    pub(crate) withdrawal: Option<Withdrawal>,
}

impl Shared {
    pub(crate) fn new(
        size: NonZeroUsize,
        key_limits: KeyLimits,
        observer: Option<Observer>,
    ) -> Arc<Self> {
        let is_watched = observer.is_some();
        let state = State {
            admission: Admission::new(size),
            active: ActiveTable::default(),
            workers: WorkersTable::default(),
            sources: SourceTable::default(),
            spinning: 0,
            executed: 0,
            tally: Tally::default(),
            // So each step looks at the clock.
            is_limited: is_watched,
            watch: is_watched.then(Box::default),
            needs_time: false,
            clock: Clock::default(),
            admitted_at: Time::ZERO,
            is_behind: false,
            timer: TimerEntry::new(),
            permits: PermitTable::default(),
            keys: KeyTable::default(),
            gone: Vec::new(),
            walks: 0,
            parents: BTreeMap::new(),
            walked: 0,
            closing: Closing {
                keeps_notes: is_watched,
                ..Closing::default()
            },
        };
        Arc::new(Self {
            state: Mutex::new(state),
            key_limits,
            observer,
            draft: Mutex::default(),
        })
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The lock, with the timers that are needed.
    #[track_caller]
    pub(crate) fn lock_with(&self, timers: Timers<'_>) -> MutexGuard<'_, State> {
        match timers {
            Timers::None => self.lock(),
            Timers::On(runtime) => self.lock_for(runtime),
            Timers::Everywhere => self.lock_with_time(),
        }
    }

    /// The lock for a step after which jobs are held back until a time: on the runtimes of this
    /// pool, and on that of the caller, there have to be timers. Without them it panics, and nothing
    /// has changed.
    #[track_caller]
    pub(crate) fn lock_with_time(&self) -> MutexGuard<'_, State> {
        if let Some(runtime) = current_if_any() {
            check_time(&runtime);
        }
        loop {
            let mut state = self.lock();
            let without = state.workers.without_time();
            if without.is_empty() {
                state.begin_timed();
                return state;
            }
            drop(state);
            for runtime in without {
                check_time(&runtime);
                self.lock().workers.found_time_on(&runtime);
            }
        }
    }

    /// The lock for a step after which somebody waits who is to run on `runtime`: if the pool is
    /// timed, the runtime has to have timers. Without them it panics, and nothing has changed.
    #[inline]
    #[track_caller]
    pub(crate) fn lock_for(&self, runtime: &Handle) -> MutexGuard<'_, State> {
        let state = self.lock();
        if state.needs_time && !state.workers.found_time_last_on(runtime) {
            return self.with_time(state, runtime);
        }
        state
    }

    #[cold]
    #[track_caller]
    fn with_time<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        runtime: &Handle,
    ) -> MutexGuard<'a, State> {
        if !state.workers.has_time(runtime) {
            drop(state);
            check_time(runtime);
            state = self.lock();
        }
        state.workers.found_time_on(runtime);
        state
    }

    /// The lock for a worker whose job has ended. While nobody waits, but another thread asks a
    /// source for an item, it waits a moment for the source to come back to the queue: otherwise it
    /// would give its slot back, and the other thread would have to see to it that it is taken.
    pub(crate) fn lock_at_end(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let mut backoff = Backoff::with_others();
        while state.sources.are_asked() && state.admission.waiting() == 0 && backoff.is_left() {
            state.spinning += 1;
            drop(state);
            backoff.wait();
            state = self.lock();
            state.spinning -= 1;
        }
        state
    }
}

/// What is read.
impl State {
    pub(crate) fn admission(&self) -> &Admission<Waiter, Waker> {
        &self.admission
    }

    pub(crate) fn stats(&self) -> Stats {
        let times = self.watch.as_ref().map(|watch| watch.totals());
        Stats::new(self.admission.stats(), &self.tally, times)
    }

    pub(crate) fn executed(&self) -> u64 {
        self.executed
    }

    /// Whether nobody waits and nothing is active, nor being dropped.
    pub(crate) fn is_idle(&self) -> bool {
        self.admission.is_idle()
    }

    /// Whether the waiter with this ticket has not been started or withdrawn yet.
    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.admission.get(ticket).is_some()
    }

    /// On how many runtimes there are workers, or somebody waits for them.
    #[cfg(test)]
    pub(crate) fn runtimes(&self) -> usize {
        self.workers.runtimes()
    }

    #[cfg(all(test, aiopool_models))]
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    #[cfg(all(test, aiopool_models))]
    pub(crate) fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The results of a source for its reader.
    pub(crate) fn results_of<T: 'static>(&mut self, id: SourceId) -> &mut Results<T> {
        self.sources.results_of(id)
    }
}

/// Coming into the queue.
impl State {
    pub(crate) fn resize(&mut self, size: NonZeroUsize) {
        self.admission.resize(size);
    }

    /// A job that is to run on `runtime` takes the last place in the queue. A handle that is given
    /// back is to be dropped under no lock.
    pub(crate) fn submit(
        &mut self,
        job: Runnable,
        runtime: Handle,
    ) -> Result<(Ticket, Option<Handle>), NotTaken> {
        let (workers, spare) = self.workers.on(runtime);
        // Before it can be admitted: the worker that ends a job asks for this.
        job.waits_for(workers);
        match self.enqueue(Waiter::Job(job), workers, Request::default()) {
            Ok(ticket) => Ok((ticket, spare)),
            Err(waiter) => Err(self.not_taken(waiter, spare)),
        }
    }

    /// As [`submit`](Self::submit), a job that asks for more than its turn.
    pub(crate) fn submit_as(
        &mut self,
        mut job: Runnable,
        runtime: Handle,
        request: Request,
    ) -> Result<(Ticket, Option<Handle>), NotTaken> {
        self.closing.keeps_notes |= job.name().is_some();
        let (workers, spare) = self.workers.on(runtime);
        job.waits_for(workers);
        match self.enqueue(Waiter::Job(job), workers, request) {
            Ok(ticket) => Ok((ticket, spare)),
            Err(waiter) => Err(self.not_taken(waiter, spare)),
        }
    }

    /// An id for a source that is to come.
    pub(crate) fn announce_source(&mut self, results: Box<dyn AnyResults>) -> SourceId {
        self.sources.announce(results)
    }

    /// A source takes its first place in the queue, to be asked on `runtime`, or is given back if the
    /// pool is closed. Handles that are given back are to be dropped under no lock.
    pub(crate) fn begin_source(
        &mut self,
        id: SourceId,
        request: Request,
        items: Box<dyn Items>,
        runtime: Handle,
    ) -> (Result<(), SourceBox>, Vec<Handle>) {
        let (workers, spare) = self.workers.on(runtime);
        let mut handles: Vec<_> = spare.into_iter().collect();
        let source = SourceBox::new(Source::new(id, workers, request, items));
        let begun = self.enqueue_source(source);
        match begun {
            // A source keeps the entry of its workers, also while it stands aside.
            Ok(()) => self.workers.add_source(workers),
            Err(_) => handles.extend(self.workers.forget_unused()),
        }
        (begun, handles)
    }

    /// A source that has not been abandoned takes the last place in the queue, or is given back if
    /// the pool is closed.
    pub(crate) fn enqueue_source(&mut self, source: SourceBox) -> Result<(), SourceBox> {
        let (id, workers, request) = (source.id(), source.workers(), source.request());
        match self.enqueue(Waiter::Apart(source.into_box()), workers, request) {
            Ok(ticket) => {
                self.sources.set_ticket(id, ticket);
                Ok(())
            }
            Err(waiter) => Err(waiter.into_source()),
        }
    }

    /// Whether a source has not been abandoned.
    fn has_source(&mut self, id: SourceId) -> bool {
        self.sources.results(id).is_some()
    }

    /// An item that does not start in the turn of its source takes a place of its own, or is given
    /// back if nobody wants it or the pool is closed.
    pub(crate) fn enqueue_item(
        &mut self,
        mut item: WaitingItem,
        request: Request,
    ) -> Result<Ticket, Pin<Box<dyn Item>>> {
        let (id, workers) = (item.item.source(), item.workers);
        if !self.has_source(id) {
            return Err(item.item);
        }
        self.closing.keeps_notes |= item.item.as_mut().name().is_some();
        let waiter = Waiter::Apart(Box::new(Apart::Item(item)));
        match self.enqueue(waiter, workers, request) {
            Ok(ticket) => {
                let most = AHEAD_OF_MAPS * self.admission.size().get();
                self.sources.add_waiting(id, ticket, most);
                Ok(ticket)
            }
            Err(waiter) => Err(waiter.into_item()),
        }
    }

    /// The waiter comes back if the pool is closed: the key, if it has one, is open.
    #[inline]
    fn enqueue(
        &mut self,
        waiter: Waiter,
        workers: usize,
        request: Request,
    ) -> Result<Ticket, Waiter> {
        let ticket = self.admission.submit(waiter, request);
        let ticket = ticket.map_err(|refused| refused.waiter)?;
        self.workers.expect(workers);
        Ok(ticket)
    }
}

/// Starting.
impl State {
    /// Whether the caller is the one that starts those who are admitted, until it
    /// [says](Self::end_advance) that there are none.
    pub(crate) fn begin_advance(&mut self) -> bool {
        self.admission.begin_advance()
    }

    /// Whether somebody would be admitted, and nobody sees to it.
    pub(crate) fn has_unattended_turn(&self) -> bool {
        !self.admission.is_advancing() && self.admission.may_admit()
    }

    /// Leaves those who would be admitted to workers, one on each runtime where somebody waits.
    pub(crate) fn hand_over(&mut self) -> Vec<Wakeup> {
        self.workers.call_for_waiting()
    }

    /// Whether these workers are there: a runtime that shuts down drops them at once.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.workers.are_called()
    }

    /// A worker could not be started, and a hook of its runtime was why. Gives what it would have
    /// taken, if nobody else takes that.
    pub(crate) fn lose_worker(&mut self, worker: &Member) -> Option<Taken> {
        if self.workers.lose(worker.workers) {
            return self.take_open(worker);
        }
        None
    }

    /// Nobody is admitted any more. Gives those who wait for an idle pool, if it is idle.
    pub(crate) fn end_advance(&mut self) -> Effects {
        self.admission.end_advance();
        let mut effects = Effects::default();
        effects.wake_joiners(self.ready_joiners());
        effects.wake_drainers(self.admission.poll_drained());
        effects
    }

    /// Who is next in the queue, if a slot is free. It is to be started under the same lock.
    #[inline]
    pub(crate) fn admit(&mut self) -> Option<Admitted<Waiter>> {
        if self.is_limited && !self.catch_up() {
            return None;
        }
        let admitted = self.admission.poll_admit(self.admitted_at)?;
        self.workers.expect_no_more(admitted.waiter.workers());
        Some(admitted)
    }

    /// Does what is due before an admission, and looks at the clock for it. Tells whether that is
    /// all.
    #[cold]
    fn catch_up(&mut self) -> bool {
        self.admitted_at = self.now();
        self.is_behind = self.admission.poll_due(self.admitted_at);
        // At once: their indices may be those of others soon.
        while let Some(id) = self.admission.poll_key_gone() {
            self.gone.extend(self.keys.remove(id));
        }
        !self.is_behind
    }

    /// Whether more is due than one step does. To be looked at after an admission that gave none.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Whether there may be [chores](Self::chores).
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// What is left to be done under no lock, after a step that has admitted others, or nobody, in
    /// `pool`.
    pub(crate) fn chores(&mut self, pool: &Arc<Shared>) -> Option<Chores> {
        let timer = self.set_timer(pool);
        // Most steps leave nothing.
        (timer.is_some() || !self.gone.is_empty()).then(|| Chores {
            timer,
            keys: std::mem::take(&mut self.gone),
        })
    }

    /// A waiter that has been admitted becomes active: its work is left to the workers of its
    /// runtime.
    pub(crate) fn start(&mut self, admitted: Admitted<Waiter>) -> Option<Wakeup> {
        if let Some(index) = admitted.waiter.caller() {
            return self.grant(index, admitted);
        }
        if let Some(waiting) = admitted.waiter.coming_back() {
            return self.let_back(waiting.entry, admitted.slot);
        }
        let workers = admitted.waiter.workers();
        let taken = self.insert(admitted, self.admission.admitted_level(), self.admitted_at);
        self.offer(taken, workers)
    }

    fn insert(&mut self, admitted: Admitted<Waiter>, level: Level, at: Time) -> Taken {
        let ticket = admitted.ticket;
        let mut taken = self.active.insert(admitted, level, at);
        self.begin_item(&taken, ticket);
        if self.closing.keeps_notes {
            self.note(&mut taken, ticket, at);
        }
        taken
    }

    /// Keeps what a report tells of what is active now.
    #[cold]
    fn note(&mut self, taken: &mut Taken, ticket: Ticket, at: Time) {
        let name = taken.work.name();
        let watch = self.watch.as_ref();
        let queued_at = watch.map(|watch| watch.queued_at(ticket).unwrap_or(at));
        if name.is_some() || queued_at.is_some() {
            self.active.note(taken.index, Noted { name, queued_at });
        }
    }

    /// The item that a worker has pulled has this name.
    #[cold]
    pub(crate) fn note_name(&mut self, index: usize, name: Option<Arc<str>>) {
        self.closing.keeps_notes = true;
        self.active.note_name(index, name);
    }

    /// The source of an item knows its entry, and so can stop its items without a look at others.
    #[expect(clippy::inline_always, reason = "each job comes here")]
    #[inline(always)]
    fn begin_item(&mut self, taken: &Taken, ticket: Ticket) {
        match &taken.work {
            Work::Job(_) => {}
            Work::Pull(source) => {
                let id = source.id();
                if let Some(place) = self.sources.add_item(id, taken.index) {
                    self.active.set_item(taken.index, (id, place));
                }
            }
            Work::Item(item) => self.begin_waiting_item(item.source(), taken.index, ticket),
        }
    }

    /// The same, of an item that has waited for itself.
    #[cold]
    fn begin_waiting_item(&mut self, id: SourceId, index: usize, ticket: Ticket) {
        self.sources.remove_waiting(id, ticket);
        if let Some(place) = self.sources.add_item(id, index) {
            self.active.set_item(index, (id, place));
        } else if let Some(worker) = self.active.stop(index) {
            // Its source was abandoned while it waited. The worker is about to poll it.
            self.workers.stop(worker);
        }
    }

    /// The item of an entry has ended, if it is that of an item.
    #[inline]
    fn end_item(&mut self, index: usize) {
        if let Some((id, place)) = self.active.item(index) {
            if let Some(moved) = self.sources.remove_item(id, place) {
                self.active.set_item(moved, (id, place));
            }
        }
    }

    fn offer(&mut self, taken: Taken, workers: usize) -> Option<Wakeup> {
        let index = taken.index;
        self.active.open(taken);
        self.workers.offer(workers, index)
    }
}

/// Slots without a job.
impl State {
    /// A caller takes a place in the queue, and waits on `runtime`, unless the pool is closed. Handles
    /// that are given back are to be dropped under no lock.
    pub(crate) fn ask_for_slot(
        &mut self,
        runtime: Handle,
        request: Request,
        weight: NonZeroU32,
    ) -> Result<(usize, Ticket, Option<Handle>), Vec<Handle>> {
        let (workers, spare) = self.workers.on(runtime);
        let index = self.permits.add();
        let caller = Apart::Caller(WaitingCaller {
            index,
            workers,
            weight,
            lost: None,
        });
        if let Ok(ticket) = self.enqueue(Waiter::Apart(Box::new(caller)), workers, request) {
            self.permits.wait(index, ticket);
            return Ok((index, ticket, spare));
        }
        self.permits.leave(index);
        let unused = self.workers.forget_unused();
        Err(spare.into_iter().chain(unused).collect())
    }

    fn grant(&mut self, index: usize, admitted: Admitted<Waiter>) -> Option<Wakeup> {
        let grant = Grant {
            slot: admitted.slot,
            ticket: admitted.ticket,
            level: self.admission.admitted_level(),
            at: self.admitted_at,
        };
        let waker = self.permits.grant(index, grant)?;
        Some(Wakeup::Caller(waker))
    }

    /// A caller looks whether it has got its slot.
    pub(crate) fn look_for_slot(&mut self, index: usize, waker: Waker) -> permits::Found {
        self.permits.look(index, waker)
    }

    /// The slot of a caller that does not wait for it.
    pub(crate) fn take_grant(&mut self, index: usize) -> Option<Grant> {
        self.permits.take(index)
    }

    /// A caller waits no more. What it leaves is to be dropped under no lock.
    pub(crate) fn leave_permits(&mut self, index: usize) -> (Option<Withdrawn>, Option<Waker>) {
        let (left, waker) = self.permits.leave(index);
        let waiter = match left {
            Left::Slot(slot) => {
                self.admission.finish(slot);
                None
            }
            Left::Ticket(ticket) => self.withdraw(ticket),
            Left::Nothing => None,
        };
        (waiter, waker)
    }

    /// If a caller has been withdrawn, it has to come again. It hears of that under the same lock: it
    /// may go at any time.
    fn lose_caller(&mut self, waiter: &mut Waiter) {
        if let (Some(index), Waiter::Apart(apart)) = (waiter.caller(), waiter) {
            if let Some(lost) = apart.lost() {
                *lost = self.permits.lose(index);
            }
        }
    }

    /// A permit is not used any more.
    pub(crate) fn give_back_grant(&mut self, grant: Grant) {
        self.admission.finish(grant.slot);
    }

    /// A caller has gone, for which a runtime was kept perhaps. Handles are to be dropped under no
    /// lock.
    pub(crate) fn forget_unused(&mut self) -> Vec<Handle> {
        self.workers.forget_unused()
    }

    /// A job starts in the slot of a permit, which may have been used before.
    pub(crate) fn start_in(
        &mut self,
        grant: Grant,
        was_held: bool,
        mut job: Runnable,
        runtime: Handle,
    ) -> (Option<Wakeup>, Option<Handle>) {
        let (workers, spare) = self.workers.on(runtime);
        let Grant {
            slot,
            ticket,
            level,
            at,
        } = grant;
        self.closing.keeps_notes |= job.name().is_some();
        let waiter = Waiter::Job(job);
        let admitted = Admitted {
            slot,
            ticket,
            waiter,
        };
        let taken = self.insert(admitted, level, at);
        if was_held {
            self.active.has_started(taken.index);
        }
        (self.offer(taken, workers), spare)
    }
}

/// Jobs without their slots.
impl State {
    /// The job of an entry waits, and gives its slots back until then.
    pub(crate) fn go_outside(&mut self, index: usize) {
        if let Some(slot) = self.active.go_outside(index) {
            let outside = self.admission.go_outside(slot);
            self.active.has_gone_outside(index, outside);
        }
    }

    /// A job that is outside wants its slots again: as one that its own pool let wait at the `front`, else
    /// at the back, and as a start.
    pub(crate) fn come_back(
        &mut self,
        index: usize,
        worker: &Member,
        weight: NonZeroU32,
        front: bool,
    ) {
        let (level, Some(outside)) = self.active.outside(index) else {
            return;
        };
        let waiting = ComingBack {
            entry: index,
            workers: worker.workers,
            weight,
            pays: !front,
        };
        let waiter = Waiter::Apart(Box::new(Apart::Back(waiting)));
        match self.admission.come_back(outside, waiter, level, front) {
            Ok(place) => {
                self.workers.expect(worker.workers);
                self.active.comes_back(index, place);
            }
            // The pool is closed, and all its jobs are being stopped.
            Err(_) => self.force_back(index, weight),
        }
    }

    /// The job of an entry has its slots again. Its worker is to be woken, unless it is about to look: it
    /// would take that for a wake-up of its job, and let it come back once more.
    fn let_back(&mut self, index: usize, slot: Slot) -> Option<Wakeup> {
        let looks = self.active.is_to_look(index);
        if let Some((outside, _)) = self.active.end_outside(index) {
            self.admission.end_outside(outside);
        }
        let worker = self.active.is_back(index, slot, self.admitted_at);
        let worker = worker.filter(|_| !looks)?;
        self.workers.remote(worker).map(Wakeup::Worker)
    }

    /// A job that is to be stopped has its slots from now on, be they free or not.
    pub(crate) fn force_back(&mut self, index: usize, weight: NonZeroU32) {
        let Some((outside, place)) = self.active.end_outside(index) else {
            return;
        };
        self.leave_queue(place);
        let slot = self.admission.force(outside, weight);
        let now = self.now();
        self.active.is_back(index, slot, now);
    }

    /// The worker of an entry looks whether its job has its slots. If not, it is woken when it has.
    pub(crate) fn look_for_slots(&mut self, index: usize) -> bool {
        self.active.look(index)
    }

    /// The job that had `child` in the queue was handed in by that of an entry, to wait for it.
    pub(crate) fn adopt(&mut self, child: Ticket, parent: usize) {
        let parent = self.parent_at(parent);
        self.parents.insert(child, parent);
    }

    /// As [`adopt`](Self::adopt), for the items of a source.
    pub(crate) fn adopt_source(&mut self, id: SourceId, parent: usize) {
        let parent = self.parent_at(parent);
        self.sources.adopt(id, parent);
    }

    fn parent_at(&self, entry: usize) -> Parent {
        let (ticket, _) = self.active.begun(entry);
        Parent { ticket, entry }
    }

    /// The job of an entry, and those that wait outside for it to end.
    pub(crate) fn waiting_for(&mut self, entry: usize) -> BTreeSet<Ticket> {
        let mut job = self.parent_at(entry);
        let mut jobs = BTreeSet::from([job.ticket]);
        while let Some(parent) = self.parent_of(job) {
            let waits = self.active.has_job(parent.entry, parent.ticket)
                && self.active.outside(parent.entry).1.is_some();
            if !waits {
                break;
            }
            jobs.insert(parent.ticket);
            job = parent;
        }
        jobs
    }

    fn parent_of(&mut self, job: Parent) -> Option<Parent> {
        match self.active.item(job.entry) {
            Some((id, _)) => self.sources.parent(id),
            None => self.parents.get(&job.ticket).copied(),
        }
    }

    /// A job has ended, or left the queue.
    #[inline]
    fn forget_parent(&mut self, child: impl FnOnce(&Self) -> Ticket) {
        if !self.parents.is_empty() {
            let child = child(self);
            self.parents.remove(&child);
        }
    }

    /// A job has been dropped while it was outside, with its runtime.
    #[cold]
    fn end_outside(&mut self, index: usize, ended: &Ended) {
        if let Some((outside, place)) = self.active.end_outside(index) {
            self.leave_queue(place);
            self.admission.end_outside(outside);
            self.executed += u64::from(ended.begun);
            if let Some(outcome) = ended.outcome {
                self.tally.count(outcome);
            }
        }
    }

    /// A job that comes back does not, after all.
    fn leave_queue(&mut self, place: Option<Ticket>) {
        // What is taken out says no more than that: it is not foreign.
        drop(place.and_then(|place| self.withdraw(place)));
    }
}

/// Times, for an observer.
impl State {
    /// A job has come into the queue.
    pub(crate) fn note_queued(&mut self, ticket: Ticket) {
        let now = self.now();
        if let Some(watch) = &mut self.watch {
            watch.queue(ticket, now);
        }
    }

    /// A job has left the queue: how long it has waited.
    pub(crate) fn leave_watch(&mut self, ticket: Ticket) -> Duration {
        let now = self.now();
        let watch = self.watch.as_mut();
        let waited = watch.and_then(|watch| watch.leave(ticket, now));
        waited.unwrap_or_default()
    }

    /// A worker has taken the job of an entry.
    pub(crate) fn watch(&mut self, index: usize) -> Watched {
        let (ticket, at) = self.active.begun(index);
        let watch = self.watch.as_mut();
        let wait = watch.and_then(|watch| watch.leave(ticket, at));
        let at = self.clock.instant(at.as_nanos());
        Watched { ticket, at, wait }
    }

    /// The job of an entry has ended: how long it has run. It counts if it had begun.
    pub(crate) fn count_times(&mut self, index: usize, begun: bool, wait: Duration) -> Duration {
        let now = self.now();
        let (_, at) = self.active.begun(index);
        let run = between(at, now);
        if let Some(watch) = self.watch.as_mut().filter(|_| begun) {
            watch.count(wait, run);
        }
        run
    }
}

/// Limits in time.
impl State {
    /// From now on limits depend on the time: each runtime has to [have timers](Shared::lock_with_time).
    pub(crate) fn begin_timed(&mut self) {
        (self.is_limited, self.needs_time) = (true, true);
    }

    pub(crate) fn set_rates(&mut self, rates: &[Rate]) {
        // A pool that has had no limits stays as cheap as it is.
        self.is_limited |= !rates.is_empty();
        if !self.is_limited {
            return;
        }
        let now = self.now();
        self.admission.set_rates(rates, now);
    }

    /// Nothing starts for so many nanoseconds, or until the pool is resumed. Tells whether it can be
    /// paused: it cannot when it is closed.
    pub(crate) fn pause(&mut self, nanos: Option<u64>) -> bool {
        let is_open = self.admission.phase() == Phase::Open;
        if is_open {
            self.is_limited = true;
            let until = self.until(nanos);
            self.admission.pause(until);
        }
        is_open
    }

    /// Tells whether the pool was paused.
    pub(crate) fn resume(&mut self) -> bool {
        let now = self.now();
        self.admission.resume(now)
    }

    pub(crate) fn keys(&self) -> &KeyTable {
        &self.keys
    }

    /// Opens a key, for somebody who uses it under the same lock.
    pub(crate) fn open_key(
        &mut self,
        key: Key,
        limit: Option<NonZeroU32>,
        rates: &[Rate],
    ) -> KeyId {
        self.is_limited = true;
        let id = self.admission.open_key(limit, rates);
        self.keys.insert(key, id);
        id
    }

    /// As [`pause`](Self::pause), for the jobs of a key.
    pub(crate) fn pause_key(&mut self, key: KeyId, nanos: Option<u64>) -> bool {
        let is_open = self.admission.phase() == Phase::Open;
        if is_open {
            let until = self.until(nanos);
            self.admission.pause_key(key, until);
        }
        is_open
    }

    /// As [`resume`](Self::resume), for the jobs of a key.
    pub(crate) fn resume_key(&mut self, key: KeyId) -> bool {
        let now = self.now();
        self.admission.resume_key(key, now)
    }

    fn until(&mut self, nanos: Option<u64>) -> Time {
        nanos.map_or(Time::NEVER, |nanos| self.now().after(nanos))
    }

    /// The time, if anything depends on it.
    fn now(&mut self) -> Time {
        if self.needs_time || self.watch.is_some() {
            Time::from_nanos(self.clock.now())
        } else {
            Time::ZERO
        }
    }

    /// When the timer has to look next, or at the latest.
    fn next_look(&self) -> Option<Time> {
        if let Some(at) = self.admission.next_wake() {
            return Some(at);
        }
        // Without anybody active, nobody else would notice that the runtime ends.
        let is_watched = self.admission.waiting() > 0 && self.admission.active() == 0;
        is_watched.then_some(Time::NEVER)
    }

    fn set_timer(&mut self, pool: &Arc<Shared>) -> Option<TimerCall> {
        let next = if self.is_behind {
            Some(self.admitted_at)
        } else {
            self.next_look()
        };
        let Some(at) = next else {
            return self.timer.rest();
        };
        let holds = self.admission.waiting() > 0 && at < Time::NEVER;
        self.timer.want(at, holds, pool, || self.workers.home())
    }

    /// The timer is polled. Tells whether it is still that of the pool.
    pub(crate) fn look(&mut self, serial: u64) -> bool {
        self.timer.look(serial)
    }

    /// The timer has looked. Tells it how long it sleeps, if it is needed any longer.
    pub(crate) fn nap(&mut self, serial: u64, remote: &Arc<Remote>) -> Option<Nap> {
        // Who is at it wakes the timer if need be.
        let next = if self.admission.is_advancing() {
            Some(Time::NEVER)
        } else {
            self.next_look()
        };
        let Some(at) = next else {
            self.timer.end(serial);
            return None;
        };
        let holds = self.admission.waiting() > 0 && at < Time::NEVER;
        self.timer.sleep(at, holds, remote);
        let until = (at < Time::NEVER).then(|| self.clock.instant(at.as_nanos()));
        Some(Nap { until, holds })
    }

    /// The timer has gone with its runtime. Tells whether it was that of the pool.
    pub(crate) fn lose_timer(&mut self, serial: u64, runtime: RuntimeId) -> bool {
        let was_it = self.timer.end(serial);
        if was_it {
            self.workers.end(runtime);
        }
        was_it
    }
}

/// What a worker does.
impl State {
    /// A worker that is polled for the first time can be reached from now on.
    pub(crate) fn connect(&mut self, worker: &Member, waker: Waker) -> (usize, Arc<Remote>) {
        self.workers.connect(worker.workers, waker)
    }

    /// A worker that was searching takes the first open entry, or leaves. One that is alive calls
    /// another for the next entry if nobody else does, and may park.
    pub(crate) fn search(&mut self, worker: &Member, is_alive: bool) -> Found {
        let index = worker.workers;
        if !is_alive {
            self.workers.find(worker);
            return match self.take_open(worker) {
                Some(taken) => Found::Work(taken, None),
                None => Found::Nothing(self.leave(worker, true), None),
            };
        }
        if let Some(taken) = self.take_open(worker) {
            let wakeup = self.workers.call(index);
            let wakeup = wakeup.or_else(|| self.workers.call_unneeded(index));
            return Found::Work(taken, wakeup);
        }
        if self.workers.idle(worker) == Idle::Park {
            return Found::Park;
        }
        let wakeup = self.workers.call_unneeded(index);
        Found::Nothing(self.leave(worker, true), wakeup)
    }

    /// A worker that was searching, or one that was not, is not there any more.
    pub(crate) fn leave(&mut self, worker: &Member, was_searching: bool) -> Leftovers {
        let runtime = self.workers.leave(worker, was_searching);
        Leftovers::new(runtime, self.active.take_spare())
    }

    /// A worker leaves what it has taken to whichever comes first after the other tasks have had
    /// their turn, and searches then.
    pub(crate) fn give_back(&mut self, mut taken: Taken, worker: &Member) {
        let index = taken.index;
        self.active.unassign(index, worker.remote.as_ref());
        if let Work::Pull(source) = &mut taken.work {
            self.sources.ask_no_more(source);
        }
        self.active.open(taken);
        self.workers.offer_first(worker.workers, index);
    }

    /// The item of an ended job goes to its source. Tells whether somebody wants it, or it is still
    /// there, to be discarded under no lock.
    pub(crate) fn put(&mut self, item: Pin<&mut dyn Item>, ended: &mut Ended) -> bool {
        match self.sources.put(item, ended) {
            Ok(None) => true,
            // The map of the item stood aside until it has ended.
            Ok(Some(source)) => {
                if let Err(source) = self.enqueue_source(source) {
                    self.sources.keep(source);
                }
                true
            }
            Err(NotWanted) => false,
        }
    }

    /// The job of a worker has ended: its slot goes back, and the worker gets what is next if it
    /// `may_begin` that now, or hears what to do while there is nothing for it.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        index: usize,
        ended: Ended,
        worker: &Member,
        may_begin: bool,
    ) -> (Result<Taken, Idle>, Option<Wakeup>, Effects) {
        self.give_back_slot(index, &ended);
        self.end_item(index);
        let mut effects = Effects::waking(ended.waker);
        match self.admit() {
            // The usual case under load. The worker keeps the entry, and nobody has to search.
            Some(admitted) if may_begin && self.is_for(&admitted.waiter, worker) => {
                effects.tell(self.active.watchers(index), ended.stopped);
                let ticket = admitted.ticket;
                let level = self.admission.admitted_level();
                let mut taken = self.active.reuse(index, admitted, level, self.admitted_at);
                worker.begin(level);
                self.begin_item(&taken, ticket);
                if self.closing.keeps_notes {
                    self.note(&mut taken, ticket, self.admitted_at);
                }
                self.ask(&mut taken.work);
                (Ok(taken), None, effects)
            }
            // Open entries go first, and others' waiters go to their own workers.
            admitted => {
                effects.tell(&mut self.active.remove(index), ended.stopped);
                // Before the start: what is started for these workers needs no other one then.
                self.workers.search(worker.workers);
                let mut wakeup = admitted.and_then(|admitted| self.start(admitted));
                let next = if may_begin {
                    let taken = self.take_open(worker);
                    // The job has suspended: others like it need a worker each, and soon.
                    wakeup = wakeup.or_else(|| self.workers.call_for_each(worker.workers));
                    taken.ok_or_else(|| self.workers.idle(worker))
                } else {
                    Err(self.workers.pause(worker))
                };
                if let Err(Idle::Leave) = next {
                    effects.drop_leftovers(self.leave(worker, true));
                }
                effects.wake_joiners(self.ready_joiners());
                effects.wake_drainers(self.admission.poll_drained());
                (next, wakeup, effects)
            }
        }
    }

    /// A worker is dropped, and its job with it. Whoever is next is to be started. The worker stays
    /// for an open entry that nobody else would take.
    pub(crate) fn finish_and_leave(
        &mut self,
        index: usize,
        ended: Ended,
        worker: &Member,
    ) -> (Option<Taken>, Effects) {
        self.give_back_slot(index, &ended);
        self.end_item(index);
        let mut effects = Effects::waking(ended.waker);
        effects.tell(&mut self.active.remove(index), ended.stopped);
        if self.workers.are_too_few(worker.workers) {
            self.workers.search(worker.workers);
            return (self.take_open(worker), effects);
        }
        effects.drop_leftovers(self.leave(worker, false));
        (None, effects)
    }

    /// The slot of a job that has ended, or of a turn of a source that gave none.
    #[expect(clippy::inline_always, reason = "each job comes here")]
    #[inline(always)]
    fn give_back_slot(&mut self, index: usize, ended: &Ended) {
        self.forget_parent(|state| state.active.begun(index).0);
        let Some((slot, at)) = self.active.take_slot(index) else {
            self.end_outside(index, ended);
            return;
        };
        if let Some(outcome) = ended.outcome {
            self.tally.count(outcome);
        }
        if ended.begun {
            self.executed += 1;
            self.admission.finish(slot);
        } else if let Some(at) = at {
            self.admission.refund(slot, at);
        } else {
            self.admission.finish(slot);
        }
    }

    /// Whether a worker that is free now may run `waiter` before all open entries.
    fn is_for(&self, waiter: &Waiter, worker: &Member) -> bool {
        let is_here = waiter.workers() == worker.workers;
        is_here && waiter.is_work() && !self.workers.has_open(worker.workers)
    }

    /// A worker that was searching takes the first open entry, if there is one.
    pub(crate) fn take_open(&mut self, worker: &Member) -> Option<Taken> {
        let index = self.workers.take(worker.workers)?;
        let mut taken = self.active.take(index)?;
        self.assign(&mut taken, worker);
        Some(taken)
    }

    fn assign(&mut self, taken: &mut Taken, worker: &Member) {
        self.ask(&mut taken.work);
        self.active.assign(taken.index, worker.remote.as_ref());
    }

    fn ask(&mut self, work: &mut Work) {
        if let Work::Pull(source) = work {
            source.is_closed = self.refuses(source);
            self.sources.ask(source);
        }
    }
}

/// What becomes of a source.
impl State {
    /// The source of an item that is to be run goes to the back of the queue, or aside while its
    /// reader is behind. Gives who is admitted at once, because slots are free; or the source, if
    /// it has come to its end.
    pub(crate) fn put_back(
        &mut self,
        source: SourceBox,
        rest: Rest,
    ) -> Result<Option<Admitted<Waiter>>, (SourceBox, End)> {
        // Who starts workers now starts one for the source, and a worker that spins takes it.
        if !self.queue_again(source, rest)? || self.admission.is_advancing() || self.spinning > 0 {
            return Ok(None);
        }
        Ok(self.admit())
    }

    /// The same, without a look at who may be admitted. Tells whether the source is in the queue.
    #[inline]
    pub(crate) fn queue_again(
        &mut self,
        mut source: SourceBox,
        rest: Rest,
    ) -> Result<bool, (SourceBox, End)> {
        self.sources.ask_no_more(&mut source);
        let Some(results) = self.sources.results(source.id()) else {
            return Err((source, End::CutShort));
        };
        let source = match rest {
            Rest::Exhausted => return Err((source, End::Exhausted)),
            _ if !self.admission.takes(source.request().front) => {
                return Err((source, End::Closed));
            }
            Rest::Wanted => Some(source),
            Rest::Unwanted => results.park(source),
        };
        let Some(source) = source else {
            return Ok(false);
        };
        let queued = self.enqueue_source(source);
        queued.map_or_else(|source| Err((source, End::Closed)), |()| Ok(true))
    }

    /// The turn of a source has come again at once: the worker that has pulled `item` leaves that
    /// to others, and takes the turn.
    pub(crate) fn fan_out(
        &mut self,
        turn: Admitted<Waiter>,
        item: Taken,
        worker: &Member,
    ) -> (Taken, Option<Wakeup>) {
        // The item keeps its entry and its slot. The turn comes with a slot of its own.
        let mut taken = self.insert(turn, self.admission.admitted_level(), self.admitted_at);
        self.active.unassign(item.index, worker.remote.as_ref());
        let wakeup = self.offer(item, worker.workers);
        self.assign(&mut taken, worker);
        (taken, wakeup)
    }

    /// The worker that has fanned a source out leaves its last item to whichever comes first, and
    /// is one of those that search.
    pub(crate) fn offer_last(&mut self, item: Taken, worker: &Member) -> Option<Wakeup> {
        self.active.unassign(item.index, worker.remote.as_ref());
        self.workers.search(worker.workers);
        self.offer(item, worker.workers)
    }

    /// What was stopped before a source is asked is not the item that it gives. Who waited for
    /// its end is told.
    pub(crate) fn forget_stop(&mut self, index: usize, worker: &Member) -> Effects {
        worker.forget_stop();
        let mut effects = Effects::default();
        effects.tell(self.active.watchers(index), false);
        effects
    }

    /// A source whose items have been dropped is not there any more. Gives the waker of its
    /// reader, or what nobody wants to know, to be discarded under no lock.
    pub(crate) fn end_source(
        &mut self,
        source: &DiscardedSource,
        end: End,
    ) -> (Result<Option<Waker>, End>, Effects) {
        let is_closed = matches!(end, End::Closed);
        let ended = self.sources.end(source, end);
        self.closing.count_source(is_closed && ended.is_ok());
        let mut effects = Effects::default();
        effects.wake_worker(self.workers.remove_source(source.workers));
        effects.drop_runtimes(self.workers.forget_unused());
        (ended, effects)
    }
}

/// Cancelling.
impl State {
    /// Jobs are going to leave the queue.
    pub(crate) fn begin_withdrawal(&mut self) -> Withdrawal {
        Withdrawal {
            index: self.active.begin_withdrawal(),
            leaving: self.admission.begin_leaving(),
        }
    }

    /// The jobs of a withdrawal have been dropped.
    pub(crate) fn end_withdrawal(&mut self, withdrawal: Withdrawal, ends: &Tally) -> Effects {
        let mut effects = Effects::default();
        self.tally.add(ends);
        self.admission.end_leaving(withdrawal.leaving);
        effects.tell(&mut self.active.end_withdrawal(withdrawal.index), false);
        effects.drop_runtimes(self.workers.forget_unused());
        effects
    }

    /// Takes a waiter out of the queue, if it is still there.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<Withdrawn> {
        let waiter = self.admission.withdraw(ticket)?;
        self.workers.expect_no_more(waiter.workers());
        self.forget_parent(|_| ticket);
        if let Some(id) = waiter.source_of_item() {
            self.sources.remove_waiting(id, ticket);
        }
        Some(Withdrawn {
            ticket,
            waiter,
            is_refused: false,
        })
    }

    /// Begins to take all jobs out of the queue that are there now.
    pub(crate) fn begin_walk(&mut self) -> Walk {
        self.admission.begin_walk()
    }

    /// As [`begin_walk`](Self::begin_walk), by a caller that cancels all of them, until there are [no
    /// more](Self::withdraw_some).
    pub(crate) fn begin_to_cancel_all(&mut self) -> Walk {
        self.walks += 1;
        self.begin_walk()
    }

    /// Somebody waits for the ends of all withdrawals, its own included.
    pub(crate) fn watch_withdrawals(&mut self, countdown: &Arc<Countdown>) {
        self.active.watch_withdrawals(countdown);
    }

    /// Takes the jobs among the next `most` waiters out of the queue. Tells whether there are more.
    pub(crate) fn withdraw_some(&mut self, most: usize, jobs: &mut Vec<Withdrawn>) -> bool {
        // The items that a source has not been asked for do not exist yet.
        let are_more = self.withdraw_those(most, jobs, Waiter::is_job);
        self.walks -= usize::from(!are_more);
        are_more
    }

    /// As [`withdraw_some`](Self::withdraw_some), of those who are to run on this runtime.
    pub(crate) fn withdraw_some_of(
        &mut self,
        runtime: RuntimeId,
        most: usize,
        waiters: &mut Vec<Withdrawn>,
    ) -> bool {
        let workers = self.workers.get(runtime);
        // All walks share one position: whom this one comes to, another does not.
        let cancels_all = self.walks > 0;
        self.withdraw_those(most, waiters, |waiter| {
            workers == Some(waiter.workers()) || (cancels_all && waiter.is_job())
        })
    }

    fn withdraw_those(
        &mut self,
        most: usize,
        waiters: &mut Vec<Withdrawn>,
        is_one: impl Fn(&Waiter) -> bool,
    ) -> bool {
        self.walked += 1;
        for _ in 0..most {
            let Some((ticket, waiter)) = self.admission.walk_on() else {
                return false;
            };
            if is_one(waiter) {
                let mut withdrawn = self.withdraw(ticket);
                if let Some(Withdrawn { waiter, .. }) = &mut withdrawn {
                    self.lose_caller(waiter);
                }
                waiters.extend(withdrawn);
            }
        }
        true
    }

    /// Whether somebody waits who is to run on this runtime.
    pub(crate) fn is_waited_for(&self, runtime: RuntimeId) -> bool {
        self.workers.is_waited_for(runtime)
    }

    /// Those of the jobs of these entries that the walk includes are to be stopped, `but` those that had
    /// these places in the queue, and somebody waits for their ends. Their workers are to be woken under no lock.
    pub(crate) fn stop_some(
        &mut self,
        walk: &Walk,
        entries: Range<usize>,
        but: &BTreeSet<Ticket>,
        countdown: &Arc<Countdown>,
    ) -> Vec<Arc<Remote>> {
        let workers = self.active.stop_some(walk, entries, but, countdown);
        self.workers.stop_each(workers)
    }

    /// The indices of the entries of all who are active lie below this.
    pub(crate) fn end_of_entries(&self) -> usize {
        self.active.end()
    }

    /// The job that had `ticket` in the queue is to be stopped, if it is still active in the entry
    /// at this index. Its worker is to be woken under no lock.
    pub(crate) fn stop(&mut self, ticket: Ticket, index: usize) -> Option<Arc<Remote>> {
        if !self.active.has_job(index, ticket) {
            return None;
        }
        let worker = self.active.stop(index)?;
        self.workers.stop(worker)
    }

    /// The entries of the items of a source.
    pub(crate) fn items(&mut self, id: SourceId) -> Vec<usize> {
        self.sources.items(id)
    }

    /// The places in the queue of the items of a source that wait for themselves.
    pub(crate) fn waiting_items(&mut self, id: SourceId) -> Vec<Ticket> {
        self.sources.waiting(id)
    }

    /// Those of these entries that are still items of the source are to be stopped. Their workers
    /// are to be woken under no lock.
    pub(crate) fn stop_items(&mut self, entries: &[usize], source: SourceId) -> Vec<Arc<Remote>> {
        let entries = entries.iter();
        let workers = entries.filter_map(|entry| self.active.stop_item(*entry, source));
        self.workers.stop_each(workers)
    }

    /// Nobody reads the results of a source any more: it leaves the queue.
    pub(crate) fn abandon(&mut self, id: SourceId) -> Option<(Abandoned, Effects)> {
        let entry = self.sources.remove(id)?;
        let source = entry.ticket.and_then(|ticket| self.withdraw(ticket));
        let mut effects = Effects::default();
        effects.drop_runtimes(self.workers.forget_unused());
        // Most have been read to their end, and hold nothing.
        let is_empty = source.is_none() && entry.results.is_empty() && entry.waiting.is_empty();
        let abandoned = Abandoned {
            source,
            items: entry.items,
            waiting: entry.waiting.into_iter().collect(),
            results: entry.results,
            withdrawal: (!is_empty).then(|| self.begin_withdrawal()),
        };
        Some((abandoned, effects))
    }
}

/// Closing: whom a pool refuses.
impl State {
    /// Whether a source is to give no more items.
    pub(crate) fn refuses(&self, source: &Source) -> bool {
        !self.admission.takes(source.request().front)
    }

    /// Whether what a held permit starts is refused, too.
    pub(crate) fn refuses_all(&self) -> bool {
        self.admission.phase() == Phase::Closed
    }

    pub(crate) fn not_taken(&mut self, waiter: Waiter, spare: Option<Handle>) -> NotTaken {
        // The entry of its workers may be a new one.
        let mut runtimes = self.workers.forget_unused();
        runtimes.extend(spare);
        NotTaken { waiter, runtimes }
    }

    /// From now on the pool refuses what is handed in, but for what jobs wait for. Gives the withdrawal
    /// of those who end at once, and whether the pool was paused; `None` if it does so already.
    pub(crate) fn begin_to_close(&mut self) -> Option<(Withdrawal, bool)> {
        if self.admission.phase() != Phase::Open {
            return None;
        }
        self.admission.enter(Phase::Draining);
        self.closing.ended_before = self.tally.total();
        let now = self.now();
        let was_paused = self.admission.is_paused(now);
        Some((self.begin_withdrawal(), was_paused))
    }

    /// From now on the pool refuses everything, and all jobs are to end. `None` if it is so already.
    pub(crate) fn begin_to_stop(&mut self) -> Option<Withdrawal> {
        if self.refuses_all() {
            return None;
        }
        self.admission.enter(Phase::Closed);
        Some(self.begin_withdrawal())
    }

    /// Takes out those of the sources at these indices that are to give no more items, be they in the
    /// queue or aside. Those that workers ask just now they end themselves.
    pub(crate) fn refuse_sources(&mut self, indices: Range<usize>) -> Vec<SourceBox> {
        let taken = indices.filter_map(|index| {
            let admission = &self.admission;
            let refuses = |source: &Source| !admission.takes(source.request().front);
            let parked = self.sources.take_parked(index, refuses);
            parked.or_else(|| self.refuse_queued_source(index))
        });
        taken.collect()
    }

    fn refuse_queued_source(&mut self, index: usize) -> Option<SourceBox> {
        let ticket = self.sources.ticket_at(index)?;
        let source = self.admission.get(ticket)?.source()?;
        if !self.refuses(source) {
            return None;
        }
        Some(self.withdraw(ticket)?.waiter.into_source())
    }

    pub(crate) fn end_of_sources(&self) -> usize {
        self.sources.end_of_entries()
    }

    /// Takes those among the next `most` waiters out of the queue who end at once: callers that wait for
    /// a slot, and what waits for the end of a pause. Tells whether there are more.
    pub(crate) fn refuse_some(
        &mut self,
        was_paused: bool,
        most: usize,
        refused: &mut Vec<Withdrawn>,
    ) -> bool {
        self.walked += 1;
        // All walks share one position: whom this one comes to, another does not.
        let cancels_all = self.walks > 0;
        let now = self.now();
        for _ in 0..most {
            let Some((ticket, waiter)) = self.admission.walk_on() else {
                return false;
            };
            let (is_blocking, is_job) = (waiter.is_blocking(), waiter.is_job());
            let key = self.admission.key_of_waiter(ticket);
            let is_key_paused = |key| self.admission.is_key_paused(key, now);
            // A job waits for the start of this one.
            let is_blocking = is_blocking && !self.parents.contains_key(&ticket);
            let is_refused =
                is_blocking || is_job && (was_paused || key.is_some_and(is_key_paused));
            if is_refused || is_job && cancels_all {
                let withdrawn = self.withdraw(ticket).map(|mut withdrawn| {
                    withdrawn.is_refused = is_refused;
                    self.lose_caller(&mut withdrawn.waiter);
                    withdrawn
                });
                refused.extend(withdrawn);
            }
        }
        true
    }

    /// How many steps all walks have made.
    pub(crate) fn walked(&self) -> u64 {
        self.walked
    }

    /// Ends the pause of the pool, which nobody can pause any more.
    pub(crate) fn end_pause(&mut self) {
        let now = self.now();
        self.admission.resume(now);
    }

    /// Ends the pauses of the keys at these indices.
    pub(crate) fn end_pauses(&mut self, indices: Range<usize>) {
        let now = self.now();
        for key in self.keys.ids(indices) {
            self.admission.resume_key(key, now);
        }
    }
}

/// Closing: what the report tells.
impl State {
    /// How long ago a job was handed in that has left the queue, if that is known.
    pub(crate) fn age_of(&mut self, ticket: Ticket) -> Option<Duration> {
        let now = self.now();
        let queued_at = self.watch.as_ref()?.queued_at(ticket)?;
        Some(between(queued_at, now))
    }

    /// The jobs of these entries are to be stopped. Their workers are to be woken under no lock.
    pub(crate) fn stop_those(
        &mut self,
        entries: Range<usize>,
    ) -> (Vec<Arc<Remote>>, Vec<StoppedJob>) {
        let (workers, stopped) = self.active.stop_those(entries, |_, _| true);
        self.infos_of(workers, stopped)
    }

    /// As [`stop_those`](Self::stop_those), for those that are outside and could not come back, as the
    /// pool or their key is paused.
    pub(crate) fn stop_paused(
        &mut self,
        entries: Range<usize>,
        was_paused: bool,
    ) -> (Vec<Arc<Remote>>, Vec<StoppedJob>) {
        let now = self.now();
        let Self {
            active, admission, ..
        } = self;
        let is_key_paused = |key| admission.is_key_paused(key, now);
        let (workers, stopped) = active.stop_those(entries, |key, is_outside| {
            is_outside && (was_paused || key.is_some_and(is_key_paused))
        });
        self.infos_of(workers, stopped)
    }

    fn infos_of(
        &mut self,
        workers: Vec<usize>,
        stopped: Vec<Stopped>,
    ) -> (Vec<Arc<Remote>>, Vec<StoppedJob>) {
        let now = self.now();
        let stopped = stopped.into_iter().map(|stopped| {
            let Stopped {
                entry,
                ticket,
                key,
                noted,
            } = stopped;
            let (name, queued_at) =
                noted.map_or((None, None), |noted| (noted.name, noted.queued_at));
            let info = JobInfo {
                id: JobId(ticket),
                name,
                key: key.and_then(|key| self.keys.of_index(key)),
                age: queued_at.map(|queued_at| between(queued_at, now)),
            };
            StoppedJob { entry, info }
        });
        let stopped = stopped.collect();
        (self.workers.stop_each(workers), stopped)
    }

    /// Whether the job has not ended.
    pub(crate) fn still_runs(&self, job: &StoppedJob) -> bool {
        self.active.has_job(job.entry, job.info.id.0)
    }

    /// How many jobs have ended since the pool began to close.
    pub(crate) fn ended_since(&self) -> u64 {
        self.tally.total() - self.closing.ended_before
    }

    /// How many sources have given no more items since.
    pub(crate) fn cut_off_sources(&self) -> usize {
        self.closing.sources
    }

    /// The time so many nanoseconds from now, whether anything depends on it or not.
    pub(crate) fn time_in(&mut self, nanos: u64) -> Time {
        Time::from_nanos(self.clock.now()).after(nanos)
    }

    pub(crate) fn instant(&mut self, at: Time) -> Instant {
        self.clock.instant(at.as_nanos())
    }
}

/// Waiting for an idle pool.
impl State {
    pub(crate) fn join(&mut self, waker: Waker) -> Ticket {
        self.admission.join(waker)
    }

    /// Somebody waits no more. The waker is to be dropped under no lock; there is none if it has
    /// been woken.
    pub(crate) fn leave_joiners(&mut self, ticket: Ticket) -> Option<Waker> {
        self.admission.leave(ticket)
    }

    /// Somebody waits until nothing is active.
    pub(crate) fn join_active(&mut self, waker: Waker) -> Ticket {
        self.admission.join_active(waker)
    }

    /// As [`leave_joiners`](Self::leave_joiners), of those who wait until nothing is active.
    pub(crate) fn leave_drainers(&mut self, ticket: Ticket) -> Option<Waker> {
        self.admission.leave_active(ticket)
    }

    fn ready_joiners(&mut self) -> Option<Drain<Waker>> {
        self.admission.poll_all_idle()
    }
}

/// So many items a slot does a map pull that have not ended, where they have keys or the like.
const AHEAD_OF_MAPS: usize = 4;
