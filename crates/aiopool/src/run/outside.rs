//! A job that is outside, as its worker knows it: what it waits for, and what wakes it.

use std::cell::RefCell;
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::run::nested::{self, PolledJob};
use crate::state::Shared;
use crate::state::workers::Member;
use crate::sys::per_thread;
use crate::sys::sync::{AtomicBool, Ordering};

/// What a job waits for outside. Its worker polls that, and not the job.
pub(crate) trait Awaited: Send + Sync {
    /// Ready if the job is to come back for it. Whoever has waited for it in the job is woken then, if
    /// that is somebody else than the `job` itself.
    fn poll(&self, cx: &mut Context<'_>, job: Option<&Waker>) -> Poll<()>;

    /// Whether the job still waits for it, be it that it has not looked this time.
    fn is_kept(&self) -> bool;
}

/// What a worker knows of its job while that is outside.
pub(crate) struct Away {
    /// Whether the job waits for its own pool: it comes back at the front then.
    front: bool,
    /// Whether the job stands in the queue.
    comes_back: bool,
}

/// Wakes a worker for its job itself, and not for what that waits for outside.
pub(crate) struct OwnWaker {
    woken: Arc<Woken>,
    waker: Waker,
}

struct Woken {
    is_woken: AtomicBool,
    worker: Waker,
}

per_thread! {
    /// What the jobs that the thread polls are to wait for outside.
    static PLACED: RefCell<Vec<(PolledJob, Arc<dyn Awaited>)>> = RefCell::new(Vec::new());
}

/// The job of this thread, which has its slots, is to wait for this outside.
pub(crate) fn place(awaited: Arc<dyn Awaited>) {
    let job = nested::wait_outside();
    PLACED.with(|placed| placed.borrow_mut().push((job, awaited)));
}

/// What a job is to wait for that has just been polled.
pub(crate) fn take_placed(job: PolledJob) -> impl Iterator<Item = Arc<dyn Awaited>> {
    let (its, others) = PLACED.with(|placed| {
        let placed = mem::take(&mut *placed.borrow_mut());
        placed
            .into_iter()
            .partition::<Vec<_>, _>(|(by, _)| *by == job)
    });
    PLACED.with(|placed| *placed.borrow_mut() = others);
    its.into_iter().map(|(_, awaited)| awaited)
}

impl Shared {
    /// The job of an entry gives its slots back, and others start in its place.
    pub(crate) fn go_outside(self: &Arc<Self>, entry: usize) {
        let mut state = self.lock();
        state.go_outside(entry);
        self.advance(state);
    }

    /// The job of an entry wants its slots again.
    fn come_back(self: &Arc<Self>, entry: usize, worker: &Member, weight: NonZeroU32, front: bool) {
        let mut state = self.lock();
        state.come_back(entry, worker, weight, front);
        self.advance(state);
    }

    /// The job of an entry, which is to be stopped, has its slots from now on.
    pub(crate) fn force_back(self: &Arc<Self>, entry: usize, weight: NonZeroU32) {
        self.lock().force_back(entry, weight);
    }
}

/// Ready when one of those that a job waits for is.
pub(crate) fn poll_awaited(
    awaited: &[Arc<dyn Awaited>],
    cx: &mut Context<'_>,
    job: Option<&Waker>,
) -> Poll<()> {
    if awaited
        .iter()
        .any(|awaited| awaited.poll(cx, job).is_ready())
    {
        return Poll::Ready(());
    }
    Poll::Pending
}

impl Away {
    pub(crate) fn new(front: bool) -> Self {
        Self {
            front,
            comes_back: false,
        }
    }

    pub(crate) fn comes_back(&self) -> bool {
        self.comes_back
    }

    /// The job takes its place in the queue.
    pub(crate) fn come_back(
        &mut self,
        shared: &Arc<Shared>,
        entry: usize,
        worker: &Member,
        weight: NonZeroU32,
    ) {
        self.comes_back = true;
        shared.come_back(entry, worker, weight, self.front);
    }
}

impl OwnWaker {
    pub(crate) fn new(worker: Waker) -> Self {
        let woken = Arc::new(Woken {
            is_woken: AtomicBool::new(false),
            worker,
        });
        Self {
            waker: woken.clone().into(),
            woken,
        }
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether the job was woken. Tells it once.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the worker is woken: it looks here first.
        self.is_woken.store(true, Ordering::Release);
        self.worker.wake_by_ref();
    }
}
