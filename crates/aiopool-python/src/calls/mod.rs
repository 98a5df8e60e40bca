//! The calls of Python. Each call checks its arguments, makes its step, and then calls the acts.

mod cancel;
mod close;
mod enqueue;
mod hand_in;
mod job;
mod limits;
mod map;
mod options;
mod outside;
mod pool;
mod stall;
mod submit;
mod worker;
