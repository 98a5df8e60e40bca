//! What Python calls. Each call checks, makes its step, and then lets the acts carry on.

mod cancel;
mod hand_in;
mod job;
mod map;
mod pool;
mod worker;
