//! The task that runs jobs, one after another, and who starts it.

use std::mem;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::{Admitted, Request, Ticket};

use crate::error::JobError;
use crate::job::body::Ended;
use crate::job::cell::Runnable;
use crate::job::id::JobId;
use crate::job::options::Options;
use crate::job::waiting::Waiting;
use crate::observe::{Event, Seen};
use crate::run::close::refuse;
use crate::run::nested::{self, Polling};
use crate::run::observe::Watch;
use crate::run::outside::{Awaited, Away, OwnWaker, poll_awaited, take_placed};
use crate::source::{End, Item, Pulled, Rest, SourceBox, WaitingItem};
use crate::state::active::{Taken, Waiter, Work};
use crate::state::permits::{Grant, Refusal};
use crate::state::signal::Orders;
use crate::state::workers::{Idle, Member, Wakeup};
use crate::state::{Found, Shared, State, Timers};
use crate::sys::clock::now;
use crate::sys::runtime::{Handle, TaskId, current_task, poll_proceed, yield_to_all};
use crate::sys::sync::MutexGuard;
use crate::sys::unwind::{Payload, discard, guarded, wake};

/// Runs what the first open entry is held for, then whoever is next in the queue, and ends when
/// nobody waits.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// What the state knows it by.
    member: Member,
    /// The index of the entry that it runs, and the slot.
    held: Option<usize>,
    step: Step,
    /// The item that has ended before a source is asked for another.
    spare: Option<Pin<Box<dyn Item>>>,
    /// Whether it has just taken what it is to run.
    is_fresh: bool,
    /// Whether it has offered items to others since it took the turn of a source.
    has_offered: bool,
    /// Whether it has started others for them.
    has_started: bool,
    /// The job that it runs, if somebody observes it.
    watch: Option<Box<Watch>>,
    /// Its job, while that is outside.
    away: Option<Box<Away>>,
    /// What wakes its job, once that has waited outside for something else than its pool.
    own_waker: Option<Box<OwnWaker>>,
    /// What is kept by those for whom its job waits.
    waiting: Vec<Waiting>,
    /// What its job waits for outside.
    awaited: Vec<Arc<dyn Awaited>>,
    /// The task that it is, once it has been polled.
    task: Option<TaskId>,
}

/// What a worker does next.
enum Step {
    /// Take an open entry, or leave.
    Search,
    Run(Work),
    /// Nobody waits: let other tasks have their turn, one of which may hand something in, and
    /// search once more. To end and to start again costs several times as much.
    Yield,
    /// The same, and let the runtime look at its timers and sockets.
    YieldToAll,
    /// The same, while there is a source that may give something at any time: wait to be woken.
    Park,
    Done,
}

impl Shared {
    /// A job that is to run on `runtime` takes the last place in the queue, or a slot if one is
    /// free.
    #[track_caller]
    pub(crate) fn submit(
        self: &Arc<Self>,
        mut job: Runnable,
        runtime: Handle,
        to_wait: bool,
    ) -> Ticket {
        let request = nested::request_in(self, to_wait);
        if request != Request::default() {
            return self.submit_nested(job, runtime, request);
        }
        let mut state = self.lock_for(&runtime);
        if self.observer.is_some() {
            // No more than counts go up for this.
            let seen = seen(&mut job);
            return self.submit_observed(state, job, runtime, None, seen);
        }
        let (ticket, spare) = match state.submit(job, runtime) {
            Ok(taken) => taken,
            Err(not_taken) => {
                drop(state);
                return refuse(not_taken);
            }
        };
        // With all slots held nobody can be admitted: the worker whose job ends will see to it.
        if state.admission().may_admit() {
            self.advance(state);
        } else {
            drop(state);
        }
        discard(spare);
        ticket
    }

    /// As [`submit`](Self::submit), of a job without a key that another one hands in.
    #[cold]
    #[track_caller]
    fn submit_nested(self: &Arc<Self>, job: Runnable, runtime: Handle, request: Request) -> Ticket {
        match self.submit_as(job, runtime, request) {
            Ok(ticket) => ticket,
            Err(_) => unreachable!("there is no key that could panic"),
        }
    }

