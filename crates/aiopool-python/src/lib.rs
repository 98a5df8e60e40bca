//! The extension module `aiopool._core`: the asyncio face of `aiopool`.
//!
//! The files stand in layers: [`calls`] know [`run`], which knows [`state`], which knows [`py`].
//! A job's way through them:
//!
//! 1. `calls::hand_in`: the call is checked, the job gets a future and a place in the queue. An item of a
//!    `map` is only a place: see `calls::map`.
//! 2. [`run::start`]: the core gives it a slot. [`run::map`] pulls the item and calls `fn`.
//! 3. `run::assign`: it gets a task of its own (`run::task`), or that of a [worker](run::worker).
//! 4. [`run::job`]: its coroutine or its worker says how it ended, and then how its callback did.
//! 5. [`run::settle`]: the outcome goes to its future or to its place among the results of the `map`, and
//!    the slot back to the core. Then step 2 again, for the next in the queue.
//!
//! [`run::withdraw`] has the ways in which a job ends early. The Python half of a job, its genuine
//! coroutine, is `python/aiopool/_job.py`. [`py::ffi`] and [`py::guarded`] are the unsafe
//! files.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "who reads this reads the source: the crate has no public items"
)]

mod calls;
mod py;
mod run;
mod state;

/// The private half of `aiopool`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::state::Items;
    #[pymodule_export]
    use crate::state::Job;
    #[pymodule_export]
    use crate::state::JoinTicket;
    #[pymodule_export]
    use crate::state::Pool;
    #[pymodule_export]
    use crate::state::Unawaited;
    #[pymodule_export]
    use crate::state::Worker;
}
