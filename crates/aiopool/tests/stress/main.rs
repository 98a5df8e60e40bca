//! Many tasks on eight threads do to one pool whatever comes into their heads, and what must hold
//! whatever happens is counted: no more slots are held than there are, no key has more active jobs
//! than its limit, every job settles, and every future, callback and output is dropped exactly once.
//!
//! `STRESS_SECONDS` tells for how long, and `STRESS_SEED` what the tasks do; when which of them gets
//! its turn, nobody tells.

#![cfg(not(aiopool_models))]

mod limits;

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::ops::Range;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use aiopool::{Job, JobError, JobHandle, Pool, WithOptions};
use futures_util::StreamExt;
use futures_util::future::{Either, join_all, select};
use tokio::runtime::{self, Builder, Handle, Runtime};
use tokio::sync::{Barrier, oneshot};
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep, timeout};

use crate::limits::{Ask, Limited, Limits};

#[test]
fn tasks_of_one_runtime_can_do_whatever_they_want() {
    for (size, cancels_all) in [(1, false), (3, true), (16, false)] {
        let stress = Stress::new(size, cancels_all, 3, None);
        let runtime = runtime(8);
        let tasks = stress.start(&runtime, 0..16);
        stress.finish(&runtime, tasks);
    }
}

#[test]
fn tasks_of_one_runtime_can_do_whatever_they_want_within_limits() {
    for runtime in [runtime(8), current_thread()] {
        for (size, cancels_all, resizes, is_observed) in [
            (1, false, true, false),
            (3, true, false, true),
            (4, false, false, false),
            (16, true, true, true),
        ] {
            let limits = Limits {
                resizes,
                is_observed,
            };
            let stress = Stress::new(size, cancels_all, 8, Some(limits));
            let tasks = stress.start(&runtime, 0..16);
            stress.finish(&runtime, tasks);
        }
    }
}

#[test]
fn tasks_of_two_runtimes_can_do_whatever_they_want() {
    for limits in [None, Some(LIMITS)] {
        let stress = Stress::new(3, true, 2, limits);
        let (first, second) = (runtime(4), runtime(4));
        let mut tasks = stress.start(&first, 0..8);
        tasks.extend(stress.start(&second, 8..16));
        stress.finish(&first, tasks);
    }
}

#[test]
fn a_runtime_that_shuts_down_in_the_middle_leaves_the_pool_to_the_other() {
    // With many slots, workers of both runtimes are parked while there are streams.
    let sizes = [(3, None), (3, Some(LIMITS)), (20, None), (20, Some(LIMITS))];
    for (size, limits) in sizes.into_iter().cycle().take(20) {
        let stress = Stress::new(size, false, 20, limits);
        let (first, second) = (runtime(4), runtime(4));
        let tasks = stress.start(&first, 0..8);
        let shut_down = Stress {
            is_shut_down: true,
            ..stress.clone()
        };
        shut_down.start(&second, 8..16);
        std::thread::sleep(stress.duration / 2);
        drop(second);
        stress.finish(&first, tasks);
    }
}

#[test]
fn a_pool_may_be_closed_while_tasks_do_whatever_they_want() {
    let runtimes = [runtime(8), runtime(8), current_thread()];
    for (part, limits) in (0..PARTS).zip([None, Some(LIMITS)].into_iter().cycle()) {
        let mut stress = Stress::new(3, false, PARTS, limits);
        stress.is_closed = true;
        let runtime = &runtimes[part as usize % runtimes.len()];
        let tasks = stress.start(runtime, 0..16);
        stress.close(runtime);
        stress.finish(runtime, tasks);
    }
}

