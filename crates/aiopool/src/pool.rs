//! The pool and its verbs.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::Poll;

use crate::error::JobError;
use crate::hand_in::{Exec, Spawn, needs_time, queue, queue_as};
use crate::handle::JobHandle;
use crate::job::body::Caught;
use crate::job::cell::Runnable;
use crate::job::{Job, with_body};
use crate::join::{Join, Until};
use crate::run::nested;
use crate::source::mapped::panicking;
use crate::source::results::Order;
use crate::state::Shared;
use crate::stream::{Itermap, Reader};
use crate::sys::clock::check_time;
use crate::sys::runtime::{current, poll_in_budget};
use crate::sys::unwind::guarded;

/// A pool of jobs, which keeps exactly `size` jobs active while any wait.
///
/// A `Pool` is a handle that is cheap to clone: all clones are the same pool. Dropping the last
/// handle does not stop the jobs. The futures that the methods return do not borrow the handle. The
/// futures of [`spawn`](Self::spawn) and [`exec`](Self::exec) take a few machine words, however
/// large the job is. All these futures take part in Tokio's [budget](tokio::task::coop): a loop
/// over calls that are ready at once lets other tasks have their turn, and a timeout around it
/// fires.
///
/// Jobs stand in one queue, first come first served, whichever method handed them in. A running
/// [`map`](Self::map) or stream stands in the queue with one item at a time, and goes to the back
/// after each item.
///
/// # Panics
///
/// Methods that queue jobs panic outside a Tokio runtime: [`spawn_n`](Self::spawn_n) and
/// [`map_n`](Self::map_n) in the call, the others when their future is first polled. Each job runs
/// on the runtime on which it was queued. A pool without jobs needs no runtime.
///
/// # Jobs that wait for their own pool
///
/// A job may wait for other jobs of its pool, at any depth: by the methods, handles and streams that it
/// polls itself, in its callback too. It gives its slots and its key to others meanwhile, and is polled
/// again when it has them. What it hands in by [`exec`](Self::exec), [`spawn`](Self::spawn),
/// [`map`](Self::map) and the streams stands before all others of its priority, and so does the job when
/// it is done with waiting. So few parents are open at a time, however many there are.
///
/// A job that waits in another way holds its slots: by a task that it has spawned, or by a job of another
/// pool. Two pools whose jobs wait for each other may hang: let one of them wait by
/// [`outside`](Self::outside). [`join`](Self::join), [`drained`](Self::drained) and
/// [`reserve`](Self::reserve) in a job panic, because they would wait for the job itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::pin::Pin;
/// use aiopool::Pool;
///
/// fn count(pool: Pool, depth: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
///     Box::pin(async move {
///         if depth == 0 {
///             return 1;
///         }
///         let inner = pool.clone();
///         let counts = pool.map(0..3, move |_| count(inner.clone(), depth - 1)).await;
///         counts.into_iter().map(Result::unwrap).sum()
///     })
/// }
///
/// let pool = Pool::new(2);
/// assert_eq!(pool.exec(count(pool.clone(), 4)).await.unwrap(), 81);
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    pub(crate) shared: Arc<Shared>,
}

/// Handing in.
impl Pool {
    /// Waits for a slot and starts the job. So a loop of `spawn`s goes only as fast as slots come
    /// free.
    ///
    /// # Returns
    ///
    /// The handle of the started job. If the job was cancelled while it waited, the handle gives
    /// [`JobError::Cancelled`]; if the pool is [closed](Self::close), [`JobError::Closed`].
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If the future is dropped while it waits, the job
    /// is dropped unrun, no slot is lost, and the jobs behind it move up. A job that has started
    /// meanwhile runs on, detached.
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

    /// Queues the job at once, or starts it if a slot is free. Nothing of the job runs inside this
    /// call.
    ///
    /// # Returns
    ///
    /// The handle of the job. The caller may drop the handle: the job runs on. In a pool that is
    /// [closed](Self::close), the handle gives [`JobError::Closed`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The call does not wait. [`JobHandle`] describes the cancel safety of the handle.
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
        let mut job = with_body!(J, job, |body| Runnable::new(body, false));
        if J::HAS_OPTIONS {
            if needs_time(&mut job) {
                check_time(&runtime);
            }
            return queue_as(job, self.shared.clone(), runtime, false, None);
        }
        queue(job, self.shared.clone(), runtime, false)
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
    /// The tasks that run the jobs pull the iterator and call the function, whenever it is this
    /// map's turn for a slot. So the iterator may be long, or make its items as it goes. A panic of
    /// the function is the result of its item.
    ///
    /// # Returns
    ///
    /// The results in the order of the items. If the runtime on which the future was first polled
    /// shuts down, the results end with one [`JobError::Cancelled`] in the place of all items that
    /// have not been pulled; if the pool is [closed](Self::close) meanwhile, with one
    /// [`JobError::Closed`]. If the iterator does not know its length, that error may stand for no item
    /// at all.
    ///
    /// # Panics
    ///
    /// When polled outside a Tokio runtime. If the iterator panics, the future panics with the same
    /// payload, after the jobs that have started were cancelled.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped, the pool pulls no more items
    /// and cancels the active jobs of the map. [`cancel_all`](Self::cancel_all) does not stop a
    /// map: it cancels the active jobs, and the map goes on with the items that it has not pulled
    /// yet.
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

