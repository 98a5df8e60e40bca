#![doc = include_str!("../README.md")]

// The files stand in layers. Each layer knows only the layers below it:
//
//   verbs    pool, builder, limits, reserve, hand_in, handle, join, stream, cancel, close: the calls of users, and
//            their results
//   run      the worker: the task that runs jobs, and the code that starts it; the timer
//   state    the tables under the one lock, and the steps that change them
//   records  job, source, error, key, observe, rate, report, stats: the contents of the tables
//   sys      locks, the runtime, calls of foreign code
//
// A job's way through them: `pool` takes the job. `job::cell` gives it its one allocation, which
// has two halves: the receiver goes to the `handle`, the runnable waits in the queue of `state`.
// When the core admits the job, `state::active` gets an entry for its slot. The entry is open until
// a worker takes it (`state::workers`). The worker (`run::worker`) polls the job to its end
// (`job::body`). The result takes the job's place in the cell, `job::join_state` records that, and
// the worker wakes the handle. The step that gives the slot back admits the next waiter. `cancel`
// ends a job early, wherever it is.
//
// A map or stream stands in the queue as a `source`, which gives a worker its next item in each of
// its turns. `stream` reads the results (`source::results`).

mod builder;
mod cancel;
mod close;
mod error;
mod hand_in;
mod handle;
mod job;
mod join;
mod key;
mod limits;
#[cfg(all(test, aiopool_models))]
mod models;
mod observe;
mod outside;
mod pool;
mod rate;
#[cfg(feature = "metrics")]
mod record;
mod report;
mod reserve;
mod run;
mod source;
mod state;
mod stats;
mod stream;
mod sys;

pub use builder::Builder;
pub use error::{JobError, Panic, Refused};
pub use handle::{AbortHandle, JobHandle};
pub use job::Job;
pub use job::callback::WithCallback;
pub use job::configured::WithOptions;
pub use job::id::JobId;
pub use key::Key;
pub use observe::{Event, Observed};
pub use pool::Pool;
pub use rate::Rate;
#[cfg(feature = "metrics")]
pub use record::record_metrics;
pub use report::{JobInfo, Report};
pub use reserve::Permit;
pub use stats::{HeldBy, Outcome, Stats};
pub use stream::Itermap;
