//! A pool with limits beside its slots: what its jobs ask for, what is done to it, and what has to hold.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiopool::{Event, Job, Key, Outcome, Permit, Pool, Rate, Stats, WithOptions};
use tokio::task::yield_now;

use crate::{PATIENCE, Random, Stress, Tally, User, When, give_up};

/// What a pool limits beside its slots.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Whether its size changes, up to twice what it was.
    pub(crate) resizes: bool,
    pub(crate) is_observed: bool,
}

/// What a job asks for beside a slot.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    key: Option<usize>,
    weight: u32,
    priority: i8,
    timeout: Option<Duration>,
}

/// What is counted in such a pool.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// How many jobs of each key are active.
    keys: [AtomicUsize; KEYS],
    /// How many of the key with a rate have begun.
    rated: AtomicU64,
    /// How often a key had more active jobs than its limit.
    too_many: AtomicUsize,
    events: Mutex<Events>,
}

/// What the observer was told, if there is one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Events {
    queued: u64,
    started: u64,
    /// How many have succeeded, failed, been cancelled, timed out.
    ended: [u64; 4],
}

/// A slot without a job, which counts as one that is held.
struct Held {
    tally: Arc<Tally>,
    permit: Option<Permit>,
}

/// Ends a pause without end, also if its task is dropped.
struct Resumes(Pool, Option<usize>);

impl Limits {
    pub(crate) fn pool(self, size: usize, tally: &Arc<Tally>) -> Pool {
        let rate = |key: &Key| (*key == Key::from(RATED)).then(|| Rate::new(1, PER));
        let builder = Pool::builder(size).per_key(PER_KEY).per_key_rate_with(rate);
        if !self.is_observed {
            return builder.build();
        }
        let tally = tally.clone();
        let observe = move |event: &Event| tally.limited.see(event);
        builder.observer(observe).build()
    }

    /// The most slots that may be held at any time.
    pub(crate) fn most(self, size: usize) -> usize {
        if self.resizes { 2 * size } else { size }
    }

    /// What holds when the pool is idle, whatever was done to it.
    pub(crate) async fn check(self, stress: &Stress) {
        let Stress { pool, tally, .. } = stress;
        let stats = pool.stats();
        let Stats {
            active,
            waiting,
            outside,
            parked,
            ..
        } = stats;
        assert_eq!((active, waiting, outside, parked), (0, 0, 0, 0), "{pool:?}");
        assert_eq!(stats.held_by, None);
        let limited = &tally.limited;
        assert!(limited.keys.iter().all(|active| active.load(SeqCst) == 0));
        assert_eq!(limited.too_many.load(SeqCst), 0, "active jobs of one key");
        let windows = stress.begun.elapsed().as_nanos() / PER.as_nanos() + 1;
        let rated = u128::from(limited.rated.load(SeqCst));
        assert!(rated <= windows, "{rated} starts in {windows} ms");
        if !self.is_observed {
            return;
        }
        // The observer may hear of an end after those who wait for it.
        let Stats {
            succeeded,
            failed,
            cancelled,
            timed_out,
            ..
        } = stats;
        let ended = [succeeded, failed, cancelled, timed_out];
        let until = Instant::now() + PATIENCE;
        while limited.events().ended != ended && Instant::now() < until {
            yield_now().await;
        }
        let expected = Events {
            queued: ended.iter().sum(),
            ended,
            ..limited.events()
        };
        assert_eq!(limited.events(), expected, "{stats:?}");
        assert_eq!(expected.started, pool.executed(), "{stats:?}");
    }
}

impl Ask {
    pub(crate) fn new(stress: &Stress, random: &mut Random) -> Option<Self> {
        stress.limits?;
        let most = u64::try_from(stress.size).expect("it is small") + 1;
        Some(Self {
            key: (random.below(3) > 0).then(|| random.key()),
            weight: match random.below(3) {
                0 => u32::try_from(1 + random.below(most)).expect("it is small"),
                _ => 1,
            },
            priority: i8::try_from(random.below(3)).expect("it is small") - 1,
            timeout: (random.below(8) == 0).then(|| Duration::from_millis(1 + random.below(3))),
        })
    }

    pub(crate) fn on<J: Job<WithOptions = WithOptions<J>>>(self, job: J) -> WithOptions<J> {
        let job = job.weight(self.weight).priority(self.priority);
        let job = match self.key {
            Some(key) => job.key(key),
            None => job,
        };
        match self.timeout {
            Some(timeout) => job.timeout(timeout),
            None => job,
        }
    }

    pub(crate) fn has_timeout(self) -> bool {
        self.timeout.is_some()
    }

    /// How many slots the job holds, at least.
    pub(crate) fn slots(self, stress: &Stress) -> usize {
        let weight = usize::try_from(self.weight).expect("it is small");
        weight.min(stress.size)
    }
}