    /// As [`submit`](Self::submit), of a job that asks for more than its turn. Its key, if it has one,
    /// becomes a clone of that of the pool. If what is foreign in the key panics, the job comes back.
    #[cold]
    #[track_caller]
    pub(crate) fn submit_as(
        self: &Arc<Self>,
        mut job: Runnable,
        runtime: Handle,
        mut request: Request,
    ) -> Result<Ticket, (Runnable, Payload)> {
        let mut state = match job.with_options(Options::take_key).flatten() {
            None => self.lock_for(&runtime),
            Some(mut key) => match self.lock_with_key(&mut key, Timers::On(&runtime)) {
                Ok((state, id)) => {
                    // The one that was there has been taken: nothing foreign is dropped.
                    job.with_options(|options| options.put_key(key));
                    request.key = Some(id);
                    state
                }
                Err(payload) => return Err((job, payload)),
            },
        };
        if self.observer.is_some() {
            // Its key is clone of that of the pool, so nothing foreign is called for this.
            let seen = seen(&mut job);
            return Ok(self.submit_observed(state, job, runtime, Some(request), seen));
        }
        let (ticket, spare) = match state.submit_as(job, runtime, request) {
            Ok(taken) => taken,
            Err(not_taken) => {
                // The key may have been opened for it.
                self.advance(state);
                return Ok(refuse(not_taken));
            }
        };
        if let Some(parent) = nested::entry_in(self).filter(|_| request.front) {
            state.adopt(ticket, parent);
        }
        if state.admission().may_admit() {
            self.advance(state);
        } else {
            self.release(state);
        }
        discard(spare);
        Ok(ticket)
    }

    /// As [`submit`](Self::submit), where somebody observes it.
    #[cold]
    fn submit_observed<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        job: Runnable,
        runtime: Handle,
        request: Option<Request>,
        seen: Seen,
    ) -> Ticket {
        let request = request.unwrap_or_default();
        let (ticket, spare) = match state.submit_as(job, runtime, request) {
            Ok(taken) => taken,
            Err(not_taken) => {
                self.advance(state);
                return refuse(not_taken);
            }
        };
        if let Some(parent) = nested::entry_in(self).filter(|_| request.front) {
            state.adopt(ticket, parent);
        }
        state.note_queued(ticket);
        drop(state);
        // Before this caller starts it, so that the observer hears of that later.
        self.observe_queued(JobId(ticket), seen);
        self.advance(self.lock());
        discard(spare);
        ticket
    }

    /// A caller asks for a slot without a job, and waits on `runtime`. Gives the index by which the
    /// state knows it, unless the pool is closed.
    pub(crate) fn ask_for_slot<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        runtime: Handle,
    ) -> Option<usize> {
        let asked = state.ask_for_slot(runtime, Request::default(), NonZeroU32::MIN);
        self.advance(state);
        match asked {
            Ok((index, _, spare)) => {
                discard(spare);
                Some(index)
            }
            Err(handles) => {
                handles.into_iter().for_each(discard);
                None
            }
        }
    }

    /// A slot without a job, if it is to be had at once, and nobody is before the caller.
    pub(crate) fn take_slot_now<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        runtime: &Handle,
        request: Request,
        weight: NonZeroU32,
    ) -> Result<Grant, Refusal> {
        let (index, ticket, spare) = match state.ask_for_slot(runtime.clone(), request, weight) {
            Ok(asked) => asked,
            Err(handles) => {
                // Its key may have been opened for it.
                self.advance(state);
                handles.into_iter().for_each(discard);
                return Err(Refusal::Closed);
            }
        };
        let mut wakeups = Vec::new();
        for _ in 0..MOST_STARTS {
            let admitted;
            (state, admitted) = self.admit(state);
            let Some(admitted) = admitted else { break };
            let is_it = admitted.ticket == ticket;
            wakeups.extend(state.start(admitted));
            if is_it {
                break;
            }
        }
        let grant = state.take_grant(index);
        let left = grant.is_none().then(|| state.leave_permits(index));
        // Not if the job is to run there.
        let unused = left.as_ref().map(|_| state.forget_unused());
        // Who has come meanwhile, or was left over, is seen to.
        self.advance(state);
        for wakeup in wakeups {
            self.wake_up(wakeup);
        }
        discard(spare);
        discard(left);
        unused.into_iter().flatten().for_each(discard);
        grant.ok_or(Refusal::Full)
    }

    /// Starts a job in a slot that has been taken for it, or `was_held` before. Gives the ticket of the
    /// job.
    pub(crate) fn start_in(
        self: &Arc<Self>,
        mut grant: Grant,
        was_held: bool,
        mut job: Runnable,
        runtime: Handle,
    ) -> Ticket {
        // What it hands in has its own, if it has one.
        let own = job.with_options(|options| {
            if was_held {
                options.forget_weight();
            }
            options.level()
        });
        let own = own.flatten();
        grant.level = own.unwrap_or(grant.level);
        let ticket = grant.ticket;
        let mut state = self.lock();
        if state.refuses_all() {
            state.give_back_grant(grant);
            let not_taken = state.not_taken(Waiter::Job(job), Some(runtime));
            self.advance(state);
            return refuse(not_taken);
        }
        if self.observer.is_some() {
            drop(state);
            self.observe_queued(JobId(ticket), seen(&mut job));
            state = self.lock();
        }
        let (wakeup, spare) = state.start_in(grant, was_held, job, runtime);
        self.release(state);
        if let Some(wakeup) = wakeup {
            self.wake_up(wakeup);
        }
        discard(spare);
        ticket
    }

    /// Changes the number of slots, and starts who fits now. That is this caller's work: it leaves none
    /// of it to the workers, nor to a caller that is at it just now, which may be inside a waker, and this
    /// call inside of that.
    pub(crate) fn resize(self: &Arc<Self>, size: NonZeroUsize) {
        let mut state = self.lock();
        state.resize(size);
        loop {
            // In portions: others get the lock in between.
            let mut started = Vec::new();
            for _ in 0..MOST_STARTS {
                let admitted;
                (state, admitted) = self.admit(state);
                let Some(admitted) = admitted else { break };
                started.push(state.start(admitted));
            }
            if started.is_empty() {
                break;
            }
            drop(state);
            for wakeup in started.into_iter().flatten() {
                self.wake_up(wakeup);
            }
            state = self.lock();
        }
        self.advance(state);
        self.observe(|| Event::Resized { size: size.get() });
    }

    /// Starts a worker for each waiter that is admitted, then tells those who wait for an idle
    /// pool. To be called after every change but the end of a job, which its worker sees to.
    ///
    /// A runtime that shuts down drops a new task inside `spawn`, and the end of that worker comes
    /// here again. So one caller at a time starts workers, in a loop, and whoever comes meanwhile
    /// leaves its waiters to that loop: a million jobs that wait at a shutdown are dropped one
    /// after another, not one inside the other.
    ///
    /// What others hand in meanwhile is not this caller's work: after some starts it leaves the rest
    /// to the workers, each of which comes here when it searches.
    pub(crate) fn advance<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if !state.begin_advance() {
            // The one that is at it looks again before it stops, under this lock.
            return;
        }
        let mut left = MOST_STARTS;
        loop {
            let admitted;
            (state, admitted) = self.admit(state);
            let Some(admitted) = admitted else { break };
            if let Some(wakeup) = state.start(admitted) {
                drop(state);
                self.wake_up(wakeup);
                // Others may have handed in, ended and left meanwhile: the loop looks again.
                state = self.lock();
            }
            left = left.saturating_sub(1);
            if left == 0 && state.admission().may_admit() {
                let wakeups = state.hand_over();
                drop(state);
                for wakeup in wakeups {
                    self.wake_up(wakeup);
                }
                state = self.lock();
                if state.is_handed_over() {
                    break;
                }
                left = MOST_STARTS;
            }
        }
        let effects = state.end_advance();
        self.release(state);
        effects.carry_out();
    }

    /// Who is next in the queue, if it may start. What is due is done before that, in portions: others get
    /// the lock in between.
    fn admit<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, Option<Admitted<Waiter>>) {
        loop {
            let admitted = state.admit();
            if admitted.is_some() || !state.is_behind() {
                return (state, admitted);
            }
            drop(state);
            state = self.lock();
        }
    }

    /// Wakes or starts the worker that is to look for an open entry, under no lock: a runtime that
    /// shuts down drops a new worker here.
    fn wake_up(self: &Arc<Self>, wakeup: Wakeup) {
        match wakeup {
            Wakeup::Worker(remote) => remote.wake(),
            Wakeup::Caller(waker) => wake(Some(waker)),
            Wakeup::New { workers, runtime } => {
                let worker = Worker::new(self.clone(), workers);
                if let Err(payload) = guarded(|| runtime.spawn(worker)) {
                    discard(payload);
                    self.lose_worker(workers);
                }
            }
        }
    }

    /// A hook of the runtime has panicked as a worker was to be started: Tokio keeps such a task, and
    /// never polls it. What the worker would have taken is dropped, as if the runtime had shut down.
    #[cold]
    fn lose_worker(self: &Arc<Self>, workers: usize) {
        let mut instead = Worker::new(self.clone(), workers);
        instead.step = Step::Done;
        let taken = self.lock().lose_worker(&instead.member);
        if let Some(taken) = taken {
            instead.take_up(taken);
        }
    }
}

