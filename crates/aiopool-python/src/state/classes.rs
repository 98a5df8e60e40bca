//! The classes that Python sees. They stand in one file because they refer to each other as data.
//! Only the other files of this folder change their fields.

use std::mem;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::AtomicBool;

use aiopool_core::{Admission, Level, Outside, Slot, Ticket, Time};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use slab::Slab;

use super::counts::Counts;
use super::index::{OfFuture, TicketIndex};
use super::keys::Keys;
use super::mailbox::Mailbox;
use super::options::{Arity, Asked, Call, Callback, Extras, Observed, OptionValues, WaitingJob};
use super::pump::Pump;
use super::results::Results;
use super::source::{Mapped, Source};
use super::tasks::Tasks;
use super::watch::Watch;
use super::workers::Workers;
use crate::py::context::Snapshot;
use crate::py::event_loop::OwnLoop;
use crate::py::guarded::Guarded;
use crate::py::loop_end::LoopEnd;
use crate::py::shape::Shape;

/// The engine of `aiopool.AioPool`, which documents what its calls do.
#[pyclass(frozen, weakref, module = "aiopool._core")]
pub struct Pool {
    pub(super) own_loop: OwnLoop,
    /// Whether one task runs many jobs: see [`Worker`].
    pub(super) reuses_tasks: bool,
    /// Whether a job makes its first step at its start, if its loop allows that.
    pub(super) is_eager: bool,
    /// Whether the last job did.
    pub(super) begins_at_once: AtomicBool,
    /// Whether it will be told when its loop is closed.
    pub(super) sees_close: AtomicBool,
    /// Whether a job has asked for another level than that of all others.
    pub(super) has_levels: AtomicBool,
    /// How many jobs of a key may be active at once, or the function that tells.
    pub(super) per_key: Option<Py<PyAny>>,
    /// How many of them may start in a time, or the function that tells.
    pub(super) per_key_rate: Option<Py<PyAny>>,
    pub(super) observer: Option<Py<PyAny>>,
    /// Apart from the rest: other threads put into it what they submit.
    pub(super) mailbox: Guarded<Mailbox>,
    pub(super) state: Guarded<PoolState>,
}

pub(super) struct PoolState {
    pub(super) admission: Admission<Waiter, Py<PyAny>>,
    pub(super) index: TicketIndex,
    pub(super) pump: Pump,
    /// The active jobs. They hold their tasks, which asyncio holds only weakly.
    pub(super) jobs: Slab<Py<Job>>,
    pub(super) tasks: Tasks,
    pub(super) workers: Workers<Py<Worker>>,
    /// The worker that gets the next job, in the first step of its task.
    pub(super) looking: Option<Py<Worker>>,
    pub(super) snapshot: Option<Snapshot>,
    /// Set from the first waiter on, or as soon as the pool [looks after](Pool::look_after) its
    /// active jobs, until the pool is empty.
    pub(super) loop_end: Option<LoopEnd>,
    /// Whether an active job may outlive the tasks that the end of the loop cancels.
    pub(super) looks_after: bool,
    pub(super) executed: u64,
    /// The running `map`s that were aside and may stand in the queue again.
    pub(super) sources: Vec<Py<Items>>,
    /// Those that have pulled as far ahead as they may.
    pub(super) aside: Vec<Py<Items>>,
    pub(super) keys: Keys,
    /// The latest time that the clock has told.
    pub(super) now: Time,
    /// When the timer fires, and its handle.
    pub(super) timer: Option<(Time, Py<PyAny>)>,
    pub(super) counts: Counts,
    pub(super) watch: Watch,
    pub(super) closing: Closing,
}

/// How far a pool has closed.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Closing {
    #[default]
    No,
    /// Only what its jobs wait for is handed in.
    Begun,
    /// Nothing is.
    Stopped,
}

/// A waiter in the queue.
pub(crate) enum Waiter {
    Job(WaitingJob),
    /// Apart, so that a plain job takes no room for it.
    Other(Other),
}

pub(crate) enum Other {
    Apart(Apart),
    /// An item of an `itermap`, or one that a `map` has pulled already. Without an item: a running
    /// `map`, which pulls one when its turn comes.
    Item {
        items: Py<Items>,
        item: Option<Py<PyAny>>,
        extras: Option<Box<Extras>>,
    },
}

