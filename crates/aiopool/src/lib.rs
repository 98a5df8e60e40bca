#![doc = include_str!("../README.md")]

// The way of a job through the files: `pool` takes it (`job` says what is one), `cell` gives it its
// allocation, and it waits in the `line`. When the core admits it, `start` opens a post for it
// (`posts`), and a `worker` takes the post up and polls it (`run`, `body`) to its end. Its result is
// stored in its cell for its `handle`, and the slot goes back. `stop` is the way out of all of these.
// For maps and streams a `source` stands in the line, and a `reader` reads its `results`.

mod body;
mod cell;
mod error;
#[cfg(aiopool_models)]
mod explorer;
mod foreign;
mod handle;
mod job;
mod join;
mod line;
#[cfg(all(test, aiopool_models))]
mod models;
mod pool;
mod posts;
mod reader;
mod results;
mod run;
mod runtime;
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