impl Worker {
    /// A worker that is searching, of the workers at this index.
    fn new(shared: Arc<Shared>, workers: usize) -> Self {
        Self {
            shared,
            member: Member {
                workers,
                remote: None,
            },
            held: None,
            step: Step::Search,
            spare: None,
            is_fresh: false,
            has_offered: false,
            has_started: false,
            watch: None,
            away: None,
            own_waker: None,
            waiting: Vec::new(),
            awaited: Vec::new(),
            task: None,
        }
    }

    /// Takes the first open entry, or leaves. With its waker, it can be reached from the first time
    /// on; without, it is being dropped.
    fn search(&mut self, waker: Option<&Waker>) {
        // So it stays if there is nothing to do: the worker ends, and the next job starts another.
        self.step = Step::Done;
        // Cloned before the lock is taken: a waker is foreign.
        let new = waker.filter(|_| self.member.remote.is_none()).cloned();
        // A worker that is being dropped cannot be woken, nor is another started in its place.
        let is_alive = waker.is_some();
        let mut state = self.shared.lock();
        if let Some(waker) = new {
            self.task = current_task();
            self.member.remote = Some(state.connect(&self.member, waker));
        }
        let found = state.search(&self.member, is_alive);
        if state.has_unattended_turn() {
            // Somebody has left it to the workers.
            self.shared.advance(state);
        } else {
            drop(state);
        }
        match found {
            Found::Work(taken, wakeup) => {
                self.take_up(taken);
                if let Some(wakeup) = wakeup {
                    self.shared.wake_up(wakeup);
                }
            }
            Found::Park => self.step = Step::Park,
            Found::Nothing(left, wakeup) => {
                discard(left);
                if let Some(wakeup) = wakeup {
                    self.shared.wake_up(wakeup);
                }
            }
        }
    }

