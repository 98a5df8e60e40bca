//! The task that runs jobs, one after another, and who starts it.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::{Slot, Ticket};

use crate::job::body::Ended;
use crate::job::cell::Owner;
use crate::source::{End, Item, Pulled, Rest, Source};
use crate::state::Shared;
use crate::state::State;
use crate::state::active::{Taken, Waiter, Work};
use crate::state::signal::{Tether, tell};
use crate::state::workers::{Respite, Summons};
use crate::sys::runtime::{Handle, poll_proceed};
use crate::sys::sync::{MutexGuard, Ordering};
use crate::sys::unwind::{discard, wake};

impl Shared {
    /// A job that is to run on `home` takes the last place in the line, or a slot if one is free.
    pub(crate) fn submit(self: &Arc<Self>, job: Owner, home: Handle) -> Ticket {
        let mut state = self.lock();
        let (crew, spare) = state.crew_on(home);
        let ticket = state.submit(Waiter::Job(job), crew);
        if state.admission.active() < self.size.get() {
            self.advance(state);
        } else {
            drop(state);
        }
        drop(spare);
        ticket
    }

    /// Calls whoever is to look for an open post, under no lock: a runtime that shuts down drops a new
    /// worker here.
    pub(crate) fn call(self: &Arc<Self>, summons: Summons) {
        match summons {
            Summons::Sleeper(tether) => tether.waker.wake_by_ref(),
            Summons::Recruit { crew, home } => {
                home.spawn(Worker::new(self.clone(), crew));
            }
        }
    }

    /// Starts a worker for each waiter that is admitted, then tells those who wait for an idle
    /// pool. To be called after every change but the end of a job, which its worker sees to.
    ///
    /// A runtime that shuts down drops a new task inside `spawn`, and the end of that worker comes
    /// here again. So one caller at a time starts workers, in a loop, and whoever comes meanwhile
    /// leaves its waiters to that loop: a million jobs that wait at a shutdown are dropped one
    /// after another, not one inside the other.
    pub(crate) fn advance<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if state.starting {
            return;
        }
        state.starting = true;
        while let Some(admitted) = state.admit() {
            if let Some(worker) = state.open_post(admitted) {
                drop(state);
                self.call(worker);
                state = self.lock();
            }
        }
        state.starting = false;
        let idle = state.idle();
        drop(state);
        wake(idle);
    }
}

/// Runs what the first open post is held for, then whoever is next in line, and ends when nobody
/// waits.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// The key of its crew.
    crew: usize,
    /// What it can be stopped by, with its key.
    tether: Option<(usize, Arc<Tether>)>,
    /// The key of its post, and the slot.
    post: Option<(usize, Slot)>,
    work: Work,
    /// The item that has ended before a source is asked for another.
    spare: Option<Pin<Box<dyn Item>>>,
    /// Whether it has just taken up its post.
    is_fresh: bool,
    /// Whether it has offered items to others since it took up the turn of a source.
    has_offered: bool,
    /// Whether it has started others for them.
    has_started: bool,
}

impl Worker {
    /// A worker that is looking, of the crew at this key.
    fn new(shared: Arc<Shared>, crew: usize) -> Self {
        Self {
            shared,
            crew,
            tether: None,
            post: None,
            work: Work::Look,
            spare: None,
            is_fresh: false,
            has_offered: false,
            has_started: false,
        }
    }

    /// Takes up the first open post, or leaves. With its waker, at the first time it is tied to the
    /// pool; without, it is being dropped.
    fn look(&mut self, waker: Option<&Waker>) {
        self.work = Work::Done;
        let new = waker.filter(|_| self.tether.is_none()).cloned();
        let may_sleep = waker.is_some();
        let mut state = self.shared.lock();
        if let Some(waker) = new {
            let tether = Arc::new(Tether::new(waker));
            self.tether = Some((state.tethers.insert(tether.clone()), tether));
        }
        if let Some(taken) = state.claim(self.crew, self.key()) {
            drop(state);
            return self.take_up(taken);
        }
        if may_sleep && state.rest(self.crew, self.key()) == Respite::Sleep {
            self.work = Work::Sleep;
            return;
        }
        let left = state.leave(self.crew, true, self.key());
        drop(state);
        drop(left);
    }

    /// It is dropped in its sleep, or when it has been called and not looked yet.
    fn leave_sleeping(&mut self) {
        let mut state = self.shared.lock();
        if self.is_asleep() {
            let left = state.leave(self.crew, false, self.key());
            drop(state);
            drop(left);
        } else {
            drop(state);
            self.look(None);
        }
    }

    fn is_asleep(&self) -> bool {
        let tether = self.tether.as_ref();
        tether.is_some_and(|(_, tether)| tether.is_asleep())
    }

