//! The workers: an entry for those of each runtime, and the remotes by which each can be reached.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use aiopool_core::Level;
use slab::Slab;

use crate::state::signal::{Orders, Remote};
use crate::sys::runtime::{Handle, RuntimeId, threads};

/// The workers of a pool.
#[derive(Default)]
pub(crate) struct WorkersTable {
    runtimes: Slab<Workers>,
    /// With the index of the workers that each is one of.
    remotes: Slab<(usize, Arc<Remote>)>,
    /// The runtime that was found last to have timers.
    with_time: Option<RuntimeId>,
}

/// The workers of one runtime. The entry is there while somebody waits for them, or a source is
/// asked by them, or they are: a waiter need only know its index.
struct Workers {
    runtime: Handle,
    /// How many of those who stand in the queue are to run here.
    waiting: usize,
    count: usize,
    /// How many of them are never polled, and so do not search.
    lost: u32,
    /// How many of the workers are about to look for an open entry. There are never fewer of them
    /// than open entries, or than `enough`: so each entry is taken.
    searching: usize,
    /// How many that search are enough, however many entries are open: each begins one job when it
    /// is polled, so about as many begin between two turns of everybody else. One that takes an
    /// entry calls another if fewer are left, so a job that keeps its thread keeps no entry waiting.
    enough: usize,
    /// How many times they have paused since all of them did so that the runtime had its own turn.
    pauses: usize,
    /// The indices of the open entries, in the order in which they are to be taken.
    open: VecDeque<usize>,
    /// How many sources are asked here, or will be when their readers have caught up.
    sources: usize,
    /// The indices of the remotes of those who are parked until an entry is opened: while there are
    /// sources, nobody leaves. A worker that has been dropped meanwhile, or woken, may still be
    /// named.
    parked: Vec<usize>,
    /// Whether the runtime is known to have timers, if they are needed.
    has_time: bool,
    /// Whether it has shut down, as far as is known.
    has_ended: bool,
}

/// What a worker is known by.
pub(crate) struct Member {
    /// The index of the workers of its runtime.
    pub(crate) workers: usize,
    /// What it can be reached by, with its index, once it has been polled.
    pub(crate) remote: Option<(usize, Arc<Remote>)>,
}

/// Who is to be woken or started under no lock, after an admission.
#[must_use = "it is counted on"]
pub(crate) enum Wakeup {
    /// A worker that is to look for an open entry, or whose job has its slots again.
    Worker(Arc<Remote>),
    /// No worker, but a caller that has got its slot.
    Caller(Waker),
    /// A worker that is to be started on this runtime.
    New {
        /// The index of the workers that it is one of.
        workers: usize,
        runtime: Handle,
    },
}

/// What a worker does that finds no open entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// It searches once more when other tasks have had their turn.
    Yield,
    /// The same, when the runtime has looked at its timers and sockets, too. It looks at them when
    /// nothing can run, or after a number of polls: beside tasks, not all of these are jobs.
    YieldToAll,
    /// It waits until it is woken.
    Park,
    /// It leaves: enough others search.
    Leave,
}

impl Member {
    /// What is out of the usual in its job. That it is to be stopped is told once.
    #[inline]
    pub(crate) fn take_orders(&self) -> Option<Orders> {
        let (_, remote) = self.remote.as_ref()?;
        remote.take_orders()
    }

    pub(crate) fn is_parked(&self) -> bool {
        let remote = self.remote.as_ref();
        remote.is_some_and(|(_, remote)| remote.is_parked())
    }

    /// The worker goes on with a job of this level. What it was told of the one before is not meant
    /// for this one. Under the lock of the pool.
    pub(crate) fn begin(&self, level: Level) {
        if let Some((_, remote)) = &self.remote {
            remote.begin(level, false);
        }
    }

    /// It does not stop what it was told to stop. Under the lock of the pool.
    pub(crate) fn forget_stop(&self) {
        if let Some((_, remote)) = &self.remote {
            remote.take_stop();
        }
    }
}

/// Entries come and go.
impl WorkersTable {
    /// The index of the workers on `runtime`, for somebody who takes a place in the queue under the
    /// same lock; and the handle if it is not needed, to be dropped under no lock.
    pub(crate) fn on(&mut self, runtime: Handle) -> (usize, Option<Handle>) {
        // One after another: a pool is used from one runtime, seldom from two.
        let id = runtime.id();
        let mut entries = self.runtimes.iter();
        if let Some((index, _)) = entries.find(|(_, workers)| workers.runtime.id() == id) {
            return (index, Some(runtime));
        }
        let enough = enough_on(&runtime);
        let index = self.runtimes.insert(Workers {
            runtime,
            enough,
            pauses: 0,
            waiting: 0,
            count: 0,
            lost: 0,
            searching: 0,
            open: VecDeque::new(),
            sources: 0,
            parked: Vec::new(),
            has_time: self.with_time == Some(id),
            has_ended: false,
        });
        (index, None)
    }

