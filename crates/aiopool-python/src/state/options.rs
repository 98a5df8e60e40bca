//! A waiting job, with its options.

use std::num::{NonZeroU32, NonZeroU64};

use aiopool_core::{Level, Time};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Its size is the memory of a waiting job beyond its coroutine and its future. So the parts that
/// few jobs have are in a box.
pub(crate) struct WaitingJob {
    pub(crate) awaitable: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
    pub(crate) context: Py<PyAny>,
    pub(crate) options: Option<Box<Options>>,
}

/// A call that is still to be made.
pub(crate) struct Call {
    pub(crate) function: Py<PyAny>,
    /// See [`Arity`].
    pub(crate) arguments: Option<Py<PyAny>>,
    pub(crate) arity: Arity,
}

/// How the arguments of a call stand in one object.
#[derive(Clone, Copy)]
pub(crate) enum Arity {
    /// It is the only argument, or there is none.
    Single,
    /// It is a tuple of them.
    Many,
    /// It is a tuple of such a tuple and a dictionary of those that are given by name.
    Named,
}

pub(crate) struct Options {
    pub(crate) callback: Option<Callback>,
    /// Settled when the job leaves the queue; a blocked `spawn` awaits it.
    pub(crate) admitted: Option<Py<PyAny>>,
    /// Whether that is in a job of the same pool.
    pub(crate) is_nested: bool,
}

pub(crate) struct Callback {
    pub(crate) function: Py<PyAny>,
    pub(crate) ctx: Py<PyAny>,
}

/// Where a waiter stands in the queue.
pub(crate) struct Place {
    pub(crate) level: Level,
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) front: bool,
}

/// The arguments of `options`. For a call of many items each may be a function of the item.
pub(crate) struct OptionValues {
    pub(crate) timeout: Option<Py<PyAny>>,
    pub(crate) priority: Option<Py<PyAny>>,
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) weight: Option<Py<PyAny>>,
    pub(crate) name: Option<Py<PyAny>>,
}

/// What `options` asks for a job.
pub(crate) struct Asked {
    /// For how many nanoseconds it may hold its slots.
    pub(crate) timeout: Option<NonZeroU64>,
    /// None: that of the job that hands it in.
    pub(crate) level: Option<Level>,
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) weight: NonZeroU32,
    /// None: that of its coroutine.
    pub(crate) name: Option<Py<PyString>>,
}

/// What few waiters have beside their place in the queue.
pub(crate) struct Extras {
    pub(crate) timeout: Option<NonZeroU64>,
    pub(crate) weight: NonZeroU32,
    /// The level of what the job hands in, if it is not that of the code that has handed in the job.
    pub(crate) level: Option<Level>,
    pub(crate) name: Option<Py<PyString>>,
    /// Of an item that a `map` has pulled and put in the queue.
    pub(crate) pulled: Option<Pulled>,
    pub(crate) observed: Option<Box<Observed>>,
    /// The job of this pool that waits for the end of this one.
    pub(crate) waited_for_by: Option<Py<PyAny>>,
}

/// The places of an item that waits although its `map` has pulled it.
#[derive(Clone, Copy)]
pub(crate) struct Pulled {
    /// That of its result.
    pub(crate) index: usize,
    /// That among those of the `map` that wait.
    pub(crate) place: usize,
    /// Whether the `map` pulls no more before it has started.
    pub(crate) is_next: bool,
}

/// What the observer of a pool is told of a job.
pub(crate) struct Observed {
    pub(crate) name: Py<PyString>,
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) queued_at: Time,
    /// None while the job waits.
    pub(crate) started_at: Option<Time>,
}

impl OptionValues {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |value: &Option<Py<PyAny>>| value.as_ref().map(|value| value.clone_ref(py));
        Self {
            timeout: clone(&self.timeout),
            priority: clone(&self.priority),
            key: clone(&self.key),
            weight: clone(&self.weight),
            name: clone(&self.name),
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.timeout)?;
        visit.call(&self.priority)?;
        visit.call(&self.key)?;
        visit.call(&self.weight)?;
        visit.call(&self.name)
    }
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            timeout: None,
            level: None,
            key: None,
            weight: NonZeroU32::MIN,
            name: None,
        }
    }
}

impl Asked {
    /// What the waiter has beside its place. The name is taken.
    pub(crate) fn extras(&mut self, observed: Option<Box<Observed>>) -> Extras {
        Extras {
            timeout: self.timeout,
            weight: self.weight,
            level: self.level,
            name: self.name.take(),
            observed,
            ..Extras::plain()
        }
    }
}

impl Extras {
    pub(crate) fn plain() -> Self {
        Self {
            timeout: None,
            weight: NonZeroU32::MIN,
            level: None,
            name: None,
            pulled: None,
            observed: None,
            waited_for_by: None,
        }
    }

    /// None if there are none.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        let is_plain = self.timeout.is_none()
            && self.weight == NonZeroU32::MIN
            && self.level.is_none()
            && self.name.is_none()
            && self.observed.is_none()
            && self.waited_for_by.is_none();
        (!is_plain).then(|| Box::new(self))
    }

    /// How many slots it takes.
    pub(crate) fn weight(extras: Option<&Self>) -> NonZeroU32 {
        extras.map_or(NonZeroU32::MIN, |extras| extras.weight)
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.name)?;
        visit.call(&self.waited_for_by)?;
        self.observed
            .as_ref()
            .map_or(Ok(()), |observed| observed.traverse(visit))
    }
}

impl Observed {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            name: self.name.clone_ref(py),
            key: self.key.as_ref().map(|key| key.clone_ref(py)),
            ..*self
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.name)?;
        visit.call(&self.key)
    }
}

impl WaitingJob {
    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.awaitable)?;
        visit.call(&self.future)?;
        visit.call(&self.context)?;
        if let Some(options) = &self.options {
            visit.call(&options.admitted)?;
            if let Some(callback) = &options.callback {
                callback.traverse(visit)?;
            }
        }
        Ok(())
    }
}

impl Call {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let arguments = self.arguments.as_ref();
        Self {
            function: self.function.clone_ref(py),
            arguments: arguments.map(|arguments| arguments.clone_ref(py)),
            arity: self.arity,
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.arguments)
    }
}

impl Callback {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            function: self.function.clone_ref(py),
            ctx: self.ctx.clone_ref(py),
        }
    }

    pub(crate) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.ctx)
    }
}