pub(crate) enum Apart {
    Call(WaitingCall),
    Single(Box<Single>),
}

/// A waiter of which there are few.
pub(crate) enum Single {
    Job(WaitingJob, Box<Extras>),
    Call(WaitingCall, Box<Extras>),
    Back(Back),
}

/// A job whose call is still to be made.
pub(crate) struct WaitingCall {
    pub(crate) job: Py<Enqueued>,
    pub(crate) context: Py<PyAny>,
}

/// A job that is outside, and wants its slots again.
pub(crate) struct Back {
    pub(crate) job: Py<Job>,
    /// Settled when it has them.
    pub(crate) granted: Py<PyAny>,
    weight: NonZeroU32,
    /// Whether it pays the rate.
    pays: bool,
}

/// A waiter takes no more room than a plain job.
const _: () = assert!(mem::size_of::<Waiter>() == mem::size_of::<WaitingJob>());

/// The verbs of a pool, which may have options for their jobs.
#[pyclass(frozen, module = "aiopool._core")]
pub struct Verbs {
    pub(crate) pool: Py<Pool>,
    pub(crate) values: Option<OptionValues>,
}

/// The ticket by which a joiner takes back its wait for an empty pool.
#[pyclass(frozen, module = "aiopool._core")]
pub(crate) struct JoinTicket(pub(super) Ticket);

/// The arguments of a verb whose own coroutine may never run: a task that is cancelled before its
/// first step runs no line of its coroutine. Then this is dropped, and closes the awaitable, so
/// that Python does not warn that it was never awaited.
#[pyclass(frozen, module = "aiopool._core")]
pub struct Unawaited {
    pub(super) verbs: Py<Verbs>,
    /// Set until the verb runs.
    pub(super) called: Guarded<Option<Called>>,
}

pub(crate) struct Called {
    pub(crate) awaitable: Py<PyAny>,
    pub(crate) cb: Option<Py<PyAny>>,
    pub(crate) ctx: Py<PyAny>,
}

/// A job that `enqueue` has handed in: it is awaited, or used as a future.
// It is a call, which is made when the job begins. It stands in the queue itself, and later has the
// outcome.
#[pyclass(frozen, weakref, name = "Job", module = "aiopool")]
pub struct Enqueued {
    pub(super) pool: Py<Pool>,
    pub(super) state: Guarded<EnqueuedState>,
}

/// Its size, and that of the place in the queue, is what a waiting call costs. So what only awaited
/// ones have is in a box.
pub(super) struct EnqueuedState {
    pub(super) stage: Stage,
    pub(super) awaited: Option<Box<Awaited>>,
}

const _: () = assert!(mem::size_of::<EnqueuedState>() == 5 * mem::size_of::<usize>());

pub(super) enum Stage {
    Waiting {
        // A `Call`, whose padding would make it larger.
        function: Py<PyAny>,
        arguments: Option<Py<PyAny>>,
        arity: Arity,
        /// None before it stands in the queue.
        place: Option<Ticket>,
    },
    Active {
        job: Py<Job>,
        /// Whether its holder has cancelled it.
        is_stopped: bool,
    },
    Ended(End, Option<Py<PyString>>),
}

/// How it has ended.
pub(crate) enum End {
    Returned(Py<PyAny>),
    /// With a future that has failed in its place and reports the error if nobody reads it. If there was
    /// no memory for one, with the error.
    Failed(Py<PyAny>),
    /// With the message of the cancellation.
    Cancelled(Option<Py<PyAny>>),
}

#[derive(Default)]
pub(super) struct Awaited {
    /// See `asyncio.isfuture`.
    pub(super) is_blocking: bool,
    pub(super) callbacks: Callbacks,
}

/// The functions to call at the end, each with its context.
pub(crate) type Callbacks = Vec<(Py<PyAny>, Py<PyAny>)>;

/// A call that another thread has submitted, until the thread of the pool hands it in.
#[pyclass(frozen, module = "aiopool._core")]
pub struct Mail {
    pub(super) pool: Py<Pool>,
    pub(super) sent: Guarded<Option<Sent>>,
}

pub(crate) struct Sent {
    pub(crate) call: Call,
    pub(crate) asked: Option<Asked>,
    pub(crate) context: Py<PyAny>,
}