    /// Those runtimes that are not known to have timers.
    pub(crate) fn without_time(&self) -> Vec<Handle> {
        let entries = self.runtimes.iter();
        let without = entries.filter(|(_, workers)| !workers.has_time);
        without
            .map(|(_, workers)| workers.runtime.clone())
            .collect()
    }

    /// Whether this runtime is known to have timers.
    pub(crate) fn has_time(&self, runtime: &Handle) -> bool {
        let workers = self.get(runtime.id());
        workers.is_some_and(|index| self.runtimes[index].has_time)
    }

    /// Whether this is the runtime that was found last to have timers.
    pub(crate) fn found_time_last_on(&self, runtime: &Handle) -> bool {
        self.with_time == Some(runtime.id())
    }

    /// This runtime has timers, on which there may be no workers yet.
    pub(crate) fn found_time_on(&mut self, runtime: &Handle) {
        self.with_time = Some(runtime.id());
        if let Some(index) = self.get(runtime.id()) {
            self.runtimes[index].has_time = true;
        }
    }

    /// A runtime for the timer: one on which somebody waits, or else one that is used.
    pub(crate) fn home(&self) -> Option<Handle> {
        let find = |is_one: fn(&Workers) -> bool| {
            let mut entries = self.runtimes.iter();
            let entry = entries.find(|(_, workers)| is_one(workers));
            entry.map(|(_, workers)| workers.runtime.clone())
        };
        find(|workers| workers.waiting > 0 && !workers.has_ended)
            .or_else(|| find(|workers| !workers.has_ended))
            // It drops the timer, and so those who wait there.
            .or_else(|| find(|workers| workers.waiting > 0))
    }

    /// A runtime has shut down.
    pub(crate) fn end(&mut self, runtime: RuntimeId) {
        if let Some(index) = self.get(runtime) {
            self.runtimes[index].has_ended = true;
        }
    }

    /// Whether somebody waits who is to run on this runtime.
    pub(crate) fn is_waited_for(&self, runtime: RuntimeId) -> bool {
        let index = self.get(runtime);
        index.is_some_and(|index| self.runtimes[index].waiting > 0)
    }

    /// The index of the workers on this runtime.
    pub(crate) fn get(&self, runtime: RuntimeId) -> Option<usize> {
        let mut entries = self.runtimes.iter();
        let entry = entries.find(|(_, workers)| workers.runtime.id() == runtime);
        entry.map(|(index, _)| index)
    }

    /// One more stands in the queue who is to run here.
    pub(crate) fn expect(&mut self, index: usize) {
        self.runtimes[index].waiting += 1;
    }

    /// One of those has left the queue. If it has been withdrawn, nobody waits for the workers
    /// perhaps, and they are to be [forgotten](Self::forget_unused).
    pub(crate) fn expect_no_more(&mut self, index: usize) {
        self.runtimes[index].waiting -= 1;
    }

    /// A source is asked here from now on.
    pub(crate) fn add_source(&mut self, index: usize) {
        self.runtimes[index].sources += 1;
    }

    /// A source has ended. After the last one, the parked workers are to look whether there is
    /// still something to do: none of them is needed just because a source may give something.
    /// The first is to be woken under no lock, and [wakes the next](Self::call_unneeded).
    pub(crate) fn remove_source(&mut self, index: usize) -> Option<Arc<Remote>> {
        self.runtimes[index].sources -= 1;
        self.unpark_unneeded(index)
    }

    /// A worker that has searched wakes one that is parked though there are no sources any more.
    pub(crate) fn call_unneeded(&mut self, index: usize) -> Option<Wakeup> {
        self.unpark_unneeded(index).map(Wakeup::Worker)
    }

    fn unpark_unneeded(&mut self, index: usize) -> Option<Arc<Remote>> {
        if self.runtimes[index].sources > 0 {
            return None;
        }
        self.unpark(index)
    }

    /// Forgets the entries that nobody needs. Their handles are to be dropped under no lock.
    pub(crate) fn forget_unused(&mut self) -> Vec<Handle> {
        let entries = self.runtimes.iter();
        let unused = entries.filter(|(_, workers)| workers.is_unused());
        let indices: Vec<_> = unused.map(|(index, _)| index).collect();
        indices
            .into_iter()
            .map(|index| self.runtimes.remove(index).runtime)
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn runtimes(&self) -> usize {
        self.runtimes.len()
    }
}

/// A worker comes, and goes.
impl WorkersTable {
    /// A worker that is polled for the first time can be reached from now on.
    pub(crate) fn connect(&mut self, index: usize, waker: Waker) -> (usize, Arc<Remote>) {
        let remote = Arc::new(Remote::new(waker));
        (self.remotes.insert((index, remote.clone())), remote)
    }

