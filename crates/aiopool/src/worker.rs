//! The task that runs jobs, one after another.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::{Admitted, Slot};

use crate::cell::Owner;
use crate::foreign::wake;
use crate::line::{Shared, Waiter};
use crate::run::Ended;
use crate::runtime::{Handle, poll_proceed};
use crate::source::{End, Item, Pulled, Source};
use crate::stop::{Tether, tell};
use crate::sync::AtomicBool;

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
}

/// What a worker does next.
pub(crate) enum Work {
    /// Take up an open post, or leave.
    Look,
    Begin(Waiter),
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
        }
    }

    /// Starts the task, to be called under no lock: a runtime that shuts down drops it here.
    pub(crate) fn start(self) {
        self.home.clone().spawn(self);
    }

    /// Takes up the first open post, or leaves. At the first time it is tied to the pool.
    fn look(&mut self, waker: Option<Waker>) {
        let mut state = self.shared.lock();
        if let Some(waker) = waker {
            let tether = Arc::new(Tether {
                stop: AtomicBool::new(false),
                waker,
            });
            self.tether = Some((state.tethers.insert(tether.clone()), tether));
        }
        let worker = self.tether.as_ref().map(|(key, _)| *key);
        if let Some((key, slot, work)) = state.claim(&self.home, worker) {
            self.post = Some((key, slot));
            self.work = work;
        } else {
            let tether = state.leave(&self.home, true, worker);
            drop(state);
            drop(tether);
            self.work = Work::Done;
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
            work => self.work = work,
        }
    }

    /// Asks a source for its next item.
    fn pull(&mut self, mut source: Box<Source>) {
        // What was stopped before the source is asked is not the item that it gives.
        if is_stopped(self.tether.as_ref()) {
            let watchers = self.post.as_ref().map_or(Vec::new(), |(key, _)| {
                self.shared.lock().posts[*key].take_watchers()
            });
            tell(&watchers, false);
        }
        match source.pull() {
            Pulled::Item(item) => {
                self.work = Work::Item(item);
                self.put_back(source);
            }
            Pulled::Nothing(end) => self.next(Ended::without_a_job(source.retire(end))),
        }
    }

    /// The source of the item that is to be run goes to the back of the line, or aside while its
    /// reader is behind. If its turn comes again at once, because slots are free, another worker
    /// runs the item and this one asks for the next: so a source takes all free slots in one go,
    /// and not one slot each time the runtime comes round.
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
        let Some(admitted) = state.admission.poll_admit() else {
            return;
        };
        let worker = if admitted.waiter.home().id() == self.home.id() {
            let Admitted {
                slot,
                ticket,
                waiter,
            } = admitted;
            let post = (state.new_post(ticket, &waiter), slot);
            let item = mem::replace(&mut self.work, Work::Begin(waiter));
            let left = self.post.replace(post);
            left.and_then(|(key, slot)| {
                state.lay_down(key);
                self.shared.offer(&mut state, key, slot, item, &self.home)
            })
        } else {
            self.shared.open_post(&mut state, admitted)
        };
        if let Some((key, _)) = &self.post {
            state.take_up(*key, self.key());
        }
        drop(state);
        if let Some(worker) = worker {
            worker.start();
        }
    }

    /// Gives the slot back, and takes up whoever is next.
    fn next(&mut self, ended: Ended) {
        let Some((key, slot)) = self.post.take() else {
            return;
        };
        let mut state = self.shared.lock();
        let mut post = state.posts.remove(key);
        state.executed += ended.begun;
        state.admission.finish(slot);
        state.looks(&self.home);
        let admitted = state.admission.poll_admit();
        let worker = admitted.and_then(|admitted| self.shared.open_post(&mut state, admitted));
        match state.claim(&self.home, self.key()) {
            Some((key, slot, work)) => {
                self.post = Some((key, slot));
                self.work = work;
            }
            None => self.work = Work::Linger,
        }
        let idle = state.idle();
        drop(state);
        if let Some(worker) = worker {
            worker.start();
        }
        wake(ended.waker);
        tell(&post.take_watchers(), ended.stopped);
        wake(idle);
    }

    /// The budget of the task is spent: what it was to begin is begun by whoever comes first.
    fn postpone(&mut self) {
        if let Some((key, slot)) = self.post.take() {
            let work = mem::replace(&mut self.work, Work::Look);
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
                Work::Begin(_) => {
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
            Work::Item(item) => item.give_up(),
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

/// Whether a job is to be stopped now; tells it once.
fn is_stopped(tether: Option<&(usize, Arc<Tether>)>) -> bool {
    tether.is_some_and(|(_, tether)| tether.is_pulled())
}
