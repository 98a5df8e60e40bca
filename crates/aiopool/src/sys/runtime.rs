//! The parts of Tokio that the pool needs: a runtime for its workers, and the budget of a task.

use std::panic::Location;
#[cfg(not(aiopool_models))]
use std::pin::pin;
use std::task::{Context, Poll, ready};

#[cfg(aiopool_models)]
pub(crate) use explored::{
    Handle, RuntimeId, TaskId, current_task, poll_proceed, threads, yield_to_all,
};
#[cfg(not(aiopool_models))]
pub(crate) use tokio::{
    runtime::{Handle, Id as RuntimeId},
    task::{Id as TaskId, coop::poll_proceed, try_id as current_task},
};

/// The runtime of the caller.
///
/// # Panics
///
/// Outside a runtime, as `tokio::spawn` does.
#[track_caller]
pub(crate) fn current() -> Handle {
    Handle::current()
}

/// The runtime of the current poll, for a future that a call at `caller` made.
pub(crate) fn current_for(caller: &Location<'_>) -> Handle {
    match Handle::try_current() {
        Ok(handle) => handle,
        Err(error) => panic!("{error} (awaited: a call of aiopool at {caller})"),
    }
}

/// The runtime of the caller, if there is one.
pub(crate) fn current_if_any() -> Option<Handle> {
    Handle::try_current().ok()
}

/// How many tasks run at the same time.
#[cfg(not(aiopool_models))]
pub(crate) fn threads(runtime: &Handle) -> usize {
    runtime.metrics().num_workers()
}

/// Wakes the task when all runnable tasks have run, and the runtime has checked its timers and
/// sockets. A task that wakes itself runs before that.
#[cfg(not(aiopool_models))]
pub(crate) fn yield_to_all(cx: &mut Context<'_>) {
    let _pending = pin!(tokio::task::yield_now()).poll(cx);
}

/// Polls within the budget of the task, and takes one unit of it when the poll is ready. So a task
/// that awaits, again and again, futures that are ready at once lets other tasks have their turn.
#[inline]
pub(crate) fn poll_in_budget<R>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let budget = ready!(poll_proceed(cx));
    let polled = ready!(poll(cx));
    budget.made_progress();
    Poll::Ready(polled)
}

/// Runtimes made of the threads of an explorer, with one thread for each task.
#[cfg(aiopool_models)]
mod explored {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use crate::sys::explorer;
    use crate::sys::sync::Mutex;

    /// A runtime. All threads begin in the default one, which never shuts down.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Handle(Option<Arc<Runtime>>);

    #[derive(Debug, Default)]
    struct Runtime {
        /// Whether a task has to yield before each use of its budget.
        stingy: bool,
        tasks: Mutex<Tasks>,
    }

    #[derive(Debug, Default)]
    struct Tasks {
        shut_down: bool,
        wakers: Vec<Waker>,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct RuntimeId(usize);

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct TaskId;

    pub(crate) struct Budget;

    explorer::thread_local! {
        static ENTERED: RefCell<Handle> = RefCell::default();
        static HAS_YIELDED: Cell<bool> = Cell::new(false);
    }

    impl Handle {
        pub(crate) fn current() -> Self {
            ENTERED.with(|entered| entered.borrow().clone())
        }

        #[expect(
            clippy::unnecessary_wraps,
            reason = "with Tokio a caller may be outside a runtime"
        )]
        pub(crate) fn try_current() -> Result<Self, String> {
            Ok(Self::current())
        }

        pub(crate) fn id(&self) -> RuntimeId {
            RuntimeId(self.0.as_ref().map_or(0, |this| Arc::as_ptr(this).addr()))
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            let Some(runtime) = self.0.clone() else {
                explorer::thread::spawn(move || explorer::future::block_on(task));
                return;
            };
            if runtime.tasks.lock().shut_down {
                return;
            }
            explorer::thread::spawn(move || {
                Self(Some(runtime.clone())).enter();
                let mut task = pin!(task);
                explorer::future::block_on(poll_fn(|cx| {
                    if runtime.is_shut_down(cx) {
                        return Poll::Ready(());
                    }
                    task.as_mut().poll(cx)
                }));
            });
        }

        /// The calling thread is in this runtime from now on.
        pub(crate) fn enter(&self) {
            ENTERED.with(|entered| *entered.borrow_mut() = self.clone());
        }
    }

    /// For the models.
    #[cfg(test)]
    impl Handle {
        pub(crate) fn new() -> Self {
            Self(Some(Arc::default()))
        }

        pub(crate) fn stingy() -> Self {
            let runtime = Runtime {
                stingy: true,
                ..Runtime::default()
            };
            Self(Some(Arc::new(runtime)))
        }

        /// Drops all tasks in their present state, and drops later tasks at once.
        pub(crate) fn shut_down(&self) {
            let Some(runtime) = &self.0 else { return };
            let mut tasks = runtime.tasks.lock();
            tasks.shut_down = true;
            let wakers = std::mem::take(&mut tasks.wakers);
            drop(tasks);
            crate::sys::unwind::wake(wakers);
        }
    }

    impl Runtime {
        fn is_shut_down(&self, cx: &Context<'_>) -> bool {
            let waker = cx.waker().clone();
            let mut tasks = self.tasks.lock();
            tasks.wakers.push(waker);
            tasks.shut_down
        }
    }

    impl Budget {
        #[expect(clippy::unused_self, reason = "with Tokio it is the budget of a task")]
        pub(crate) fn made_progress(&self) {}
    }

    pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<Budget> {
        let stingy = ENTERED.with(|entered| {
            let runtime = &entered.borrow().0;
            runtime.as_ref().is_some_and(|runtime| runtime.stingy)
        });
        let has_yielded = HAS_YIELDED.with(|has_yielded| has_yielded.replace(!has_yielded.get()));
        if stingy && !has_yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Budget)
    }

    /// A thread is one task.
    pub(crate) fn current_task() -> Option<TaskId> {
        None
    }

    pub(crate) fn threads(_: &Handle) -> usize {
        1
    }

    pub(crate) fn yield_to_all(cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}
