#![doc = include_str!("../README.md")]

// The files stand in layers, of which each knows only those below it:
//
//   verbs    pool, builder, hand_in, handle, join, stream, cancel: what users call, and what they
//            get
//   run      the worker: the task that runs jobs, and who starts it
//   state    tables under the one lock, and the steps that change them
//   records  job, source, error: what the tables are about
//   sys      locks, the runtime, code that is not ours
//
// A job's way through them: `pool` takes it, `job::cell` gives it its one allocation, and the two
// halves of that part: the receiver goes to its `handle`, and the runnable waits in the queue of
// `state`. When the core admits it, `state::active` gets an entry for its slot, which is open until
// a worker takes it (`state::workers`). The worker (`run::worker`) polls it to its end
// (`job::body`), the result takes its place in the cell, `job::join_state` says so, and the handle
// is woken. The step that gives the slot back admits who is next. `cancel` is the way out of all of
// these.
//
// A map or stream stands in the queue as a `source`, which gives a worker its next item whenever
// its turn comes, and `stream` reads its results (`source::results`).

mod builder;
mod cancel;
mod error;
mod hand_in;
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

pub use builder::Builder;
pub use error::{JobError, Panic};
pub use handle::{AbortHandle, JobHandle, JobId};
pub use job::{Job, WithCallback};
pub use pool::Pool;
pub use stream::Itermap;