/// One pool, those who use it, and what is counted.
#[derive(Clone)]
struct Stress {
    pool: Pool,
    /// Whether the tasks use `cancel_all`. If not, only jobs of their own are cancelled.
    cancels_all: bool,
    /// Whether their runtime shuts down, which cancels their jobs.
    is_shut_down: bool,
    /// Whether the pool is closed, which refuses and cancels jobs.
    is_closed: bool,
    limits: Option<Limits>,
    /// The number of slots, at first.
    size: usize,
    seed: u64,
    duration: Duration,
    begun: Instant,
    until: Instant,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    futures: Count,
    callbacks: Count,
    outputs: Count,
    /// The slots of the futures that have been polled and not been dropped, and those without one.
    active: AtomicUsize,
    /// How many jobs of which something has been polled.
    begun: AtomicU64,
    operations: AtomicU64,
    /// Said by jobs, whose panics are results.
    too_many: AtomicBool,
    astray: AtomicBool,
    polled_after_its_end: AtomicBool,
    limited: Limited,
}

#[derive(Debug, Default)]
struct Count {
    made: AtomicU64,
    dropped: AtomicU64,
}

type Tasks = Vec<tokio::task::JoinHandle<()>>;

impl Stress {
    /// For `1 / parts` of the time.
    fn new(size: usize, cancels_all: bool, parts: u32, limits: Option<Limits>) -> Self {
        let seconds = from_environment("STRESS_SECONDS").unwrap_or(SECONDS);
        let seed =
            from_environment("STRESS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
        let duration = Duration::from_secs(seconds) / parts;
        println!("STRESS_SEED={seed}");
        let tally = Arc::default();
        let begun = Instant::now();
        Self {
            pool: limits.map_or_else(|| Pool::new(size), |limits| limits.pool(size, &tally)),
            cancels_all,
            is_shut_down: false,
            is_closed: false,
            limits,
            size,
            seed,
            duration,
            begun,
            until: begun + duration,
            tally,
        }
    }

    /// The most slots that may be held.
    fn most(&self) -> usize {
        let limits = self.limits;
        limits.map_or(self.size, |limits| limits.most(self.size))
    }

    /// Whether somebody else may cancel a job.
    fn others_cancel(&self) -> bool {
        self.cancels_all || self.is_shut_down || self.is_closed
    }

    /// Closes the pool in the middle, by two calls, of which one has a limit.
    fn close(&self, runtime: &Runtime) {
        runtime.block_on(async {
            sleep(self.duration / 2).await;
            let grace = PATIENCE.saturating_sub(Duration::from_millis(20));
            let one = self.pool.close(None, Duration::ZERO);
            let other = self.pool.close(Some(PATIENCE), grace);
            let (one, other) = tokio::join!(one, other);
            assert_eq!(one, other);
            assert!(one.running.is_empty(), "{one:?}");
            assert!(self.pool.is_empty());
            let refused = self.pool.exec(async {}).await;
            assert!(refused.is_err_and(|error| error.is_closed()));
        });
    }

    fn start(&self, runtime: &Runtime, numbers: Range<u64>) -> Tasks {
        let tasks = numbers.map(|number| {
            let user = User {
                stress: self.clone(),
                random: Random(self.seed ^ number),
                held: Vec::new(),
            };
            runtime.spawn(user.run())
        });
        tasks.collect()
    }

    /// Waits for the tasks, then counts.
    fn finish(&self, runtime: &Runtime, tasks: Tasks) {
        runtime.block_on(async {
            let end = async {
                for task in tasks {
                    task.await.expect("a task finds what it expects");
                }
                self.pool.join().await;
            };
            let is_over = timeout(self.duration + PATIENCE, end).await.is_ok();
            assert!(is_over, "{:?} hangs, {:?}", self.pool, self.tally);
            self.count();
            if let Some(limits) = self.limits {
                limits.check(self).await;
            }
            if !self.is_closed {
                self.fill().await;
            }
        });
    }

    fn count(&self) {
        let (pool, tally) = (&self.pool, &self.tally);
        assert!(pool.is_empty(), "{pool:?}");
        assert_eq!(pool.executed(), tally.begun.load(SeqCst));
        assert_eq!(tally.active.load(SeqCst), 0);
        for count in [&tally.futures, &tally.callbacks, &tally.outputs] {
            assert_eq!(
                count.made.load(SeqCst),
                count.dropped.load(SeqCst),
                "{tally:?}"
            );
        }
        assert!(!tally.too_many.load(SeqCst), "more slots were held");
        assert!(!tally.astray.load(SeqCst), "a job ran on another runtime");
        assert!(
            !tally.polled_after_its_end.load(SeqCst),
            "a job was polled after its end"
        );
        assert!(tally.operations.load(SeqCst) > 0);
        println!("{tally:?}");
    }

    /// All slots can be used, at once.
    async fn fill(&self) {
        let barrier = Arc::new(Barrier::new(self.pool.size()));
        let handles = self.pool.map_n(0..self.pool.size(), |_| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
            }
        });
        let all = timeout(PATIENCE, join_all(handles)).await;
        assert!(all.is_ok(), "slots are lost: {:?}", self.pool);
    }
}

