//! Models of every place where two threads meet. Loom runs each model in all orders in which its
//! threads can take turns. It finds the orders in which a task is not woken, or in which a thread
//! touches a job that another thread has. Shuttle runs the models in random orders, with any number
//! of interruptions.
//!
//! A model names all of its outcomes. It fails if it comes to another outcome, or never comes to
//! one of them. A comment above each model names the faults that make it fail. Loom reports a lost
//! wake-up as a deadlock.
//!
//! Loom allows five threads, ended ones included. One of them is the model's own, and each worker
//! that starts is another.

mod close;
#[cfg(aiopool_shuttle)]
mod crowd;
mod handle;
mod join;
mod join_state;
mod outside;
mod pause;
mod reserve;
mod resize;
mod shutdown;
mod start;
mod stop;
mod stream;
mod timer;

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
/// that it comes to exactly these `outcomes`.
fn explore<O, M>(outcomes: impl IntoIterator<Item = O>, model: M)
where
    O: Ord + Debug + Send + 'static,
    M: Fn() -> O + Send + Sync + 'static,
{
    explore_to(3, outcomes, model);
}

/// As [`explore`], with at most two interruptions, for a model with too many steps for three.
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

/// A gate that one thread opens and other threads wait for.
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

    /// Waits until the gate is open.
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

/// Opens the gate when it is dropped, so that other threads can see that drop.
struct OpenOnDrop(Gate);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Counts the active jobs. The jobs themselves count.
#[derive(Debug, Clone, Default)]
struct Census(Arc<[AtomicUsize; 2]>);

impl Census {
    /// A job that suspends once and gives the thread on which it ran.
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

/// Notes an event that happens once: that a job began, or that it was dropped.
#[derive(Debug, Clone, Default)]
struct Note(Arc<AtomicBool>);

impl Note {
    fn set(&self) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "it happened twice");
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Gives a value whose drop is noted.
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

/// Tells when an endless job was stopped.
fn when(begun: &Note) -> &'static str {
    if begun.is_set() {
        "after it began"
    } else {
        "before it began"
    }
}

/// A job that ends when another job has begun too.
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

/// Polls once, with a waker that does nothing.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

const UNHARMED: &str = "nobody panics who holds this lock";
