//! Changing what limits jobs, pausing, and telling the numbers of the pool.

use aiopool_core::{Admission, HeldBy, Time};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::py::{errors, limits};
use crate::run::{keys, observe, start, timeout, timer};
use crate::state::{JoinTicket, Pool};

/// The numbers of a pool, in the order of `Stats` in `_observe.py`.
type Numbers = ([usize; 5], [u64; 5], Option<[f64; 2]>, Option<&'static str>);

#[pymethods]
impl Pool {
    /// Changes the rates of the pool; None: no rate.
    fn set_rates(slf: &Bound<'_, Self>, rates: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let rates = limits::rates(rates, "rate")?;
        let py = slf.py();
        slf.get().enter_if_bound(py)?;
        let now = timer::now(slf);
        slf.get().change_rates(py, &rates, now);
        start::advance(slf);
        Ok(())
    }

    /// Nothing starts for so many seconds; None: until it is resumed. With a key, nothing of it.
    fn pause(
        slf: &Bound<'_, Self>,
        seconds: Option<f64>,
        key: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        if slf.get().is_closed(py) {
            return Err(errors::pool_is_closed());
        }
        let until = match seconds {
            None => {
                slf.get().enter_if_bound(py)?;
                Time::NEVER
            }
            Some(seconds) => {
                if seconds.is_nan() || seconds < 0.0 {
                    return Err(PyValueError::new_err(format!(
                        "seconds must be a number of at least 0, or None until it is resumed, not \
                         {seconds}"
                    )));
                }
                slf.get().enter(py)?;
                timer::now(slf).after(limits::nanos(seconds))
            }
        };
        match key {
            None => slf.get().pause_until(py, until),
            Some(object) => {
                // A key that is forgotten meanwhile is opened again.
                while !slf
                    .get()
                    .pause_key(py, keys::find_or_open(slf, object)?, until)
                {}
            }
        }
        observe::changed(slf, "paused", key);
        start::advance(slf);
        Ok(())
    }

    /// Ends a pause.
    fn resume(slf: &Bound<'_, Self>, key: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        slf.get().enter_if_bound(py)?;
        let now = timer::now(slf);
        let was_paused = match key {
            None => slf.get().end_pause(py, now),
            Some(object) => {
                keys::find(slf, object)?.is_some_and(|key| slf.get().resume_key(py, key, now))
            }
        };
        if !was_paused {
            return Err(PyRuntimeError::new_err(match key {
                None => "the pool is not paused: nothing is there to resume".to_owned(),
                Some(key) => format!("the key {key} is not paused: nothing is there to resume"),
            }));
        }
        observe::changed(slf, "resumed", key);
        start::advance(slf);
        Ok(())
    }

    fn stats(slf: &Bound<'_, Self>) -> Numbers {
        let (pool, py) = (slf.get(), slf.py());
        if pool.may_be_held(py) {
            pool.note_what_holds(py, timer::now(slf));
        }
        let (core, ends, seconds) = pool.numbers(py);
        let held_by = core.held_by.map(|held_by| match held_by {
            HeldBy::Slots => "slots",
            HeldBy::Rate => "rate",
            HeldBy::Pause => "pause",
            HeldBy::Keys => "keys",
        });
        (
            [
                core.size.get(),
                core.active,
                core.waiting,
                core.outside,
                core.parked,
            ],
            [core.started, ends[0], ends[1], ends[2], ends[3]],
            pool.observer()
                .map(|_| seconds.map(|seconds| seconds.as_secs_f64())),
            held_by,
        )
    }

    /// As `join`, for a future that gets True when nothing is active.
    fn join_active<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, JoinTicket)>> {
        let event_loop = self.enter(py)?;
        if self.ask(py, Admission::active) == 0 {
            return Ok(None);
        }
        let joiner = event_loop.new_future(py)?;
        let ticket = self.add_drainer(&joiner);
        Ok(Some((joiner, ticket)))
    }

    /// Takes back a future of `join_active` that its caller no longer awaits.
    fn leave_active(&self, py: Python<'_>, ticket: &JoinTicket) {
        self.remove_drainer(py, ticket);
    }

    /// The timer of the pool has fired.
    fn timer_fired(slf: &Bound<'_, Self>) {
        let now = timer::now(slf);
        slf.get().timer_has_fired(slf.py(), now);
        timeout::expire(slf);
        start::advance(slf);
    }
}
