//! Queueing a job that has its cell: in the call, or when the future of `spawn` or `exec` is first
//! polled.

use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aiopool_core::Level;

use crate::error::JobError;
use crate::handle::JobHandle;
use crate::job::body::Caught;
use crate::job::cell::{Receiver, Runnable};
use crate::run::nested;
use crate::source::mapped::panicking;
use crate::state::Shared;
use crate::sys::clock::check_time_for;
use crate::sys::runtime::{Handle, current_for, poll_in_budget};
use crate::sys::unwind::discard;

/// Waits for the start of a job. If it is dropped meanwhile, it takes the job out of the queue.
pub(crate) struct Spawn<T>(Call<T>);

/// Waits for the end of a job. If it is dropped meanwhile, it cancels the job.
pub(crate) struct Exec<T>(Call<T>);

/// The progress of such a call. The job is in its cell all the time, so this is a few words.
enum Call<T> {
    Unqueued {
        /// If the call is dropped, this drops the job.
        runnable: Runnable,
        receiver: Receiver<T>,
        shared: Arc<Shared>,
        caller: &'static Location<'static>,
    },
    Queued(JobHandle<T>),
    /// The caller has its result.
    Done,
}

/// Whether a job needs timers on its runtime.
pub(crate) fn needs_time<T>((runnable, _): &mut (Runnable, Receiver<T>)) -> bool {
    let timeout = runnable.with_options(|options| options.timeout());
    timeout.flatten().is_some()
}

/// Puts a job into the queue, to run on `runtime`. A job of the pool that hands it in `to_wait` for it
/// is told of by [`nested`].
#[track_caller]
pub(crate) fn queue<T>(
    (runnable, receiver): (Runnable, Receiver<T>),
    shared: Arc<Shared>,
    runtime: Handle,
    to_wait: bool,
) -> JobHandle<T> {
    let ticket = shared.submit(runnable, runtime, to_wait);
    JobHandle::new(receiver, shared, ticket)
}

/// As [`queue`], a job that may have options. If timers have not been looked for that it needs, they are
/// looked for here, for a call at `caller`.
#[track_caller]
pub(crate) fn queue_as<T: Send + 'static>(
    (mut runnable, receiver): (Runnable, Receiver<T>),
    shared: Arc<Shared>,
    runtime: Handle,
    to_wait: bool,
    caller: Option<&Location<'_>>,
) -> JobHandle<T> {
    let asked = runnable.with_options(|options| {
        // What has a name is noted as it starts.
        let is_plain = options.are_plain_at(Level::default()) && options.name().is_none();
        (is_plain, options.level(), options.timeout().is_some())
    });
    if let (Some((_, _, true)), Some(caller)) = (asked, caller) {
        check_time_for(&runtime, caller);
    }
    let own = match asked {
        None | Some((true, None, _)) => {
            return queue((runnable, receiver), shared, runtime, to_wait);
        }
        Some((_, own, _)) => own,
    };
    let mut request = nested::request_in(&shared, to_wait);
    request.level = own.unwrap_or(request.level);
    match shared.submit_as(runnable, runtime.clone(), request) {
        Ok(ticket) => JobHandle::new(receiver, shared, ticket),
        Err((runnable, payload)) => {
            // The job settles with the panic of its key: another that panics takes its turn.
            let is_blocked = runnable.is_blocked();
            discard(receiver);
            discard(runnable);
            let job = Runnable::new(Caught::new(panicking(payload)), is_blocked);
            queue(job, shared, runtime, to_wait)
        }
    }
}

impl<T> Spawn<T> {
    /// `job` was made for a blocked caller: see [`Runnable::new`].
    pub(crate) fn new(
        job: (Runnable, Receiver<T>),
        shared: Arc<Shared>,
        caller: &'static Location<'static>,
    ) -> Self {
        Self(Call::new(job, shared, caller))
    }
}

impl<T> Exec<T> {
    pub(crate) fn new(
        job: (Runnable, Receiver<T>),
        shared: Arc<Shared>,
        caller: &'static Location<'static>,
    ) -> Self {
        Self(Call::new(job, shared, caller))
    }
}

impl<T: Send + 'static> Future for Spawn<T> {
    type Output = JobHandle<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<JobHandle<T>> {
        if let Call::Unqueued { .. } = self.0 {
            // A loop of calls would go on for ever while slots are free. This comes first: if the
            // budget is used up and the caller drops the call, no job has been handed in.
            ready!(poll_in_budget(cx, |_| Poll::Ready(())));
        }
        ready!(self.0.handle().poll_started(cx));
        match mem::replace(&mut self.0, Call::Done) {
            Call::Queued(handle) => Poll::Ready(handle),
            Call::Unqueued { .. } | Call::Done => unreachable!("the job has been queued"),
        }
    }
}

impl<T: Send + 'static> Future for Exec<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(self.0.handle()).poll(cx));
        self.0 = Call::Done;
        Poll::Ready(result)
    }
}

impl<T> Call<T> {
    fn new(
        (runnable, receiver): (Runnable, Receiver<T>),
        shared: Arc<Shared>,
        caller: &'static Location<'static>,
    ) -> Self {
        Self::Unqueued {
            runnable,
            receiver,
            shared,
            caller,
        }
    }

    /// The handle of the job. Queues the job first, if it is not queued yet.
    fn handle(&mut self) -> &mut JobHandle<T>
    where
        T: Send + 'static,
    {
        if let Self::Unqueued { caller, .. } = *self {
            // Before any change: outside a runtime this panics.
            let runtime = current_for(caller);
            if let Self::Unqueued {
                runnable,
                receiver,
                shared,
                ..
            } = mem::replace(self, Self::Done)
            {
                let job = (runnable, receiver);
                *self = Self::Queued(queue_as(job, shared, runtime, true, Some(caller)));
            }
        }
        match self {
            Self::Queued(handle) => handle,
            _ => panic!("the future of a verb must not be polled after its end"),
        }
    }
}

/// A job that has started meanwhile runs on.
impl<T> Drop for Spawn<T> {
    fn drop(&mut self) {
        if let Call::Queued(handle) = &self.0 {
            handle.withdraw();
        }
    }
}

impl<T> Drop for Exec<T> {
    fn drop(&mut self) {
        if let Call::Queued(handle) = &self.0 {
            handle.cancel();
        }
    }
}
