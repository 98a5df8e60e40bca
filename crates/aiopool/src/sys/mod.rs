//! The ground of the pool: locks, Tokio, and calls of foreign code.

pub(crate) mod clock;
#[cfg(aiopool_models)]
pub(crate) mod explorer;
pub(crate) mod runtime;
pub(crate) mod sync;
pub(crate) mod unwind;
