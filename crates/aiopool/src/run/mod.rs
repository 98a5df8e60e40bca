//! Whoever has a slot is run.

pub(crate) mod pull;
pub(crate) mod worker;
