//! The extension module `aiopool._core`: the asyncio face of `aiopool`.
//!
//! The files stand in layers: [`calls`] uses [`run`], which uses [`state`], which uses [`py`].
//! A job's way through them:
//!
//! 1. `calls::hand_in` checks the call. The job gets a future and a place in the queue. A waiting item
//!    of a `map` has only a place: see `calls::map`. What `calls::enqueue` puts there is the call itself,
//!    and the object that its holder awaits: see [`run::enqueued`]. What other threads submit comes there
//!    from a mailbox: see [`run::mailbox`].
//! 2. [`run::start`]: the core gives the job a slot. For a `map`, [`run::map`] pulls the item and calls
//!    `fn`.
//! 3. `run::assign`: the job gets a task of its own (`run::task`), or that of a [worker](run::worker).
//! 4. [`run::job`]: the coroutine of the job, or its worker, tells how the job ended, and then how its
//!    callback ended.
//! 5. [`run::settle`]: the outcome goes to the future of the job, or to its place among the results of
//!    the `map`. The slot goes back to the core. Then step 2 follows for the next job in the queue.
//!
//! [`run::withdraw`] has the ways in which a job ends early. The Python half of a job, its genuine
//! coroutine, is `python/aiopool/_job.py`. [`py::ffi`] and [`py::guarded`] are the unsafe
//! files.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "readers of this read the source: the crate has no public items"
)]

mod calls;
mod py;
mod run;
mod state;

/// The private half of `aiopool`.
#[pyo3::pymodule]
mod _core {
    use pyo3::prelude::*;

    use crate::state::Enqueued;
    #[pymodule_export]
    use crate::state::Items;
    #[pymodule_export]
    use crate::state::Job;
    #[pymodule_export]
    use crate::state::JoinTicket;
    #[pymodule_export]
    use crate::state::Mail;
    #[pymodule_export]
    use crate::state::Pool;
    #[pymodule_export]
    use crate::state::Unawaited;
    #[pymodule_export]
    use crate::state::Verbs;
    #[pymodule_export]
    use crate::state::Worker;

    /// By another name than `Job`, which is that of an active job here.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("Enqueued", module.py().get_type::<Enqueued>())
    }
}
