//! The one allocation of a job: the job itself, whose place its result takes, and the word at which
//! its owner and its handle meet.
//!
//! The safe way is two allocations and a lock: the future in a `Pin<Box<_>>`, and beside it a mutex
//! around what is shared with the handle. It was measured as 13 % slower and 16 bytes larger.

#![expect(
    unsafe_code,
    reason = "one allocation for each job, and no lock; the gain is above"
)]

use std::mem;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker, ready};

use crate::body::Body;
use crate::error::JobError;
use crate::foreign::discard;
use crate::run::{Course, Ended, Outcome};
use crate::runtime::Handle;
use crate::sync::{AtomicPtr, UnsafeCell};

/// The right to run a job. A job has exactly one owner: the line while it waits, then its worker.
pub(crate) struct Owner(Arc<dyn Owned>);

/// The right to the result of a job. A job has exactly one heir, its handle.
pub(crate) struct Heir<T>(Arc<dyn Inherited<T>>);

struct Cell<B: Body> {
    /// The runtime on which the job was handed in, and on which it is to run.
    home: Handle,
    /// The key of the post that is held for the job; without meaning while it waits. Read and
    /// written under the lock of the pool.
    post: AtomicU32,
    /// Whether the caller who handed it in waits for its start.
    is_blocked: bool,
    word: Word,
    course: UnsafeCell<Course>,
    stage: UnsafeCell<Stage<B>>,
}

enum Stage<B: Body> {
    Run(B),
    Settled(Result<B::Output, JobError>),
    /// The result has been taken.
    Taken,
}

/// Where the owner and the heir meet: `OPEN`, `SETTLED`, `DETACHED`, or the boxed waker that the
/// heir of an open job has left.
struct Word(AtomicPtr<Waker>);

/// The heir of a job has gone before its end.
struct Detached;

// SAFETY: `stage` and `course` belong to the owner until it has put `SETTLED` into `word`, then to
// the heir, which looks for that first; if the heir has put `DETACHED` there before, they go on
// belonging to the owner. Both are unique (`Owner::new` makes the only ones) and go from thread to thread as a
// whole, and `&mut` keeps each from using it twice at once. What is left is dropped with the cell,
// when both are gone. So they are never accessed from two threads at once; `B: Send` and
// `B::Output: Send` let it go from one to another. The other fields are `Sync` by themselves.
unsafe impl<B: Body> Sync for Cell<B> {}

/// What an owner does to its cell, whatever the type of the job.
trait Owned: Send + Sync {
    fn home(&self) -> &Handle;
    fn post(&self) -> &AtomicU32;
    /// Where the caller leaves its waker, if it waits for the start.
    fn caller(&self) -> Option<&Word>;

    /// # Safety
    ///
    /// Only the owner may call this, from a method that borrows it mutably, and not after the end.
    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;

    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn give_up(&self) -> Ended;
}

/// What an heir does to its cell, whatever the type of the future.
trait Inherited<T>: Send + Sync {
    fn post(&self) -> &AtomicU32;
    fn word(&self) -> &Word;

    /// # Safety
    ///
    /// Only the heir may call this, when it has seen that the job is settled, from a method that
    /// borrows it mutably.
    unsafe fn was_stopped(&self) -> Option<bool>;

    /// # Safety
    ///
    /// As [`was_stopped`](Self::was_stopped).
    unsafe fn take(&self) -> Option<Result<T, JobError>>;
}

impl Owner {
    /// Puts a job into its allocation, to be run on `home`. `is_blocked`: whether its caller waits
    /// for its start.
    pub(crate) fn new<B: Body>(body: B, home: Handle, is_blocked: bool) -> (Self, Heir<B::Output>) {
        let cell = Arc::new(Cell {
            home,
            post: AtomicU32::new(u32::MAX),
            is_blocked,
            word: Word::open(),
            course: UnsafeCell::new(Course::default()),
            stage: UnsafeCell::new(Stage::Run(body)),
        });
        (Self(cell.clone()), Heir(cell))
    }

    pub(crate) fn home(&self) -> &Handle {
        self.0.home()
    }