    /// It is dropped while it is parked, or when it has been woken and has not searched yet.
    fn leave_parked(&mut self) {
        let mut state = self.shared.lock();
        if self.member.is_parked() {
            let left = state.leave(&self.member, false);
            drop(state);
            discard(left);
        } else {
            // It was counted as one that searches, for an entry that nobody else takes perhaps.
            drop(state);
            self.search(None);
        }
    }

    fn take_up(&mut self, taken: Taken) {
        self.held = Some(taken.index);
        self.step = Step::Run(taken.work);
        self.is_fresh = true;
    }

    /// Begins what it has taken. A source is asked for many items in one poll, but for no more than
    /// the budget of the task allows: what it does not allow is begun by whoever comes first.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(budget) = poll_proceed(cx) else {
            if let Some(taken) = lay_down(&mut self.held, &mut self.step, Step::Search) {
                // The others are not counted on any more: this worker is one of them from now on.
                (self.has_offered, self.has_started) = (false, false);
                self.shared.lock().give_back(taken, &self.member);
            }
            return Poll::Pending;
        };
        // Only what has begun uses the budget up: a worker that finds none has begun nothing.
        budget.made_progress();
        // This is the start of a job: not when it was admitted, but when its worker has come.
        if let Step::Run(Work::Job(job)) = &self.step {
            wake(job.take_spawn_waker());
        }
        Poll::Ready(())
    }

    /// As [`watch`](Self::watch), before it polls. Gives what is out of the usual in its job: one that
    /// an observer has heard of begins, whatever is said after that.
    #[cold]
    fn watch_and_take_orders(&mut self) -> Option<Orders> {
        // What is said while it asks a source is for the item.
        let is_job = matches!(self.step, Step::Run(Work::Job(_) | Work::Item(_)));
        let orders = is_job.then(|| self.member.take_orders()).flatten();
        let stop = orders.as_ref().is_some_and(|orders| orders.stop);
        self.watch(!stop);
        orders
    }

    /// Lets an observer know what it runs, if it is a job that it has not heard of, and whether that
    /// begins: if it is to be stopped, it does not.
    #[cold]
    fn watch(&mut self, begins: bool) {
        let (Some(entry), None) = (self.held, &self.watch) else {
            return;
        };
        let (seen, is_item) = match &mut self.step {
            Step::Run(Work::Job(job)) => (seen(job), false),
            Step::Run(Work::Item(item)) => (seen_of(item.as_mut().options()), true),
            _ => return,
        };
        let watch = self.shared.watch(entry, seen, is_item, !begins);
        self.watch = Some(Box::new(watch));
    }

    /// Lets an observer know that the job has ended that it was let know of.
    #[cold]
    fn observe_end(&mut self) {
        if let Some(watch) = self.watch.take() {
            self.shared.observe_end(*watch);
        }
    }

    /// Asks a source for its next item.
    fn pull(&mut self, mut source: SourceBox) {
        self.outlive_stop();
        let spare = self.spare.take();
        let (level, entry) = (source.request().level, self.held.unwrap_or(usize::MAX));
        // A function waits for nothing.
        let pull = || source.pull(spare);
        let (pulled, _) =
            nested::poll(&self.shared, level, entry, self.task, Polling::Source, pull);
        let is_named = matches!(pulled, Pulled::Named(..));
        match pulled {
            Pulled::Item(mut item, rest) | Pulled::Named(mut item, rest) => {
                if let (true, Some(entry)) = (is_named, self.held) {
                    self.shared.lock().note_name(entry, item.as_mut().name());
                }
                self.step = Step::Run(Work::Item(item));
                if self.put_back(source, rest) {
                    // It has the turn of the source again, and others have the item.
                    return;
                }
                if mem::take(&mut self.has_offered) {
                    self.queue_up();
                }
            }
            Pulled::Apart(item, rest) => self.queue_item(source, item, rest),
            Pulled::Nothing(end) => {
                self.has_offered = false;
                // The slot was for an item that does not come: it goes back before the reader is
                // woken, who may hand in what needs it.
                let reader = self.shared.end_source(source, end);
                self.next(Ended::without_a_job(reader), None, true);
            }
        }
    }

    /// An item has options of its own: it takes a place of its own in the queue, and the slot of the
    /// turn goes back, as if it had not been given out.
    #[cold]
    fn queue_item(&mut self, source: SourceBox, mut item: Pin<Box<dyn Item>>, rest: Rest) {
        self.has_offered = false;
        let shared = self.shared.clone();
        let key = item.as_mut().options().and_then(Options::take_key);
        let found = key.map(|mut key| {
            let found = shared.lock_with_key(&mut key, Timers::None);
            found.map(|(state, id)| (state, id, key))
        });
        let (mut state, key) = match found.transpose() {
            Ok(Some((state, id, key))) => {
                // The one that was there has been taken: nothing foreign is dropped.
                if let Some(options) = item.as_mut().options() {
                    options.put_key(key);
                }
                (state, Some(id))
            }
            Ok(None) => (shared.lock(), None),
            Err(payload) => {
                if self.shared.observer.is_some() {
                    self.watch_failed(&mut item);
                }
                let ended = item.as_mut().fail(payload);
                let mut state = shared.lock();
                let again = state.queue_again(source, rest);
                drop(state);
                self.end_if(again);
                self.next(ended, Some(item), true);
                return;
            }
        };
        let (own, weight) = match item.as_mut().options() {
            Some(options) => (options.level(), options.weight()),
            None => (None, NonZeroU32::MIN),
        };
        let mut request = source.request();
        request.level = own.unwrap_or(request.level);
        request.key = key;
        let is_observed = shared.observer.is_some();
        let seen = is_observed.then(|| seen_of(item.as_mut().options()));
        let mut queued = None;
        let waiting = WaitingItem {
            item,
            workers: self.member.workers,
            weight,
        };
        let mut reader = None;
        match (state.enqueue_item(waiting, request), seen) {
            (Ok(ticket), Some(seen)) => {
                state.note_queued(ticket);
                queued = Some((ticket, seen));
            }
            (Ok(_), None) => {}
            (Err(mut item), _) => {
                // The reader has gone while the iterator was asked, or the pool is closed.
                drop(state);
                let mut ended = item.as_mut().give_up_as(JobError::Closed);
                shared.lock().put(item.as_mut(), &mut ended);
                discard(item);
                reader = ended.waker;
                state = shared.lock();
            }
        }
        let again = state.queue_again(source, rest);
        // There may be two more who wait, and room for both.
        shared.advance(state);
        if let Some((ticket, seen)) = queued {
            shared.observe_queued(JobId(ticket), seen);
        }
        wake(reader);
        self.end_if(again);
        self.next(Ended::without_a_job(None), None, true);
    }

    /// Lets an observer know of an item that cannot be queued.
    fn watch_failed(&mut self, item: &mut Pin<Box<dyn Item>>) {
        if let Some(entry) = self.held {
            let seen = seen_of(item.as_mut().options());
            let watch = self.shared.watch(entry, seen, true, true);
            self.watch = Some(Box::new(watch));
        }
    }

    /// Lets the reader of a source know if that has come to its end.
    fn end_if(&self, again: Result<bool, (SourceBox, End)>) {
        if let Err((source, end)) = again {
            wake(self.shared.end_source(source, end));
        }
    }

    /// What was stopped before a source is asked is not the item that it gives.
    fn outlive_stop(&mut self) {
        let (Some((_, remote)), Some(index)) = (&self.member.remote, &self.held) else {
            return;
        };
        // Looked at without the lock: a stop that comes after this stops the item.
        if remote.is_stopped() {
            let mut state = self.shared.lock();
            let effects = state.forget_stop(*index, &self.member);
            drop(state);
            effects.carry_out();
        }
    }

    /// The source of the item that is to be run goes to the back of the queue, or aside while its
    /// reader is behind. If its turn comes again at once, because slots are free, the item is
    /// offered to all workers and this one asks for the next: so a source takes all free slots in
    /// one go, and not one slot each time the runtime comes round. Tells whether it is so.
    fn put_back(&mut self, source: SourceBox, rest: Rest) -> bool {
        let mut state = self.shared.lock();
        let turn = match state.put_back(source, rest) {
            Ok(Some(turn)) => turn,
            // Nobody can be admitted now: this worker begins the item.
            Ok(None) => {
                self.shared.release(state);
                return false;
            }
            Err((source, end)) => {
                drop(state);
                // The reader has gone while the iterator was asked, or all jobs have been cancelled.
                // The item is an active job by now, and is stopped as the others were.
                let is_unwanted = matches!(end, End::CutShort) || self.shared.lock().refuses_all();
                wake(self.shared.end_source(source, end));
                if is_unwanted {
                    self.stop_item();
                }
                return false;
            }
        };
        // The turn may be that of another waiter, which came before: only these workers can take
        // it.
        let again = turn.waiter.workers() == self.member.workers && turn.waiter.is_work();
        let item = if again {
            lay_down(&mut self.held, &mut self.step, Step::Done)
        } else {
            None
        };
        let (taken, wakeup) = match item {
            Some(item) => {
                let (taken, wakeup) = state.fan_out(turn, item, &self.member);
                (Some(taken), wakeup)
            }
            None => (None, state.start(turn)),
        };
        self.shared.release(state);
        if let Some(taken) = taken {
            self.take_up(taken);
            self.has_offered = true;
        }
        // Under no lock, and after the turn was taken: what is started may be dropped inside this.
        if let Some(wakeup) = wakeup {
            self.has_started = true;
            self.shared.wake_up(wakeup);
        }
        again
    }

    /// Nobody wants the item any more that has been pulled.
    fn stop_item(&self) {
        if let Some((_, remote)) = &self.member.remote {
            remote.stop();
        }
    }

    /// The last item of those that were offered is begun after the others, by whoever comes first.
    fn queue_up(&mut self) {
        let Some(item) = lay_down(&mut self.held, &mut self.step, Step::Yield) else {
            return;
        };
        let mut state = self.shared.lock();
        let wakeup = state.offer_last(item, &self.member);
        // Those who were started for the items can be reached by the other threads of the runtime
        // only when this one yields.
        let taken = if mem::take(&mut self.has_started) {
            None
        } else {
            state.take_open(&self.member)
        };
        drop(state);
        if let Some(taken) = taken {
            self.take_up(taken);
        }
        if let Some(wakeup) = wakeup {
            self.shared.wake_up(wakeup);
        }
    }

    /// Gives the slot back, and takes whoever is next if it may begin something in this poll. The
    /// result of an item goes where it belongs before that: a reader that is woken finds it.
    fn next(&mut self, mut ended: Ended, mut item: Option<Pin<Box<dyn Item>>>, may_begin: bool) {
        let Some(held) = self.held.take() else {
            return;
        };
        // One lock for the end of this job and the start of the next: nobody sees the slot free
        // while somebody waits.
        let mut state = self.shared.lock_at_end();
        if let Some(unwanted) = item.take_if(|item| !state.put(item.as_mut(), &mut ended)) {
            // Under no lock, and before the slot goes back: who joins the pool finds it dropped.
            drop(state);
            discard(unwanted);
            state = self.shared.lock();
        }
        if let Some(watch) = &mut self.watch {
            watch.end(&mut state, held, &ended);
        }
        let (next, wakeup, effects) = state.finish(held, ended, &self.member, may_begin);
        self.shared.release(state);
        match next {
            Ok(taken) => self.take_up(taken),
            Err(Idle::Yield) => self.step = Step::Yield,
            Err(Idle::YieldToAll) => self.step = Step::YieldToAll,
            Err(Idle::Park) => self.step = Step::Park,
            Err(Idle::Leave) => self.step = Step::Done,
        }
        // Another worker begins while this one wakes who waits.
        if let Some(wakeup) = wakeup {
            self.shared.wake_up(wakeup);
        }
        if self.watch.is_some() {
            self.observe_end();
        }
        effects.carry_out();
        // The next item takes the allocation of the one that has ended.
        if let Step::Run(Work::Pull(_)) = self.step {
            self.spare = item;
        }
    }

    /// Polls its job. One that waits for something that nobody need hold a slot for goes outside.
    #[inline]
    fn poll_work(&mut self, cx: &mut Context<'_>, mut orders: Orders) -> Poll<Ended> {
        let entry = self.held.unwrap_or(usize::MAX);
        loop {
            let waker = match &self.own_waker {
                None => cx.waker(),
                Some(own) => {
                    // What wakes it from here on is for its next poll.
                    own.take_woken();
                    own.waker()
                }
            };
            let job_cx = &mut Context::from_waker(waker);
            let poll = || match &mut self.step {
                Step::Run(Work::Job(job)) => job.poll(job_cx, orders.stop),
                Step::Run(Work::Item(item)) => item.as_mut().poll(job_cx, orders.stop),
                _ => unreachable!("it runs a job"),
            };
            let what = Polling::Job;
            let (polled, waits) =
                nested::poll(&self.shared, orders.level, entry, self.task, what, poll);
            let keeps_none = self.waiting.is_empty() && self.awaited.is_empty();
            if !waits && (polled.is_ready() || keeps_none) {
                return polled;
            }
            let job = (Arc::as_ptr(&self.shared), entry);
            self.waiting.extend(nested::take_waiting(job));
            self.waiting.retain(Waiting::is_kept);
            self.awaited.extend(take_placed(job));
            self.awaited.retain(|awaited| awaited.is_kept());
            if polled.is_ready() || self.awaited.is_empty() && self.waiting.is_empty() {
                return polled;
            }
            orders.stop = false;
            if self.awaited.is_empty() || self.own_waker.is_some() {
                ready!(self.wait_outside(cx));
                // It may be back to be stopped.
                orders = self.member.take_orders().unwrap_or_default();
                continue;
            }
            // Its wake-ups have to be told from those of what it waits for: so it leaves this waker
            // wherever it has left the other one.
            self.own_waker = Some(Box::new(OwnWaker::new(cx.waker().clone())));
        }
    }

    /// Its job gives its slots back until it is to be polled again. Ready when it has them.
    #[cold]
    fn wait_outside(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(entry) = self.held else {
            return Poll::Pending;
        };
        self.with_options(|options| options.pause_timeout(now()));
        self.away = Some(Box::new(Away::new(!self.waiting.is_empty())));
        self.shared.go_outside(entry);
        if let Some(watch) = &self.watch {
            watch.outside(&self.shared);
        }
        if self.awaited.is_empty() {
            // Whatever comes next is a wake-up.
            return Poll::Pending;
        }
        self.poll_outside(cx)
    }

    /// Ready when its job has its slots again, because it is to be polled or stopped.
    #[cold]
    fn poll_outside(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let weight = self.with_options(|options| options.weight());
        let weight = weight.unwrap_or(NonZeroU32::MIN);
        let (Some(entry), Some(away), Some((_, remote))) =
            (self.held, &mut self.away, &self.member.remote)
        else {
            return Poll::Ready(());
        };
        if remote.is_stopped() {
            self.shared.force_back(entry, weight);
        } else {
            if !away.comes_back() {
                let is_woken = self.own_waker.as_ref().is_none_or(|own| own.take_woken());
                let own = self.own_waker.as_ref().map(|own| own.waker());
                let (level, poll) = (remote.level(), || poll_awaited(&self.awaited, cx, own));
                let (polled, _) = nested::poll(
                    &self.shared,
                    level,
                    entry,
                    self.task,
                    Polling::Awaited,
                    poll,
                );
                if polled.is_pending() && !is_woken {
                    return Poll::Pending;
                }
                away.come_back(&self.shared, entry, &self.member, weight);
            }
            if !self.shared.lock().look_for_slots(entry) {
                return Poll::Pending;
            }
        }
        self.away = None;
        self.with_options(|options| options.resume_timeout(now()));
        if let Some(watch) = &self.watch {
            watch.back(&self.shared);
        }
        Poll::Ready(())
    }

    /// Calls `f` with the options of its job, if that may have some.
    fn with_options<R>(&mut self, f: impl FnOnce(&mut Options) -> R) -> Option<R> {
        match &mut self.step {
            Step::Run(Work::Job(job)) => job.with_options(f),
            Step::Run(Work::Item(item)) => item.as_mut().options().map(f),
            _ => None,
        }
    }

    /// Drops what is run, or was to be begun, where it stands. An item that is given back has its
    /// result.
    fn give_up(&mut self) -> (Ended, Option<Pin<Box<dyn Item>>>) {
        let ended = match mem::replace(&mut self.step, Step::Done) {
            Step::Run(Work::Pull(source)) => {
                Ended::without_a_job(self.shared.end_source(source, End::CutShort))
            }
            Step::Run(Work::Job(job)) => job.give_up(),
            Step::Run(Work::Item(mut item)) => return (item.as_mut().give_up(), Some(item)),
            Step::Search | Step::Yield | Step::YieldToAll | Step::Park | Step::Done => {
                Ended::without_a_job(None)
            }
        };
        (ended, None)
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.get_mut();
        // One job begins in a poll, as in that of a task. So everything that Tokio does after so many
        // polls, and everybody who waits in its queue, comes as soon as beside tasks. A job that
        // began in an earlier poll is polled on, and the next may begin in this one if it ends.
        let mut may_begin = matches!(worker.step, Step::Run(_));
        loop {
            // It yields before it begins something, never between: what has begun is polled on.
            if mem::take(&mut worker.is_fresh) {
                ready!(worker.begin(cx));
            }
            let is_observed = worker.shared.observer.is_some();
            if worker.away.is_some() {
                ready!(worker.poll_outside(cx));
            }
            let orders = is_observed.then(|| worker.watch_and_take_orders());
            let mut ended = match &mut worker.step {
                Step::Run(Work::Job(_) | Work::Item(_)) => {
                    let orders = orders.unwrap_or_else(|| worker.member.take_orders());
                    ready!(worker.poll_work(cx, orders.unwrap_or_default()))
                }
                Step::Run(Work::Pull(_)) => {
                    if let Step::Run(Work::Pull(source)) =
                        mem::replace(&mut worker.step, Step::Done)
                    {
                        worker.pull(source);
                    }
                    continue;
                }
                Step::Search => {
                    worker.search(Some(cx.waker()));
                    continue;
                }
                Step::Yield => {
                    // Its own wake-up puts it behind all tasks that are ready now.
                    worker.step = Step::Search;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Step::YieldToAll => {
                    worker.step = Step::Search;
                    yield_to_all(cx);
                    return Poll::Pending;
                }
                Step::Park => {
                    // Tokio polls tasks that nobody has woken for this, too.
                    if worker.member.is_parked() {
                        return Poll::Pending;
                    }
                    worker.step = Step::Search;
                    continue;
                }
                Step::Done => return Poll::Ready(()),
            };
            worker.own_waker = None;
            worker.waiting.clear();
            worker.awaited.clear();
            let mut ended_item = None;
            match mem::replace(&mut worker.step, Step::Done) {
                // The result is in the cell: from here on the handle may take it.
                Step::Run(Work::Job(job)) => ended.waker = job.settle(),
                Step::Run(Work::Item(item)) => ended_item = Some(item),
                _ => {}
            }
            worker.next(ended, ended_item, mem::take(&mut may_begin));
        }
    }
}

