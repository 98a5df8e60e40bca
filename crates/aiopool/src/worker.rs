//! The task that runs jobs, one after another.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::{Admitted, Slot};

use crate::cell::Owner;
use crate::foreign::wake;
use crate::line::{Shared, Waiter};
use crate::posts::Claimed;
use crate::run::Ended;
use crate::runtime::{Handle, poll_proceed};
use crate::source::{End, Item, Pulled, Source};
use crate::stop::{Tether, tell};
use crate::sync::{AtomicBool, Ordering};

/// Runs what the first open post is held for, then whoever is next in line, and ends when nobody
/// waits.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    home: Handle,
    /// What it can be stopped by, with its key.
    tether: Option<(usize, Arc<Tether>)>,
    /// The key of its post, and the slot.
    post: Option<(usize, Slot)>,
    work: Work,
    /// Whether it has offered items to others since it took up the turn of a source.
    has_offered: bool,
    /// Whether it has started others for them.
    has_started: bool,
}

/// What a worker does next.
pub(crate) enum Work {
    /// Take up an open post, or leave.
    Look,
    Begin(Waiter),
    /// Begin an item that another worker has pulled.
    Offered(Pin<Box<dyn Item>>),
    Job(Owner),
    Item(Pin<Box<dyn Item>>),
    /// Nobody waits: let other tasks have their turn, one of which may hand something in, and look
    /// once more. To end and to start again costs several times as much.
    Linger,
    Done,
}

impl Worker {
    /// A worker that is looking.
    pub(crate) fn new(shared: Arc<Shared>, home: Handle) -> Self {
        Self {
            shared,
            home,
            tether: None,
            post: None,
            work: Work::Look,
            has_offered: false,
            has_started: false,
        }
    }

    /// Starts the task, to be called under no lock: a runtime that shuts down drops it here.
    pub(crate) fn start(self) {
        self.home.clone().spawn(self);
    }

    /// Takes up the first open post, or leaves. At the first time it is tied to the pool.
    fn look(&mut self, waker: Option<Waker>) {
        self.work = Work::Done;
        let mut state = self.shared.lock();
        if let Some(waker) = waker {
            let tether = Arc::new(Tether {
                stop: AtomicBool::new(false),
                waker,
            });
            self.tether = Some((state.tethers.insert(tether.clone()), tether));
        }
        if let Some(claimed) = state.claim(&self.home, self.key()) {
            drop(state);
            self.take_up(claimed);
        } else {
            let tether = state.leave(&self.home, true, self.key());
            drop(state);
            drop(tether);
        }
    }

    /// The key of its tether.
    fn key(&self) -> Option<usize> {
        self.tether.as_ref().map(|(key, _)| *key)
    }

    /// Takes up what has been admitted.
    fn begin(&mut self) {
        match mem::replace(&mut self.work, Work::Done) {
            Work::Begin(Waiter::Job(job)) => self.work = Work::Job(job),
            Work::Begin(Waiter::Blocked(job)) => {
                wake(job.take_waker());
                self.work = Work::Job(job);
            }
            Work::Begin(Waiter::Source(source)) => self.pull(source),
            Work::Offered(item) => self.work = Work::Item(item),
            work => self.work = work,
        }
    }

