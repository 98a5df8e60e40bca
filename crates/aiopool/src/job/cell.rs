//! The one allocation of a job. It holds the job itself, whose place the result takes, and the
//! state at which its worker and its handle meet (`join_state`). The half that comes to that state
//! last frees the allocation, so the two halves need no reference count. While abort handles exist,
//! they are counted, and the last holder of all frees the allocation.
//!
//! The safe way is two allocations and a lock: the future in a `Pin<Box<_>>`, and beside it a mutex
//! around the part that is shared with the handle. It was measured as 13 % slower and 16 bytes
//! larger.

#![expect(
    unsafe_code,
    reason = "one allocation for each job, and no lock; the gain is above"
)]

use std::mem::{self, ManuallyDrop};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker, ready};

use crate::error::JobError;
use crate::job::body::{Body, Ended, Finished, Progress};
use crate::job::join_state::{Detached, JoinState};
use crate::job::options::Options;
use crate::job::waiting::Waiting;
use crate::sys::sync::{AtomicU16, Ordering, UnsafeCell};
use crate::sys::unwind::{discard, wake};

/// The right to run a job. A job has exactly one: the queue holds it while the job waits, then its
/// worker holds it. If it is dropped before the end of the job, it gives the job up.
pub(crate) struct Runnable(NonNull<dyn RunnableCell>);

/// The right to the result of a job. A job has exactly one: its handle holds it.
pub(crate) struct Receiver<T>(NonNull<dyn ReceiverCell<T>>);

/// The right to see whether a job has ended, and where it is. Any number of observers may outlive
/// the runnable and the receiver.
pub(crate) struct Observer(NonNull<dyn AnyCell>);

pub(crate) struct Cell<B: Body> {
    /// While the job waits: the index of the workers that it waits for. Once it has been started:
    /// the index of its entry. Read and written under the lock of the pool.
    index: AtomicU32,
    /// How many holders the allocation has: the runnable and the receiver, which count as one
    /// together, and each observer. And the flag [`BLOCKED`].
    holders: AtomicU16,
    join_state: JoinState,
    progress: UnsafeCell<Progress>,
    stage: UnsafeCell<Stage<B>>,
}

enum Stage<B: Body> {
    Run(B),
    Settled(Result<B::Output, JobError>),
    /// The result has been taken.
    Taken,
}

// SAFETY: `stage` and `progress` belong to the runnable until it has put `SETTLED` into
// `join_state`, then to the receiver, which looks for that first; if the receiver has put
// `DETACHED` there before, they go on belonging to the runnable. Both are unique (`Runnable::new`
// makes the only ones) and go from thread to thread as a whole, and `&mut` keeps each from changing
// it twice at once; by `&` the receiver only looks whether the result is there. What is left is
// dropped, with the cell or before it, by whoever of the two comes to the join state last. So
// nothing changes while another thread accesses it; `B: Send` and `B::Output: Send` let them go from
// one to another. The other fields are `Sync` by themselves, and no more than them do observers
// touch.
unsafe impl<B: Body> Sync for Cell<B> {}

// SAFETY: a runnable is a reference to a cell, which is `Sync`, and the right to drop it, which is
// `Send` because the body and its output are.
unsafe impl Send for Runnable {}
// SAFETY: as above; and what can be called by reference is no more than `Sync` allows.
unsafe impl Sync for Runnable {}
// SAFETY: as for the runnable.
unsafe impl<T> Send for Receiver<T> {}
// SAFETY: as for the runnable.
unsafe impl<T> Sync for Receiver<T> {}
// SAFETY: an observer is a reference to a cell, which is `Sync`, and the right to free it when what
// is foreign in it has been dropped.
unsafe impl Send for Observer {}
// SAFETY: as for the runnable.
unsafe impl Sync for Observer {}

/// The methods of a cell for all its holders, whatever the type of the job.
trait AnyCell: Send + Sync {
    fn index(&self) -> &AtomicU32;
    fn holders(&self) -> &AtomicU16;
    fn join_state(&self) -> &JoinState;

    /// Drops what is left of the job.
    ///
    /// # Safety
    ///
    /// Only the runnable or the receiver may call this, whichever comes to the join state last.
    unsafe fn clear(&self);
}

