//! Closing a pool.

use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aiopool_core::Time;

use crate::join::{Join, Until};
use crate::limits::nanos;
use crate::pool::Pool;
use crate::report::Report;
use crate::run::nested;
use crate::state::Shared;
use crate::sys::clock::{Alarm, check_time};
use crate::sys::runtime::{current_for, current_if_any, poll_in_budget};

impl Pool {
    /// Ends the pool within a time, and tells what has become of its jobs.
    ///
    /// 1. At once the pool takes nothing more, but what jobs that have begun wait for: what is handed in
    ///    settles with [`JobError::Closed`], and so does what waits for the end of a
    ///    [pause](Self::pause), of the pool or of its key. What is [outside](Self::outside) and could not
    ///    come back is cancelled. Then the pauses end. Callers that wait in [`spawn`](Self::spawn) and [`reserve`](Self::reserve) get
    ///    that error too. Running maps and streams pull no more items, and end with one such error in
    ///    the place of all the rest, when their jobs have ended. Jobs that wait in the queue still
    ///    start. A [permit](crate::Permit) that is held may still start a job.
    /// 2. At `timeout - grace`, jobs that wait are withdrawn, and active jobs are cancelled, once. From
    ///    then on permits start nothing either.
    /// 3. When all jobs have ended, it returns, and at `timeout` at the latest: the report names those
    ///    that still run. Without a `timeout` it waits until then, and cancels nothing.
    ///
    /// The end of a pool waits for permits too, but they are no jobs, and no report tells of them.
    ///
    /// # Returns
    ///
    /// The [`Report`]. Each later call gives the same, at once, and so does each that another task has
    /// made meanwhile, when it has ended.
    ///
    /// # Panics
    ///
    /// If there is a `timeout` and the runtime has no timers: call `enable_time` when you build it. When
    /// polled by a job of this pool, which would wait for itself. Without a `timeout` it needs no
    /// runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens until the future is polled. If it is dropped then, the pool stays closed, and
    /// `close` can be called again, with another time.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use aiopool::{Job, Pool};
    ///
    /// let pool = Pool::new(2);
    /// let quick = pool.spawn_n(async { 6 * 7 });
    /// let endless = pool.spawn_n(std::future::pending::<()>().name("endless"));
    /// let report = pool.close(Some(Duration::from_millis(50)), Duration::from_millis(40)).await;
    /// assert_eq!((report.finished, quick.await.unwrap()), (1, 42));
    /// assert_eq!(report.cancelled[0].name.as_deref(), Some("endless"));
    /// assert!(endless.await.unwrap_err().is_cancelled());
    /// assert!(pool.exec(async {}).await.unwrap_err().is_closed());
    /// # }
    /// ```
    ///
    /// [`JobError::Closed`]: crate::JobError::Closed
    #[track_caller]
    pub fn close(
        &self,
        timeout: Option<Duration>,
        grace: Duration,
    ) -> impl Future<Output = Report> + Send + use<> {
        let caller = Location::caller();
        // Here, where that is known, the panic names the line of the caller.
        if let (Some(_), Some(runtime)) = (timeout, current_if_any()) {
            check_time(&runtime);
        }
        close(self.shared.clone(), timeout, grace, caller)
    }
}

async fn close(
    shared: Arc<Shared>,
    timeout: Option<Duration>,
    grace: Duration,
    caller: &'static Location<'static>,
) -> Report {
    nested::refuse(&shared, "close", caller);
    let times = timeout.map(|timeout| {
        // Before any change: without timers this panics.
        check_time(&current_for(caller));
        let mut state = shared.lock();
        let stop_at = state.time_in(nanos(timeout.saturating_sub(grace)));
        (stop_at, state.time_in(nanos(timeout)))
    });
    let (stop_at, end_at) = times.unzip();
    shared.begin_to_close();
    // Another call may have its time before.
    if !shared.has_report() && !has_ended(&shared, stop_at, caller).await {
        shared.stop_closed();
        has_ended(&shared, end_at, caller).await;
    }
    poll_fn(|cx| poll_in_budget(cx, |cx| shared.poll_added(cx))).await;
    shared.report()
}

/// Waits until all has ended, or until then. Tells whether it has.
async fn has_ended(
    shared: &Arc<Shared>,
    at: Option<Time>,
    caller: &'static Location<'static>,
) -> bool {
    let mut join = pin!(Join::new(shared.clone(), Until::Idle, caller));
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if join.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        let Some(at) = at else {
            return Poll::Pending;
        };
        let at = shared.lock().instant(at);
        alarm.poll(at, cx).map(|()| false)
    })
    .await
}