/// A task that uses the pool.
struct User {
    stress: Stress,
    random: Random,
    held: Vec<(Arc<Life>, JobHandle<Output>)>,
}

impl User {
    async fn run(mut self) {
        // Once also on a machine so busy that the time is up before the first turn.
        loop {
            self.operate().await;
            self.stress.tally.operations.fetch_add(1, SeqCst);
            if Instant::now() >= self.stress.until {
                break;
            }
        }
        // All that it still holds comes to its end.
        for (life, handle) in self.held {
            let result = handle.await;
            life.check(result);
        }
    }

    async fn operate(&mut self) {
        let pool = self.stress.pool.clone();
        if let Some(limits) = self.stress.limits {
            if self.random.below(4) == 0 {
                return self.use_limits(limits).await;
            }
        }
        match self.random.below(24) {
            0..6 => self.spawn_n(),
            6..8 => self.spawn().await,
            8..10 => self.exec().await,
            10 => self.map().await,
            11..14 => self.read_stream().await,
            14 => {
                // Without end it waits for all others.
                let patience = Some(self.random.below(20));
                give_up(pool.join(), patience).await;
            }
            15 | 16 => self.cancel().await,
            17 if self.stress.cancels_all && self.random.below(8) == 0 => self.cancel_all().await,
            18 => {
                for (life, handle) in &self.held {
                    if self.random.below(4) == 0 {
                        life.is_cancelled.store(true, SeqCst);
                        handle.cancel();
                    }
                }
            }
            19 => self.held.truncate(4),
            20 => {
                if let Some((life, handle)) = self.held.pop() {
                    let result = handle.await;
                    life.check(result);
                }
            }
            21 => self.stop().await,
            _ => {
                for (life, handle) in self.held.split_off(self.held.len() / 2) {
                    let result = handle.await;
                    life.check(result);
                }
            }
        }
    }

    fn spawn_n(&mut self) {
        let (life, work) = self.work();
        let handle = if self.random.below(3) == 0 {
            let callback = self.callback(&life);
            life.spawn_n(work.with_callback(move |result| callback.call(result)))
        } else {
            life.spawn_n(work)
        };
        self.held.push((life, handle));
    }

    async fn spawn(&mut self) {
        let (life, mut job) = self.work();
        // Not before the caller knows that it has begun.
        let (speaker, word) = oneshot::channel();
        job.script.word = Some(word);
        let pool = &self.stress.pool;
        let spawn = match life.ask {
            Some(ask) => Either::Left(pool.spawn(ask.on(job))),
            None => Either::Right(pool.spawn(job)),
        };
        let patience = self.patience(30);
        if let Some(handle) = give_up(spawn, patience).await {
            self.held.push((life, handle));
        }
        drop(speaker);
    }

    /// A job that comes to no end by itself.
    async fn stop(&mut self) {
        let (life, mut job) = self.work();
        let (_speaker, word) = oneshot::channel();
        job.script.word = Some(word);
        let handle = life.spawn_n(job);
        for _ in 0..self.random.below(4) {
            yield_now().await;
        }
        life.is_cancelled.store(true, SeqCst);
        handle.cancel();
        life.check(handle.await);
    }

