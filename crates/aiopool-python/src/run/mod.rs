//! The acts: starting, running, ending and settling jobs. They call Python, and between these calls
//! they make steps of the state.

mod assign;
pub(crate) mod close;
pub(crate) mod enqueued;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod mailbox;
pub(crate) mod map;
pub(crate) mod nested;
pub(crate) mod observe;
pub(crate) mod options;
pub(crate) mod outside;
pub(crate) mod settle;
pub(crate) mod stall;
pub(crate) mod start;
mod task;
pub(crate) mod timeout;
pub(crate) mod timer;
pub(crate) mod withdraw;
pub(crate) mod worker;