/// The methods of a cell for its runnable, whatever the type of the job.
trait RunnableCell: AnyCell {
    /// At the end of the job the result has been stored. The waker is still in the join state.
    ///
    /// # Safety
    ///
    /// Only the runnable may call this, before it has been at the join state, from a method that
    /// borrows it mutably.
    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;

    /// As [`poll`](Self::poll), but drops the job, whose result is `why`. `None` if the job has come to
    /// its end already.
    ///
    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn give_up(&self, why: JobError) -> Option<Ended>;

    /// Calls `f` with the options of the job, if it may have some and has not come to its end.
    ///
    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn with_options(&self, f: &mut dyn FnMut(&mut Options));

    /// How many slots the job takes.
    ///
    /// # Safety
    ///
    /// Only the runnable may call this, before it has been at the join state.
    unsafe fn weight(&self) -> NonZeroU32;
}

/// The methods of a cell for its receiver, whatever the type of the future.
trait ReceiverCell<T>: AnyCell {
    /// A function that turns the pointer to this cell into one for an observer. A pointer made from
    /// a reference would not be allowed to free the cell.
    fn observed(&self) -> fn(NonNull<()>) -> NonNull<dyn AnyCell>;

    /// Whether a cancellation ended the job. `None` if the result has been taken.
    ///
    /// # Safety
    ///
    /// Only the receiver may call this, when it has seen that the job is settled.
    unsafe fn was_stopped(&self) -> Option<bool>;

    /// # Safety
    ///
    /// As [`was_stopped`](Self::was_stopped), from a method that borrows the receiver mutably.
    unsafe fn take(&self) -> Option<Result<T, JobError>>;

    /// # Safety
    ///
    /// As [`take`](Self::take), when the result has been taken.
    unsafe fn leave_cancelled(&self);
}

impl Runnable {
    /// Puts a job into its allocation. `is_blocked` says whether the caller waits for its start.
    pub(crate) fn new<B: Body>(body: B, is_blocked: bool) -> (Self, Receiver<B::Output>) {
        #[cfg(feature = "tracing")]
        let body = crate::job::traced::Traced::new(body);
        let cell = Box::new(Cell {
            index: AtomicU32::new(u32::MAX),
            holders: AtomicU16::new(if is_blocked { 1 | BLOCKED } else { 1 }),
            join_state: JoinState::open(),
            progress: UnsafeCell::new(Progress::default()),
            stage: UnsafeCell::new(Stage::Run(body)),
        });
        let cell = NonNull::from(Box::leak(cell));
        (Self(cell), Receiver(cell))
    }

    fn cell(&self) -> &dyn RunnableCell {
        // SAFETY: the cell lives at least until its runnable has been at the join state, which
        // takes `self`.
        unsafe { self.0.as_ref() }
    }

    /// The job takes a place in the queue, for the workers at this index. Under the lock of the
    /// pool.
    pub(crate) fn waits_for(&self, workers: usize) {
        self.set_index(workers);
    }

    /// The index of the workers of a job that has not been started. Under the lock of the pool.
    pub(crate) fn workers(&self) -> usize {
        self.cell().index().load(Ordering::Relaxed) as usize
    }

    /// Tells the handle the entry of the job. Under the lock of the pool.
    pub(crate) fn is_held_at(&self, index: usize) {
        self.set_index(index);
    }

    fn set_index(&self, index: usize) {
        // There are no more entries and workers than waiters, and the core counts those in a `u32`.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.cell().index().store(index, Ordering::Relaxed);
    }

    /// The waker of the blocked caller of `spawn`, which the start of the job wakes.
    pub(crate) fn take_spawn_waker(&self) -> Option<Waker> {
        let cell = self.cell();
        // No other caller leaves a waker for the start.
        if cell.holders().load(Ordering::Relaxed) & BLOCKED == 0 {
            return None;
        }
        cell.join_state().take_waker().map(|left| left.waker)
    }

    /// Whether a caller waits for the start of the job.
    pub(crate) fn is_blocked(&self) -> bool {
        self.cell().holders().load(Ordering::Relaxed) & BLOCKED != 0
    }

