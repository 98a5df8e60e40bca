//! The loop that a pool belongs to, and the check that the pool is used only from there.

use std::ffi::c_ulong;
use std::process;
use std::sync::OnceLock;
use std::time::Duration;

use aiopool_core::Time;
use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::py::ffi::thread_ident;
use crate::py::fork;
use crate::py::imports;
use crate::py::plain_tasks::PlainTasks;

/// The loop of a pool. From its first use on, the pool belongs to a loop.
pub(crate) struct OwnLoop(OnceLock<EventLoop>);

pub(crate) struct EventLoop {
    pub(crate) object: Py<PyAny>,
    /// The process in which the loop was first used.
    process: u32,
    /// `{"loop": ...}`
    keywords: Py<PyDict>,
    plain_tasks: PlainTasks,
    /// How many forks lay between this process and the first one when the loop was first used. None if
    /// forks are not told.
    forks: Option<usize>,
    /// Whether it tells the time at which its turn began, not that of the moment.
    has_slow_clock: bool,
}

impl OwnLoop {
    pub(crate) fn new(event_loop: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let event_loop = event_loop.map(EventLoop::new).transpose()?;
        Ok(Self(event_loop.map_or_else(OnceLock::new, OnceLock::from)))
    }

    pub(crate) fn get(&self) -> Option<&EventLoop> {
        self.0.get()
    }

    /// The pool's loop. If the pool had none, this is from now on the running loop. Raises if the
    /// pool may not be used from here.
    pub(crate) fn enter<'a>(&'a self, py: Python<'a>) -> PyResult<&'a EventLoop> {
        if let Some(own) = self.get()
            && own.runs_in_this_thread(py)
        {
            return Ok(own);
        }
        let running = imports::get_running_loop(py)?.call0();
        match (self.get(), running) {
            (Some(own), Ok(running)) if own.object.is(&running) => Ok(own),
            (Some(own), Ok(running)) => Err(own.refuse_in(&running)),
            (None, Ok(running)) => self.bind(&running),
            (Some(own), Err(_)) => own.check_usable_without_running(py).map(|()| own),
            (None, Err(_)) => Err(PyRuntimeError::new_err(
                "no loop is running and the pool has none: call this inside a coroutine, or give \
                 the pool its loop with AioPool(size, loop=loop)",
            )),
        }
    }

    /// Whether the pool's loop is the loop that runs here.
    pub(crate) fn is_running(&self, py: Python<'_>) -> bool {
        let running = imports::get_running_loop(py).and_then(PyAnyMethods::call0);
        match (self.get(), running) {
            (Some(own), Ok(running)) => own.object.is(&running),
            _ => false,
        }
    }

    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        self.get().is_some_and(|own| own.is_closed(py))
    }

    fn bind(&self, running: &Bound<'_, PyAny>) -> PyResult<&EventLoop> {
        let event_loop = EventLoop::new(running)?;
        Ok(self.0.get_or_init(|| event_loop))
    }
}

