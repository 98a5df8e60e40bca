//! What the tests share: both flavours of runtime, and the tools to hold jobs up and to watch them.
//!
//! The runtimes have no clock: a test that sleeps does not run. Tests of what depends on the time have
//! [a clock that stands still](in_frozen_time) while any task can go on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use aiopool::Pool;
use tokio::runtime::{Builder, Runtime, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Runs the body of a test on both flavours of runtime.
pub(crate) fn on_both(body: impl AsyncFn() + Clone + Send + 'static) {
    for_both(move |runtime| run(&runtime, &body));
}

/// Runs the body of a test with a runtime of each flavour. A body that hangs fails.
pub(crate) fn for_both(body: impl Fn(Runtime) + Clone + Send + 'static) {
    let second = body.clone();
    in_time("current_thread", move || body(current_thread()));
    in_time("multi_thread", move || second(multi_thread()));
}

/// Runs the body of a test that is about the order in which one thread does things.
pub(crate) fn on_current_thread(body: impl AsyncFn() + Send + 'static) {
    in_time("current_thread", move || run(&current_thread(), &body));
}

/// Runs the body of a test on a thread whose clock stands still while any task can go on, and then
/// goes on to the next timer.
pub(crate) fn in_frozen_time(body: impl AsyncFn() + Send + 'static) {
    in_time("frozen", move || run(&frozen(), &body));
}

pub(crate) fn frozen() -> Runtime {
    let builder = &mut Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long ago a moment is, in milliseconds.
pub(crate) fn since(moment: Instant) -> u128 {
    moment.elapsed().as_millis()
}

fn run(runtime: &Runtime, body: &impl AsyncFn()) {
    // As a trait object, so that the whole runtime is not compiled anew for each test.
    let body: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(body());
    runtime.block_on(body);
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// Makes more runtimes of the flavour of this one.
pub(crate) fn like(runtime: &Runtime) -> fn() -> Runtime {
    match runtime.handle().runtime_flavor() {
        RuntimeFlavor::CurrentThread => current_thread,
        _ => multi_thread,
    }
}

/// Runs `body` in a thread with this name, which a panic shows, and fails if it hangs.
pub(crate) fn in_time(name: &str, body: impl FnOnce() + Send + 'static) {
    in_time_on(thread::Builder::new().name(name.into()), body);
}

pub(crate) fn in_time_on(builder: thread::Builder, body: impl FnOnce() + Send + 'static) {
    let (alive, ended) = channel::<()>();
    let body = move || {
        let _alive = alive;
        body();
    };
    let thread = builder.spawn(body).unwrap();
    match ended.recv_timeout(GENEROUS) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => thread.join().unwrap_or_else(|payload| {
            resume_unwind(payload);
        }),
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs"),
    }
}

/// Lets others run until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Lets others run for a while: whatever could happen now and must not gets its chance.
pub(crate) async fn let_others_run() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Panics without a word on the terminal: these panics are expected.
pub(crate) fn raise(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// A call fails as the runtime has no timers, and tells what to do.
#[track_caller]
pub(crate) fn assert_names_enable_time(call: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    let message = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
    assert!(message.unwrap().contains("enable_time"));
}

/// The pool is idle, and each of its slots is there: jobs that need all of them at once end.
pub(crate) async fn assert_whole(pool: &Pool) {
    pool.join().await;
    assert_eq!((pool.active(), pool.waiting(), pool.len()), (0, 0, 0));
    let (gate, begun) = (Gate::new(), Count::new());
    let handles = pool.map_n(0..pool.size(), |_| {
        let (gate, begun) = (gate.clone(), begun.clone());
        async move {
            begun.add();
            gate.passed().await;
        }
    });
    until(|| begun.get() == pool.size()).await;
    assert_eq!((pool.active(), pool.waiting()), (pool.size(), 0));
    gate.open();
    for handle in handles {
        handle.await.unwrap();
    }
    pool.join().await;
    assert_eq!(pool.len(), 0);
}

/// Holds jobs up until it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Ends when the gate is open, or when one may pass.
    pub(crate) fn passed(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.0.clone();
        async move {
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        }
    }

    /// Lets one pass.
    pub(crate) fn let_pass(&self) {
        self.0.add_permits(1);
    }

    /// Lets all pass.
    pub(crate) fn open(&self) {
        self.0.close();
    }
}

/// Counts whatever the test counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Something whose drop is counted.
    pub(crate) fn drops(&self) -> Dropped {
        Dropped(self.clone())
    }

    /// A job that is never ready, and whose drop is counted.
    pub(crate) fn pending(&self) -> impl Future<Output = ()> + Send + use<> {
        let dropped = self.drops();
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
    }
}

/// Is counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// What happened, in order.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A waker that counts how often it wakes.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn poll<F: Future + ?Sized>(
        self: &Arc<Self>,
        future: Pin<&mut F>,
    ) -> Poll<F::Output> {
        let waker = Waker::from(self.clone());
        future.poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, for what must be ready or is given up afterwards.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A test takes far less; this is for machines that are busy with something else.
const GENEROUS: Duration = Duration::from_secs(60);
