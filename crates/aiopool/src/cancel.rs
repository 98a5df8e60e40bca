//! Cancelling: waiting jobs leave the queue, active ones are told to stop, and somebody may wait
//! until they have ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use aiopool_core::{Ticket, Walk};

use crate::error::JobError;
use crate::handle::JobHandle;
use crate::job::body::Ended;
use crate::job::id::JobId;
use crate::run::nested;
use crate::source::{Apart, End, SourceBox, SourceId};
use crate::state::active::Waiter;
use crate::state::signal::{Countdown, tell, wake_workers};
use crate::state::{Shared, Withdrawal, Withdrawn};
use crate::stats::Tally;
use crate::sys::runtime::RuntimeId;
use crate::sys::unwind::{discard, wake};

impl Shared {
    /// Cancels the job that had `ticket` in the queue, and has the entry at the index that `entry`
    /// tells if it has been started.
    pub(crate) fn stop(self: &Arc<Self>, ticket: Ticket, entry: impl FnOnce() -> usize) {
        if self.withdraw(ticket) {
            return;
        }
        // If it has been started meanwhile, it has an entry by now.
        let mut state = self.lock();
        let worker = state.stop(ticket, entry());
        drop(state);
        wake_workers(worker);
    }

    /// Takes the job that has `ticket` out of the queue. Tells whether it was still there.
    pub(crate) fn withdraw(self: &Arc<Self>, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let Some(job) = state.withdraw(ticket) else {
            return false;
        };
        let withdrawal = state.begin_withdrawal();
        drop(state);
        self.end_withdrawal(withdrawal, [job]);
        true
    }

    /// Cancels several jobs, each as [`stop`](Self::stop) does. Those that wait leave the queue
    /// first: otherwise one of them could begin in the slot of another that has been stopped.
    pub(crate) fn stop_each<T>(self: &Arc<Self>, handles: &[&mut JobHandle<T>]) {
        if handles.is_empty() {
            return;
        }
        let withdrawal = self.lock().begin_withdrawal();
        let withdrawn: Vec<_> = handles
            .iter()
            .filter_map(|handle| self.lock().withdraw(handle.ticket()))
            .collect();
        for handle in handles {
            // Of one that has left the queue there is no entry.
            let mut state = self.lock();
            let worker = state.stop(handle.ticket(), handle.active_index());
            drop(state);
            wake_workers(worker);
        }
        self.end_withdrawal(withdrawal, withdrawn);
    }

    /// Cancels all jobs that exist, in the same order: how many were waiting, and a countdown of
    /// those that were active.
    pub(crate) fn stop_all(self: &Arc<Self>) -> (usize, Arc<Countdown>) {
        let countdown = Countdown::new();
        let mut state = self.lock();
        let withdrawal = state.begin_withdrawal();
        // A job that calls this would wait for itself, and so would those that wait for that job.
        let caller = nested::entry_in(self);
        let but = caller.map_or_else(BTreeSet::new, |caller| state.waiting_for(caller));
        drop(state);
        let (walk, withdrawn) = self.withdraw_all();
        // What is handed in meanwhile is not to be stopped, though it may have an entry by now.
        let end = self.lock().end_of_entries();
        for first in (0..end).step_by(PORTION) {
            let entries = first..end.min(first + PORTION);
            let workers = self.lock().stop_some(&walk, entries, &but, &countdown);
            wake_workers(workers);
        }
        // Only now: another caller may have withdrawn some of these jobs in between, and has not
        // dropped them yet.
        self.lock().watch_withdrawals(&countdown);
        let waited = withdrawn.len();
        // The active jobs end while the waiting ones are dropped.
        self.end_withdrawal(withdrawal, withdrawn);
        tell(std::slice::from_ref(&countdown), false);
        (waited, countdown)
    }

    /// Takes all jobs out of the queue that wait now.
    pub(crate) fn withdraw_all(&self) -> (Walk, Vec<Withdrawn>) {
        let walk = self.lock().begin_to_cancel_all();
        let mut withdrawn = Vec::new();
        loop {
            // Here, under no lock: to make room may move all that is there.
            withdrawn.reserve(PORTION);
            if !self.lock().withdraw_some(PORTION, &mut withdrawn) {
                return (walk, withdrawn);
            }
        }
    }