/// The iterator with which a coroutine awaits an [`Enqueued`].
#[pyclass(frozen, module = "aiopool._core")]
pub struct Awaiting {
    pub(crate) job: Py<Enqueued>,
    /// Whether it has given the job to its task.
    pub(crate) has_yielded: AtomicBool,
}

/// An active job, as its coroutine in `_job.py` sees it. That coroutine awaits it first, and so
/// pauses until its task makes its first step.
#[pyclass(frozen, weakref, module = "aiopool._core")]
pub struct Job {
    pub(super) pool: Py<Pool>,
    /// None: that of the awaitable.
    pub(super) name: Option<Py<PyString>>,
    pub(super) state: Guarded<JobState>,
}

#[derive(Default)]
pub(super) struct JobState {
    /// Set from the start of the job until it settles.
    pub(super) held: Option<Held>,
    /// None when the job has begun.
    pub(super) work: Option<Work>,
    pub(super) callback: Option<Callback>,
    pub(super) observed: Option<Box<Observed>>,
    /// Whether it is outside because it would not have gone on otherwise.
    pub(super) is_let_out: bool,
    /// The jobs of this pool that wait for its end.
    pub(super) waited_for_by: Vec<Py<Job>>,
    /// For how many nanoseconds it may hold its slots.
    pub(super) timeout: Option<NonZeroU64>,
    /// When it will have held them so long, or how much of that is left while it is outside.
    pub(super) until: Time,
    /// Whether it has had that time, and was cancelled for it.
    pub(super) has_expired: bool,
    /// None when the job has settled.
    pub(super) runner: Option<Runner>,
}

pub(super) struct Held {
    /// None while it is outside.
    pub(super) slot: Option<Slot>,
    pub(super) outside: Option<Outside>,
    /// Its place in the queue, while it is outside and wants to come back.
    pub(super) place: Option<Ticket>,
    /// Where the pool holds the job.
    pub(super) index: usize,
    /// How many had started when it did.
    pub(super) serial: u64,
    pub(super) target: Target,
    pub(super) level: Level,
    pub(super) weight: NonZeroU32,
}

/// What a job does.
pub(crate) enum Work {
    Awaitable(Py<PyAny>),
    /// It is a call that gives an awaitable.
    Call(Call),
}

/// The place for the outcome of a job.
pub(crate) enum Target {
    Future(Py<PyAny>),
    Enqueued(Py<Enqueued>),
    Item {
        items: Py<Items>,
        /// The index of an item of `map` in the list of results.
        index: usize,
        /// The index under which the `map` or `itermap` has noted the job, while it is active.
        place: Option<usize>,
        /// The future of an item that `cancel` has stopped. `cancel` reads the outcome from it.
        future: Option<Py<PyAny>>,
    },
}

/// The task or the worker that runs a job.
pub(super) enum Runner {
    /// A task of its own, for a coroutine of `_job.py`.
    Own {
        coroutine: Py<PyAny>,
        task: Option<Made>,
    },
    /// A worker, if the pool reuses tasks.
    Worker(Py<Worker>),
}

/// The object that the coroutine of a reused task (`run_jobs` in `_job.py`) awaits. It runs the job
/// that it was given, in the context of that job, and then the next one. The task ends when the
/// worker gets no job for a turn of the loop. In an eager pool it makes its first step while it is
/// made, and runs jobs in that until one suspends, which has the task for itself from then on.
#[pyclass(frozen, module = "aiopool._core")]
pub struct Worker {
    pub(super) pool: Py<Pool>,
    /// Whether it takes no more jobs, because a caller waits for the end of its task.
    pub(super) retires: AtomicBool,
    /// Whether its task makes its first step, while it is being made: see `run::worker`.
    pub(super) is_eager: AtomicBool,
    /// Whether it is among the idle workers of the pool.
    pub(super) idles: AtomicBool,
    pub(super) state: Guarded<WorkerState>,
}

#[derive(Default)]
pub(super) struct WorkerState {
    /// Set from the start of the task until the worker leaves.
    pub(super) task: Option<Task>,
    /// The job that it runs next.
    pub(super) given: Option<Given>,
    /// The job that it runs, while that is suspended.
    pub(super) suspended: Option<Begun>,
    /// Whether it has waited a turn of the loop for another job.
    pub(super) has_lingered: bool,
}

