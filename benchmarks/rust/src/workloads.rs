//! The jobs. Each gives its number, so that the sum tells whether all have run.

use std::future::{poll_fn, ready};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::time::ClockId;
use tokio::sync::{mpsc, oneshot};

use crate::meter::clock;

/// Makes the jobs of a workload.
pub trait Work: Clone + Send + Sync + 'static {
    /// Makes job number `n`.
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<Self>;
}

/// Jobs that never suspend.
#[derive(Debug, Clone)]
pub struct Ready;

/// Jobs that let others run once. They wake themselves: with `tokio::task::yield_now` the scheduler
/// would do it, later, and make those wait who poll many jobs in one task.
#[derive(Debug, Clone)]
pub struct YieldOnce;

/// Jobs that yield once and then use 5 microseconds of CPU time.
#[derive(Debug, Clone)]
pub struct YieldCompute;

/// Jobs that use 10 microseconds of CPU time and never suspend.
#[derive(Debug, Clone, Default)]
pub struct Compute {
    done: Arc<AtomicUsize>,
}

/// Jobs that ask another task something and are woken by its answer.
#[derive(Debug, Clone)]
pub struct Woken {
    questions: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

/// Jobs that wait for a gate. It may be opened once.
#[derive(Debug, Clone, Default)]
pub struct Gated {
    gate: Arc<Mutex<Gate>>,
}

#[derive(Debug, Default)]
struct Gate {
    open: bool,
    waiting: Vec<Waker>,
}

impl Woken {
    /// Starts the task that answers, on the current runtime. It ends with the last of the jobs.
    pub(crate) fn new() -> Self {
        let (questions, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                // Who asked may have been cancelled.
                let _ = answer.send(());
            }
        });
        Self { questions }
    }
}

impl Compute {
    /// How many of the jobs have run.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

impl Gated {
    pub(crate) fn open(&self) {
        let mut gate = self.gate();
        gate.open = true;
        let waiting = mem::take(&mut gate.waiting);
        drop(gate);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether there are no more jobs: each holds the gate until it is dropped.
    pub(crate) fn is_left_alone(&self) -> bool {
        Arc::strong_count(&self.gate) == 1
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.gate();
        if gate.open {
            return Poll::Ready(());
        }
        gate.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Ready {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        ready(n)
    }
}

impl Work for YieldOnce {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        let mut yielded = false;
        poll_fn(move |cx| {
            if mem::replace(&mut yielded, true) {
                return Poll::Ready(n);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl Work for YieldCompute {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        async move {
            YieldOnce.job(n).await;
            compute(Duration::from_micros(5));
            n
        }
    }
}

impl Work for Compute {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        let done = Arc::clone(&self.done);
        async move {
            compute(Duration::from_micros(10));
            done.fetch_add(1, Ordering::Relaxed);
            n
        }
    }
}

impl Work for Woken {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        let questions = self.questions.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            // A job that is not answered gives a wrong number.
            match questions.send(answer) {
                Ok(()) => answered.await.map_or(usize::MAX, |()| n),
                Err(_) => usize::MAX,
            }
        }
    }
}

impl Work for Gated {
    fn job(&self, n: usize) -> impl Future<Output = usize> + Send + 'static + use<> {
        let gate = self.clone();
        poll_fn(move |cx| gate.poll_open(cx).map(|()| n))
    }
}

/// By the clock of the thread, which stands still while another process has the core.
fn compute(time: Duration) {
    let began = clock(ClockId::ThreadCPUTime);
    while clock(ClockId::ThreadCPUTime).saturating_sub(began) < time {}
}