    /// Queues all the jobs that `function` makes of `items` at once.
    ///
    /// # Returns
    ///
    /// The handles in the order of the items. A panic of the function is the result of its item.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime. If the iterator panics, the call panics too, before it has queued
    /// any job.
    ///
    /// # Cancel safety
    ///
    /// The call does not wait. [`JobHandle`] describes the cancel safety of the handles.
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
        // The iterator may panic, and no job may be queued before. So each job first waits in its
        // cell.
        let jobs = items.into_iter().map(|item| {
            guarded(|| with_body!(J, function(item), |body| Runnable::new(body, false)))
                .unwrap_or_else(|payload| Runnable::new(Caught::new(panicking(payload)), false))
        });
        let mut jobs: Vec<_> = jobs.collect();
        if J::HAS_OPTIONS && jobs.iter_mut().any(needs_time) {
            check_time(&runtime);
        }
        let queue = |job| {
            let (shared, runtime) = (self.shared.clone(), runtime.clone());
            if J::HAS_OPTIONS {
                return queue_as(job, shared, runtime, false, None);
            }
            queue(job, shared, runtime, false)
        };
        jobs.into_iter().map(queue).collect()
    }

    /// Runs the jobs that `function` makes of `items`, and gives their results as the jobs end.
    ///
    /// The pool pulls the iterator and calls the function as for [`map`](Self::map), but only a
    /// bounded number of items ahead of the reader.
    ///
    /// # Returns
    ///
    /// The stream of the results. [`Itermap`] says how far ahead of its reader it goes, and how it
    /// ends.
    ///
    /// # Panics
    ///
    /// The call does not panic. Polling the stream panics outside a Tokio runtime, and if the
    /// iterator has panicked.
    ///
    /// # Cancel safety
    ///
    /// The stream may be polled and given up at any moment. If it is dropped, the pool pulls no
    /// more items and cancels the active jobs of the stream.
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

    /// As [`itermap`](Self::itermap), but gives the results in the order of the items.
    ///
    /// # Returns
    ///
    /// The stream of the results. A slow item does not stop the jobs behind it, as far as the
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
    /// Waits until no job waits and none is active, nor a [permit](crate::Permit). Any number of tasks may
    /// wait for that.
    ///
    /// A job that joins its own pool waits for itself, for ever. `join` waits through a
    /// [pause](Self::pause); [`drained`](Self::drained) does not. `join` does not wait for a stream
    /// that waits for its reader, or that has not been polled yet.
    ///
    /// # Returns
    ///
    /// As soon as the pool is empty, even briefly. If the pool is empty already, `join` returns at
    /// once. All results can be read then.
    ///
    /// # Panics
    ///
    /// When polled in a job of the pool, which would wait for itself. It needs no runtime.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any moment, with no effect.
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
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = ()> + Send + use<> {
        Join::new(self.shared.clone(), Until::Idle, Location::caller())
    }

    /// Stops the jobs of these handles, `&mut handles` or `[&mut handle]`, and waits until they and
    /// their callbacks have ended, and their futures have been dropped.
    ///
    /// The call leaves the handles of ended jobs, and those of another pool, as they are, with
    /// their results. It does the same for a job that ends by itself before it is stopped.
    ///
    /// # Returns
    ///
    /// The number of jobs that it stopped, and the outcome of each, in the order of their handles:
    /// [`JobError::Cancelled`], or the result of its callback, or the panic of its drop. From then
    /// on the handles of these jobs give [`JobError::Cancelled`].
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
            handles.retain(|handle| !handle.is_finished());
            shared.stop_each(&handles);
            let mut stopped = Vec::with_capacity(handles.len());
            for handle in handles {
                if poll_fn(|cx| poll_in_budget(cx, |cx| handle.poll_settled(cx))).await {
                    stopped.push(handle);
                }
            }
            // Even if there was no job to wait for, the call takes part in the budget.
            poll_fn(|cx| poll_in_budget(cx, |_| Poll::Ready(()))).await;
            let stopped = stopped.into_iter();
            let results: Vec<_> = stopped.filter_map(JobHandle::take_cancelled).collect();
            (results.len(), results)
        }
    }

    /// Stops all jobs that exist and waits until they and their callbacks have ended, and their
    /// futures have been dropped.
    ///
    /// The items that a running [`map`](Self::map) or stream has not pulled yet do not exist yet:
    /// the map or stream goes on with them. To stop it, drop its future or stream. Other tasks may
    /// queue more jobs meanwhile. A job that calls this is left out, and so are those that wait for it by
    /// `exec`, `spawn`, `map` or a stream.
    ///
    /// # Returns
    ///
    /// The number of jobs that it stopped.
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
            let mut waiting = None;
            let ended = poll_fn(|cx| {
                let polled = poll_in_budget(cx, |cx| active.poll_ended(cx));
                waiting = polled.is_pending().then(|| nested::wait(&shared));
                polled
            });
            withdrawn + ended.await
        }
    }
}