/// A task, or the object that a task factory has given in its place.
pub(crate) struct Made {
    pub(crate) object: Py<PyAny>,
    /// Whether the loop has made it and it has not been seen to make a step. A factory may run the
    /// coroutine in another task than the one that it gives.
    pub(crate) unseen: bool,
}

pub(crate) struct Task {
    pub(crate) made: Made,
    pub(crate) coroutine: Py<PyAny>,
    /// The method of the task; a factory may make tasks that do not tell of their cancellation.
    pub(crate) cancelling: Option<Py<PyAny>>,
    pub(crate) set_name: Option<Py<PyAny>>,
    /// That of the coroutine.
    pub(crate) name: Py<PyString>,
}

pub(crate) struct Given {
    pub(crate) job: Py<Job>,
    pub(crate) context: Py<PyAny>,
}

pub(crate) struct Begun {
    pub(crate) job: Py<Job>,
    pub(crate) context: Py<PyAny>,
    pub(crate) coroutine: Py<PyAny>,
    pub(crate) kind: Kind,
}

/// Whose coroutine it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Job,
    /// Ours, around a job that is an awaitable of another kind.
    Wrapper,
    /// Ours, which settles the job itself.
    Callback,
}

/// A running `map` or `itermap`. The results of a `map` stand in the order of its items, those of
/// an `itermap` in the order in which they came.
#[pyclass(frozen, module = "aiopool._core")]
pub struct Items {
    pub(super) pool: Py<Pool>,
    pub(super) mapped: Mapped,
    pub(super) shape: Shape,
    pub(super) ordered: bool,
    /// Whether the call that starts it is still under way.
    pub(super) starts: AtomicBool,
    /// Whether it has cancelled its active jobs.
    pub(super) cancels_jobs: AtomicBool,
    pub(super) state: Guarded<ItemsState>,
}

pub(super) struct ItemsState {
    pub(super) source: Source,
    pub(super) results: Results,
    /// Where the pool holds the active jobs of this call.
    pub(super) active: Slab<usize>,
    /// The places in the queue of the items that a `map` has pulled and that wait nevertheless.
    pub(super) waiting: Slab<Option<Ticket>>,
    pub(super) pulls: Pulls,
    /// The job of this pool that waits for the results.
    pub(super) waited_for_by: Option<Py<Job>>,
}

/// Whether a `map` pulls items.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pulls {
    Yes,
    /// Not before some of its items have settled: it has pulled as far ahead as it may.
    WhenSettled,
    /// Not before the item that it has pulled has started, which waits for a rate.
    WhenStarted,
}

impl aiopool_core::Waiter for Waiter {
    fn weight(&self) -> NonZeroU32 {
        match self {
            Self::Job(_) | Self::Other(Other::Apart(Apart::Call(_))) => NonZeroU32::MIN,
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(_, extras) | Single::Call(_, extras) => extras.weight,
                Single::Back(back) => back.weight,
            },
            Self::Other(Other::Item { extras, .. }) => Extras::weight(extras.as_deref()),
        }
    }

    fn has_begun(&self) -> bool {
        self.back().is_some()
    }

    fn pays(&self) -> bool {
        match self {
            // The item pays that a `map` pulls.
            Self::Other(Other::Item { item, .. }) => item.is_some(),
            _ => self.back().is_none_or(|back| back.pays),
        }
    }
}

impl OfFuture for Waiter {
    fn future(&self) -> Option<usize> {
        self.job().map(|job| job.future.as_ptr() as usize)
    }
}