    async fn exec(&mut self) {
        let (life, work) = self.work();
        let callback = self.callback(&life);
        let pool = &self.stress.pool;
        let job = work.with_callback(|result| callback.call(result));
        let exec = match life.ask {
            Some(ask) => Either::Left(pool.exec(ask.on(job))),
            None => Either::Right(pool.exec(job)),
        };
        let patience = self.patience(60);
        if let Some(result) = give_up(exec, patience).await {
            life.check(result);
        }
    }

    async fn map(&mut self) {
        let items = self.random.below(20);
        let mut function = self.function();
        let pool = &self.stress.pool;
        let map = if self.stress.limits.is_some() {
            Either::Left(pool.map(0..items, with_options(function)))
        } else {
            Either::Right(pool.map(0..items, move |item| function(item).1))
        };
        let patience = self.patience(200);
        if let Some(results) = give_up(map, patience).await {
            self.check_number(results.len(), items);
            for (item, result) in (0..).zip(results) {
                let result = self.item_of(result);
                assert!(result.is_none_or(|found| found == item));
            }
        }
    }

    async fn read_stream(&mut self) {
        let (pool, mut function) = (self.stress.pool.clone(), self.function());
        let items = self.random.below(20);
        let is_ordered = self.random.below(2) == 0;
        let stream = match (is_ordered, self.stress.limits.is_some()) {
            (true, true) => pool.itermap_ordered(0..items, with_options(function)),
            (true, false) => pool.itermap_ordered(0..items, move |item| function(item).1),
            (false, true) => pool.itermap(0..items, with_options(function)),
            (false, false) => pool.itermap(0..items, move |item| function(item).1),
        };
        let ahead = 1 + self.random.below(5);
        let mut stream = stream.ahead(usize::try_from(ahead).expect("it is small"));
        let patience = self.patience(100);
        let mut read = Vec::new();
        for _ in 0..=items {
            match give_up(stream.next(), patience).await {
                Some(Some(result)) => read.push(self.item_of(result)),
                Some(None) => {
                    self.check_number(read.len(), items);
                    break;
                }
                None => break,
            }
        }
        let mut found: Vec<_> = read.into_iter().flatten().collect();
        if !is_ordered {
            found.sort_unstable();
        }
        assert!(found.is_sorted_by(|one, next| one < next), "{found:?}");
    }

    /// That of a job of which no more is known than its result.
    fn item_of(&self, result: Result<Output, JobError>) -> Option<u64> {
        let may_time_out = self.stress.limits.is_some();
        item_of(result, self.stress.others_cancel(), may_time_out)
    }

    /// There is a result for each item, unless a shutdown has ended them with a cancellation, or the
    /// end of the pool has.
    fn check_number(&self, results: usize, items: u64) {
        let results = results as u64;
        let may_be_cut_off = self.stress.is_shut_down || self.stress.is_closed;
        assert!(results == items || may_be_cut_off && results < items);
    }

    async fn cancel(&mut self) {
        let from = self.held.len() / 2;
        let mut some = self.held.split_off(from);
        for (life, _) in &some {
            life.is_cancelled.store(true, SeqCst);
        }
        let patience = self.patience(60);
        let cancel = self
            .stress
            .pool
            .cancel(some.iter_mut().map(|(_, handle)| handle));
        if let Some((stopped, results)) = give_up(cancel, patience).await {
            assert_eq!(stopped, results.len());
            for result in results {
                item_of(result, true, false);
            }
            for (life, handle) in &some {
                assert!(handle.is_finished());
                life.check_end();
            }
        } else {
            self.held.append(&mut some);
        }
    }

    async fn cancel_all(&mut self) {
        let patience = self.patience(60);
        if give_up(self.stress.pool.cancel_all(), patience)
            .await
            .is_some()
        {
            for (life, handle) in &self.held {
                assert!(handle.is_finished());
                life.check_end();
            }
        }
    }

    /// After how many turns it gives up, if at all: who never does hangs if a wakeup is lost.
    fn patience(&mut self, turns: u64) -> Option<u64> {
        let gives_up = self.random.below(2) == 0;
        gives_up.then(|| self.random.below(turns))
    }