impl Limited {
    pub(crate) fn begin(&self, ask: Option<Ask>, is_first: bool) {
        if let Some(key) = ask.and_then(|ask| ask.key) {
            let active = self.keys[key].fetch_add(1, SeqCst) + 1;
            self.too_many
                .fetch_add(usize::from(active > PER_KEY), SeqCst);
            let is_rated = is_first && key == RATED;
            self.rated.fetch_add(u64::from(is_rated), SeqCst);
        }
    }

    pub(crate) fn end(&self, ask: Option<Ask>) {
        if let Some(key) = ask.and_then(|ask| ask.key) {
            self.keys[key].fetch_sub(1, SeqCst);
        }
    }

    fn see(&self, event: &Event) {
        let mut events = self.events.lock().expect("no holder panics");
        match event {
            Event::Queued { .. } => events.queued += 1,
            Event::Started { .. } => events.started += 1,
            Event::Finished { outcome, .. } => {
                let ended = &mut events.ended;
                ended[match outcome {
                    Outcome::Succeeded => 0,
                    Outcome::Failed => 1,
                    Outcome::Cancelled => 2,
                    _ => 3,
                }] += 1;
            }
            _ => {}
        }
    }

    fn events(&self) -> Events {
        *self.events.lock().expect("no holder panics")
    }
}

impl User {
    /// Does something to the limits, or what only they make worth trying.
    pub(crate) async fn use_limits(&mut self, limits: Limits) {
        let pool = self.stress.pool.clone();
        let time = Duration::from_micros(self.random.below(500));
        match self.random.below(12) {
            0 | 1 => self.try_spawn(),
            2..5 => self.reserve().await,
            5 if limits.resizes => {
                let more = self.random.below(1 + self.stress.size as u64);
                pool.resize(self.stress.size + usize::try_from(more).expect("it is small"));
            }
            6 => pool.pause(Some(time)),
            7 => {
                let _resumes = Resumes(pool.clone(), None);
                pool.pause(None);
                self.let_others_run().await;
            }
            8 => pool.pause_key(self.random.key(), Some(time)),
            9 => {
                let key = self.random.key();
                let _resumes = Resumes(pool.clone(), Some(key));
                pool.pause_key(key, None);
                self.let_others_run().await;
            }
            10 => match self.random.below(2) {
                0 => pool.set_rate(None),
                _ => pool.set_rate(Rate::new(STARTS, PER)),
            },
            _ => {
                let patience = Some(self.random.below(20));
                give_up(pool.drained(), patience).await;
                assert!(pool.stats().active <= self.stress.most());
            }
        }
    }

    fn try_spawn(&mut self) {
        let (life, mut work) = self.work();
        // What is refused is dropped here.
        work.script.panics = When::Never;
        let ask = life.ask.expect("a pool with limits has jobs with options");
        if let Ok(handle) = self.stress.pool.try_spawn(ask.on(work)) {
            self.held.push((life, handle));
        }
    }

    async fn reserve(&mut self) {
        let patience = self.patience(60);
        let reserve = self.stress.pool.reserve();
        let Some(Ok(permit)) = give_up(reserve, patience).await else {
            return;
        };
        let mut held = Held::new(permit, &self.stress);
        self.let_others_run().await;
        if self.random.below(2) == 0 {
            // It takes no more than the slot that is there.
            let (life, work) = self.work_of(None);
            let handle = held.pass().spawn(work);
            self.held.push((life, handle));
        }
    }

    async fn let_others_run(&mut self) {
        for _ in 0..self.random.below(8) {
            yield_now().await;
        }
    }
}

impl Held {
    fn new(permit: Permit, stress: &Stress) -> Self {
        let tally = stress.tally.clone();
        tally.hold(1, stress.most());
        Self {
            tally,
            permit: Some(permit),
        }
    }

    fn pass(&mut self) -> Permit {
        self.tally.active.fetch_sub(1, SeqCst);
        self.permit.take().expect("it is passed once")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.tally.active.fetch_sub(1, SeqCst);
            drop(permit);
        }
    }
}

impl Drop for Resumes {
    fn drop(&mut self) {
        let Self(pool, key) = self;
        match key {
            Some(key) => pool.resume_key(*key),
            None => pool.resume(),
        };
    }
}

impl Random {
    fn key(&mut self) -> usize {
        usize::try_from(self.below(KEYS as u64)).expect("it is small")
    }
}

const KEYS: usize = 4;
/// How many jobs of each key may be active.
const PER_KEY: usize = 2;
/// The key that has a rate: one start in a [time](PER).
const RATED: usize = 0;
/// How often the pool may start a job in that time, when it has a rate.
const STARTS: u32 = 50;
const PER: Duration = Duration::from_millis(1);
