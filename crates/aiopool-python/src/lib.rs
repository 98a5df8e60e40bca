//! The extension module `asyncio_pool._core`: the asyncio face of `aiopool`.
//!
//! A job's way through the files:
//!
//! 1. [`hand_in`]: the call is checked, the job gets a future and a place in the line;
//! 2. [`start`]: the core gives it a slot, and a [`task`] is made for it, or a [`worker`] has one;
//! 3. [`job`]: the task steps the job and then its callback, and says how they ended;
//! 4. [`settle`]: the outcome goes to its future or to its place among the items of a `map`;
//! 5. [`stop`]: the ways in which a job ends early.
//!
//! [`items`] is a running `map` or `itermap`; [`pool`] holds the state that all of them share.
//! The Python half of a job, its genuine coroutine, is `python/asyncio_pool/_job.py`. [`native`] has
//! what is unsafe.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "who reads this reads the source: the crate has no public items"
)]

mod context;
mod event_loop;
mod guarded;
mod hand_in;
mod items;
mod job;
mod line;
mod native;
mod pool;
mod python;
mod settle;
mod start;
mod stop;
mod task;
mod worker;

/// The private half of `asyncio_pool`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::items::Items;
    #[pymodule_export]
    use crate::job::Job;
    #[pymodule_export]
    use crate::pool::Pool;
    #[pymodule_export]
    use crate::worker::Worker;
}
