//! Running: workers and the jobs that they are given.

pub(crate) mod close;
pub(crate) mod keys;
pub(crate) mod nested;
pub(crate) mod observe;
pub(crate) mod outside;
pub(crate) mod pull;
pub(crate) mod timer;
pub(crate) mod worker;
