//! What stands between the pool and the world: locks, Tokio, and code that is not ours.

#[cfg(aiopool_models)]
pub(crate) mod explorer;
pub(crate) mod runtime;
pub(crate) mod sync;
pub(crate) mod unwind;