    /// The key of its tether.
    fn key(&self) -> Option<usize> {
        self.tether.as_ref().map(|(key, _)| *key)
    }

    /// Begins what it has taken up. However many jobs end without ever suspending, other tasks get
    /// their turn: what the budget of the task does not allow is begun by whoever comes first.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(budget) = poll_proceed(cx) else {
            if let Some((key, slot)) = self.post.take() {
                let work = mem::replace(&mut self.work, Work::Look);
                (self.has_offered, self.has_started) = (false, false);
                self.shared.lock().postpone(key, slot, work, self.crew);
            }
            return Poll::Pending;
        };
        budget.made_progress();
        if let Work::Job(job) = &self.work {
            wake(job.take_caller());
        }
        Poll::Ready(())
    }

    /// Asks a source for its next item.
    fn pull(&mut self, mut source: Box<Source>) {
        self.outlive_stop();
        match source.pull(self.spare.take()) {
            Pulled::Item(item, rest) => {
                self.work = Work::Item(item);
                if self.put_back(source, rest) {
                    return;
                }
                if mem::take(&mut self.has_offered) {
                    self.queue_up();
                }
            }
            Pulled::Nothing(end) => {
                self.has_offered = false;
                let reader = self.shared.retire(*source, end);
                self.next(Ended::without_a_job(reader), None);
            }
        }
    }

    /// What was stopped before a source is asked is not the item that it gives.
    fn outlive_stop(&mut self) {
        let (Some((_, tether)), Some((key, _))) = (&self.tether, &self.post) else {
            return;
        };
        if tether.stop.load(Ordering::Relaxed) {
            let mut state = self.shared.lock();
            tether.stop.store(false, Ordering::Relaxed);
            let watchers = state.posts[*key].take_watchers();
            drop(state);
            tell(&watchers, false);
        }
    }

    /// Nobody wants the item any more that has been pulled.
    fn stop_item(&self) {
        if let Some((_, tether)) = &self.tether {
            tether.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The source of the item that is to be run goes to the back of the line, or aside while its
    /// reader is behind. If its turn comes again at once, because slots are free, the item is
    /// offered to all workers and this one asks for the next: so a source takes all free slots in
    /// one go, and not one slot each time the runtime comes round. Tells whether it is so.
    fn put_back(&mut self, mut source: Box<Source>, rest: Rest) -> bool {
        let mut state = self.shared.lock();
        state.is_asked_no_more(&mut source);
        let Some(results) = state.results(source.id()) else {
            drop(state);
            self.shared.discard(*source);
            self.stop_item();
            return false;
        };
        let source = match rest {
            Rest::Wanted => Some(source),
            Rest::Unwanted => results.park(source),
            Rest::Exhausted => {
                drop(state);
                wake(self.shared.retire(*source, End::Exhausted));
                return false;
            }
        };
        let Some(source) = source else { return false };
        state.line_up(source);
        // Whoever starts workers now starts one for the source, and whoever lies in wait takes it.
        if state.starting || state.lying_in_wait > 0 {
            return false;
        }
        let Some(admitted) = state.admit() else {
            return false;
        };
        let again = admitted.waiter.crew() == self.crew;
        let worker = if again {
            let taken = state.new_post(admitted);
            let item = mem::replace(&mut self.work, taken.work);
            let left = self.post.replace((taken.key, taken.slot));
            let worker = left.and_then(|(key, slot)| {
                state.lay_down(key);
                state.offer(key, slot, item, self.crew)
            });
            let worker_key = self.key();
            state.take_up(taken.key, &mut self.work, worker_key);
            (self.is_fresh, self.has_offered) = (true, true);
            worker
        } else {
            state.open_post(admitted)
        };
        drop(state);
        if let Some(worker) = worker {
            self.has_started = true;
            self.shared.call(worker);
        }
        again
    }

    /// The last item of those that were offered is begun after the others, by whoever comes first.
    fn queue_up(&mut self) {
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let item = mem::replace(&mut self.work, Work::Linger);
        let mut state = self.shared.lock();
        state.lay_down(key);
        state.looks(self.crew);
        // There are as many who are looking as there are open posts, this one included.
        let nobody = state.offer(key, slot, item, self.crew);
        debug_assert!(nobody.is_none());
        // Those who were started for the items can be reached by the other threads of the runtime
        // only when this one yields.
        if mem::take(&mut self.has_started) {
            return;
        }
        let taken = state.claim(self.crew, self.key());
        drop(state);
        if let Some(taken) = taken {
            self.take_up(taken);
        }
    }

    fn take_up(&mut self, taken: Taken) {
        self.post = Some((taken.key, taken.slot));
        self.work = taken.work;
        self.is_fresh = true;
    }

    /// Gives the slot back, and takes up whoever is next. The result of an item goes where it
    /// belongs before that.
    fn next(&mut self, mut ended: Ended, mut item: Option<Pin<Box<dyn Item>>>) {
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let mut state = self.shared.lock_at_end();
        state.executed += ended.begun;
        let unwanted = item.take_if(|item| !state.put(item.as_mut(), &mut ended));
        state.admission.finish(slot);
        let admitted = state.admit();
        match admitted {
            Some(admitted) if state.is_for(&admitted.waiter, self.crew) => {
                let (taken, watchers) = state.keep_post(key, admitted);
                if let Some((_, tether)) = &self.tether {
                    tether.stop.store(false, Ordering::Relaxed);
                }
                drop(state);
                self.take_up(taken);
                wake(ended.waker);
                if let Some(watchers) = watchers {
                    tell(&watchers, ended.stopped);
                }
            }
            admitted => {
                let mut post = state.posts.remove(key);
                state.looks(self.crew);
                let worker = admitted.and_then(|admitted| state.open_post(admitted));
                let taken = state.claim(self.crew, self.key());
                if taken.is_none() {
                    self.work = match state.rest(self.crew, self.key()) {
                        Respite::Linger => Work::Linger,
                        Respite::Sleep => Work::Sleep,
                    };
                }
                let idle = state.idle();
                drop(state);
                if let Some(taken) = taken {
                    self.take_up(taken);
                }
                if let Some(worker) = worker {
                    self.shared.call(worker);
                }
                wake(ended.waker);
                tell(&post.take_watchers(), ended.stopped);
                wake(idle);
            }
        }
        if let Work::Pull(_) = self.work {
            self.spare = item;
        }
        if unwanted.is_some() {
            discard(unwanted);
        }
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.get_mut();
        loop {
            if mem::take(&mut worker.is_fresh) {
                ready!(worker.begin(cx));
            }
            let mut ended = match &mut worker.work {
                Work::Job(job) => ready!(job.poll(cx, is_stopped(worker.tether.as_ref()))),
                Work::Item(item) => {
                    ready!(item.as_mut().poll(cx, is_stopped(worker.tether.as_ref())))
                }
                Work::Pull(_) => {
                    if let Work::Pull(source) = mem::replace(&mut worker.work, Work::Done) {
                        worker.pull(source);
                    }
                    continue;
                }
                Work::Look => {
                    worker.look(Some(cx.waker()));
                    continue;
                }
                Work::Linger => {
                    worker.work = Work::Look;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Work::Sleep => {
                    if worker.is_asleep() {
                        return Poll::Pending;
                    }
                    worker.work = Work::Look;
                    continue;
                }
                Work::Done => return Poll::Ready(()),
            };
            let mut ended_item = None;
            match mem::replace(&mut worker.work, Work::Done) {
                Work::Job(job) => ended.waker = job.settle(),
                Work::Item(item) => ended_item = Some(item),
                _ => {}
            }
            worker.next(ended, ended_item);
        }
    }
}

/// A worker that is dropped before its end was dropped by its runtime, which shuts down.
impl Drop for Worker {
    fn drop(&mut self) {
        match self.work {
            Work::Sleep => self.leave_sleeping(),
            Work::Look | Work::Linger => self.look(None),
            _ => {}
        }
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let (mut ended, mut item) = give_up(mem::replace(&mut self.work, Work::Done), &self.shared);
        let mut state = self.shared.lock();
        if let Some(item) = &mut item {
            state.put(item.as_mut(), &mut ended);
        }
        let mut post = state.posts.remove(key);
        state.executed += ended.begun;
        state.admission.finish(slot);
        let left = state.leave(self.crew, false, self.key());
        self.shared.advance(state);
        drop(left);
        wake(ended.waker);
        tell(&post.take_watchers(), ended.stopped);
        discard(item);
    }
}

/// Whether a job is to be stopped now; tells it once.
fn is_stopped(tether: Option<&(usize, Arc<Tether>)>) -> bool {
    tether.is_some_and(|(_, tether)| tether.is_pulled())
}

/// Drops what is run, or was to be begun, where it stands. An item that is given back has its
/// result.
fn give_up(work: Work, shared: &Shared) -> (Ended, Option<Pin<Box<dyn Item>>>) {
    let ended = match work {
        Work::Pull(source) => Ended::without_a_job(shared.retire(*source, End::CutShort)),
        Work::Job(job) => job.give_up(),
        Work::Item(mut item) => return (item.as_mut().give_up(), Some(item)),
        Work::Look | Work::Linger | Work::Sleep | Work::Done => Ended::without_a_job(None),
    };
    (ended, None)
}
