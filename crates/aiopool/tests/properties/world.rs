//! A real pool beside its model, and all that a user holds of it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use aiopool::{Itermap, JobHandle, Pool};
use tokio_test::task::Spawn;

use crate::callers::{Answer, CallerId};
use crate::gates::Gates;
use crate::model::{JobId, Model, Name, SourceId};
use crate::work::{Output, dropped};

/// Shared by the test and the jobs. Its lock is held for the world's own steps only, never while
/// the pool is called.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Inside>>);

pub(crate) struct Inside {
    pub(crate) model: Model,
    /// How many have been taken.
    pub(crate) steps: usize,
    pub(crate) pool: Option<Pool>,
    pub(crate) handles: Vec<Held>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) callers: BTreeMap<CallerId, Spawn<Called>>,
    pub(crate) next_caller: CallerId,
    pub(crate) gates: Gates,
    // What has been made and not been dropped.
    pub(crate) futures: BTreeSet<Name>,
    pub(crate) outputs: BTreeSet<Name>,
    pub(crate) callbacks: BTreeSet<JobId>,
    pub(crate) iterators: BTreeSet<SourceId>,
}

/// A handle, and whether somebody awaits it.
pub(crate) struct Held {
    pub(crate) job: JobId,
    pub(crate) handle: Spawn<JobHandle<Output>>,
    pub(crate) awaited: bool,
}

/// A stream, and whether somebody waits for its next result.
pub(crate) struct Stream {
    pub(crate) source: SourceId,
    pub(crate) results: Spawn<Itermap<Output>>,
    pub(crate) awaited: bool,
}

pub(crate) type Called = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl World {
    pub(crate) fn new(size: usize) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            model: Model::new(size),
            steps: 0,
            pool: Some(Pool::new(size)),
            handles: Vec::new(),
            streams: Vec::new(),
            callers: BTreeMap::new(),
            next_caller: 0,
            gates: Gates::default(),
            futures: BTreeSet::new(),
            outputs: BTreeSet::new(),
            callbacks: BTreeSet::new(),
            iterators: BTreeSet::new(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Panics with this message, if there is one.
    pub(crate) fn panic(&self, message: Option<String>) {
        let Some(message) = message else { return };
        if thread::panicking() {
            self.violation(|| format!("{message} in an unwinding: this aborts the process"));
        } else {
            // Without the hook, which prints.
            resume_unwind(Box::new(message));
        }
    }

    pub(crate) fn violation(&self, violation: impl FnOnce() -> String) {
        self.lock().model.expect(false, violation);
    }

    /// Panics if the pool has done what it may not do.
    pub(crate) fn verify(&self) {
        let mut inside = self.lock();
        let violations = mem::take(&mut inside.model.violations);
        let steps = inside.steps;
        drop(inside);
        assert!(
            violations.is_empty(),
            "after {steps} steps:\n{}",
            violations.join("\n")
        );
    }

    /// Breaks the cycles between the world and what it holds.
    pub(crate) fn clear(&self) {
        let mut inside = self.lock();
        let held = (
            mem::take(&mut inside.handles),
            mem::take(&mut inside.streams),
            mem::take(&mut inside.callers),
            inside.pool.take(),
        );
        drop(inside);
        dropped(held);
    }
}

impl Inside {
    pub(crate) fn expect(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        self.model.expect(holds, violation);
    }
}
