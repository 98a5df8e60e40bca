#![doc = include_str!("../README.md")]

mod body;
mod cell;
mod error;
mod foreign;
mod handle;
mod job;
mod join;
mod line;
mod pool;
mod posts;
mod reader;
mod results;
mod run;
mod runtime;
mod settle;
mod source;
mod start;
mod stop;
mod sync;
mod worker;

pub use error::{JobError, Panic};
pub use handle::{JobHandle, JobId};
pub use job::{Job, WithCallback};
pub use pool::{Builder, Pool, Size};
pub use reader::Itermap;