/// A worker that is dropped before its end was dropped by its runtime, which shuts down.
impl Drop for Worker {
    fn drop(&mut self) {
        match self.step {
            Step::Park => self.leave_parked(),
            // It was counted on for an open entry. If there is one, its job ends here too: the
            // others of this runtime are dropped as well, and may have been dropped already.
            Step::Search | Step::Yield | Step::YieldToAll => self.search(None),
            Step::Run(_) | Step::Done => {}
        }
        while let Some(held) = self.held.take() {
            if self.shared.observer.is_some() {
                self.held = Some(held);
                self.watch(false);
                self.held = None;
            }
            // What the job drops is foreign: it goes before the lock is taken, and before the slot
            // goes back.
            let (mut ended, item) = self.give_up();
            if let Some(mut item) = item {
                self.shared.lock().put(item.as_mut(), &mut ended);
                // If nobody wants the result, it is in there.
                discard(item);
            }
            let mut state = self.shared.lock();
            if let Some(watch) = &mut self.watch {
                watch.end(&mut state, held, &ended);
            }
            let (next, effects) = state.finish_and_leave(held, ended, &self.member);
            // Whoever is next may be of a runtime that goes on.
            self.shared.advance(state);
            self.observe_end();
            effects.carry_out();
            // More entries are open than workers are left: they are given up here, one after
            // another.
            if let Some(taken) = next {
                self.take_up(taken);
            }
        }
    }
}

