//! Closing a pool: see `_close.py`.

use aiopool_core::Time;
use pyo3::prelude::*;

use crate::py::name;
use crate::run::{close, timer};
use crate::state::{Items, Job, Member, Pool};

/// The name of a job, its key, and how long ago it was handed in, if that is known.
type Info = (Option<String>, Option<Py<PyAny>>, Option<f64>);

/// Those who will never start, the names of calls, and jobs.
type Begun = (Vec<Info>, Vec<String>, Vec<Py<Job>>);

#[pymethods]
impl Pool {
    #[getter(is_closed)]
    fn has_closed(&self, py: Python<'_>) -> bool {
        self.is_closed(py)
    }

    /// Refuses what is handed in from now on, but for what jobs wait for. Gives those who will never
    /// start, the names of the calls that have not pulled all their items, and the jobs that it has
    /// cancelled.
    #[pyo3(name = "begin_closing")]
    fn close_now(slf: &Bound<'_, Self>) -> PyResult<Begun> {
        slf.get().enter(slf.py())?;
        let begun = close::begin(slf);
        let sources = names(slf.py(), &begun.sources);
        Ok((infos(slf, begun.unstarted), sources, begun.cancelled))
    }

    /// Refuses what jobs hand in, too. Gives those who wait, and the names of the calls of jobs that have
    /// not pulled all their items.
    #[pyo3(name = "refuse_all")]
    fn close_wholly(slf: &Bound<'_, Self>) -> (Vec<Info>, Vec<String>) {
        let (waiting, sources) = close::refuse_all(slf);
        (infos(slf, waiting), names(slf.py(), &sources))
    }

    /// The jobs that have begun.
    fn begun(slf: &Bound<'_, Self>) -> Vec<(Py<Job>, Info)> {
        let (jobs, members): (Vec<_>, Vec<_>) =
            slf.get().begun_members(slf.py()).into_iter().unzip();
        jobs.into_iter().zip(infos(slf, members)).collect()
    }
}

#[pymethods]
impl Job {
    /// Whether the job has not ended.
    #[getter(is_held)]
    fn still_runs(&self, py: Python<'_>) -> bool {
        self.is_held(py)
    }
}

fn names(py: Python<'_>, sources: &[Py<Items>]) -> Vec<String> {
    let names = sources.iter().map(|items| {
        let function = name::of(items.get().mapped().function.bind(py));
        format!("{}({})", items.get().verb(), text(function))
    });
    names.collect()
}

fn infos(pool: &Bound<'_, Pool>, members: Vec<Member>) -> Vec<Info> {
    let py = pool.py();
    let is_observed = pool.get().observer().is_some();
    let now = is_observed.then(|| timer::now(pool));
    let infos = members.into_iter().map(|member| {
        let given = member.name.map(|name| Ok(name.into_bound(py)));
        let asked = || member.named.as_ref().map(|named| name::of(named.bind(py)));
        let name = given.or_else(asked).map(text);
        let age = now.zip(member.queued_at).map(|(now, at)| seconds(at, now));
        (name, member.key, age)
    });
    infos.collect()
}

fn text(name: PyResult<Bound<'_, pyo3::types::PyString>>) -> String {
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn seconds(from: Time, to: Time) -> f64 {
    crate::state::between(from, to).as_secs_f64()
}
