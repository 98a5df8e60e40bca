//! The one allocation of a job: the job itself, whose place its result takes, and the word at which
//! its owner and its handle meet: whoever comes there last frees the allocation. So it needs no
//! counts.
//!
//! The safe way is two allocations and a lock: the future in a `Pin<Box<_>>`, and beside it a mutex
//! around what is shared with the handle. It was measured as 13 % slower and 16 bytes larger.

#![expect(
    unsafe_code,
    reason = "one allocation for each job, and no lock; the gain is above"
)]

use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker, ready};

use crate::error::JobError;
use crate::job::body::Body;
use crate::job::body::{Course, Ended, Outcome};
use crate::sys::sync::{AtomicPtr, UnsafeCell};
use crate::sys::unwind::{discard, wake};

/// The right to run a job. A job has exactly one owner: the line while it waits, then its worker.
/// Dropped before the end, it gives the job up.
pub(crate) struct Owner(NonNull<dyn Owned>);

/// The right to the result of a job. A job has exactly one heir, its handle.
pub(crate) struct Heir<T>(NonNull<dyn Inherited<T>>);

pub(crate) struct Cell<B: Body> {
    /// The key of the crew that the job waits for; once it has been started, of the post that is
    /// held for it. Read and written under the lock of the pool.
    key: AtomicU32,
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
// belonging to the owner. Both are unique (`Owner::new` makes the only ones) and go from thread to
// thread as a whole, and `&mut` keeps each from using it twice at once. What is left is dropped with
// the cell by whoever comes to the word last. So they are never accessed from two threads at once;
// `B: Send` and `B::Output: Send` let them go from one to another. The other fields are `Sync` by
// themselves.
unsafe impl<B: Body> Sync for Cell<B> {}

// SAFETY: an owner is a reference to a cell, which is `Sync`, and the right to drop it, which is
// `Send` because the body and its output are.
unsafe impl Send for Owner {}
// SAFETY: as above; and what can be called by reference is no more than `Sync` allows.
unsafe impl Sync for Owner {}
// SAFETY: as for the owner.
unsafe impl<T> Send for Heir<T> {}
// SAFETY: as for the owner.
unsafe impl<T> Sync for Heir<T> {}

/// What an owner does to its cell, whatever the type of the job.
trait Owned: Send + Sync {
    fn key(&self) -> &AtomicU32;
    /// Where the caller leaves its waker, if it waits for the start.
    fn caller(&self) -> Option<&Word>;

    fn word(&self) -> &Word;

    /// At the end the result has been stored. The waker is still in the word.
    ///
    /// # Safety
    ///
    /// Only the owner may call this, before it has been at the word, from a method that borrows it
    /// mutably.
    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;

    /// As [`poll`](Self::poll); `None` if the job has come to its end.
    ///
    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn give_up(&self) -> Option<Ended>;
}

/// What an heir does to its cell, whatever the type of the future.
trait Inherited<T>: Send + Sync {
    fn key(&self) -> &AtomicU32;
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
    /// Puts a job into its allocation. `is_blocked`: whether its caller waits for its start.
    pub(crate) fn new<B: Body>(body: B, is_blocked: bool) -> (Self, Heir<B::Output>) {
        let cell = Box::new(Cell {
            key: AtomicU32::new(u32::MAX),
            is_blocked,
            word: Word::open(),
            course: UnsafeCell::new(Course::default()),
            stage: UnsafeCell::new(Stage::Run(body)),
        });
        let cell = NonNull::from(Box::leak(cell));
        (Self(cell), Heir(cell))
    }

    fn cell(&self) -> &dyn Owned {
        // SAFETY: the cell lives at least until its owner has been at the word, which takes `self`.
        unsafe { self.0.as_ref() }
    }

    /// It takes a place in the line, to be run by the crew at this key. Under the lock of the pool.
    pub(crate) fn waits_for(&self, crew: usize) {
        self.set_key(crew);
    }

    /// The key of the crew of a job that has not been started. Under the lock of the pool.
    pub(crate) fn crew(&self) -> usize {
        self.cell().key().load(Ordering::Relaxed) as usize
    }

    /// Lets the handle know the post of the job. Under the lock of the pool.
    pub(crate) fn posted_at(&self, key: usize) {
        self.set_key(key);
    }

    fn set_key(&self, key: usize) {
        // There are no more posts and crews than waiters, whom the core counts so far.
        let key = u32::try_from(key).unwrap_or(u32::MAX);
        self.cell().key().store(key, Ordering::Relaxed);
    }

    /// The waker of the blocked caller of `spawn`, to be told that the job starts.
    pub(crate) fn take_caller(&self) -> Option<Waker> {
        let caller = self.cell().caller()?.take_waker()?;
        Some(*caller)
    }

    /// Runs the job on, or stops it. At its end its result has been stored; [`settle`](Self::settle)
    /// lets its handle know.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: `self` is the owner, borrowed mutably, and whoever goes to the word takes it.
        unsafe { self.cell().poll(cx, stop) }
    }

    /// Leaves the result to the handle, whose waker it gives.
    pub(crate) fn settle(self) -> Option<Waker> {
        // SAFETY: what has been moved in there is not used again.
        unsafe { ManuallyDrop::new(self).leave() }
    }

    /// Drops the job where it stands; it is settled as cancelled.
    pub(crate) fn give_up(self) -> Ended {
        // SAFETY: `self` is the owner, and nobody borrows it.
        let ended = unsafe { self.cell().give_up() };
        let waker = self.settle();
        Ended {
            waker,
            ..ended.unwrap_or_else(|| Ended::without_a_job(None))
        }
    }