impl EventLoop {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "loop"), object)?;
        Ok(Self {
            object: object.clone().unbind(),
            process: process::id(),
            keywords: keywords.unbind(),
            plain_tasks: PlainTasks::of(object)?,
            forks: if cfg!(Py_3_12) { None } else { fork::tell(py)? },
            has_slow_clock: has_slow_clock(object)?,
        })
    }

    pub(crate) fn new_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object
            .bind(py)
            .call_method0(intern!(py, "create_future"))
    }

    pub(crate) fn new_job_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        imports::job_future(py)?.call((), Some(self.keywords.bind(py)))
    }

    pub(crate) fn new_failed_call<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        imports::failed_call(py)?.call((), Some(self.keywords.bind(py)))
    }

    pub(crate) fn call_soon<'py>(
        &self,
        py: Python<'py>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<()> {
        let event_loop = self.object.bind(py);
        event_loop.call_method1(intern!(py, "call_soon"), arguments)?;
        Ok(())
    }

    /// The same, with the context in which the function is called.
    pub(crate) fn call_soon_in<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<()> {
        let py = context.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), context)?;
        let event_loop = self.object.bind(py);
        event_loop.call_method(intern!(py, "call_soon"), arguments, Some(&keywords))?;
        Ok(())
    }

    /// Whether the loop tells that it runs in this thread. If not, it may still do so.
    ///
    /// Up to 3.11 each call of `get_running_loop` is a system call, for the number of the process: a
    /// child of a fork must not take the loop of its parent for its own.
    fn runs_in_this_thread(&self, py: Python<'_>) -> bool {
        if cfg!(Py_3_12) || self.forks.is_none_or(|forks| forks != fork::count()) {
            return false;
        }
        let thread = self.object.bind(py).getattr(intern!(py, "_thread_id"));
        thread.is_ok_and(|thread| {
            let thread = thread.extract::<c_ulong>();
            thread.is_ok_and(|thread| thread == thread_ident(py))
        })
    }

    /// The time, of which only the differences count.
    pub(crate) fn time(&self, py: Python<'_>) -> PyResult<Time> {
        let seconds: f64 = if self.has_slow_clock {
            // A job that began late in a turn would count as if it had begun before that turn.
            imports::monotonic(py)?.call0()?.extract()?
        } else {
            let event_loop = self.object.bind(py);
            event_loop.call_method0(intern!(py, "time"))?.extract()?
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no time counts as the first or the last one"
        )]
        let nanos = (seconds * 1e9).round() as u64;
        Ok(Time::from_nanos(nanos))
    }

    /// Has `function` called in so many nanoseconds. Gives the handle of the timer.
    pub(crate) fn call_later<'py>(
        &self,
        py: Python<'py>,
        nanos: u64,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // Some loops have no timers beyond 24 days. One that fires early is set again.
        let delay = Duration::from_nanos(nanos).clamp(SHORTEST, LONGEST);
        let delay = if self.has_slow_clock {
            // Such a loop rounds to milliseconds, and would fire too early again and again.
            Duration::from_millis(
                delay
                    .as_micros()
                    .div_ceil(1_000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            )
        } else {
            delay
        };
        let call_later = self.object.bind(py).getattr(intern!(py, "call_later"))?;
        // Not in the context of a job, which the timer would keep alive.
        let context = imports::context(py)?.call0()?;
        let arguments = (call_later, delay.as_secs_f64(), function);
        context.call_method1(intern!(py, "run"), arguments)
    }

    /// Whether `create_task` would only make an `asyncio.Task` of a coroutine.
    pub(crate) fn makes_plain_tasks(&self, py: Python<'_>) -> PyResult<bool> {
        self.plain_tasks.are_made_by(self.object.bind(py))
    }

    /// Whether the loop has a task factory. A loop that does not tell may have one.
    pub(crate) fn has_task_factory(&self, py: Python<'_>) -> bool {
        let factory = self.plain_tasks.task_factory(self.object.bind(py));
        factory.map_or(true, |factory| !factory.is_none())
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.keywords)?;
        self.plain_tasks.traverse(visit)
    }

    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        let closed = self.object.bind(py).call_method0(intern!(py, "is_closed"));
        closed.is_ok_and(|closed| closed.is_truthy().unwrap_or(false))
    }

    /// Raises if the loop will call nobody: for other threads, which may not ask it for more.
    pub(crate) fn check_reachable(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_another_process() {
            return Err(self.refuse_after_fork(py));
        }
        if self.is_closed(py) {
            return Err(self.refuse_closed(py));
        }
        Ok(())
    }

    fn refuse_closed(&self, py: Python<'_>) -> PyErr {
        let object = self.object.bind(py);
        PyRuntimeError::new_err(format!(
            "the loop of this pool, {object}, is closed: make a new pool in the new loop"
        ))
    }

    fn refuse_in(&self, running: &Bound<'_, PyAny>) -> PyErr {
        let own = self.object.bind(running.py());
        if self.is_of_another_process() {
            return self.refuse_after_fork(running.py());
        }
        PyRuntimeError::new_err(format!(
            "this pool belongs to another loop, {own}, than the one that runs here, {running}: make \
             one pool for each loop"
        ))
    }

    /// A pool may be filled before its loop runs, but never from another thread than that of the
    /// loop.
    fn check_usable_without_running(&self, py: Python<'_>) -> PyResult<()> {
        let object = self.object.bind(py);
        if self.is_closed(py) {
            return Err(self.refuse_closed(py));
        }
        let is_running = object.call_method0(intern!(py, "is_running"))?;
        if !is_running.is_truthy()? {
            return Ok(());
        }
        if self.is_of_another_process() {
            return Err(self.refuse_after_fork(py));
        }
        let thread = imports::current_thread(py)?
            .call0()?
            .getattr(intern!(py, "name"))?;
        Err(PyRuntimeError::new_err(format!(
            "this pool belongs to the loop {object}, which runs in another thread, and cannot be \
             used from the thread {thread}: hand in with pool.submit, or use \
             asyncio.run_coroutine_threadsafe or loop.call_soon_threadsafe",
        )))
    }

    /// Asking costs a system call, so this is called only after another check has failed.
    fn is_of_another_process(&self) -> bool {
        self.process != process::id()
    }

    fn refuse_after_fork(&self, py: Python<'_>) -> PyErr {
        let object = self.object.bind(py);
        PyRuntimeError::new_err(format!(
            "this pool belongs to the loop {object} of the process {}, from which this one is a \
             fork, and cannot be used here: make a pool of its own in the child, in a loop of its \
             own, as in asyncio.run(main())",
            self.process,
        ))
    }
}

/// uvloop and its twin on Windows keep the time for a whole turn of the loop.
fn has_slow_clock(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    let module = event_loop.get_type().module()?;
    let package = module.to_cow()?;
    Ok(package.starts_with("uvloop") || package.starts_with("winloop"))
}

/// Less than a loop can tell apart may come to no time at all. A timer that fires too early, again
/// and again, would stop the clock of a test.
const SHORTEST: Duration = Duration::from_micros(1);
const LONGEST: Duration = Duration::from_secs(3600);
