//! The verbs of a pool, and checking the options that they may have.

use pyo3::prelude::*;

use crate::py::limits;
use crate::run::keys;
use crate::state::{OptionValues, Pool, Verbs};

#[pymethods]
impl Verbs {
    /// Those without options.
    #[new]
    fn new(pool: Py<Pool>) -> Self {
        Self { pool, values: None }
    }

    #[staticmethod]
    fn with_options(
        pool: Py<Pool>,
        timeout: Option<Bound<'_, PyAny>>,
        priority: Option<Bound<'_, PyAny>>,
        key: Option<Bound<'_, PyAny>>,
        weight: &Bound<'_, PyAny>,
        name: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let fixed = |option: &Option<Bound<'_, PyAny>>,
                     check: &dyn Fn(&Bound<'_, PyAny>) -> PyResult<()>| {
            let option = option.as_ref().filter(|option| !option.is_callable());
            option.map_or(Ok(()), check)
        };
        let weight = Some(weight.clone());
        fixed(&timeout, &|timeout| limits::timeout(timeout).map(drop))?;
        fixed(&priority, &|priority| limits::priority(priority).map(drop))?;
        fixed(&weight, &|weight| limits::weight(weight).map(drop))?;
        fixed(&name, &|name| limits::name(name).map(drop))?;
        fixed(&key, &|key| keys::hash(key).map(drop))?;
        let values = OptionValues {
            timeout: timeout.map(Bound::unbind),
            priority: priority.map(Bound::unbind),
            key: key.map(Bound::unbind),
            weight: weight.map(Bound::unbind),
            name: name.map(Bound::unbind),
        };
        Ok(Self {
            pool,
            values: Some(values),
        })
    }
}