    fn work(&mut self) -> (Arc<Life>, Work) {
        let ask = Ask::new(&self.stress, &mut self.random);
        self.work_of(ask)
    }

    fn work_of(&mut self, ask: Option<Ask>) -> (Arc<Life>, Work) {
        let life = Life::new(&self.stress, 0, ask);
        let work = Work::new(&life, Script::asked(ask, &mut self.random));
        (life, work)
    }

    fn callback(&mut self, life: &Arc<Life>) -> Callback {
        Callback::new(life, Script::new(&mut self.random))
    }

    /// What a map or a stream does with an item, and what that asks for.
    fn function(&mut self) -> impl FnMut(u64) -> (Option<Ask>, Work) + use<> {
        let stress = self.stress.clone();
        let mut random = Random(self.random.next());
        move |item| {
            let ask = Ask::new(&stress, &mut random);
            let life = Life::new(&stress, item, ask);
            (ask, Work::new(&life, Script::asked(ask, &mut random)))
        }
    }
}

fn with_options(
    mut function: impl FnMut(u64) -> (Option<Ask>, Work),
) -> impl FnMut(u64) -> WithOptions<Work> {
    move |item| match function(item) {
        (Some(ask), work) => ask.on(work),
        (None, _) => unreachable!("a pool with limits has jobs with options"),
    }
}

/// What is known of one job.
struct Life {
    stress: Stress,
    /// The runtime on which it was handed in.
    home: runtime::Id,
    item: u64,
    /// What it asks for, in a pool with limits.
    ask: Option<Ask>,
    /// Its user has cancelled it.
    is_cancelled: AtomicBool,
    /// Its future, or its callback's, has been polled.
    has_begun: AtomicBool,
    /// It was stopped while it may have been outside.
    is_forced: AtomicBool,
    /// How many of its futures and callbacks have not been dropped.
    parts: AtomicUsize,
}

impl Life {
    fn new(stress: &Stress, item: u64, ask: Option<Ask>) -> Arc<Self> {
        Arc::new(Self {
            stress: stress.clone(),
            home: Handle::current().id(),
            item,
            ask,
            is_cancelled: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            is_forced: AtomicBool::new(false),
            parts: AtomicUsize::new(0),
        })
    }

    fn spawn_n<J: Job<WithOptions = WithOptions<J>>>(&self, job: J) -> JobHandle<J::Output> {
        let pool = &self.stress.pool;
        match self.ask {
            Some(ask) => pool.spawn_n(ask.on(job)),
            None => pool.spawn_n(job),
        }
    }

    /// How many slots it holds.
    fn slots(&self) -> usize {
        self.ask.map_or(1, |ask| ask.slots(&self.stress))
    }

    /// The job has settled with this result.
    fn check(&self, result: Result<Output, JobError>) {
        self.check_end();
        let may_be_cancelled = self.stress.others_cancel() || self.is_cancelled.load(SeqCst);
        let may_time_out = self.ask.is_some_and(Ask::has_timeout);
        let item = item_of(result, may_be_cancelled, may_time_out);
        assert!(item.is_none_or(|item| item == self.item));
    }

    fn check_end(&self) {
        assert_eq!(self.parts.load(SeqCst), 0, "something of the job is left");
    }

    fn tally(&self) -> &Tally {
        &self.stress.tally
    }
}

/// The future of a job, or of a callback.
struct Work {
    life: Arc<Life>,
    script: Script,
    begun: bool,
    ended: bool,
    /// What it waits for without its slots.
    awaited: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether it may be without them, between two polls.
    is_outside: bool,
}

/// What a future does.
struct Script {
    /// How often it is polled before it ends.
    turns: u64,
    /// Time passes, too.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Waits for the word to end, or for the end of who would say it.
    word: Option<oneshot::Receiver<()>>,
    /// Hands in a job itself.
    spawns: bool,
    waits: Option<Waits>,
    panics: When,
}

