//! Closing a pool: what ends at once, what is stopped later, and the report of that.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};

use aiopool_core::Ticket;

use crate::error::JobError;
use crate::job::id::JobId;
use crate::observe::{Event, Seen};
use crate::report::{JobInfo, Report};
use crate::source::End;
use crate::state::active::Waiter;
use crate::state::closing::{Draft, NotTaken, StoppedJob};
use crate::state::signal::{Remote, wake_workers};
use crate::state::{Shared, State, Withdrawn};
use crate::sys::unwind::{discard, wake};

/// Settles a job that a closed pool has not taken. Its handle has this ticket.
#[cold]
pub(crate) fn refuse(not_taken: NotTaken) -> Ticket {
    let NotTaken { waiter, runtimes } = not_taken;
    if let Waiter::Job(job) = waiter {
        wake(job.give_up_as(JobError::Closed).waker);
    }
    runtimes.into_iter().for_each(discard);
    Ticket::NOBODY
}

impl Shared {
    /// The pool takes no more, but what jobs wait for, and what cannot go on ends: callers that wait for
    /// a slot, running maps and streams, and what waits for the end of a pause. Once, however many
    /// callers there are.
    pub(crate) fn begin_to_close(self: &Arc<Self>) {
        // Before others find the pool closed: they wait for what this adds to the report.
        self.draft.lock().authors += 1;
        let Some((withdrawal, was_paused)) = self.lock().begin_to_close() else {
            return self.add_to_report(|_| {});
        };
        let mut refused = self.take_refused(was_paused);
        let infos = self.infos_of(&mut refused, |withdrawn| withdrawn.is_refused);
        let stopped = self.stop_each_entry(|state, entries| state.stop_paused(entries, was_paused));
        self.add_to_report(|draft| {
            draft.unstarted.extend(infos);
            draft.stopped.extend(stopped);
        });
        self.end_sources();
        self.end_pauses();
        self.observe(|| Event::Closed);
        self.end_withdrawal(withdrawal, refused);
    }

    /// Nothing is taken any more, and all jobs are cancelled: those that wait leave the queue. Once,
    /// however many callers there are: a second time would cancel their callbacks.
    pub(crate) fn stop_closed(self: &Arc<Self>) {
        self.draft.lock().authors += 1;
        let Some(withdrawal) = self.lock().begin_to_stop() else {
            return self.add_to_report(|_| {});
        };
        let (_, mut withdrawn) = self.withdraw_all();
        let infos = self.infos_of(&mut withdrawn, |_| true);
        let stopped = self.stop_each_entry(State::stop_those);
        self.add_to_report(|draft| {
            draft.unstarted.extend(infos);
            draft.stopped.extend(stopped);
        });
        // Those of jobs, whose calls went on until now.
        self.end_sources();
        self.end_withdrawal(withdrawal, withdrawn);
    }

    /// Stops active jobs, in portions. Gives what a report tells of them.
    fn stop_each_entry(
        &self,
        mut stop: impl FnMut(&mut State, Range<usize>) -> (Vec<Arc<Remote>>, Vec<StoppedJob>),
    ) -> Vec<StoppedJob> {
        let (end, mut stopped) = (self.lock().end_of_entries(), Vec::new());
        for first in (0..end).step_by(PORTION) {
            let entries = first..end.min(first + PORTION);
            let (workers, jobs) = stop(&mut self.lock(), entries);
            stopped.extend(jobs);
            wake_workers(workers);
        }
        stopped
    }

    fn add_to_report(&self, add: impl FnOnce(&mut Draft)) {
        let mut draft = self.draft.lock();
        add(&mut draft);
        draft.authors -= 1;
        let waiting = if draft.authors == 0 {
            mem::take(&mut draft.waiting)
        } else {
            Vec::new()
        };
        drop(draft);
        wake(waiting);
    }

    /// Waits until nobody is about to add to the report.
    pub(crate) fn poll_added(&self, cx: &Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut draft = self.draft.lock();
        if draft.authors > 0 {
            draft.waiting.push(waker);
            return Poll::Pending;
        }
        drop(draft);
        discard(waker);
        Poll::Ready(())
    }

    /// Lets the readers of those sources know that there are no more items that the pool refuses.
    fn end_sources(&self) {
        let end = self.lock().end_of_sources();
        for first in (0..end).step_by(PORTION) {
            let indices = first..end.min(first + PORTION);
            let sources = self.lock().refuse_sources(indices);
            for source in sources {
                wake(self.end_source(source, End::Closed));
            }
        }
    }

    /// Takes those out of the queue who end at once.
    fn take_refused(&self, was_paused: bool) -> Vec<Withdrawn> {
        let mut refused = Vec::new();
        loop {
            let mut state = self.lock();
            let before = state.walked();
            state.begin_walk();
            drop(state);
            let mut steps = 0;
            loop {
                // Here, under no lock: to make room may move all that is there.
                refused.reserve(PORTION);
                steps += 1;
                let mut state = self.lock();
                if state.refuse_some(was_paused, PORTION, &mut refused) {
                    continue;
                }
                if state.walked() == before + steps {
                    return refused;
                }
                // Another walk may have come to some of them, and have left them.
                break;
            }
        }
    }

    fn end_pauses(&self) {
        let mut state = self.lock();
        state.end_pause();
        let end = state.keys().end();
        drop(state);
        for first in (0..end).step_by(PORTION) {
            let indices = first..end.min(first + PORTION);
            self.lock().end_pauses(indices);
        }
    }

