//! The acts: how jobs are started, run, ended and settled. They call Python, and the steps of the state
//! between.

mod assign;
pub(crate) mod job;
pub(crate) mod map;
pub(crate) mod settle;
pub(crate) mod start;
mod task;
pub(crate) mod withdraw;
pub(crate) mod worker;