    /// A worker leaves. The handle of its runtime is to be dropped under no lock.
    pub(crate) fn leave(&mut self, worker: &Member, was_searching: bool) -> Option<Handle> {
        let workers = &mut self.runtimes[worker.workers];
        workers.count -= 1;
        workers.searching -= usize::from(was_searching);
        let is_unused = workers.is_unused();
        // The worker has the remote too, so the waker in it is not dropped here.
        if let Some((index, _)) = worker.remote {
            self.remotes.remove(index);
        }
        is_unused.then(|| self.runtimes.remove(worker.workers).runtime)
    }

    /// As [`stop`](Self::stop), for several.
    pub(crate) fn stop_each(&self, remotes: impl IntoIterator<Item = usize>) -> Vec<Arc<Remote>> {
        let remotes = remotes.into_iter();
        remotes.filter_map(|remote| self.stop(remote)).collect()
    }

    /// The remote with this index.
    pub(crate) fn remote(&self, index: usize) -> Option<Arc<Remote>> {
        let (_, remote) = self.remotes.get(index)?;
        Some(remote.clone())
    }

    /// The job that a worker runs is to be stopped. The worker is to be woken under no lock.
    pub(crate) fn stop(&self, remote: usize) -> Option<Arc<Remote>> {
        let (_, remote) = self.remotes.get(remote)?;
        remote.stop();
        Some(remote.clone())
    }
}

/// Open entries, and the workers that look for them.
impl WorkersTable {
    /// An entry has been opened: it is taken after those that were open before. One more worker is
    /// called if too few are searching.
    pub(crate) fn offer(&mut self, index: usize, entry: usize) -> Option<Wakeup> {
        self.runtimes[index].open.push_back(entry);
        self.call(index)
    }

    /// One more worker searches if too few do.
    pub(crate) fn call(&mut self, index: usize) -> Option<Wakeup> {
        self.are_too_few(index).then(|| self.wake_or_start(index))
    }

    /// One more worker searches if fewer do than entries are open.
    pub(crate) fn call_for_each(&mut self, index: usize) -> Option<Wakeup> {
        let workers = &self.runtimes[index];
        let are_fewer = workers.searching < workers.open.len();
        are_fewer.then(|| self.wake_or_start(index))
    }

    /// One worker searches for each runtime where somebody waits.
    pub(crate) fn call_for_waiting(&mut self) -> Vec<Wakeup> {
        let indices: Vec<_> = self.without_search().collect();
        indices
            .into_iter()
            .map(|index| self.wake_or_start(index))
            .collect()
    }

    /// Whether a worker searches wherever somebody waits.
    pub(crate) fn are_called(&self) -> bool {
        self.without_search().next().is_none()
    }

    fn without_search(&self) -> impl Iterator<Item = usize> {
        let entries = self.runtimes.iter();
        let without = entries.filter(|(_, workers)| workers.waiting > 0 && workers.searching == 0);
        without.map(|(index, _)| index)
    }

    /// A worker that was to be started has been left unpolled by its runtime, a hook of which has
    /// panicked. If it leaves an entry that nobody takes, another is counted in its place, as one
    /// that is searching.
    pub(crate) fn lose(&mut self, index: usize) -> bool {
        let workers = &mut self.runtimes[index];
        workers.searching = workers.searching.saturating_sub(1);
        workers.lost += 1;
        let is_missed = self.are_too_few(index);
        if is_missed {
            self.runtimes[index].count += 1;
            self.runtimes[index].searching += 1;
        }
        is_missed
    }

    /// A worker is dropped that may be a [lost](Self::lose) one: it searches after all.
    pub(crate) fn find(&mut self, worker: &Member) {
        let workers = &mut self.runtimes[worker.workers];
        if worker.remote.is_none() && workers.lost > 0 {
            workers.lost -= 1;
            workers.searching += 1;
        }
    }

    fn wake_or_start(&mut self, index: usize) -> Wakeup {
        // To wake a task costs less than to start one.
        if let Some(parked) = self.unpark(index) {
            return Wakeup::Worker(parked);
        }
        let workers = &mut self.runtimes[index];
        workers.count += 1;
        workers.searching += 1;
        // A handle of Tokio is a count: what is cloned here runs nothing, unlike its last drop.
        let runtime = workers.runtime.clone();
        Wakeup::New {
            workers: index,
            runtime,
        }
    }

    /// As [`offer`](Self::offer), by a worker that has no turn left: the entry is taken before the
    /// others, by this worker or another that searches.
    pub(crate) fn offer_first(&mut self, index: usize, entry: usize) {
        // No wake-up is needed: the worker counts itself, and comes when the others had their turn.
        let workers = &mut self.runtimes[index];
        workers.open.push_front(entry);
        workers.searching += 1;
    }