    /// Drops all who wait to run on this runtime, which has shut down.
    pub(crate) fn withdraw_all_of(self: &Arc<Self>, runtime: RuntimeId) {
        let mut withdrawn = Vec::new();
        let withdrawal = self.lock().begin_withdrawal();
        while self.lock().is_waited_for(runtime) {
            // Another walk may have come to some of them, and have left them.
            self.lock().begin_walk();
            loop {
                withdrawn.reserve(PORTION);
                let mut state = self.lock();
                if !state.withdraw_some_of(runtime, PORTION, &mut withdrawn) {
                    break;
                }
            }
        }
        self.end_withdrawal(withdrawal, withdrawn);
    }

    /// Forgets the source with this id, takes it out of the queue, and stops its items.
    pub(crate) fn abandon(self: &Arc<Self>, id: SourceId) {
        let mut state = self.lock();
        let Some((abandoned, effects)) = state.abandon(id) else {
            return;
        };
        if abandoned.waiting.is_empty() {
            // It may have been the last that waited.
            self.advance(state);
        } else {
            // Its items leave the queue before any other is admitted.
            drop(state);
        }
        effects.carry_out();
        let withdrawn = self.withdraw_each(&abandoned.waiting);
        self.stop_entries(&abandoned.items, id);
        if let Some(Waiter::Apart(apart)) = abandoned.source.map(|source| source.waiter) {
            if let Ok(source) = SourceBox::from_box(apart) {
                self.discard_source(source);
            }
        }
        if let Some(parked) = abandoned.results.discard() {
            self.discard_source(parked);
        }
        if let Some(withdrawal) = abandoned.withdrawal {
            self.end_withdrawal(withdrawal, withdrawn);
        }
    }

    /// Takes those with these tickets out of the queue who still wait.
    fn withdraw_each(&self, tickets: &[Ticket]) -> Vec<Withdrawn> {
        let mut withdrawn = Vec::with_capacity(tickets.len());
        for portion in tickets.chunks(PORTION) {
            let mut state = self.lock();
            withdrawn.extend(portion.iter().filter_map(|ticket| state.withdraw(*ticket)));
        }
        withdrawn
    }

    /// Stops the items of the source with this id, which gives no more of them.
    pub(crate) fn stop_items(self: &Arc<Self>, id: SourceId) {
        let waiting = self.lock().waiting_items(id);
        if !waiting.is_empty() {
            let withdrawal = self.lock().begin_withdrawal();
            let withdrawn = self.withdraw_each(&waiting);
            self.end_withdrawal(withdrawal, withdrawn);
        }
        // They stay with the source: who abandons it stops them again, and so their callbacks.
        let items = self.lock().items(id);
        self.stop_entries(&items, id);
    }

    fn stop_entries(&self, items: &[usize], id: SourceId) {
        for portion in items.chunks(PORTION) {
            let workers = self.lock().stop_items(portion, id);
            wake_workers(workers);
        }
    }

    fn give_up_apart(&self, apart: Box<Apart>, why: JobError) -> Ended {
        let mut apart = match SourceBox::from_box(apart) {
            Ok(source) => return Ended::without_a_job(self.end_source(source, End::CutShort)),
            Err(apart) => apart,
        };
        if let Some(lost) = apart.lost() {
            return Ended::without_a_job(lost.take());
        }
        if apart.coming_back().is_some() {
            // Its worker has the job, and ends it.
            return Ended::without_a_job(None);
        }
        let mut item = (*apart).into_item();
        let mut ended = item.as_mut().give_up_as(why);
        self.lock().put(item.as_mut(), &mut ended);
        // If nobody wants the result, it is in there.
        discard(item);
        ended
    }

    /// Drops the jobs of a withdrawal, under no lock, and says so.
    pub(crate) fn end_withdrawal(
        self: &Arc<Self>,
        withdrawal: Withdrawal,
        jobs: impl IntoIterator<Item = Withdrawn>,
    ) {
        let mut ends = Tally::default();
        for Withdrawn {
            ticket,
            mut waiter,
            is_refused,
        } in jobs
        {
            let seen = self.observer.is_some().then(|| waiter.seen());
            let why = if is_refused {
                JobError::Closed
            } else {
                JobError::Cancelled
            };
            let ended = match waiter {
                Waiter::Job(job) => job.give_up_as(why),
                Waiter::Apart(apart) => self.give_up_apart(apart, why),
            };
            if let Some(outcome) = ended.outcome {
                ends.count(outcome);
                if let Some(seen) = seen {
                    self.observe_withdrawn(JobId(ticket), seen, outcome);
                }
            }
            wake(ended.waker);
        }
        let mut state = self.lock();
        let effects = state.end_withdrawal(withdrawal, &ends);
        // Only now the pool may be idle.
        self.advance(state);
        effects.carry_out();
    }
}