/// Counters. A value may be stale as soon as it is returned.
impl Pool {
    /// The number of slots.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.lock().admission().size().get()
    }

    /// Changes the number of slots. In a pool that grows, as many waiting jobs start as fit now, before
    /// this returns. In a pool that shrinks, the active jobs go on, and no other starts until it
    /// fits.
    ///
    /// # Panics
    ///
    /// If `size` is 0: a pool of size 0 would never start a job.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = aiopool::Pool::new(1);
    /// let handles = pool.map_n(0..5, |n| async move { n });
    /// pool.resize(3);
    /// assert_eq!((pool.size(), pool.active(), pool.waiting()), (3, 3, 2));
    /// pool.resize(1);
    /// assert_eq!((pool.size(), pool.active(), pool.waiting()), (1, 3, 2));
    /// pool.join().await;
    /// # assert_eq!(handles.len(), 5);
    /// # }
    /// ```
    #[track_caller]
    pub fn resize(&self, size: usize) {
        self.shared.resize(checked_size(size));
    }

    /// The number of jobs that wait or are active. A running map or stream counts as one more
    /// waiting job while it waits for its next item.
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

    /// The number of active jobs and permits. Each holds a slot, or as many as its weight says.
    #[must_use]
    pub fn active(&self) -> usize {
        self.shared.lock().admission().active()
    }

    /// The number of waiting jobs: they stand in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().admission().waiting()
    }

    /// Whether no job waits and none is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.lock().admission().is_empty()
    }

    /// Whether the jobs that wait or are active need [all slots](Self::size), or more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.lock().admission().is_full()
    }

    /// The number of jobs that have run to their end, or to the point where they were stopped. A
    /// job and its callback count as one.
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

// A panic cannot leave a pool half changed: no code that may panic runs under its lock.
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.try_lock();
        // The formatter is foreign code, so the lock is released before it runs.
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

/// The size of a pool, or a panic at the caller of the call that was given it.
#[track_caller]
pub(crate) fn checked_size(size: usize) -> NonZeroUsize {
    match NonZeroUsize::new(size) {
        Some(size) => size,
        None => panic!("a pool of size 0 never starts a job: give it at least 1 slot"),
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;

    use tokio::runtime::Builder;

    use super::Pool;

    #[test]
    fn the_runtime_of_a_caller_is_kept_only_while_it_waits_or_has_its_slot() {
        let builder = &mut Builder::new_current_thread();
        let (runtime, pool) = (builder.build().expect("no drivers"), Pool::new(1));
        // A lock that an assertion holds would be waited for by what it drops when it fails.
        let runtimes = || pool.shared.lock().runtimes();
        runtime.block_on(async {
            let permit = pool.reserve().await.expect("it is open");
            assert!(pool.try_spawn(async {}).is_err());
            assert_eq!(runtimes(), 0);
            let mut reserve = Box::pin(pool.reserve());
            let waits =
                std::future::poll_fn(|cx| std::task::Poll::Ready(reserve.as_mut().poll(cx)));
            assert!(waits.await.is_pending());
            assert_eq!(runtimes(), 1);
            drop(reserve);
            assert_eq!(runtimes(), 0);
            drop(permit);
            drop(pool.reserve().await.expect("it is open"));
        });
        assert_eq!(runtimes(), 0);
    }

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
