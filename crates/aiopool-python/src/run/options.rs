//! What `options` asks for a job. For a call of many items each option may be a function of the item,
//! which is foreign code.

use std::num::NonZeroU32;

use aiopool_core::Level;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::py::awaitable::close_unawaited;
use crate::py::event_loop::EventLoop;
use crate::py::{apart, imports, limits};
use crate::state::{Asked, OptionValues, Pool};

impl OptionValues {
    /// What is asked for a single job. A callable key is a key like others.
    pub(crate) fn of_job(&self, py: Python<'_>) -> PyResult<Asked> {
        let options = [
            ("timeout", &self.timeout),
            ("priority", &self.priority),
            ("weight", &self.weight),
            ("name", &self.name),
        ];
        for (what, option) in options {
            if let Some(function) = option
                .as_ref()
                .filter(|option| option.bind(py).is_callable())
            {
                return Err(PyTypeError::new_err(format!(
                    "{what} must be a value here, not the function {}: functions of an item are \
                     for map, map_n and itermap",
                    function.bind(py),
                )));
            }
        }
        self.asked(py, |option| Ok(Some(option.clone())))
    }

    /// What is asked for an item.
    pub(crate) fn of_item(&self, item: &Bound<'_, PyAny>) -> PyResult<Asked> {
        self.asked(item.py(), |option| {
            if option.is_callable() {
                option.call1((item,)).map(Some)
            } else {
                Ok(Some(option.clone()))
            }
        })
    }

    /// The same while the call that makes the items is on the stack: an error must not lead to its
    /// frames.
    pub(crate) fn of_item_apart(
        &self,
        event_loop: &EventLoop,
        item: &Bound<'_, PyAny>,
    ) -> PyResult<Asked> {
        self.asked(item.py(), |option| {
            if option.is_callable() {
                apart::call(event_loop, option, (item,)).map(Some)
            } else {
                Ok(Some(option.clone()))
            }
        })
    }

    /// What is asked for all items alike.
    pub(crate) fn of_all(&self, py: Python<'_>) -> PyResult<Asked> {
        self.asked(py, |option| {
            Ok((!option.is_callable()).then(|| option.clone()))
        })
    }

    fn asked<'py>(
        &self,
        py: Python<'py>,
        value: impl Fn(&Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>>,
    ) -> PyResult<Asked> {
        let given = |option: &Option<Py<PyAny>>| match option {
            None => Ok(None),
            Some(option) => value(option.bind(py)),
        };
        let chosen = |option| PyResult::Ok(given(option)?.filter(|value| !value.is_none()));
        let timeout = chosen(&self.timeout)?.map(|timeout| limits::timeout(&timeout));
        let priority = chosen(&self.priority)?.map(|priority| limits::priority(&priority));
        let weight = given(&self.weight)?.map(|weight| limits::weight(&weight));
        let name = chosen(&self.name)?.map(|name| limits::name(&name));
        let key = chosen(&self.key)?;
        if let Some(coroutine) = key.as_ref().filter(|key| is_coroutine(key)) {
            close_unawaited(coroutine);
            return Err(PyTypeError::new_err(
                "the function for key gives a coroutine: it must not be an async function",
            ));
        }
        Ok(Asked {
            timeout: timeout.transpose()?.flatten(),
            level: priority.transpose()?,
            key: key.map(Bound::unbind),
            weight: weight.unwrap_or(Ok(NonZeroU32::MIN))?,
            name: name.transpose()?.map(Bound::unbind),
        })
    }
}

fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    let class = imports::coroutine_type(object.py());
    class.is_ok_and(|class| object.get_type().is(class))
}

/// The level of a job: the one that is asked for, or that of the job that hands it in.
pub(crate) fn level(pool: &Bound<'_, Pool>, asked: Option<Level>) -> PyResult<Level> {
    let py = pool.py();
    if let Some(level) = asked {
        if level != Level::default() {
            pool.get().use_levels();
        }
        return Ok(level);
    }
    if !pool.get().has_levels() {
        return Ok(Level::default());
    }
    limits::priority(&imports::level(py)?.call1((pool,))?)
}

/// Notes in the context of a job the level that it has asked for: the jobs that it hands in have it
/// too.
#[inline]
pub(crate) fn note_level(
    pool: &Bound<'_, Pool>,
    context: &Bound<'_, PyAny>,
    level: Option<Level>,
) -> PyResult<()> {
    match level {
        Some(level) if pool.get().has_levels() => {
            let set_level = imports::set_level(pool.py())?;
            set_level.call1((context, pool, level.get())).map(drop)
        }
        _ => Ok(()),
    }
}