/// So many jobs are stopped under one lock.
const PORTION: usize = if cfg!(aiopool_models) { 1 } else { 128 };

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use super::*;
    use crate::job::Job;
    use crate::pool::Pool;

    #[tokio::test]
    async fn what_is_handed_in_while_all_jobs_are_stopped_is_not_stopped() {
        let pool = Pool::new(2);
        let early = pool.spawn_n(pending::<()>());
        let walk = pool.shared.lock().begin_walk();
        let late = pool.spawn_n(async {});
        let countdown = Countdown::new();
        let end = pool.shared.lock().end_of_entries();
        let workers = pool
            .shared
            .lock()
            .stop_some(&walk, 0..end, &BTreeSet::new(), &countdown);
        wake_workers(workers);
        assert!(early.await.expect_err("it never ends").is_cancelled());
        late.await.expect("it came after the walk had begun");
    }

    #[tokio::test]
    async fn a_caller_may_go_between_its_withdrawal_and_the_end_of_that() {
        let pool = Pool::new(1);
        pool.pause(None);
        let mut reserve = Box::pin(pool.reserve());
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(reserve.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
        let shared = &pool.shared;
        let withdrawal = shared.lock().begin_withdrawal();
        shared.lock().begin_walk();
        let (here, mut withdrawn) = (tokio::runtime::Handle::current().id(), Vec::new());
        shared
            .lock()
            .withdraw_some_of(here, PORTION, &mut withdrawn);
        assert_eq!(withdrawn.len(), 1);
        drop(reserve);
        shared.end_withdrawal(withdrawal, withdrawn);
        pool.resume();
        drop(pool.reserve().await.expect("it is open"));
        assert_eq!(pool.len(), 0);
    }

    /// Another may be admitted before those that wait have left the queue.
    #[tokio::test]
    async fn an_item_that_starts_after_its_source_was_abandoned_is_stopped() {
        let (pool, begun) = (
            Pool::builder(2).per_key(1).build(),
            Arc::new(AtomicUsize::new(0)),
        );
        let (gate, passed) = tokio::sync::watch::channel(false);
        let mut stream = pool.itermap(0..2, {
            let begun = begun.clone();
            move |_| {
                let (begun, mut passed) = (begun.clone(), passed.clone());
                async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    passed.wait_for(|may| *may).await.is_ok()
                }
                .key("a")
            }
        });
        stream = stream.ahead(2);
        assert!(poll_next(&mut stream).await.is_pending());
        while pool.active() == 0 || pool.waiting() == 0 || begun.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let (shared, id) = (
            &pool.shared,
            SourceId {
                index: 0,
                serial: 0,
            },
        );
        let waiting = shared.lock().waiting_items(id);
        assert_eq!(waiting.len(), 1);
        let (abandoned, effects) = shared.lock().abandon(id).expect("it is there");
        effects.carry_out();
        gate.send(true).expect("it is waited for");
        while pool.stats().cancelled + pool.stats().succeeded < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!((pool.executed(), begun.load(Ordering::Relaxed)), (1, 1));
        discard(abandoned.results.discard());
        if let Some(withdrawal) = abandoned.withdrawal {
            shared.end_withdrawal(withdrawal, []);
        }
        pool.join().await;
    }

    #[tokio::test]
    async fn a_source_knows_only_those_items_that_wait() {
        let pool = Pool::builder(1).per_key(1).build();
        let mut left = 0..60;
        let items = std::iter::from_fn(move || left.next());
        let mut stream = pool.itermap(items, |_| async {}.key("a")).ahead(3);
        let id = SourceId {
            index: 0,
            serial: 0,
        };
        for read in 0..10 {
            pool.pause_key("a", None);
            while matches!(poll_next(&mut stream).await, Poll::Ready(Some(_))) {
                tokio::task::yield_now().await;
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            if read == 2 {
                pool.cancel_all().await;
            }
            let waiting = pool.shared.lock().waiting_items(id);
            assert_eq!(waiting.len(), pool.stats().parked);
            pool.resume_key("a");
            while pool.stats().parked > 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn poll_next<T: Send + 'static>(
        stream: &mut crate::stream::Itermap<T>,
    ) -> Poll<Option<Result<T, crate::error::JobError>>> {
        std::future::poll_fn(|cx| {
            let stream = std::pin::Pin::new(&mut *stream);
            Poll::Ready(futures_core::Stream::poll_next(stream, cx))
        })
        .await
    }
}
