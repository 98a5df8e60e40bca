//! Handing in what other threads have submitted.

use pyo3::intern;
use pyo3::prelude::*;

use crate::py::errors;
use crate::state::Pool;

/// Hands in all that is in the mailbox.
pub(crate) fn read_all(pool: &Bound<'_, Pool>) {
    for delivery in pool.get().take_mail(pool.py()) {
        deliver(&delivery.into_bound(pool.py()));
    }
}

/// Hands in as much as one turn of the loop may. Tells whether there may be more.
pub(crate) fn read(pool: &Bound<'_, Pool>) -> bool {
    let py = pool.py();
    for _ in 0..MOST_PER_TURN {
        let Some(delivery) = pool.get().next_mail(py) else {
            return false;
        };
        deliver(&delivery.into_bound(py));
    }
    true
}

fn deliver(delivery: &Bound<'_, PyAny>) {
    let py = delivery.py();
    let delivered = delivery.call_method0(intern!(py, "deliver"));
    errors::report(py, delivered.map(drop), delivery);
}

/// Threads can fill the mailbox faster than the loop reads it. The loop has other work meanwhile.
const MOST_PER_TURN: usize = 256;