    /// Calls `f` with the options of the job, if it may have some.
    pub(crate) fn with_options<R>(&mut self, f: impl FnOnce(&mut Options) -> R) -> Option<R> {
        let (mut f, mut given) = (Some(f), None);
        let mut once = |options: &mut Options| given = f.take().map(|f| f(options));
        // SAFETY: `self` is the runnable, borrowed mutably, and whoever goes to the join state takes
        // it.
        unsafe { self.cell().with_options(&mut once) };
        given
    }

    /// The name of the job, if it has one and has not come to its end.
    pub(crate) fn name(&mut self) -> Option<Arc<str>> {
        let name = self.with_options(|options| options.name().cloned());
        name.flatten()
    }

    /// How many slots the job takes.
    pub(crate) fn weight(&self) -> NonZeroU32 {
        // SAFETY: `self` is the runnable, and nobody borrows it mutably.
        unsafe { self.cell().weight() }
    }

    /// Continues the job, or stops it. At its end its result has been stored;
    /// [`settle`](Self::settle) tells its handle.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: `self` is the runnable, borrowed mutably, and whoever goes to the join state
        // takes it.
        unsafe { self.cell().poll(cx, stop) }
    }

    /// Leaves the result to the handle, and gives the waker of the handle.
    pub(crate) fn settle(self) -> Option<Waker> {
        // SAFETY: what has been moved in there is not used again.
        unsafe { ManuallyDrop::new(self).leave() }
    }

    /// Drops the job in its present state, and settles it as cancelled.
    pub(crate) fn give_up(self) -> Ended {
        self.give_up_as(JobError::Cancelled)
    }

    /// Drops the job in its present state, and settles it with this error.
    pub(crate) fn give_up_as(self, why: JobError) -> Ended {
        // SAFETY: `self` is the runnable, and nobody borrows it.
        let ended = unsafe { self.cell().give_up(why) };
        // The future has been dropped by now, so the woken task finds nothing of the job left.
        let waker = self.settle();
        Ended {
            waker,
            ..ended.unwrap_or_else(|| Ended::without_a_job(None))
        }
    }

    /// Goes to the join state, and frees the cell with its result if the receiver has gone before.
    ///
    /// # Safety
    ///
    /// The runnable is not used afterwards, nor dropped. A job that has not come to its end leaves
    /// its receiver without a result.
    unsafe fn leave(&mut self) -> Option<Waker> {
        // The receiver may free the cell as soon as the join state has been changed. From then on
        // this thread holds no reference to more than the join state.
        self.cell()
            .join_state()
            .settle()
            .unwrap_or_else(|Detached| {
                // SAFETY: the receiver has gone before.
                unsafe { free(self.0) };
                None
            })
    }
}

/// A runnable that is dropped settles its job. A worker settles its job itself; this drop is for
/// unwinding.
impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: `self` is the runnable, borrowed mutably, and has not been at the join state.
        let _begun = unsafe { self.cell().give_up(JobError::Cancelled) };
        // SAFETY: it is dropped now, once.
        wake(unsafe { self.leave() });
    }
}

/// The last of the runnable and the receiver drops what is left of the job, and frees the cell
/// unless observers hold it.
///
/// # Safety
///
/// Neither of the two uses the cell afterwards.
unsafe fn free<C: AnyCell + ?Sized>(cell: NonNull<C>) {
    // SAFETY: the caller holds the cell.
    let holders = unsafe { cell.as_ref() }.holders();
    // Acquire: the accesses of observers that have left come before the cell is freed. Only the
    // receiver makes new observers.
    if holders.load(Ordering::Acquire) & !BLOCKED > 1 {
        // The result is dropped now, and not when an observer happens to go.
        // SAFETY: as the caller says.
        unsafe { cell.as_ref().clear() };
        // SAFETY: the caller holds the cell until here.
        if !unsafe { leave_to_others(cell) } {
            return;
        }
    }
    // SAFETY: the cell was leaked out of a box, and nobody else holds it.
    discard(unsafe { Box::from_raw(cell.as_ptr()) });
}

/// A holder of the cell leaves. Tells whether it was the last holder.
///
/// # Safety
///
/// The caller held the cell.
unsafe fn leave_to_others<C: AnyCell + ?Sized>(cell: NonNull<C>) -> bool {
    // SAFETY: the caller holds the cell until the count has been changed.
    let holders = unsafe { cell.as_ref() }.holders();
    holders.fetch_sub(1, Ordering::AcqRel) & !BLOCKED == 1
}