#[pymethods]
impl Pool {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(event_loop) = self.own_loop.get() {
            event_loop.traverse(visit)?;
        }
        visit.call(&self.per_key)?;
        visit.call(&self.per_key_rate)?;
        visit.call(&self.observer)?;
        self.mailbox
            .traverse(&visit, |mailbox| mailbox.traverse(visit))?;
        self.state.traverse(&visit, |state| {
            for (_, waiter) in state.admission.waiters() {
                waiter.traverse(visit)?;
            }
            for (_, joiner) in state.admission.joiners() {
                visit.call(joiner)?;
            }
            for (_, job) in &state.jobs {
                visit.call(job)?;
            }
            for worker in state.workers.idle().chain(&state.looking) {
                visit.call(worker)?;
            }
            if let Some(snapshot) = &state.snapshot {
                snapshot.traverse(visit)?;
            }
            if let Some(loop_end) = &state.loop_end {
                loop_end.traverse(visit)?;
            }
            for items in state.sources.iter().chain(&state.aside) {
                visit.call(items)?;
            }
            for key in state.keys.objects() {
                visit.call(key)?;
            }
            visit.call(state.timer.as_ref().map(|(_, handle)| handle))
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        let cleared = self.state.with(py, |state| {
            let size = state.admission.size();
            (
                mem::replace(&mut state.admission, Admission::new(size)),
                mem::take(&mut state.jobs),
                (state.workers.clear(), state.looking.take()),
                mem::take(&mut state.index),
                state.snapshot.take(),
                state.loop_end.take(),
                mem::take(&mut state.sources),
                mem::take(&mut state.aside),
                mem::take(&mut state.keys),
                state.timer.take(),
            )
        });
        drop((cleared, self.mailbox.with(py, Mailbox::take)));
    }
}

#[pymethods]
impl Verbs {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        let values = self.values.as_ref();
        values.map_or(Ok(()), |values| values.traverse(visit))
    }
}

#[pymethods]
impl Unawaited {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.verbs)?;
        self.called.traverse(&visit, |called| {
            let Some(called) = called else { return Ok(()) };
            visit.call(&called.awaitable)?;
            visit.call(&called.cb)?;
            visit.call(&called.ctx)
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        self.clear(py);
    }
}

#[pymethods]
impl Enqueued {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.state.traverse(&visit, |state| state.traverse(visit))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, EnqueuedState::clear));
    }
}

#[pymethods]
impl Mail {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.sent.traverse(&visit, |sent| {
            let Some(sent) = sent else { return Ok(()) };
            sent.call.traverse(visit)?;
            if let Some(asked) = &sent.asked {
                visit.call(&asked.key)?;
            }
            visit.call(&sent.context)
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.sent.with(py, Option::take));
    }
}

#[pymethods]
impl Awaiting {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)
    }
}

#[pymethods]
impl Job {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        visit.call(&self.name)?;
        self.state.traverse(&visit, |state| {
            if let Some(held) = &state.held {
                held.target.traverse(visit)?;
            }
            if let Some(callback) = &state.callback {
                callback.traverse(visit)?;
            }
            if let Some(runner) = &state.runner {
                runner.traverse(visit)?;
            }
            if let Some(observed) = &state.observed {
                observed.traverse(visit)?;
            }
            for waiting in &state.waited_for_by {
                visit.call(waiting)?;
            }
            state
                .work
                .as_ref()
                .map_or(Ok(()), |work| work.traverse(visit))
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, mem::take));
    }
}

#[pymethods]
impl Worker {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.state.traverse(&visit, |state| {
            if let Some(task) = &state.task {
                visit.call(&task.made.object)?;
                visit.call(&task.coroutine)?;
                visit.call(&task.cancelling)?;
                visit.call(&task.set_name)?;
            }
            if let Some(given) = &state.given {
                visit.call(&given.job)?;
                visit.call(&given.context)?;
            }
            if let Some(begun) = &state.suspended {
                visit.call(&begun.job)?;
                visit.call(&begun.context)?;
                visit.call(&begun.coroutine)?;
            }
            Ok(())
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.state.with(py, mem::take));
    }
}

#[pymethods]
impl Items {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        self.mapped.traverse(visit)?;
        self.state.traverse(&visit, |state| {
            state.source.traverse(visit)?;
            visit.call(&state.waited_for_by)?;
            state.results.traverse(visit)
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        let cleared = self.state.with(py, |state| {
            let waiting = state.waited_for_by.take();
            (state.source.end(), state.results.clear(), waiting)
        });
        drop(cleared);
    }
}

impl Waiter {
    pub(crate) fn single(single: Single) -> Self {
        Self::Other(Other::Apart(Apart::Single(Box::new(single))))
    }