/// For what a job waits without its slots.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Job,
    Outside,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Never,
    Polled,
    Dropped,
    OutputDropped,
}

impl Script {
    fn new(random: &mut Random) -> Self {
        let sleeps = random.below(100) == 0;
        Self {
            turns: random.below(4),
            sleep: sleeps.then(|| Box::pin(sleep(Duration::from_millis(1)))),
            word: None,
            spawns: random.below(10) == 0,
            waits: match random.below(20) {
                0 => Some(Waits::Job),
                1 => Some(Waits::Outside),
                _ => None,
            },
            panics: match random.below(32) {
                0 => When::Polled,
                1 => When::Dropped,
                2 => When::OutputDropped,
                _ => When::Never,
            },
        }
    }
}

impl Script {
    /// That of a job that asks for this. One with a timeout may come to no end without it.
    fn asked(ask: Option<Ask>, random: &mut Random) -> Self {
        let mut script = Self::new(random);
        if ask.is_some_and(Ask::has_timeout) && random.below(2) == 0 {
            script.sleep = Some(Box::pin(sleep(FOR_EVER)));
        }
        script
    }
}

impl Work {
    fn new(life: &Arc<Life>, script: Script) -> Self {
        life.parts.fetch_add(1, SeqCst);
        life.tally().futures.made();
        Self {
            life: life.clone(),
            script,
            begun: false,
            ended: false,
            awaited: None,
            is_outside: false,
        }
    }

    fn hold(&self, is_first: bool) {
        let Life { stress, ask, .. } = &*self.life;
        // One that was stopped outside has slots though none may be free.
        if !self.life.is_forced.load(SeqCst) {
            stress.tally.hold(self.life.slots(), stress.most());
            stress.tally.limited.begin(*ask, is_first);
        }
    }

    fn let_go(&self) {
        if !self.life.is_forced.load(SeqCst) {
            let tally = self.life.tally();
            tally.active.fetch_sub(self.life.slots(), SeqCst);
            tally.limited.end(self.life.ask);
        }
    }

    /// What it waits for, once it has come so far.
    fn wait(&self, waits: Waits) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let stress = &self.life.stress;
        let pool = stress.pool.clone();
        if waits == Waits::Outside {
            return Box::pin(async move {
                pool.outside(yield_now()).await;
            });
        }
        let mut random = Random(stress.tally.begun.load(SeqCst));
        let leaf = Script {
            spawns: false,
            waits: None,
            ..Script::new(&mut random)
        };
        let life = Life::new(stress, 0, Ask::new(stress, &mut random));
        let work = Work::new(&life, leaf);
        Box::pin(async move {
            let ended = match life.ask {
                Some(ask) => pool.exec(ask.on(work)).await,
                None => pool.exec(work).await,
            };
            item_of(ended, true, true);
        })
    }

    fn begin(&mut self) {
        self.begun = true;
        let stress = &self.life.stress;
        let tally = &stress.tally;
        let is_first = !self.life.has_begun.swap(true, SeqCst);
        self.hold(is_first);
        tally.begun.fetch_add(u64::from(is_first), SeqCst);
        if self.script.spawns {
            let mut random = Random(tally.begun.load(SeqCst));
            let leaf = Script {
                spawns: false,
                waits: None,
                ..Script::new(&mut random)
            };
            let life = Life::new(stress, 0, Ask::new(stress, &mut random));
            drop(life.spawn_n(Work::new(&life, leaf)));
        }
    }
}