impl<T> Receiver<T> {
    fn cell(&self) -> &dyn ReceiverCell<T> {
        // SAFETY: the cell lives at least until its receiver has been at the join state to leave,
        // which is in its drop.
        unsafe { self.0.as_ref() }
    }

    /// A new observer, which is one more holder of the cell.
    ///
    /// # Panics
    ///
    /// If the count of holders is at its maximum.
    pub(crate) fn observer(&self) -> Observer {
        let count = |holders: u16| (holders & !BLOCKED < MOST_HOLDERS).then(|| holders + 1);
        // Relaxed: the receiver holds the cell while it counts.
        let counted =
            self.cell()
                .holders()
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        assert!(
            counted.is_ok(),
            "one job has no more than {MOST_HOLDERS} abort handles: clone one of them"
        );
        Observer(self.cell().observed()(self.0.cast()))
    }

    /// The index of the entry of the job, if it has been started. Under the lock of the pool.
    pub(crate) fn active_index(&self) -> usize {
        self.cell().index().load(Ordering::Relaxed) as usize
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.cell().join_state().is_settled()
    }

    pub(crate) fn is_taken(&self) -> bool {
        // SAFETY: `self` is the receiver of a job that is settled.
        self.is_settled() && unsafe { self.cell().was_stopped() }.is_none()
    }

    /// Waits for the end of the job, and tells whether a cancellation ended it. What `wait` gives is
    /// kept as long as the waker.
    ///
    /// # Panics
    ///
    /// If the result has been taken.
    pub(crate) fn poll_settled(
        &mut self,
        cx: &mut Context<'_>,
        wait: impl FnOnce() -> Option<Waiting>,
    ) -> Poll<bool> {
        ready!(self.cell().join_state().poll_settled(cx, wait));
        // SAFETY: `self` is the receiver of a job that is settled.
        let stopped = unsafe { self.cell().was_stopped() };
        Poll::Ready(
            stopped.expect("a `JobHandle` must not be polled after it has given its result"),
        )
    }

    /// Takes the result, if the job is settled and the result has not been taken.
    pub(crate) fn take(&mut self) -> Option<Result<T, JobError>> {
        if !self.is_settled() {
            return None;
        }
        // SAFETY: `self` is the receiver, borrowed mutably, of a job that is settled.
        unsafe { self.cell().take() }
    }

    /// As [`take`](Self::take), and leaves [`JobError::Cancelled`] in the place of the result.
    pub(crate) fn take_cancelled(&mut self) -> Option<Result<T, JobError>> {
        let result = self.take()?;
        // SAFETY: as in `take`, which has taken the result.
        unsafe { self.cell().leave_cancelled() };
        Some(result)
    }
}

/// The result is no longer wanted: it is dropped now, or as soon as it is stored.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // The runnable may free the cell as soon as the join state is changed.
        if self.cell().join_state().detach() {
            // SAFETY: the runnable has gone before.
            unsafe { free(self.0) };
        }
    }
}

impl Observer {
    fn cell(&self) -> &dyn AnyCell {
        // SAFETY: the observer holds the cell until its drop.
        unsafe { self.0.as_ref() }
    }

    /// The index of the entry of the job, if it has been started. Under the lock of the pool.
    pub(crate) fn active_index(&self) -> usize {
        self.cell().index().load(Ordering::Relaxed) as usize
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.cell().join_state().is_settled()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // SAFETY: the observer holds the cell.
        if unsafe { leave_to_others(self.0) } {
            // SAFETY: the cell was leaked out of a box, and nobody else holds it. What is foreign
            // in it has been dropped before.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl<B: Body> Cell<B> {
    /// # Safety
    ///
    /// As [`RunnableCell::poll`].
    unsafe fn with_run<R>(&self, f: impl FnOnce(&mut Progress, Pin<&mut B>) -> R) -> Option<R> {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique.
            let Stage::Run(body) = (unsafe { &mut *stage }) else {
                return None;
            };
            // SAFETY: a cell lies in a box from its birth in `Runnable::new`, and the body is
            // dropped where it lies when its result takes its place. So it is pinned.
            let body = unsafe { Pin::new_unchecked(body) };
            // SAFETY: the progress belongs to the caller too.
            self.progress
                .with_mut(|progress| Some(f(unsafe { &mut *progress }, body)))
        })
    }