    /// What the report tells of jobs that have left the queue.
    fn infos_of(
        &self,
        withdrawn: &mut [Withdrawn],
        are_told: impl Fn(&Withdrawn) -> bool,
    ) -> Vec<JobInfo> {
        let told = withdrawn.iter_mut().filter(|withdrawn| are_told(withdrawn));
        let jobs = told.filter(|withdrawn| withdrawn.waiter.is_job());
        let infos = jobs.map(|Withdrawn { ticket, waiter, .. }| {
            let Seen { name, key } = waiter.seen();
            let is_observed = self.observer.is_some();
            JobInfo {
                id: JobId(*ticket),
                name,
                key,
                age: is_observed.then(|| self.lock().age_of(*ticket)).flatten(),
            }
        });
        infos.collect()
    }

    /// The report, which is made once: whoever comes later gets the same.
    pub(crate) fn report(&self) -> Report {
        let mut draft = self.draft.lock();
        let Draft {
            unstarted,
            stopped,
            report,
            ..
        } = &mut *draft;
        let make = || Arc::new(self.make_report(mem::take(unstarted), mem::take(stopped)));
        let report = report.get_or_insert_with(make).clone();
        drop(draft);
        Report::clone(&report)
    }

    /// Whether the report has been made.
    pub(crate) fn has_report(&self) -> bool {
        self.draft.lock().report.is_some()
    }

    fn make_report(&self, unstarted: Vec<JobInfo>, stopped: Vec<StoppedJob>) -> Report {
        let (mut ended, mut cancelled, mut running) = (0, Vec::new(), stopped);
        loop {
            let mut left = Vec::new();
            let mut jobs = running.into_iter().peekable();
            while jobs.peek().is_some() {
                // In portions: others get the lock in between.
                let state = self.lock();
                for job in jobs.by_ref().take(PORTION) {
                    if state.still_runs(&job) {
                        left.push(job);
                    } else {
                        cancelled.push(job.info);
                    }
                }
            }
            running = left;
            let before = mem::replace(&mut ended, self.lock().ended_since());
            // Those that have ended meanwhile are told as such.
            if before == ended || running.is_empty() {
                break;
            }
        }
        let others = cancelled.len() + unstarted.len();
        Report {
            finished: ended.saturating_sub(others as u64),
            cancelled,
            unstarted,
            running: running.into_iter().map(|job| job.info).collect(),
            sources: self.lock().cut_off_sources(),
        }
    }
}

/// So many are looked at under one lock.
const PORTION: usize = if cfg!(aiopool_models) { 1 } else { 128 };

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::Waker;

    use futures_core::Stream;
    use tokio::task::yield_now;

    use super::*;
    use crate::job::Job;
    use crate::pool::Pool;

    /// The pool is closed, and has not come to its sources yet.
    fn refuse(pool: &Pool) -> impl FnOnce() + use<> {
        let shared = pool.shared.clone();
        let (withdrawal, _) = shared.lock().begin_to_close().expect("it is open");
        move || {
            shared.end_sources();
            shared.end_withdrawal(withdrawal, []);
        }
    }

    async fn next<T: Send + 'static>(
        stream: &mut crate::stream::Itermap<T>,
    ) -> Option<Result<T, JobError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
    }

    #[tokio::test]
    async fn a_map_that_would_go_on_just_then_ends_when_the_pool_comes_to_it() {
        let pool = Pool::builder(2).per_key(1).build();
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let held = gate.clone();
        let mut map = pin!(pool.map(0..100, move |_| {
            let held = held.clone();
            async move { held.acquire().await.map(drop).is_err() }.key("a")
        }));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(map.as_mut().poll(cx).is_pending());
        while pool.stats().parked < AHEAD - 1 {
            yield_now().await;
        }
        let end = refuse(&pool);
        gate.close();
        while pool.stats().succeeded < AHEAD as u64 {
            yield_now().await;
        }
        assert!(map.as_mut().poll(cx).is_pending());
        end();
        let results = map.await;
        assert_eq!(results.len(), AHEAD + 1);
        assert!(matches!(results[AHEAD], Err(JobError::Closed)));
        pool.join().await;
    }

    #[tokio::test]
    async fn a_stream_whose_reader_catches_up_just_then_ends() {
        let pool = Pool::new(2);
        let mut stream = pool.itermap(0..9, |n| async move { n }).ahead(1);
        while pool.stats().succeeded < 1 {
            let polled = std::future::poll_fn(|cx| {
                let stream = pin!(next(&mut stream));
                Poll::Ready(stream.poll(cx))
            });
            assert!(polled.await.is_pending());
            yield_now().await;
        }
        let end = refuse(&pool);
        assert!(matches!(next(&mut stream).await, Some(Ok(0))));
        assert!(matches!(
            next(&mut stream).await,
            Some(Err(JobError::Closed))
        ));
        assert!(next(&mut stream).await.is_none());
        end();
        assert_eq!(pool.shared.lock().cut_off_sources(), 1);
        pool.join().await;
    }

    #[tokio::test]
    async fn what_is_refused_leaves_no_workers() {
        let pool = Pool::new(1);
        pool.close(None, std::time::Duration::ZERO).await;
        let refused = pool.spawn_n(async {});
        assert!(pool.spawn_n(async {}.key("a")).is_finished());
        assert!(pool.try_spawn(async {}).is_err() && pool.reserve().await.is_err());
        pool.map(0..3, |_| async {}).await;
        assert_eq!(pool.shared.lock().runtimes(), 0);
        drop(refused);
    }

    /// So many items of a map with keys are pulled in a pool with two slots.
    const AHEAD: usize = 8;
}