/// What an observer sees of a job.
fn seen(job: &mut Runnable) -> Seen {
    let seen = job.with_options(|options| Seen::of(options));
    seen.unwrap_or_default()
}

fn seen_of(options: Option<&mut Options>) -> Seen {
    options.map(|options| Seen::of(options)).unwrap_or_default()
}

/// Parts with what has been taken, to do `next` instead. Apart from the rest of the worker, whose
/// pool is locked meanwhile.
fn lay_down(held: &mut Option<usize>, step: &mut Step, next: Step) -> Option<Taken> {
    let index = held.take()?;
    match mem::replace(step, next) {
        Step::Run(work) => Some(Taken { index, work }),
        _ => unreachable!("who holds a slot runs something"),
    }
}

/// So many are started by one caller before it leaves the others to the workers.
const MOST_STARTS: usize = if cfg!(aiopool_models) { 1 } else { 32 };

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use super::MOST_STARTS;
    use crate::pool::Pool;

    /// Hands `jobs` in while somebody else is said to start them, and starts them then.
    fn release(pool: &Pool, jobs: usize) -> Vec<crate::handle::JobHandle<()>> {
        assert!(pool.shared.lock().begin_advance());
        let handles = pool.map_n(0..jobs, |_| async {});
        let mut state = pool.shared.lock();
        drop(state.end_advance());
        pool.shared.advance(state);
        handles
    }

    #[tokio::test]
    async fn a_caller_starts_some_of_those_whom_others_have_handed_in_and_leaves_the_rest() {
        let pool = Pool::new(10 * MOST_STARTS);
        let handles = release(&pool, 8 * MOST_STARTS);
        assert_eq!(pool.active(), MOST_STARTS);
        for handle in handles {
            handle.await.expect("the workers start it");
        }
    }

    #[test]
    fn the_rest_is_started_on_each_runtime_though_that_of_the_others_stands_still() {
        let pool = Pool::new(10 * MOST_STARTS);
        let runtime = || {
            let builder = &mut tokio::runtime::Builder::new_current_thread();
            builder.build().expect("a runtime needs nothing")
        };
        let (still, other) = (runtime(), runtime());
        assert!(pool.shared.lock().begin_advance());
        let _waiting = {
            let _entered = still.enter();
            pool.map_n(0..2 * MOST_STARTS, |_| async {})
        };
        let entered = other.enter();
        let handle = pool.spawn_n(async {});
        drop(entered);
        let mut state = pool.shared.lock();
        drop(state.end_advance());
        pool.shared.advance(state);
        let ended = other.block_on(handle);
        ended.expect("its runtime is driven");
    }

    #[test]
    fn a_runtime_that_has_shut_down_gives_all_of_them_up() {
        let pool = Pool::new(2);
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().expect("a runtime needs nothing");
        let handle = runtime.handle().clone();
        drop(runtime);
        let _entered = handle.enter();
        let handles = release(&pool, 10 * MOST_STARTS);
        assert!(handles.iter().all(crate::handle::JobHandle::is_finished));
        assert_eq!((pool.len(), pool.active()), (0, 0));
    }
}
