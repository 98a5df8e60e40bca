//! Random programs of all that holds jobs back, on a clock that stands still: what may never happen,
//! and what is counted. Which job goes next is for the tests of the core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::{Event, Job, JobHandle, Outcome, Permit, Pool, Rate, WithOptions};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone)]
enum Act {
    Spawn(Ask),
    Map(Vec<Ask>),
    Stream(Vec<Ask>, usize),
    TrySpawn(Ask),
    Reserve(u64),
    Cancel(usize),
    CancelAll,
    DropMap,
    Rate(Option<Limit>),
    Pause(Option<u64>),
    Resume,
    PauseKey(u8, Option<u64>),
    ResumeKey(u8),
    Resize(usize),
    Sleep(u64),
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    key: Option<u8>,
    weight: u32,
    priority: i8,
    millis: u64,
    panics: bool,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    starts: u32,
    per: u64,
    burst: Option<u32>,
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn nobody_starts_whom_a_limit_holds_back_and_all_is_counted(
        size in 1..5_usize,
        per_key in 1..3_usize,
        rate in prop::option::of(limit()),
        key_rate in prop::option::of(limit()),
        acts in prop::collection::vec(act(), 0..40),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime can be built");
        runtime.block_on(perform(size, per_key, [rate, key_rate], acts));
    }
}

/// With the rates of the pool and of each key.
async fn perform(size: usize, per_key: usize, rates: [Option<Limit>; 2], acts: Vec<Act>) {
    let seen = Arc::new(Mutex::new(Seen::new(size, per_key, rates)));
    let [rate, key_rate] = rates;
    let pool = Pool::builder(size)
        .per_key(per_key)
        .rate(rate.map(Limit::rate))
        .per_key_rate(key_rate.map(Limit::rate))
        .observer({
            let seen = seen.clone();
            move |event| seen.lock().expect(UNHARMED).see(event)
        })
        .build();
    let mut held = Held::default();
    for act in &acts {
        perform_one(&pool, &seen, &mut held, act).await;
        // Whoever was admitted has begun before the next act.
        for _ in 0..50 {
            yield_now().await;
        }
        assert_eq!(seen.lock().expect(UNHARMED).violations, [""; 0], "{act:?}");
    }
    seen.lock().expect(UNHARMED).set_rate(None);
    pool.set_rate(None);
    pool.resume();
    for key in 0..3 {
        pool.resume_key(key);
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(pool.len(), 0, "somebody has been left: {:?}", pool.stats());
    assert!(held.jobs.iter().all(JobHandle::is_finished));
    pool.join().await;
    pool.drained().await;
    let seen = seen.lock().expect(UNHARMED);
    let stats = pool.stats();
    assert_eq!(seen.violations, [""; 0]);
    assert_eq!(seen.started + held.permits, stats.started);
    assert_eq!(seen.ended, [stats.succeeded, stats.failed, stats.cancelled]);
    assert_eq!(seen.queued, seen.ended.iter().sum::<u64>());
    assert_eq!((stats.active, stats.waiting, stats.parked), (0, 0, 0));
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "the timer is not needed any more");
}

#[derive(Default)]
struct Held {
    jobs: Vec<JobHandle<()>>,
    maps: Vec<JoinHandle<()>>,
    permits: u64,
}