    pub(crate) fn call(call: WaitingCall, extras: Option<Box<Extras>>) -> Self {
        match extras {
            None => Self::Other(Other::Apart(Apart::Call(call))),
            Some(extras) => Self::single(Single::Call(call, extras)),
        }
    }

    /// The future of a caller that waits for the start of the job.
    pub(crate) fn take_admitted(&mut self) -> Option<Py<PyAny>> {
        let job = match self {
            Self::Job(job) => job,
            Self::Other(Other::Apart(Apart::Single(single))) => match &mut **single {
                Single::Job(job, _) => job,
                Single::Call(..) | Single::Back(_) => return None,
            },
            Self::Other(_) => return None,
        };
        job.options.as_mut()?.admitted.take()
    }

    /// Whether a caller waits for the start of the job that is in no job of this pool itself.
    pub(super) fn tells_of_start(&self) -> bool {
        let options = self.job().and_then(|job| job.options.as_ref());
        options.is_some_and(|options| options.admitted.is_some() && !options.is_nested)
    }

    /// None for an item or a call, and for one that has begun.
    pub(crate) fn job(&self) -> Option<&WaitingJob> {
        match self {
            Self::Job(job) => Some(job),
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(job, _) => Some(job),
                Single::Call(..) | Single::Back(_) => None,
            },
            Self::Other(Other::Apart(Apart::Call(_)) | Other::Item { .. }) => None,
        }
    }

    /// What its holder knows it by; None for an item, and for one that has begun.
    pub(crate) fn handle(&self) -> Option<&Py<PyAny>> {
        match self {
            Self::Other(Other::Apart(Apart::Call(call))) => Some(call.job.as_any()),
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(job, _) => Some(&job.future),
                Single::Call(call, _) => Some(call.job.as_any()),
                Single::Back(_) => None,
            },
            Self::Job(job) => Some(&job.future),
            Self::Other(Other::Item { .. }) => None,
        }
    }

    /// The name that was asked for.
    pub(super) fn name(&self) -> Option<&Py<PyString>> {
        match self {
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(_, extras) | Single::Call(_, extras) => extras.name.as_ref(),
                Single::Back(_) => None,
            },
            _ => None,
        }
    }

    /// One that comes back from outside.
    pub(super) fn back(&self) -> Option<&Back> {
        match self {
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Back(back) => Some(back),
                Single::Job(..) | Single::Call(..) => None,
            },
            Self::Job(_) | Self::Other(_) => None,
        }
    }

    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Job(job) => job.traverse(visit),
            Self::Other(Other::Apart(Apart::Call(call))) => call.traverse(visit),
            Self::Other(Other::Apart(Apart::Single(single))) => match &**single {
                Single::Job(job, extras) => {
                    job.traverse(visit)?;
                    extras.traverse(visit)
                }
                Single::Call(call, extras) => {
                    call.traverse(visit)?;
                    extras.traverse(visit)
                }
                Single::Back(back) => {
                    visit.call(&back.job)?;
                    visit.call(&back.granted)
                }
            },
            Self::Other(Other::Item {
                items,
                item,
                extras,
            }) => {
                visit.call(items)?;
                visit.call(item)?;
                let extras = extras.as_deref();
                extras.map_or(Ok(()), |extras| extras.traverse(visit))
            }
        }
    }
}

impl WaitingCall {
    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.job)?;
        visit.call(&self.context)
    }
}

impl Work {
    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Awaitable(awaitable) => visit.call(awaitable),
            Self::Call(call) => call.traverse(visit),
        }
    }
}

impl Back {
    pub(super) fn new(
        job: &Bound<'_, Job>,
        granted: &Bound<'_, PyAny>,
        weight: NonZeroU32,
        pays: bool,
    ) -> Self {
        Self {
            job: job.clone().unbind(),
            granted: granted.clone().unbind(),
            weight,
            pays,
        }
    }
}

impl Target {
    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Future(future) => visit.call(future),
            Self::Enqueued(job) => visit.call(job),
            Self::Item { items, future, .. } => {
                visit.call(items)?;
                visit.call(future)
            }
        }
    }
}

impl Runner {
    fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Own { coroutine, task } => {
                visit.call(coroutine)?;
                visit.call(task.as_ref().map(|made| &made.object))
            }
            Self::Worker(worker) => visit.call(worker),
        }
    }
}
