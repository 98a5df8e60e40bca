//! The watch for jobs that all wait for others of their pool: see `_stall.py`.
//!
//! While somebody waits and nobody may start, the pool looks once a second whether it has moved
//! meanwhile, and if not, what its jobs wait for.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::py::{errors, imports};
use crate::state::Pool;

/// Somebody waits, and the pool is not watched.
pub(crate) fn watch(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    if let Some(event_loop) = pool.get().own_loop().get()
        && pool.get().watches(py)
    {
        // In a loop without timers nobody looks.
        let _ = errors::contained(py, || {
            imports::watch(py)?.call1((pool, &event_loop.object))?;
            Ok(())
        });
    }
}

/// A job has handed in what cannot start, or goes on: it may wait for others from the next turn of the
/// loop on. What it waits for may be told of the end of a job in one turn, and it in the next: so the
/// watch looks in the turn after that.
pub(crate) fn look_soon(pool: &Bound<'_, Pool>) {
    if pool.get().own_loop().get().is_some() && pool.get().looks_soon(pool.py()) {
        in_next_turn(pool, intern!(pool.py(), "look_in_next_turn"));
    }
}

pub(crate) fn look_in_next_turn(pool: &Bound<'_, Pool>) {
    in_next_turn(pool, intern!(pool.py(), "look_now"));
}

fn in_next_turn(pool: &Bound<'_, Pool>, method: &Bound<'_, PyString>) {
    let py = pool.py();
    if let Some(event_loop) = pool.get().own_loop().get() {
        let look = pool.getattr(method);
        let set = look.and_then(|look| event_loop.call_soon(py, (look,)));
        errors::report(py, set, pool);
    }
}

/// Lets a job outside if none can go on otherwise, as far as that can be told or guessed.
pub(crate) fn look(pool: &Bound<'_, Pool>, guesses: bool) {
    let py = pool.py();
    let looked = imports::let_one_out(py).and_then(|let_out| let_out.call1((pool, guesses)));
    errors::report(py, looked.map(drop), pool);
}
