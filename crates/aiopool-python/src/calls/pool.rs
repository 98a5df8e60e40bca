//! Making a pool, asking it, and joining it.

use std::num::NonZeroUsize;

use aiopool_core::Admission;
use pyo3::prelude::*;

use crate::py::limits;
use crate::run::{mailbox, map, observe, start};
use crate::state::{JoinTicket, Pool};

#[pymethods]
impl Pool {
    #[new]
    fn new(
        size: NonZeroUsize,
        event_loop: Option<&Bound<'_, PyAny>>,
        reuse_tasks: bool,
        eager: bool,
        per_key: Option<Bound<'_, PyAny>>,
        per_key_rate: Option<Bound<'_, PyAny>>,
        observer: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if let Some(limit) = per_key.as_ref().filter(|limit| !limit.is_callable()) {
            limits::per_key(limit)?;
        }
        if let Some(rates) = per_key_rate.as_ref().filter(|rates| !rates.is_callable()) {
            limits::rates(Some(rates), "per_key_rate")?;
        }
        let given = [per_key, per_key_rate, observer];
        Self::of_size(
            size,
            event_loop,
            reuse_tasks,
            eager,
            given.map(|given| given.map(Bound::unbind)),
        )
    }

    #[getter]
    fn size(&self, py: Python<'_>) -> usize {
        self.ask(py, |admission| admission.size().get())
    }

    /// Changes the number of slots, and starts the jobs that fit now.
    #[setter]
    fn set_size(slf: &Bound<'_, Self>, size: NonZeroUsize) -> PyResult<()> {
        let py = slf.py();
        slf.get().enter_if_bound(py)?;
        slf.get().resize(py, size);
        map::let_pull_if_grown(slf);
        observe::changed(slf, "resized", None);
        start::advance(slf);
        Ok(())
    }

    #[getter]
    fn active(&self, py: Python<'_>) -> usize {
        self.ask(py, Admission::active)
    }

    #[getter]
    fn waiting(&self, py: Python<'_>) -> usize {
        self.ask(py, Admission::waiting)
    }

    #[getter]
    fn executed(&self, py: Python<'_>) -> u64 {
        self.count_of_executed(py)
    }

    #[getter]
    fn is_empty(&self, py: Python<'_>) -> bool {
        self.ask(py, Admission::is_empty)
    }

    #[getter]
    fn is_full(&self, py: Python<'_>) -> bool {
        self.ask(py, Admission::is_full)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.ask(py, Admission::len)
    }

    /// The loop of the pool; None if the pool has no loop yet and no loop is running.
    #[getter(r#loop)]
    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let bound = self.own_loop().get().or_else(|| self.enter(py).ok())?;
        Some(bound.object.bind(py).clone())
    }

    /// Raises if the pool may not be used from this loop or thread.
    #[pyo3(name = "enter")]
    fn check_entry(&self, py: Python<'_>) -> PyResult<()> {
        self.enter(py).map(drop)
    }

    /// Whether `task` runs one of the active jobs.
    fn runs_in(&self, task: &Bound<'_, PyAny>) -> bool {
        self.is_own_task(task)
    }

    /// A future that gets True when the pool is empty, and a ticket to take it back; None if the
    /// pool is empty already.
    fn join<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<(Bound<'py, PyAny>, JoinTicket)>> {
        let (py, pool) = (slf.py(), slf.get());
        let event_loop = pool.enter(py)?;
        mailbox::read_all(slf);
        if pool.is_empty(py) {
            return Ok(None);
        }
        let joiner = event_loop.new_future(py)?;
        let ticket = pool.add_joiner(&joiner);
        Ok(Some((joiner, ticket)))
    }

    /// Takes back a future of `join` that its caller no longer awaits.
    fn leave(&self, py: Python<'_>, ticket: &JoinTicket) {
        self.remove_joiner(py, ticket);
    }

    /// Goes on in a new turn of the loop.
    fn begin_turn(slf: &Bound<'_, Self>) {
        slf.get().start_turn(slf.py());
        start::advance(slf);
    }
}
