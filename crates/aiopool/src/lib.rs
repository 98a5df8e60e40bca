#![doc = include_str!("../README.md")]

// The way of a job through the files: `pool` takes it (`job` says what is one), `cell` gives it its
// allocation, and it waits in the `line`. When the core admits it, `start` opens a post for it
// (`posts`), and a `worker` takes the post up and polls it (`run`, `body`) to its end. Its result is
// stored in its cell for its `handle`, and the slot goes back. `stop` is the way out of all of these.
// For maps and streams a `source` stands in the line, and a `reader` reads its `results`.

mod cancel;
mod error;
mod handle;
mod job;
mod join;
#[cfg(all(test, aiopool_models))]
mod models;
mod pool;
mod run;
mod source;
mod state;
mod stream;
mod sys;

pub use error::{JobError, Panic};
pub use handle::{JobHandle, JobId};
pub use job::{Job, WithCallback};
pub use pool::{Builder, Pool, Size};
pub use stream::Itermap;