    /// Lets the handle know the post of the job. Under the lock of the pool.
    pub(crate) fn posted_at(&self, key: usize) {
        // There are no more posts than waiters, whom the core counts so far.
        let key = u32::try_from(key).unwrap_or(u32::MAX);
        self.0.post().store(key, Ordering::Relaxed);
    }

    /// The waker of the blocked caller of `spawn`, to be told that the job starts.
    pub(crate) fn take_caller(&self) -> Option<Waker> {
        let caller = self.0.caller()?.take_waker()?;
        Some(*caller)
    }

    /// Runs the job on, or stops it. At its end its result has been stored.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: `self` is the owner, borrowed mutably. A worker lets it go at its end.
        unsafe { self.0.poll(cx, stop) }
    }

    /// Drops the job where it stands; it is settled as cancelled.
    pub(crate) fn give_up(self) -> Ended {
        // SAFETY: `self` is the owner, and nobody borrows it.
        unsafe { self.0.give_up() }
    }
}

impl<T> Heir<T> {
    /// The key of the post of the job, once it has one. Under the lock of the pool.
    pub(crate) fn post(&self) -> usize {
        self.0.post().load(Ordering::Relaxed) as usize
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.word().is_settled()
    }

    /// Waits for the end of the job, and tells whether a cancellation brought it.
    ///
    /// # Panics
    ///
    /// If the result has been taken.
    pub(crate) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        ready!(self.0.word().poll_settled(cx));
        // SAFETY: `self` is the heir, borrowed mutably, of a job that is settled.
        let stopped = unsafe { self.0.was_stopped() };
        Poll::Ready(
            stopped.expect("a `JobHandle` must not be polled after it has given its result"),
        )
    }

    /// Takes the result, if the job is settled and nobody has taken it.
    pub(crate) fn take(&mut self) -> Option<Result<T, JobError>> {
        if !self.is_settled() {
            return None;
        }
        // SAFETY: `self` is the heir, borrowed mutably, of a job that is settled.
        unsafe { self.0.take() }
    }
}

/// Nobody wants the result any more: it is dropped now, or as soon as it is there.
impl<T> Drop for Heir<T> {
    fn drop(&mut self) {
        if self.0.word().detach() {
            // SAFETY: `self` is the heir, borrowed mutably, of a job that is settled.
            discard(unsafe { self.0.take() });
        }
    }
}

impl<B: Body> Cell<B> {
    /// # Safety
    ///
    /// As [`Owned::poll`].
    unsafe fn with_run<R>(&self, f: impl FnOnce(&mut Course, Pin<&mut B>) -> R) -> R {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique.
            let Stage::Run(body) = (unsafe { &mut *stage }) else {
                unreachable!("a job is run after its end");
            };
            // SAFETY: a cell lives in an `Arc` from its birth in `Owner::new`, and the body is
            // dropped where it lies when its result takes its place. So it is pinned.
            let body = unsafe { Pin::new_unchecked(body) };
            // SAFETY: the course belongs to the caller too.
            self.course
                .with_mut(|course| f(unsafe { &mut *course }, body))
        })
    }

    /// Stores the result, or drops it if nobody wants it.
    ///
    /// # Safety
    ///
    /// As [`Owned::poll`]. The owner has nothing more to do with the stage then.
    unsafe fn settle(&self, outcome: Outcome<B::Output>) -> Ended {
        outcome.settle(|result| {
            self.stage.with_mut(|stage| {
                // SAFETY: the stage belongs to the caller, so the reference is unique.
                unsafe { *stage = Stage::Settled(result) };
            });
            self.word.settle().unwrap_or_else(|Detached| {
                // SAFETY: the heir is gone, so the stage still belongs to the caller.
                discard(unsafe { self.take() });
                None
            })
        })
    }
}

impl<B: Body> Owned for Cell<B> {
    fn home(&self) -> &Handle {
        &self.home
    }

    fn post(&self) -> &AtomicU32 {
        &self.post
    }

