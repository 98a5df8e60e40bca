//! Calls of a job on its own pool. What it waits for stands at the front of the queue, and the job
//! waits outside: see `_outside.py`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pyo3::intern;
use pyo3::prelude::*;

use crate::py::imports;
use crate::state::{Job, Pool};

/// The job of this pool whose task runs the calling code.
pub(crate) fn caller<'py>(pool: &Bound<'py, Pool>) -> PyResult<Option<Bound<'py, Job>>> {
    let py = pool.py();
    // Most callers are in no job of any pool, and are told by this alone.
    let pools = imports::pools(py)?.call_method0(intern!(py, "get"))?;
    if !pools.is_truthy()? {
        return Ok(None);
    }
    // Without a running loop there is no task.
    let task = imports::current_task(py)?.call0();
    Ok(task.ok().and_then(|task| pool.get().job_of(&task)))
}

/// Whether the calling code works for a job of a pool that is closing, and so may go on to wait for others,
/// be it in a task of that job.
pub(crate) fn goes_on(pool: &Bound<'_, Pool>) -> PyResult<bool> {
    let py = pool.py();
    if !pool.get().is_closed(py) {
        return Ok(false);
    }
    imports::is_within(py)?.call1((pool,))?.extract()
}

/// Those who wait for a job of their pool until it has ended, and the job itself.
pub(crate) struct Waiting(HashMap<usize, Py<Job>>);

impl Waiting {
    /// Nobody, if there is no job.
    pub(crate) fn until_end_of(py: Python<'_>, job: Option<&Bound<'_, Job>>) -> Self {
        let mut found = HashMap::new();
        let mut open: Vec<_> = job.map(|job| job.clone().unbind()).into_iter().collect();
        while let Some(job) = open.pop() {
            if let Entry::Vacant(place) = found.entry(address(&job)) {
                open.extend(job.get().waiting_for_end(py));
                place.insert(job);
            }
        }
        Self(found)
    }

    /// Adds those of these jobs who wait for the job in another way, such as through tasks of their own.
    pub(crate) fn and_those_of(
        mut self,
        job: Option<&Bound<'_, Job>>,
        others: impl IntoIterator<Item = Py<Job>>,
    ) -> PyResult<Self> {
        let Some(job) = job else { return Ok(self) };
        let py = job.py();
        let others = others.into_iter().filter(|other| !self.contains(other));
        let others = others.map(|other| {
            let task = other.get().task(py);
            (other, task)
        });
        let others: Vec<_> = others.collect();
        let found = imports::waiting_for(py)?.call1((job.get().task(py), others))?;
        for other in found.extract::<Vec<Py<Job>>>()? {
            self.0.insert(address(&other), other);
        }
        Ok(self)
    }

    pub(crate) fn contains(&self, job: &Py<Job>) -> bool {
        self.0.contains_key(&address(job))
    }
}

fn address(job: &Py<Job>) -> usize {
    job.as_ptr() as usize
}
