//! The pool and its verbs.

use std::fmt;
use std::future::poll_fn;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Poll;

use crate::error::JobError;
use crate::hand_in::{Exec, Spawn, queue};
use crate::handle::JobHandle;
use crate::job::body::Caught;
use crate::job::cell::Runnable;
use crate::job::{Job, with_body};
use crate::join::Join;
use crate::source::mapped::panicking;
use crate::source::results::Order;
use crate::state::Shared;
use crate::stream::{Itermap, Reader};
use crate::sys::runtime::{current, poll_in_budget};
use crate::sys::unwind::guarded;

/// A pool of jobs: it keeps no more and no less than `size` of them active while any are waiting.
///
/// A `Pool` is a cheap handle: clones of it are the same pool. Dropping the last one does not stop
/// its jobs. The futures that its methods return do not borrow it; those of [`spawn`](Self::spawn)
/// and [`exec`](Self::exec) are a few words, however large the job. They take part in Tokio's
/// [budget](tokio::task::coop): a loop over calls that are ready at once lets others have their
/// turn, and a timeout around it fires.
///
/// Jobs stand in one queue, first come first served, whichever method handed them in. A running
/// [`map`](Self::map) or stream stands in it with one item at a time and goes to the back after
/// each.
///
/// # Panics
///
/// Methods that queue jobs panic outside a Tokio runtime: [`spawn_n`](Self::spawn_n) and
/// [`map_n`](Self::map_n) in the call, the others when their future is first polled. Each job runs
/// on the runtime on which it was queued; a pool without jobs needs none.
///
/// # Deadlocks
///
/// A job must not wait for another job of its own pool, by whichever method: when all slots are
/// held by jobs that wait, nothing goes on.
#[derive(Clone)]
pub struct Pool {
    pub(crate) shared: Arc<Shared>,
}

/// Handing in.
impl Pool {
    /// Waits for a slot and starts the job. A loop of `spawn`s is held back by the pool.
    ///
    /// # Returns
    ///
    /// The handle of the started job; of a cancelled one, if the job was cancelled while it waited.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped while it waits, the job has
    /// not run: it is dropped, no slot is lost, and those behind it move up. A job that has been
    /// started meanwhile runs on, detached.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// for n in 0..10 {
    ///     pool.spawn(async move { println!("{n}") }).await;
    /// }
    /// pool.join().await;
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<J: Job>(
        &self,
        job: J,
    ) -> impl Future<Output = JobHandle<J::Output>> + Send + use<J> {
        let job = with_body!(J, job, |body| Runnable::new(body, true));
        Spawn::new(job, self.shared.clone(), Location::caller())
    }

    /// Queues the job at once, or starts it if a slot is free. Nothing of it runs inside this call.
    ///
    /// # Returns
    ///
    /// The handle of the job, which may be dropped: the job runs on.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The call does not wait. [`JobHandle`] says what may be done with the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handles: Vec<_> = (0..10).map(|n| pool.spawn_n(async move { n * n })).collect();
    /// for (n, handle) in handles.into_iter().enumerate() {
    ///     assert_eq!(handle.await.unwrap(), n * n);
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_n<J: Job>(&self, job: J) -> JobHandle<J::Output> {
        let runtime = current();
        let job = with_body!(J, job, |body| Runnable::new(body, false));
        queue(job, self.shared.clone(), runtime)
    }

    /// Runs the job in its turn and waits for its end.
    ///
    /// # Returns
    ///
    /// The result of the job or of its callback, or the [`JobError`] that took its place.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. Dropping it cancels the job, as
    /// [`JobHandle::cancel`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// assert_eq!(pool.exec(async { 6 * 7 }).await.unwrap(), 42);
    /// # }
    /// ```
    #[track_caller]
    pub fn exec<J: Job>(
        &self,
        job: J,
    ) -> impl Future<Output = Result<J::Output, JobError>> + Send + use<J> {
        let job = with_body!(J, job, |body| Runnable::new(body, false));
        Exec::new(job, self.shared.clone(), Location::caller())
    }

