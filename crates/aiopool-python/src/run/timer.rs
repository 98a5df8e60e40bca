//! The clock of a pool, and its one timer, which fires when a job may start that nothing else would
//! start then.

use aiopool_core::Time;
use pyo3::exceptions::{PyMemoryError, PyRecursionError};
use pyo3::intern;
use pyo3::prelude::*;

use crate::py::{errors, imports};
use crate::state::{Pool, Timer};

/// The time of the loop of the pool. Before the pool has a loop, nothing has a time.
pub(crate) fn now(pool: &Bound<'_, Pool>) -> Time {
    let py = pool.py();
    let Some(event_loop) = pool.get().own_loop().get() else {
        return Time::ZERO;
    };
    let told = event_loop.time(py);
    let time = *told.as_ref().unwrap_or(&Time::ZERO);
    errors::report(py, told.map(drop), pool);
    pool.get().note_time(py, time)
}

/// Sets the timer to the time at which a job may start, or cancels it.
pub(crate) fn change(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    match pool.get().next_timer(py) {
        Timer::Keep => {}
        Timer::Cancel(handle) => cancel(pool, handle.bind(py)),
        Timer::Set(at, replaced) => {
            if let Some(handle) = replaced {
                cancel(pool, handle.bind(py));
            }
            let set = errors::contained(py, || set(pool, at));
            // A closed loop has no timers, and starts no job.
            if !pool.get().own_loop().is_closed(py) {
                let may_try_again = set.as_ref().is_err_and(|error| {
                    error.is_instance_of::<PyMemoryError>(py)
                        || error.is_instance_of::<PyRecursionError>(py)
                });
                errors::report(py, set, pool);
                if may_try_again {
                    // No fault of the loop: in its next turn there may be memory.
                    errors::report(py, begin_turn_soon(pool), pool);
                }
            }
        }
    }
}

/// Has the pool go on in the next turn of the loop.
pub(crate) fn begin_turn_soon(pool: &Bound<'_, Pool>) -> PyResult<()> {
    let py = pool.py();
    let begin_turn = pool.getattr(intern!(py, "begin_turn"))?;
    pool.get().enter(py)?.call_soon(py, (begin_turn,))
}

fn set(pool: &Bound<'_, Pool>, at: Time) -> PyResult<()> {
    let py = pool.py();
    let Some(event_loop) = pool.get().own_loop().get() else {
        return Ok(());
    };
    let nanos = at.as_nanos().saturating_sub(now(pool).as_nanos());
    let fires = imports::fires(py)?.call1((pool,))?;
    let handle = event_loop.call_later(py, nanos, &fires)?;
    if let Some(replaced) = pool.get().timer_set(py, at, handle.unbind()) {
        cancel(pool, replaced.bind(py));
    }
    Ok(())
}

fn cancel(pool: &Bound<'_, Pool>, handle: &Bound<'_, PyAny>) {
    let py = pool.py();
    let cancelled = handle.call_method0(intern!(py, "cancel"));
    errors::report(py, cancelled.map(drop), pool);
}