    /// Stores the result. The runnable does not touch it before it has been at the join state.
    ///
    /// # Safety
    ///
    /// As [`RunnableCell::poll`].
    unsafe fn store(&self, finished: Finished<B::Output>) -> Ended {
        finished.settle(|result| {
            self.stage.with_mut(|stage| {
                // SAFETY: the stage belongs to the caller, so the reference is unique.
                unsafe { *stage = Stage::Settled(result) };
            });
            None
        })
    }
}

impl<B: Body> AnyCell for Cell<B> {
    fn index(&self) -> &AtomicU32 {
        &self.index
    }

    fn holders(&self) -> &AtomicU16 {
        &self.holders
    }

    fn join_state(&self) -> &JoinState {
        &self.join_state
    }

    unsafe fn clear(&self) {
        let left = self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique. What is moved is
            // no job, which has ended.
            mem::replace(unsafe { &mut *stage }, Stage::Taken)
        });
        discard(left);
    }
}

impl<B: Body> RunnableCell for Cell<B> {
    unsafe fn poll(&self, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        // SAFETY: passed on to the caller.
        let polled = unsafe { self.with_run(|progress, body| progress.poll(body, cx, stop)) };
        let finished = ready!(polled.expect("a job is not polled after its end"));
        // SAFETY: passed on to the caller.
        Poll::Ready(unsafe { self.store(finished) })
    }

    unsafe fn give_up(&self, why: JobError) -> Option<Ended> {
        let give_up = |progress: &mut Progress, body: Pin<&mut B>| progress.give_up(body, why);
        // SAFETY: passed on to the caller.
        let finished = unsafe { self.with_run(give_up) }?;
        // SAFETY: passed on to the caller.
        Some(unsafe { self.store(finished) })
    }

    unsafe fn with_options(&self, f: &mut dyn FnMut(&mut Options)) {
        // SAFETY: passed on to the caller.
        let _had_ended = unsafe { self.with_run(|_, body| body.options().map(f)) };
    }

    unsafe fn weight(&self) -> NonZeroU32 {
        self.stage.with(|stage| {
            // SAFETY: the stage belongs to the runnable, which the caller borrows. So nobody changes
            // it.
            match unsafe { &*stage } {
                Stage::Run(body) => body.weight(),
                Stage::Settled(_) | Stage::Taken => NonZeroU32::MIN,
            }
        })
    }
}

impl<B: Body> ReceiverCell<B::Output> for Cell<B> {
    fn observed(&self) -> fn(NonNull<()>) -> NonNull<dyn AnyCell> {
        |cell| cell.cast::<Self>()
    }

    unsafe fn was_stopped(&self) -> Option<bool> {
        // SAFETY: the stage and the progress belong to the receiver, which the caller borrows. So
        // nobody changes them.
        let is_there = |stage: *const _| matches!(unsafe { &*stage }, Stage::<B>::Settled(_));
        // SAFETY: as above.
        let was_stopped = |progress: *const Progress| unsafe { (*progress).stopped };
        self.stage
            .with(is_there)
            .then(|| self.progress.with(was_stopped))
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

    unsafe fn leave_cancelled(&self) {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage belongs to the caller, so the reference is unique.
            unsafe { *stage = Stage::Settled(Err(JobError::Cancelled)) };
        });
    }
}

/// The caller that handed the job in waits for its start.
const BLOCKED: u16 = 1 << 15;
const MOST_HOLDERS: u16 = BLOCKED - 1;

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
        let (runnable, mut receiver) = Runnable::new(Caught::new(job), false);
        drop(runnable);
        assert_eq!(Arc::strong_count(&dropped), 1);
        let result = receiver.take().expect("the job is settled");
        assert!(matches!(result, Err(JobError::Cancelled)));
    }

    #[test]
    fn a_job_whose_owner_and_handle_are_dropped_is_freed() {
        let dropped = Arc::new(());
        let held = dropped.clone();
        let (runnable, receiver) = Runnable::new(Caught::new(async move { drop(held) }), false);
        drop(receiver);
        assert_eq!(Arc::strong_count(&dropped), 2);
        drop(runnable);
        assert_eq!(Arc::strong_count(&dropped), 1);
    }
}