    /// Runs the jobs that `function` makes of `items`, and waits for all of them.
    ///
    /// The iterator is pulled, and the function called, whenever it is this map's turn for a slot,
    /// by the tasks that run the jobs: so it may be long, or make its items as it goes. A panic of
    /// the function is the result of its item.
    ///
    /// # Returns
    ///
    /// The results in the order of the items. If the runtime on which it was first polled is shut
    /// down, they end with one [`JobError::Cancelled`] in the place of all items that have not been
    /// pulled; of none, perhaps, if the iterator does not know its length.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime; and with what the iterator panicked with, after the
    /// jobs that were started have been cancelled.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. Dropping it pulls no more items and cancels
    /// those jobs that are active. [`cancel_all`](Self::cancel_all) does not stop a map: it cancels
    /// the active jobs, and the map goes on with the items that it has not pulled yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let results = pool.map(0..10, |n| async move { n * n }).await;
    /// let squares: Vec<u32> = results.into_iter().map(Result::unwrap).collect();
    /// assert_eq!(squares[9], 81);
    /// # }
    /// ```
    #[track_caller]
    pub fn map<I, F, J>(
        &self,
        items: I,
        function: F,
    ) -> impl Future<Output = Vec<Result<J::Output, JobError>>> + Send + use<I, F, J>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: FnMut(I::Item) -> J + Send + 'static,
        J: Job,
    {
        self.read(items, function, Order::Whole, usize::MAX)
            .whole(Location::caller())
    }

    /// Queues the jobs that `function` makes of `items`, all at once.
    ///
    /// # Returns
    ///
    /// The handles in the order of the items. A panic of the function is the result of its item.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime; and if the iterator panics, before any job has been queued.
    ///
    /// # Cancel safety
    ///
    /// The call does not wait. [`JobHandle`] says what may be done with the handles.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// for handle in pool.map_n(0..10, |n| async move { n * n }) {
    ///     println!("{}", handle.await.unwrap());
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn map_n<I, F, J>(&self, items: I, mut function: F) -> Vec<JobHandle<J::Output>>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> J,
        J: Job,
    {
        let runtime = current();
        // A panic of the iterator comes before any job is queued, so each job waits in its cell.
        let jobs = items.into_iter().map(|item| {
            guarded(|| with_body!(J, function(item), |body| Runnable::new(body, false)))
                .unwrap_or_else(|payload| Runnable::new(Caught::new(panicking(payload)), false))
        });
        let jobs: Vec<_> = jobs.collect();
        let queue = |job| queue(job, self.shared.clone(), runtime.clone());
        jobs.into_iter().map(queue).collect()
    }

    /// Runs the jobs that `function` makes of `items`, and gives their results as the jobs end.
    ///
    /// The iterator is pulled, and the function called, as [`map`](Self::map) does it, but only a
    /// bounded number of items ahead of the reader.
    ///
    /// # Returns
    ///
    /// The stream of the results. [`Itermap`] says how far it goes ahead and how it ends.
    ///
    /// # Panics
    ///
    /// The call does not; polling the stream does outside a Tokio runtime, and where the iterator
    /// has panicked.
    ///
    /// # Cancel safety
    ///
    /// The stream may be polled and given up at any moment. Dropping it pulls no more items and
    /// cancels those jobs that are active.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use futures_util::StreamExt;
    ///
    /// let pool = aiopool::Pool::new(2);
    /// let mut results = pool.itermap(0..10, |n| async move { n * n });
    /// while let Some(result) = results.next().await {
    ///     println!("{}", result.unwrap());
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn itermap<I, F, J>(&self, items: I, function: F) -> Itermap<J::Output>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: FnMut(I::Item) -> J + Send + 'static,
        J: Job,
    {
        let reader = self.read(items, function, Order::Completion, self.size());
        Itermap::new(reader, Location::caller())
    }