    /// Takes the first open entry, for a worker that was searching.
    pub(crate) fn take(&mut self, index: usize) -> Option<usize> {
        let workers = &mut self.runtimes[index];
        let entry = workers.open.pop_front()?;
        workers.searching -= 1;
        Some(entry)
    }

    pub(crate) fn has_open(&self, index: usize) -> bool {
        !self.runtimes[index].open.is_empty()
    }

    /// Whether an open entry might not be taken: each that searches takes one.
    pub(crate) fn are_too_few(&self, index: usize) -> bool {
        let workers = &self.runtimes[index];
        workers.searching < workers.open.len().min(workers.enough)
    }

    /// One of the workers is about to look for an open entry.
    pub(crate) fn search(&mut self, index: usize) {
        self.runtimes[index].searching += 1;
    }

    /// A worker that was searching has found nothing. It parks only while there are sources, which
    /// end, and wake it then: a job that comes from elsewhere need not come.
    pub(crate) fn idle(&mut self, worker: &Member) -> Idle {
        let workers = &mut self.runtimes[worker.workers];
        match &worker.remote {
            Some((index, remote)) if workers.sources > 0 => {
                // It is parked before the lock opens: whoever opens an entry next finds it here.
                remote.park();
                workers.searching -= 1;
                workers.parked.push(*index);
                Idle::Park
            }
            _ => Idle::Yield,
        }
    }

    /// A worker that was searching has begun a job in this poll, and takes no other before
    /// everybody else has had a turn.
    pub(crate) fn pause(&mut self, worker: &Member) -> Idle {
        let workers = &mut self.runtimes[worker.workers];
        if workers.open.is_empty() {
            return self.idle(worker);
        }
        // More than that come from jobs that suspended and do so no more. Not as soon as there are
        // enough: those that are polled now do not count as searching, and to call a worker and to
        // part with one for each of their jobs would cost more than the job.
        if workers.searching > 2 * workers.enough {
            return match self.idle(worker) {
                Idle::Park => Idle::Park,
                _ => Idle::Leave,
            };
        }
        workers.pauses += 1;
        if workers.pauses <= workers.enough {
            return Idle::Yield;
        }
        // One round of those that search.
        if workers.pauses >= workers.enough + workers.searching {
            workers.pauses = 0;
        }
        Idle::YieldToAll
    }

    /// A parked worker, which is searching from now on.
    fn unpark(&mut self, index: usize) -> Option<Arc<Remote>> {
        let workers = &mut self.runtimes[index];
        while let Some(parked) = workers.parked.pop() {
            // The index may be that of a worker that came later, here or on another runtime. One that
            // is parked here is as good.
            let remote = self.remotes.get(parked);
            let remote = remote.filter(|(workers, _)| *workers == index);
            if let Some((_, remote)) = remote.filter(|(_, remote)| remote.unpark()) {
                workers.searching += 1;
                return Some(remote.clone());
            }
        }
        None
    }
}

impl Workers {
    fn is_unused(&self) -> bool {
        self.count == 0 && self.waiting == 0 && self.sources == 0
    }
}

/// A worker may search on each thread, and another wait for its turn there.
fn enough_on(runtime: &Handle) -> usize {
    threads(runtime).max(ENOUGH)
}

/// Half as many jobs as Tokio's budget lets one task start, as a task each, before it has to yield:
/// as many pass before somebody is woken, and before it is polled.
const ENOUGH: usize = if cfg!(aiopool_models) { 1 } else { 32 };

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.build().expect("a runtime needs nothing")
    }

    /// A worker that has been started on the runtime with this index, and polled.
    fn worker(table: &mut WorkersTable, index: usize) -> Member {
        assert!(matches!(table.wake_or_start(index), Wakeup::New { .. }));
        Member {
            workers: index,
            remote: Some(table.connect(index, Waker::noop().clone())),
        }
    }

    #[test]
    fn a_worker_that_is_parked_on_one_runtime_is_not_woken_for_another() {
        let mut table = WorkersTable::default();
        let (first, second) = (runtime(), runtime());
        let (first, _) = table.on(first.handle().clone());
        let (second, _) = table.on(second.handle().clone());
        for index in [first, second] {
            table.add_source(index);
        }
        let gone = worker(&mut table, second);
        assert_eq!(table.idle(&gone), Idle::Park);
        drop(table.leave(&gone, false));
        // It gets the index of the one that has gone, which the second runtime still names.
        let parked = worker(&mut table, first);
        assert_eq!(parked.remote.as_ref().map(|(index, _)| *index), Some(0));
        assert_eq!(table.idle(&parked), Idle::Park);
        assert!(matches!(table.offer(second, 0), Some(Wakeup::New { .. })));
        assert!(parked.is_parked());
        assert!(matches!(table.offer(first, 1), Some(Wakeup::Worker(_))));
    }
}
