//! Reading what limits jobs: rates, priorities, weights, and the limits of a key.

use std::num::{NonZeroU32, NonZeroU64};

use aiopool_core::{Level, Rate};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::py::imports;

/// None, a `Rate`, or an iterable of rates.
pub(crate) fn rates(given: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Vec<Rate>> {
    let Some(given) = given.filter(|given| !given.is_none()) else {
        return Ok(Vec::new());
    };
    let class = imports::rate(given.py())?;
    if given.is_instance(class)? {
        return Ok(vec![rate(given)?]);
    }
    let refuse = || {
        PyTypeError::new_err(format!(
            "{what} must be a Rate, such as Rate(10, per=1.0), several of them in a list, or None, \
             not {}",
            shown(given)
        ))
    };
    let several = given.try_iter();
    let several = several.map_err(|error| {
        let is_refused = error.is_instance_of::<PyTypeError>(given.py());
        if is_refused { refuse() } else { error }
    })?;
    let one = |one: PyResult<Bound<'_, PyAny>>| {
        let one = one?;
        if one.is_instance(class)? {
            rate(&one)
        } else {
            Err(refuse())
        }
    };
    several.map(one).collect()
}

fn rate(given: &Bound<'_, PyAny>) -> PyResult<Rate> {
    let py = given.py();
    let burst = given.getattr(intern!(py, "burst"))?;
    let nanos = given.getattr(intern!(py, "nanoseconds"))?;
    let nanos = u64::try_from(integer(&nanos, "per")?).ok();
    Ok(Rate {
        limit: count(&given.getattr(intern!(py, "limit"))?, "limit")?,
        per: nanos.and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN),
        burst: (!burst.is_none())
            .then(|| count(&burst, "burst"))
            .transpose()?,
    })
}

/// How many jobs of a key may be active at once; None if that is not limited.
pub(crate) fn per_key(given: &Bound<'_, PyAny>) -> PyResult<Option<NonZeroU32>> {
    if given.is_none() {
        return Ok(None);
    }
    let advice = |error: PyErr| {
        let py = given.py();
        let is_ours =
            error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py);
        if !is_ours {
            return error;
        }
        let text = format!(
            "{}; None is no limit, and a function of the key gives one of these",
            error.value(py)
        );
        PyErr::from_type(error.get_type(py), text)
    };
    count(given, "per_key").map(Some).map_err(advice)
}

pub(crate) fn weight(given: &Bound<'_, PyAny>) -> PyResult<NonZeroU32> {
    count(given, "weight")
}

pub(crate) fn priority(given: &Bound<'_, PyAny>) -> PyResult<Level> {
    let priority = integer(given, "priority")?;
    let level = i8::try_from(priority).ok().and_then(Level::new);
    level.ok_or_else(|| {
        PyValueError::new_err(format!(
            "priority must be from -100 to 100, where higher ones go first, not {}",
            shown(given)
        ))
    })
}

/// A time in seconds, in nanoseconds; None if it is longer than all time.
pub(crate) fn timeout(given: &Bound<'_, PyAny>) -> PyResult<Option<NonZeroU64>> {
    let seconds = imports::checked_timeout(given.py())?.call1((given,))?;
    let nanos = nanos(seconds.extract()?);
    // Below a nanosecond it is one.
    Ok(NonZeroU64::new(nanos.max(1)).filter(|nanos| nanos.get() < u64::MAX))
}

/// So many seconds, as the core counts them. More than all time is for ever.
pub(crate) fn nanos(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and beyond the last moment it is the last"
    )]
    let nanos = (seconds * 1e9).round() as u64;
    nanos
}

pub(crate) fn name<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let name = given.cast::<PyString>();
    name.cloned()
        .map_err(|_| PyTypeError::new_err(format!("name must be a str, not {}", shown(given))))
}

/// A number of at least 1. Those beyond all pools count as the highest.
fn count(given: &Bound<'_, PyAny>, what: &str) -> PyResult<NonZeroU32> {
    let number = integer(given, what)?;
    if number < 1 {
        return Err(PyValueError::new_err(format!(
            "{what} must be at least 1, not {}",
            shown(given)
        )));
    }
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

fn integer(given: &Bound<'_, PyAny>, what: &str) -> PyResult<i64> {
    let py = given.py();
    let refuse = || PyTypeError::new_err(format!("{what} must be an int, not {}", shown(given)));
    if given.is_instance_of::<PyBool>() {
        return Err(refuse());
    }
    given.extract::<i64>().or_else(|error| {
        if error.is_instance_of::<PyTypeError>(py) {
            Err(refuse())
        } else if error.is_instance_of::<PyOverflowError>(py) {
            Ok(if given.gt(0)? { i64::MAX } else { i64::MIN })
        } else {
            Err(error)
        }
    })
}

/// An object in the message of an error. Its own `repr` may raise.
fn shown(object: &Bound<'_, PyAny>) -> String {
    object.repr().map_or_else(
        |_| format!("an object of {}", object.get_type()),
        |shown| shown.to_string(),
    )
}
