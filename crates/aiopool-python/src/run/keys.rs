//! Finding the key of a job in the core. Hashing and comparing objects is foreign code, and so are
//! the functions that give the limits of a key.

use std::hash::BuildHasher;

use aiopool_core::{KeyId, Reason, Request, Ticket};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use rustc_hash::FxBuildHasher;

use crate::py::limits;
use crate::state::{Candidates, Place, Pool, Waiter};

/// A waiter that the queue has not taken.
pub(crate) struct Rejected {
    /// None if the pool is closed; otherwise what its key has raised.
    pub(crate) error: Option<PyErr>,
    pub(crate) waiter: Waiter,
}

/// Puts a waiter in its place in the queue.
pub(crate) fn submit(
    pool: &Bound<'_, Pool>,
    mut waiter: Waiter,
    place: &Place,
) -> Result<Ticket, Rejected> {
    let py = pool.py();
    loop {
        let key = place
            .key
            .as_ref()
            .map(|key| find_or_open(pool, key.bind(py)));
        let key = match key.transpose() {
            Ok(key) => key,
            Err(error) => {
                let error = Some(error);
                return Err(Rejected { error, waiter });
            }
        };
        let request = Request {
            level: place.level,
            key,
            front: place.front,
        };
        let refused = match pool.get().submit(py, waiter, request) {
            Ok(ticket) => return Ok(ticket),
            Err(refused) => refused,
        };
        waiter = refused.waiter;
        match refused.reason {
            Reason::Closed => {
                let error = None;
                return Err(Rejected { error, waiter });
            }
            // A destructor has used the pool since the key was looked up.
            Reason::KeyGone => {}
        }
    }
}

/// The key of the core for this object, which is open from now on.
pub(crate) fn find_or_open(pool: &Bound<'_, Pool>, object: &Bound<'_, PyAny>) -> PyResult<KeyId> {
    let hash = hash(object)?;
    loop {
        let candidates = pool.get().keys_with_hash(pool.py(), hash);
        if let Some(found) = among(&candidates, pool, object)? {
            return Ok(found);
        }
        let limit = limit_for(pool.get().per_key(), object)?;
        let rates = limit_for(pool.get().per_key_rate(), object)?;
        let limit = limit.as_ref().map_or(Ok(None), limits::per_key)?;
        let rates = limits::rates(rates.as_ref(), "per_key_rate")?;
        let opened = pool
            .get()
            .open_key(object, hash, &candidates, limit, &rates);
        if let Some(opened) = opened {
            return Ok(opened);
        }
    }
}

/// The same, if it is open.
pub(crate) fn find(pool: &Bound<'_, Pool>, object: &Bound<'_, PyAny>) -> PyResult<Option<KeyId>> {
    let (py, hash) = (pool.py(), hash(object)?);
    loop {
        let candidates = pool.get().keys_with_hash(py, hash);
        let found = among(&candidates, pool, object)?;
        // To compare them may have opened it.
        if found.is_some() || !pool.get().has_more_keys(py, hash, &candidates) {
            return Ok(found);
        }
    }
}

fn among(
    candidates: &Candidates,
    pool: &Bound<'_, Pool>,
    object: &Bound<'_, PyAny>,
) -> PyResult<Option<KeyId>> {
    let py = pool.py();
    for (id, other) in &candidates.0 {
        let is_it = other.is(object) || other.bind(py).eq(object)?;
        if is_it && pool.get().has_key(py, *id) {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}

/// What is given for each key, or what the function that is given gives for this one.
fn limit_for<'py>(
    given: Option<&Py<PyAny>>,
    object: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(given) = given.map(|given| given.bind(object.py())) else {
        return Ok(None);
    };
    if given.is_callable() {
        given.call1((object,)).map(Some)
    } else {
        Ok(Some(given.clone()))
    }
}

/// Raises if the object cannot be a key.
pub(crate) fn hash(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let hash = object.hash();
    let hash = hash.map_err(|error| {
        let class = object.get_type();
        let is_unhashable = class
            .getattr(intern!(object.py(), "__hash__"))
            .is_ok_and(|own| own.is_none());
        if is_unhashable {
            PyTypeError::new_err(format!(
                "key must be hashable, such as a str or a tuple, not an object of {class}"
            ))
        } else {
            error
        }
    })?;
    Ok(FxBuildHasher.hash_one(hash))
}