    fn caller(&self) -> Option<&Word> {
        self.is_blocked.then_some(&self.word)
    }

    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: passed on to the caller.
        let outcome = ready!(unsafe { self.with_run(|course, body| course.poll(body, cx, stop)) });
        // SAFETY: passed on to the caller.
        Poll::Ready(unsafe { self.settle(outcome) })
    }

    unsafe fn give_up(&self) -> Ended {
        // SAFETY: passed on to the caller.
        unsafe { self.settle(self.with_run(Course::give_up)) }
    }
}

impl<B: Body> Inherited<B::Output> for Cell<B> {
    fn post(&self) -> &AtomicU32 {
        &self.post
    }

    fn word(&self) -> &Word {
        &self.word
    }

    unsafe fn was_stopped(&self) -> Option<bool> {
        // SAFETY: the stage and the course belong to the caller, so nobody changes them.
        let is_there = |stage: *mut _| matches!(unsafe { &*stage }, Stage::<B>::Settled(_));
        // SAFETY: as above.
        let was_stopped = |course: *mut Course| unsafe { (*course).stopped };
        self.stage
            .with_mut(is_there)
            .then(|| self.course.with_mut(was_stopped))
    }

    unsafe fn take(&self) -> Option<Result<B::Output, JobError>> {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique. What is moved
            // is a result: the body that was pinned here has been dropped.
            match mem::replace(unsafe { &mut *stage }, Stage::Taken) {
                Stage::Settled(result) => Some(result),
                Stage::Run(_) | Stage::Taken => None,
            }
        })
    }
}

impl Word {
    fn open() -> Self {
        Self(AtomicPtr::new(OPEN))
    }

    fn is_settled(&self) -> bool {
        self.0.load(Ordering::Acquire) == SETTLED
    }

    /// The result is there. Gives the waker of the heir, if it has left one.
    fn settle(&self) -> Result<Option<Waker>, Detached> {
        let word = self.0.swap(SETTLED, Ordering::AcqRel);
        if word == DETACHED {
            return Err(Detached);
        }
        Ok(waker_in(word).map(|waker| *waker))
    }

    /// The heir leaves. Tells whether the result is there.
    fn detach(&self) -> bool {
        if self.is_settled() {
            return true;
        }
        let word = self.0.swap(DETACHED, Ordering::AcqRel);
        discard(waker_in(word));
        word == SETTLED
    }

    /// Takes the waker that the heir has left, for the owner to wake it or for the heir itself.
    /// Only they do, and a word that has changed meanwhile is seen by the one who has not changed
    /// it: an heir looks once more when it leaves its waker again.
    fn take_waker(&self) -> Option<Box<Waker>> {
        let word = self.0.load(Ordering::Relaxed);
        if !is_waker(word) {
            return None;
        }
        let taken = self
            .0
            .compare_exchange(word, OPEN, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().and_then(waker_in)
    }

    /// Waits until the job is settled. For the heir.
    fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_settled() {
            return Poll::Ready(());
        }
        let waker = match self.take_waker() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => Box::new(cx.waker().clone()),
        };
        let waker = Box::into_raw(waker);
        let left = self
            .0
            .compare_exchange(OPEN, waker, Ordering::AcqRel, Ordering::Acquire);
        if left.is_ok() {
            return Poll::Pending;
        }
        // It has been settled meanwhile.
        drop(waker_in(waker));
        Poll::Ready(())
    }
}

/// The waker that a word stands for, which is out of the word now.
fn waker_in(word: *mut Waker) -> Option<Box<Waker>> {
    // SAFETY: `Word::poll_settled` alone puts such a pointer there, out of a box, and whoever takes
    // it out by an exchange is the only one to have it.
    is_waker(word).then(|| unsafe { Box::from_raw(word) })
}

fn is_waker(word: *mut Waker) -> bool {
    ![OPEN, SETTLED, DETACHED].contains(&word)
}

const OPEN: *mut Waker = ptr::null_mut();
const SETTLED: *mut Waker = ptr::without_provenance_mut(1);
const DETACHED: *mut Waker = ptr::without_provenance_mut(2);