async fn perform_one(pool: &Pool, seen: &Arc<Mutex<Seen>>, held: &mut Held, act: &Act) {
    let millis = Duration::from_millis;
    match act {
        Act::Spawn(ask) => held.jobs.push(pool.spawn_n(ask.with_options())),
        Act::TrySpawn(ask) => held.jobs.extend(pool.try_spawn(ask.with_options()).ok()),
        Act::Map(asks) => {
            let map = pool.map(asks.clone(), Ask::with_options);
            held.maps.push(tokio::spawn(async move { drop(map.await) }));
        }
        Act::Stream(asks, ahead) => {
            let stream = pool.itermap(asks.clone(), Ask::with_options);
            let mut stream = stream.ahead(*ahead);
            held.maps.push(tokio::spawn(async move {
                while let Some(result) = stream.next().await {
                    drop(result);
                    // It reads more slowly than items come.
                    sleep(Duration::from_millis(3)).await;
                }
            }));
        }
        Act::Reserve(time) => {
            let reserve = pool.reserve();
            tokio::select! {
                biased;
                Ok(permit) = reserve => {
                    held.permits += 1;
                    seen.lock().expect(UNHARMED).count_start();
                    keep(permit, millis(*time), seen);
                }
                () = sleep(millis(3)) => {}
            }
        }
        Act::Cancel(which) => {
            if let Some(index) = which.checked_rem(held.jobs.len()) {
                held.jobs[index].cancel();
            }
        }
        Act::CancelAll => {
            pool.cancel_all().await;
        }
        Act::DropMap => held.maps.pop().into_iter().for_each(|map| map.abort()),
        Act::Rate(limit) => {
            seen.lock().expect(UNHARMED).set_rate(*limit);
            pool.set_rate(limit.map(Limit::rate));
        }
        Act::Pause(time) => pool.pause(time.map(millis)),
        Act::Resume => {
            pool.resume();
        }
        Act::PauseKey(key, time) => pool.pause_key(i64::from(*key), time.map(millis)),
        Act::ResumeKey(key) => {
            pool.resume_key(i64::from(*key));
        }
        Act::Resize(size) => {
            seen.lock().expect(UNHARMED).size = *size;
            pool.resize(*size);
        }
        Act::Sleep(time) => sleep(millis(*time)).await,
    }
}

/// Holds a slot for a time, without a job of the pool.
fn keep(permit: Permit, time: Duration, seen: &Arc<Mutex<Seen>>) {
    seen.lock().expect(UNHARMED).held += 1;
    let seen = seen.clone();
    tokio::spawn(async move {
        sleep(time).await;
        seen.lock().expect(UNHARMED).held -= 1;
        drop(permit);
    });
}

/// What an observer has seen, and what it should not have seen.
struct Seen {
    size: usize,
    per_key: usize,
    /// With the number of starts that there were when it was set.
    rate: Option<(Limit, usize)>,
    key_rate: Option<Limit>,
    starts: Vec<Instant>,
    starts_of_keys: BTreeMap<String, Vec<Instant>>,
    queued: u64,
    started: u64,
    /// How many have succeeded, failed, been cancelled.
    ended: [u64; 3],
    held: usize,
    /// The weight of each job that has started and not ended.
    active: BTreeMap<String, usize>,
    keys: BTreeMap<String, usize>,
    violations: Vec<String>,
}

impl Seen {
    fn new(size: usize, per_key: usize, [rate, key_rate]: [Option<Limit>; 2]) -> Self {
        Self {
            size,
            per_key,
            rate: rate.map(|rate| (rate, 0)),
            key_rate,
            starts: Vec::new(),
            starts_of_keys: BTreeMap::new(),
            queued: 0,
            started: 0,
            ended: [0; 3],
            held: 0,
            active: BTreeMap::new(),
            keys: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::Queued { .. } => self.queued += 1,
            Event::Started { job, .. } => {
                self.started += 1;
                self.count_start();
                // Its name is its weight.
                let weight = job
                    .name()
                    .map_or(1, |name| name.parse().expect("it is a weight"));
                let weight = self.size.min(weight);
                self.held += weight;
                self.active.insert(job.id().to_string(), weight);
                if self.held > self.size {
                    self.violations
                        .push(format!("{} of {} slots", self.held, self.size));
                }
                if let Some(key) = job.key() {
                    let active = self.keys.entry(format!("{key:?}")).or_default();
                    *active += 1;
                    if *active > self.per_key {
                        self.violations.push(format!("{active} of the key {key:?}"));
                    }
                    let starts = self.starts_of_keys.entry(format!("{key:?}")).or_default();
                    starts.push(Instant::now());
                    let starts = &*starts;
                    let violations = self.key_rate.map(|rate| rate.violations(starts));
                    self.violations.extend(violations.into_iter().flatten());
                }
            }
            Event::Finished { job, outcome, .. } => {
                self.ended[match outcome {
                    Outcome::Succeeded => 0,
                    Outcome::Failed => 1,
                    _ => 2,
                }] += 1;
                if let Some(weight) = self.active.remove(&job.id().to_string()) {
                    self.held -= weight;
                    if let Some(key) = job.key() {
                        *self.keys.entry(format!("{key:?}")).or_default() -= 1;
                    }
                }
            }
            _ => {}
        }
    }