    /// As [`itermap`](Self::itermap), with the results in the order of the items.
    ///
    /// # Returns
    ///
    /// The stream of the results. A slow item does not hold up the jobs behind it, as far as the
    /// stream may go [`ahead`](Itermap::ahead).
    ///
    /// # Panics
    ///
    /// As [`itermap`](Self::itermap).
    ///
    /// # Cancel safety
    ///
    /// As [`itermap`](Self::itermap).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use futures_util::StreamExt;
    ///
    /// let pool = aiopool::Pool::new(2);
    /// let results = pool.itermap_ordered(0..4, |n| async move { n * n }).ahead(10);
    /// let squares: Vec<u32> = results.map(Result::unwrap).collect().await;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # }
    /// ```
    #[track_caller]
    pub fn itermap_ordered<I, F, J>(&self, items: I, function: F) -> Itermap<J::Output>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: FnMut(I::Item) -> J + Send + 'static,
        J: Job,
    {
        let reader = self.read(items, function, Order::Items, self.size());
        Itermap::new(reader, Location::caller())
    }
}

/// Waiting and stopping.
impl Pool {
    /// Waits until nobody waits and nothing is active. Any number of tasks may wait for it.
    ///
    /// A job that joins its own pool waits for itself, for ever. A stream that waits for its
    /// reader, or has not been polled yet, does not count.
    ///
    /// # Returns
    ///
    /// As soon as the pool is empty, even briefly; immediately if it already is. All results can be
    /// read then.
    ///
    /// # Panics
    ///
    /// Never. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any moment, with no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handle = pool.spawn_n(async { 6 * 7 });
    /// pool.join().await;
    /// assert!(handle.is_finished());
    /// # }
    /// ```
    pub fn join(&self) -> impl Future<Output = ()> + Send + use<> {
        Join::new(self.shared.clone())
    }

    /// Stops the jobs of these handles, `&mut handles` or `[&mut handle]`, and waits until they and
    /// their callbacks have ended, and their futures have been dropped.
    ///
    /// Handles whose jobs have ended, or which are of another pool, are left as they are, with
    /// their results; so are those of jobs that come to their end by themselves before they are
    /// stopped.
    ///
    /// # Returns
    ///
    /// How many jobs it stopped, and what became of each, in the order of their handles:
    /// [`JobError::Cancelled`], or what its callback gave, or the panic of its drop. The handles of
    /// these jobs give [`JobError::Cancelled`] from then on.
    ///
    /// # Panics
    ///
    /// Never. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped then, the jobs are cancelled
    /// all the same, and their results stay in the handles.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let mut handles = pool.map_n(0..10, |_| std::future::pending::<()>());
    /// let (stopped, results) = pool.cancel(&mut handles).await;
    /// assert_eq!((stopped, results.len()), (10, 10));
    /// # }
    /// ```
    pub fn cancel<'a, T, I>(
        &self,
        handles: I,
    ) -> impl Future<Output = (usize, Vec<Result<T, JobError>>)> + Send + use<'a, T, I>
    where
        T: Send + 'static,
        I: IntoIterator<Item = &'a mut JobHandle<T>>,
    {
        let ours = handles
            .into_iter()
            .filter(|handle| handle.is_of(&self.shared));
        let mut handles: Vec<_> = ours.collect();
        let shared = self.shared.clone();
        async move {
            let mut stopping = shared.begin_stop();
            handles.retain(|handle| handle.cancel_with(&mut stopping));
            stopping.end();
            let mut stopped = Vec::with_capacity(handles.len());
            for handle in handles {
                if poll_fn(|cx| poll_in_budget(cx, |cx| handle.poll_settled(cx))).await {
                    stopped.push(handle);
                }
            }
            // Also if there was nothing to wait for.
            poll_fn(|cx| poll_in_budget(cx, |_| Poll::Ready(()))).await;
            let stopped = stopped.into_iter();
            let results: Vec<_> = stopped.filter_map(JobHandle::take_cancelled).collect();
            (results.len(), results)
        }
    }

    /// Stops all jobs that exist and waits until they and their callbacks have ended, and their
    /// futures have been dropped.
    ///
    /// The items that a running [`map`](Self::map) or stream has not pulled yet do not exist: it
    /// goes on with them. To stop it, drop its future or stream. Other tasks may queue more jobs
    /// meanwhile; a job that calls this is cancelled too.
    ///
    /// # Returns
    ///
    /// How many jobs it stopped.
    ///
    /// # Panics
    ///
    /// Never. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped then, the jobs are cancelled
    /// all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handles = pool.map_n(0..10, |_| std::future::pending::<()>());
    /// assert_eq!(pool.cancel_all().await, 10);
    /// assert!(handles.iter().all(|handle| handle.is_finished()));
    /// # }
    /// ```
    pub fn cancel_all(&self) -> impl Future<Output = usize> + Send + use<> {
        let shared = self.shared.clone();
        async move {
            let (withdrawn, active) = shared.stop_all();
            withdrawn + poll_fn(|cx| poll_in_budget(cx, |cx| active.poll_ended(cx))).await
        }
    }
}

