//! The watch for jobs that all wait for others of their pool: see `_stall.py`.
//!
//! While somebody waits and nobody may start, the pool looks once a second whether it has moved
//! meanwhile, and if not, what its jobs wait for.

use pyo3::intern;
use pyo3::prelude::*;

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

/// A job has handed in what cannot start: it may wait for that from the next turn of the loop on.
pub(crate) fn look_soon(pool: &Bound<'_, Pool>) {
    let py = pool.py();
    if let Some(event_loop) = pool.get().own_loop().get()
        && pool.get().looks_soon(py)
    {
        let look = pool.getattr(intern!(py, "look_now"));
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