    fn set_rate(&mut self, limit: Option<Limit>) {
        self.rate = limit.map(|limit| (limit, self.starts.len()));
    }

    fn count_start(&mut self) {
        self.starts.push(Instant::now());
        if let Some((rate, before)) = self.rate {
            let violations = rate.violations(&self.starts[before..]);
            self.violations.extend(violations);
        }
    }
}

impl Ask {
    async fn job(self) {
        if self.millis > 0 {
            sleep(Duration::from_millis(self.millis)).await;
        }
        if self.panics {
            std::panic::resume_unwind(Box::new("it fails"));
        }
    }

    fn with_options(self) -> WithOptions<BoxFuture<'static, ()>> {
        let job = self
            .job()
            .boxed()
            .weight(self.weight)
            .priority(self.priority);
        let job = job.name(self.weight.to_string());
        match self.key {
            Some(key) => job.key(i64::from(key)),
            None => job,
        }
    }
}

impl Limit {
    fn rate(self) -> Rate {
        let rate = Rate::new(self.starts, Duration::from_millis(self.per));
        self.burst.map_or(rate, |burst| rate.burst(burst))
    }

    /// What is wrong in the windows that end with the last of these starts.
    fn violations(self, begun: &[Instant]) -> Vec<String> {
        let Self { starts, per, burst } = self;
        let (now, mut violations) = (Instant::now(), Vec::new());
        for (count, first) in (1..).zip(begun.iter().rev()) {
            let window = u64::try_from((now - *first).as_millis()).expect("a test is short");
            let most = match burst {
                None if window < per => u64::from(starts),
                None => continue,
                Some(burst) => u64::from(burst) + window * u64::from(starts) / per,
            };
            if count > most {
                violations.push(format!("{count} starts in {window} ms: {self:?}"));
            }
        }
        violations
    }
}

fn act() -> impl Strategy<Value = Act> {
    let time = || prop::option::of(1..60_u64);
    prop_oneof![
        8 => ask().prop_map(Act::Spawn),
        3 => prop::collection::vec(ask(), 0..12).prop_map(Act::Map),
        2 => (prop::collection::vec(ask(), 0..12), 1..6_usize)
            .prop_map(|(asks, ahead)| Act::Stream(asks, ahead)),
        2 => ask().prop_map(Act::TrySpawn),
        2 => (0..30_u64).prop_map(Act::Reserve),
        3 => (0..12_usize).prop_map(Act::Cancel),
        1 => Just(Act::CancelAll),
        1 => Just(Act::DropMap),
        2 => prop::option::of(limit()).prop_map(Act::Rate),
        1 => time().prop_map(Act::Pause),
        2 => Just(Act::Resume),
        1 => (0..3_u8, time()).prop_map(|(key, time)| Act::PauseKey(key, time)),
        1 => (0..3_u8).prop_map(Act::ResumeKey),
        2 => (1..5_usize).prop_map(Act::Resize),
        6 => (1..40_u64).prop_map(Act::Sleep),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let key = prop::option::of(0..3_u8);
    let panics = prop::bool::weighted(0.1);
    (key, 1..4_u32, -1..=1_i8, 0..30_u64, panics).prop_map(
        |(key, weight, priority, millis, panics)| Ask {
            key,
            weight,
            priority,
            millis,
            panics,
        },
    )
}

fn limit() -> impl Strategy<Value = Limit> {
    (1..4_u32, 1..50_u64, prop::option::of(1..5_u32)).prop_map(|(starts, per, burst)| Limit {
        starts,
        per,
        burst,
    })
}

const UNHARMED: &str = "no holder panics";