impl Future for Work {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let tally = self.life.stress.tally.clone();
        let is_at_home = Handle::current().id() == self.life.home;
        tally.astray.fetch_or(!is_at_home, SeqCst);
        tally.polled_after_its_end.fetch_or(self.ended, SeqCst);
        if !self.begun {
            self.begin();
        }
        if std::mem::take(&mut self.is_outside) {
            self.hold(false);
        }
        if let Some(turns) = self.script.turns.checked_sub(1) {
            self.script.turns = turns;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(waits) = self.script.waits.take() {
            self.awaited = Some(self.wait(waits));
        }
        if let Some(awaited) = &mut self.awaited {
            if awaited.as_mut().poll(cx).is_pending() {
                self.let_go();
                self.is_outside = true;
                return Poll::Pending;
            }
            self.awaited = None;
        }
        if let Some(sleep) = &mut self.script.sleep {
            ready!(sleep.as_mut().poll(cx));
        }
        if let Some(word) = &mut self.script.word {
            let _ = ready!(Pin::new(word).poll(cx));
        }
        self.ended = true;
        if self.script.panics == When::Polled {
            blast();
        }
        tally.outputs.made();
        Poll::Ready(Output {
            life: self.life.clone(),
            panics_when_dropped: self.script.panics == When::OutputDropped,
        })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let tally = self.life.tally();
        if self.is_outside {
            self.life.is_forced.store(true, SeqCst);
        } else if self.begun {
            self.let_go();
        }
        tally.futures.dropped();
        self.life.parts.fetch_sub(1, SeqCst);
        if self.script.panics == When::Dropped {
            blast();
        }
    }
}

struct Output {
    life: Arc<Life>,
    panics_when_dropped: bool,
}

/// The item whose output this is. The user drops it without a panic.
fn item_of(
    result: Result<Output, JobError>,
    may_be_cancelled: bool,
    may_time_out: bool,
) -> Option<u64> {
    match result {
        Ok(mut output) => {
            output.panics_when_dropped = false;
            Some(output.life.item)
        }
        Err(error) => {
            let is_cancelled = error.is_cancelled() || error.is_closed();
            assert!(may_be_cancelled || !is_cancelled, "nobody cancelled it");
            let is_timed_out = error.is_timed_out();
            assert!(may_time_out || !is_timed_out, "it has no timeout");
            None
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.life.tally().outputs.dropped();
        if self.panics_when_dropped {
            blast();
        }
    }
}

/// A callback that has not been called.
struct Callback {
    life: Arc<Life>,
    script: Option<Script>,
}

impl Callback {
    fn new(life: &Arc<Life>, script: Script) -> Self {
        life.parts.fetch_add(1, SeqCst);
        life.tally().callbacks.made();
        Self {
            life: life.clone(),
            script: Some(script),
        }
    }

    fn call(mut self, result: Result<Output, JobError>) -> Work {
        drop(result);
        let script = self.script.take().expect("it is called once");
        Work::new(&self.life, script)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.life.tally().callbacks.dropped();
        self.life.parts.fetch_sub(1, SeqCst);
    }
}

impl Tally {
    /// So many slots more are held.
    fn hold(&self, slots: usize, most: usize) {
        let active = self.active.fetch_add(slots, SeqCst) + slots;
        self.too_many.fetch_or(active > most, SeqCst);
    }
}

impl Count {
    fn made(&self) {
        self.made.fetch_add(1, SeqCst);
    }

    fn dropped(&self) {
        self.dropped.fetch_add(1, SeqCst);
    }
}

/// `SplitMix64`: numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Awaits a future, but drops it after some turns of the runtime, if any are told.
async fn give_up<T>(future: impl Future<Output = T>, turns: Option<u64>) -> Option<T> {
    let Some(turns) = turns else {
        return Some(future.await);
    };
    let patience = pin!(async {
        for _ in 0..turns {
            yield_now().await;
        }
    });
    match select(pin!(future), patience).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Panics without the hook, which prints.
fn blast() -> ! {
    resume_unwind(Box::new("as it was told to"))
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(threads).enable_time();
    builder.build().expect("a runtime can be built")
}

fn current_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let builder = builder.enable_time();
    builder.build().expect("a runtime can be built")
}

fn from_environment(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().expect("it is a number"))
}

const LIMITS: Limits = Limits {
    resizes: true,
    is_observed: true,
};
const SECONDS: u64 = 1;
const FOR_EVER: Duration = Duration::from_secs(1_000_000);
const PARTS: u32 = 6;
/// Who has not come to an end by then never does.
const PATIENCE: Duration = Duration::from_secs(60);