    /// Goes to the word, and frees the cell with its result if the heir has gone before.
    ///
    /// # Safety
    ///
    /// The owner is not used afterwards, nor dropped. A job that has not come to its end leaves its
    /// heir without a result.
    unsafe fn leave(&mut self) -> Option<Waker> {
        // The heir may free the cell as soon as the word has been changed: nobody here holds a
        // reference to more than the word then.
        self.cell().word().settle().unwrap_or_else(|Detached| {
            // SAFETY: the cell was leaked out of a box, and the heir has gone before.
            discard(unsafe { Box::from_raw(self.0.as_ptr()) });
            None
        })
    }
}

/// Whoever lets a job go settles it. Its worker does so by itself; this is for what unwinds.
impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: `self` is the owner, borrowed mutably, and has not been at the word.
        let _begun = unsafe { self.cell().give_up() };
        // SAFETY: it is dropped now, once.
        wake(unsafe { self.leave() });
    }
}

impl<T> Heir<T> {
    fn cell(&self) -> &dyn Inherited<T> {
        // SAFETY: the cell lives at least until its heir has been at the word to leave, which is
        // in its drop.
        unsafe { self.0.as_ref() }
    }

    /// The key of the post of the job, if it has been started. Under the lock of the pool.
    pub(crate) fn post(&self) -> usize {
        self.cell().key().load(Ordering::Relaxed) as usize
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.cell().word().is_settled()
    }

    /// Waits for the end of the job, and tells whether a cancellation brought it.
    ///
    /// # Panics
    ///
    /// If the result has been taken.
    pub(crate) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        ready!(self.cell().word().poll_settled(cx));
        // SAFETY: `self` is the heir, borrowed mutably, of a job that is settled.
        let stopped = unsafe { self.cell().was_stopped() };
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
        unsafe { self.cell().take() }
    }
}

/// Nobody wants the result any more: it is dropped now, or as soon as it is there.
impl<T> Drop for Heir<T> {
    fn drop(&mut self) {
        // The owner may free the cell as soon as the word is changed.
        if self.cell().word().detach() {
            // SAFETY: the cell was leaked out of a box, and the owner has gone before.
            discard(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl<B: Body> Cell<B> {
    /// # Safety
    ///
    /// As [`Owned::poll`].
    unsafe fn with_run<R>(&self, f: impl FnOnce(&mut Course, Pin<&mut B>) -> R) -> Option<R> {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique.
            let Stage::Run(body) = (unsafe { &mut *stage }) else {
                return None;
            };
            // SAFETY: a cell lies in a box from its birth in `Owner::new`, and the body is
            // dropped where it lies when its result takes its place. So it is pinned.
            let body = unsafe { Pin::new_unchecked(body) };
            // SAFETY: the course belongs to the caller too.
            self.course
                .with_mut(|course| Some(f(unsafe { &mut *course }, body)))
        })
    }

    /// Stores the result, where the owner leaves it until it has been at the word.
    ///
    /// # Safety
    ///
    /// As [`Owned::poll`].
    unsafe fn store(&self, outcome: Outcome<B::Output>) -> Ended {
        outcome.settle(|result| {
            self.stage.with_mut(|stage| {
                // SAFETY: the stage belongs to the caller, so the reference is unique.
                unsafe { *stage = Stage::Settled(result) };
            });
            None
        })
    }
}

impl<B: Body> Owned for Cell<B> {
    fn key(&self) -> &AtomicU32 {
        &self.key
    }

    fn caller(&self) -> Option<&Word> {
        self.is_blocked.then_some(&self.word)
    }

    fn word(&self) -> &Word {
        &self.word
    }

    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: passed on to the caller.
        let polled = unsafe { self.with_run(|course, body| course.poll(body, cx, stop)) };
        let outcome = ready!(polled.expect("a job is not polled after its end"));
        // SAFETY: passed on to the caller.
        Poll::Ready(unsafe { self.store(outcome) })
    }

    unsafe fn give_up(&self) -> Option<Ended> {
        // SAFETY: passed on to the caller.
        let outcome = unsafe { self.with_run(Course::give_up) }?;
        // SAFETY: passed on to the caller.
        Some(unsafe { self.store(outcome) })
    }
}

impl<B: Body> Inherited<B::Output> for Cell<B> {
    fn key(&self) -> &AtomicU32 {
        &self.key
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

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use super::*;
    use crate::job::body::Caught;

    #[test]
    fn a_job_whose_owner_is_dropped_is_settled_as_cancelled() {
        let dropped = Arc::new(());
        let held = dropped.clone();
        let job = async move {
            pending::<()>().await;
            drop(held);
        };
        let (owner, mut heir) = Owner::new(Caught::new(job), false);
        drop(owner);
        assert_eq!(Arc::strong_count(&dropped), 1);
        let result = heir.take().expect("the job is settled");
        assert!(matches!(result, Err(JobError::Cancelled)));
    }

    #[test]
    fn a_job_whose_owner_and_handle_are_dropped_is_freed() {
        let dropped = Arc::new(());
        let held = dropped.clone();
        let (owner, heir) = Owner::new(Caught::new(async move { drop(held) }), false);
        drop(heir);
        assert_eq!(Arc::strong_count(&dropped), 2);
        drop(owner);
        assert_eq!(Arc::strong_count(&dropped), 1);
    }
}