    /// Asks a source for its next item.
    fn pull(&mut self, mut source: Box<Source>) {
        self.outlive_stop();
        match source.pull() {
            Pulled::Item(item) => {
                self.work = Work::Item(item);
                if source.is_exhausted() {
                    wake(source.retire(End::Exhausted));
                } else if self.put_back(source) {
                    return;
                }
                if mem::take(&mut self.has_offered) {
                    self.queue_up();
                }
            }
            Pulled::Nothing(end) => {
                self.has_offered = false;
                self.next(Ended::without_a_job(source.retire(end)));
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

    /// The source of the item that is to be run goes to the back of the line, or aside while its
    /// reader is behind. If its turn comes again at once, because slots are free, the item is
    /// offered to all workers and this one asks for the next: so a source takes all free slots in
    /// one go, and not one slot each time the runtime comes round. Tells whether it is so.
    fn put_back(&mut self, source: Box<Source>) -> bool {
        let Some(source) = source.park() else {
            return false;
        };
        let mut state = self.shared.lock();
        if let Err(abandoned) = state.line_up(source) {
            drop(state);
            wake(abandoned.retire(End::CutShort));
            return false;
        }
        // Whoever starts workers now starts one for the source.
        if state.starting {
            return false;
        }
        let Some(admitted) = state.admission.poll_admit() else {
            return false;
        };
        let again = admitted.waiter.home().id() == self.home.id();
        let worker = if again {
            let Admitted {
                slot,
                ticket,
                waiter,
            } = admitted;
            let post = (state.new_post(ticket, &waiter), slot);
            let item = mem::replace(&mut self.work, Work::Begin(waiter));
            let left = self.post.replace(post);
            let worker = left.and_then(|(key, slot)| {
                state.lay_down(key);
                self.shared
                    .offer(&mut state, key, slot, item.offered(), &self.home)
            });
            if let Some((key, _)) = &self.post {
                state.take_up(*key, self.key());
            }
            self.has_offered = true;
            worker
        } else {
            self.shared.open_post(&mut state, admitted)
        };
        drop(state);
        if let Some(worker) = worker {
            self.has_started = true;
            worker.start();
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
        state.looks(&self.home);
        // There are as many who are looking as there are open posts, this one included.
        let nobody = self
            .shared
            .offer(&mut state, key, slot, item.offered(), &self.home);
        debug_assert!(nobody.is_none());
        // Those who were started for the items can be reached by the other threads of the runtime
        // only when this one yields.
        if mem::take(&mut self.has_started) {
            return;
        }
        let claimed = state.claim(&self.home, self.key());
        drop(state);
        claimed
            .into_iter()
            .for_each(|claimed| self.take_up(claimed));
    }

    fn take_up(&mut self, (key, slot, work): Claimed) {
        self.post = Some((key, slot));
        self.work = work;
    }

    /// Gives the slot back, and takes up whoever is next.
    fn next(&mut self, ended: Ended) {
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let mut state = self.shared.lock();
        state.executed += ended.begun;
        state.admission.finish(slot);
        let admitted = state.admission.poll_admit();
        let (watchers, worker, idle) = match admitted {
            Some(admitted) if state.is_for(&admitted.waiter, &self.home) => {
                let watchers = state.hand_over(key, &admitted);
                self.post = Some((key, admitted.slot));
                self.work = Work::Begin(admitted.waiter);
                drop(state);
                (watchers, None, Vec::new())
            }
            admitted => {
                let mut post = state.posts.remove(key);
                state.looks(&self.home);
                let worker =
                    admitted.and_then(|admitted| self.shared.open_post(&mut state, admitted));
                let claimed = state.claim(&self.home, self.key());
                let idle = state.idle();
                drop(state);
                self.work = Work::Linger;
                claimed
                    .into_iter()
                    .for_each(|claimed| self.take_up(claimed));
                (post.take_watchers(), worker, idle)
            }
        };
        if let Some(worker) = worker {
            worker.start();
        }
        wake(ended.waker);
        tell(&watchers, ended.stopped);
        wake(idle);
    }

    /// The budget of the task is spent: what it was to begin is begun by whoever comes first.
    fn postpone(&mut self) {
        if let Some((key, slot)) = self.post.take() {
            let work = mem::replace(&mut self.work, Work::Look);
            (self.has_offered, self.has_started) = (false, false);
            self.shared.lock().postpone(key, slot, work, &self.home);
        }
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.get_mut();
        loop {
            let ended = match &mut worker.work {
                Work::Job(job) => ready!(job.poll(cx, is_stopped(worker.tether.as_ref()))),
                Work::Item(item) => {
                    ready!(item.as_mut().poll(cx, is_stopped(worker.tether.as_ref())))
                }
                Work::Look => {
                    worker.look(worker.tether.is_none().then(|| cx.waker().clone()));
                    continue;
                }
                Work::Begin(_) | Work::Offered(_) => {
                    // However many jobs end without ever suspending, other tasks get their turn.
                    let Poll::Ready(budget) = poll_proceed(cx) else {
                        worker.postpone();
                        return Poll::Pending;
                    };
                    budget.made_progress();
                    worker.begin();
                    continue;
                }
                Work::Linger => {
                    worker.work = Work::Look;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Work::Done => return Poll::Ready(()),
            };
            worker.work = Work::Done;
            worker.next(ended);
        }
    }
}

/// A worker that is dropped before its end was dropped by its runtime, which shuts down.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Work::Look | Work::Linger = self.work {
            self.look(None);
        }
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let ended = match mem::replace(&mut self.work, Work::Done) {
            Work::Begin(waiter) => waiter.give_up(),
            Work::Job(job) => job.give_up(),
            Work::Item(item) | Work::Offered(item) => item.give_up(),
            Work::Look | Work::Linger | Work::Done => Ended::without_a_job(None),
        };
        let mut state = self.shared.lock();
        let mut post = state.posts.remove(key);
        state.executed += ended.begun;
        state.admission.finish(slot);
        let tether = state.leave(&self.home, false, self.key());
        self.shared.advance(state);
        drop(tether);
        wake(ended.waker);
        tell(&post.take_watchers(), ended.stopped);
    }
}

impl Work {
    /// An item that this worker has pulled, for whoever takes it up.
    fn offered(self) -> Self {
        match self {
            Self::Item(item) => Self::Offered(item),
            work => work,
        }
    }
}

/// Whether a job is to be stopped now; tells it once.
fn is_stopped(tether: Option<&(usize, Arc<Tether>)>) -> bool {
    tether.is_some_and(|(_, tether)| tether.is_pulled())
}
