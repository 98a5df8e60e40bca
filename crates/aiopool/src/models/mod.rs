//! Models of every place where two threads meet. Loom runs each of them in all orders in which its
//! threads can take turns, and finds the orders in which somebody is not woken, or touches a job
//! that another has. Shuttle runs them in some orders at random, with interruptions without limit.
//!
//! A model names all of its outcomes, and fails if it comes to another or never comes to one of
//! them. What it saw fail stands above it; a deadlock is what loom makes of a wake-up that is lost.
//!
//! Loom knows five threads, ended ones included. The model's own is one of them, and each worker
//! that is started is another.

#[cfg(aiopool_shuttle)]
mod crowd;
mod handle;
mod join;
mod join_state;
mod shutdown;
mod start;
mod stop;
mod stream;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

pub(super) use crate::sys::explorer::future::block_on;
pub(super) use crate::sys::explorer::thread;

use crate::sys::explorer;
use crate::sys::sync::Mutex;

/// Runs `model` in all orders in which its threads are interrupted at most three times, and checks
/// that `outcomes` are what it comes to.
fn explore<O, M>(outcomes: impl IntoIterator<Item = O>, model: M)
where
    O: Ord + Debug + Send + 'static,
    M: Fn() -> O + Send + Sync + 'static,
{
    explore_to(3, outcomes, model);
}

/// As [`explore`], for a model of so many steps that two interruptions have to do.
fn explore_long<O, M>(outcomes: impl IntoIterator<Item = O>, model: M)
where
    O: Ord + Debug + Send + 'static,
    M: Fn() -> O + Send + Sync + 'static,
{
    explore_to(2, outcomes, model);
}

fn explore_to<O, M>(interruptions: usize, outcomes: impl IntoIterator<Item = O>, model: M)
where
    O: Ord + Debug + Send + 'static,
    M: Fn() -> O + Send + Sync + 'static,
{
    let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let here = seen.clone();
    explorer::check(interruptions, move || {
        let outcome = model();
        here.lock().expect(UNHARMED).insert(outcome);
    });
    let seen = std::mem::take(&mut *seen.lock().expect(UNHARMED));
    let outcomes = outcomes.into_iter().collect();
    if explorer::IS_COMPLETE {
        assert_eq!(seen, outcomes);
    } else {
        assert!(seen.is_subset(&outcomes), "{seen:?}");
    }
}

/// Something that one thread waits for and another tells.
#[derive(Debug, Clone)]
struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((false, Vec::new()))))
    }

    fn open(&self) {
        let mut gate = self.0.lock();
        gate.0 = true;
        let wakers = std::mem::take(&mut gate.1);
        drop(gate);
        crate::sys::unwind::wake(wakers);
    }

    fn is_open(&self) -> bool {
        self.0.lock().0
    }

    /// Waits until it is open.
    async fn pass(self) {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut gate = self.0.lock();
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1.push(waker);
            Poll::Pending
        })
        .await;
    }
}

/// Opens the gate when it is dropped, which others may see before they do anything else.
struct OpenOnDrop(Gate);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// How many jobs are active, as they see it themselves.
#[derive(Debug, Clone, Default)]
struct Census(Arc<[AtomicUsize; 2]>);

impl Census {
    /// A job that suspends once and gives the thread it ran on.
    async fn job(self) -> thread::ThreadId {
        let [now, most] = &*self.0;
        let active = now.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(active, Ordering::Relaxed);
        suspend_once().await;
        now.fetch_sub(1, Ordering::Relaxed);
        thread::current().id()
    }

    fn most(&self) -> usize {
        self.0[1].load(Ordering::Relaxed)
    }
}

/// Something that is noted once: that a job began, that it was dropped.
#[derive(Debug, Clone, Default)]
struct Note(Arc<AtomicBool>);

impl Note {
    fn set(&self) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "it happened twice");
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes when what it gives is dropped.
    fn on_drop(&self) -> OnDrop {
        OnDrop(self.clone())
    }
}

#[derive(Debug)]
struct OnDrop(Note);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// A job that begins, and goes on for ever.
async fn endless<H: Send>(begun: Note, held: H) {
    let _held = held;
    begun.set();
    std::future::pending::<()>().await;
}

/// When an endless job was stopped.
fn when(begun: &Note) -> &'static str {
    if begun.is_set() {
        "after it began"
    } else {
        "before it began"
    }
}

/// A job that ends when another has begun too.
async fn meet(mine: Gate, other: Gate) {
    mine.open();
    other.pass().await;
}

async fn suspend_once() {
    let mut suspended = false;
    poll_fn(|cx| {
        if suspended {
            return Poll::Ready(());
        }
        suspended = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Awaits `future`, and tells whether it had to wait.
async fn waited<F: Future>(future: F) -> (bool, F::Output) {
    let mut future = std::pin::pin!(future);
    let mut waited = false;
    let output = poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        waited |= polled.is_pending();
        polled
    })
    .await;
    (waited, output)
}

/// Polls once, with a waker that wakes nobody.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

const UNHARMED: &str = "nobody panics who holds this lock";
