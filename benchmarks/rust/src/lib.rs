//! What a job costs: the same jobs in `aiopool`, in its peers, and in a hand-written loop.
//!
//! `cases` lists what is worth measuring, and `case` is one of them: one of the `subjects` is given
//! a `load`, jobs of one of the `workloads`, and `run` has it measured by the `meter`. Each case is
//! meant to be run in a process of its own, so that none finds the memory of another.

pub mod case;
pub mod cases;
mod limits;
pub mod load;
mod meter;
mod run;
mod sleeper;
mod subject;
mod subjects;
pub mod workloads;