/// Counters. A value may be stale as soon as it is returned.
impl Pool {
    /// The number of slots.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.size.get()
    }

    /// How many jobs wait or are active. A running map or stream counts as one more that waits,
    /// while it waits for its next item.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(2);
    /// let handles = pool.map_n(0..3, |n| async move { n });
    /// assert_eq!((pool.len(), pool.active(), pool.waiting()), (3, 2, 1));
    /// assert!(pool.is_full() && !pool.is_empty());
    /// pool.join().await;
    /// assert_eq!((pool.len(), pool.executed(), handles.len()), (0, 3, 3));
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().admission().len()
    }

    /// How many jobs hold a slot.
    #[must_use]
    pub fn active(&self) -> usize {
        self.shared.lock().admission().active()
    }

    /// How many stand in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().admission().waiting()
    }

    /// Whether nobody waits and nothing is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.lock().admission().is_empty()
    }

    /// Whether at least [`size`](Self::size) jobs wait or are active.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.lock().admission().is_full()
    }

    /// How many jobs have been run to their end, or to where they were stopped. A job and its
    /// callback are one.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.shared.lock().executed()
    }
}

impl Pool {
    fn read<I, F, J>(&self, items: I, function: F, order: Order, ahead: usize) -> Reader<J::Output>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: FnMut(I::Item) -> J + Send + 'static,
        J: Job,
    {
        Reader::new(
            self.shared.clone(),
            items.into_iter(),
            function,
            order,
            ahead,
        )
    }
}

// A panic cannot leave a pool half changed: nothing that may panic is called under its lock.
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.try_lock();
        // What is written to is foreign.
        let counts = state.map(|state| (state.admission().active(), state.admission().waiting()));
        let mut pool = f.debug_struct("Pool");
        pool.field("size", &self.size());
        match counts {
            Some((active, waiting)) => pool
                .field("active", &active)
                .field("waiting", &waiting)
                .finish(),
            None => pool.finish_non_exhaustive(),
        }
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;

    use tokio::runtime::Builder;

    use super::Pool;

    #[test]
    fn workers_are_kept_only_while_somebody_waits_for_them_or_they_work() {
        let runtime = || Builder::new_current_thread().build().expect("no drivers");
        let (here, there, pool) = (runtime(), runtime(), Pool::new(1));
        let hand_in = |runtime: &tokio::runtime::Runtime| {
            let _entered = runtime.enter();
            pool.spawn_n(pending::<()>())
        };
        let workers = || pool.shared.lock().runtimes();
        let active = hand_in(&here);
        let waiting = hand_in(&there);
        assert_eq!(workers(), 2);
        assert!(waiting.cancel());
        assert_eq!(workers(), 1, "nobody waits for the other any more");
        drop(here);
        assert!(active.is_finished());
        assert_eq!(workers(), 0, "its last worker is gone");
    }
}
