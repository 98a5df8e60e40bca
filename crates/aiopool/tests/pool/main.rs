//! The pool from the outside, a file for each subject. One program, so that it is linked once.

#![cfg(not(aiopool_models))]
#![allow(
    clippy::unwrap_used,
    reason = "what is unwrapped is what the test holds to be there"
)]

mod common;

mod abort_handle;
mod auto_traits;
mod budget;
mod callbacks;
mod cancel;
mod cancel_all;
mod close;
mod debug;
mod drop_order;
mod errors;
mod exec;
mod fairness;
mod getters;
mod handle;
mod itermap;
mod itermap_ordered;
mod join;
mod keys;
mod large;
mod map;
mod map_n;
mod nested;
mod nesting;
mod observer;
mod options;
mod outside;
mod panics;
mod pause;
mod polls;
mod queue;
mod rate;
mod reserve;
mod resize;
mod shutdown;
mod slots;
mod spawn;
mod spawn_n;
mod stats;
mod tasks;
mod timeout;
mod timer;
mod withdrawal;
