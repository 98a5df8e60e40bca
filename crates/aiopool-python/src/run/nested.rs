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

    pub(crate) fn contains(&self, job: &Py<Job>) -> bool {
        self.0.contains_key(&address(job))
    }
}

fn address(job: &Py<Job>) -> usize {
    job.as_ptr() as usize
}
