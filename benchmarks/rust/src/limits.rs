//! How the subjects of the group "limits" are measured.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::mem;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use rustix::time::ClockId;
use tokio::time::sleep;

use crate::load::{Load, Workload};
use crate::meter::{Cost, Meter, clock, quiet};
use crate::run::check;
use crate::subject::{Keyed, Leveled, Limit, Rated};
use crate::workloads::{Gated, Work, YieldOnce};

/// Runs a subject that keeps to a rate.
pub(crate) async fn rated<R: Rated>(load: Load) -> anyhow::Result<Cost> {
    match load.workload {
        Workload::Strictness => strictness::<R>(load).await,
        Workload::Rate => {
            by_turns(load, move |limited| async move {
                let mut subject = R::new(load.slots, limited.then_some(NEVER_REACHED));
                (0..load.jobs).for_each(|n| subject.queue(YieldOnce.job(n)));
                subject.sum().await
            })
            .await
        }
        _ => bail!("this subject has a rate and nothing else"),
    }
}

/// Runs a subject that has a limit for each key.
pub(crate) async fn keyed<K: Keyed>(load: Load) -> anyhow::Result<Cost> {
    match load.workload {
        Workload::Keys => {
            by_turns(load, move |keys| async move {
                let mut subject = K::new(load.slots, keys);
                (0..load.jobs).for_each(|n| subject.queue(key(n, keys), YieldOnce.job(n)));
                subject.sum().await
            })
            .await
        }
        Workload::WaitingKeyed => waiting::<K>(load, true).await,
        Workload::WaitingKeyless => waiting::<K>(load, false).await,
        _ => bail!("this subject has keys and nothing else"),
    }
}

/// Runs a subject that has levels.
pub(crate) async fn leveled<L: Leveled>(load: Load) -> anyhow::Result<Cost> {
    ensure!(
        load.workload == Workload::Levels,
        "this subject has levels and nothing else"
    );
    let levels = i16::try_from(load.jobs.clamp(2, 201))?;
    let flood = Flood {
        queue: L::new(),
        starts: Arc::default(),
    };
    let meter = Meter::start()?;
    // It holds the slot until all others wait.
    let gate = Gated::default();
    let held = gate.job(0);
    flood.queue.queue(100, async move {
        held.await;
    });
    flood.hand_in(0);
    for level in (1..levels).flat_map(|level| [level; 2]) {
        flood.hand_in(level);
    }
    gate.open();
    let Flood { queue, starts } = flood;
    queue.join().await;
    let cost = meter.stop(load.jobs)?;
    let starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
    let highest = starts.iter().filter(|level| **level == levels - 1).count();
    let highest = f64::from(u32::try_from(highest)?) / f64::from(u32::try_from(starts.len())?);
    Ok(cost.with("starts", starts.len()).with("highest", highest))
}

#[derive(Clone)]
struct Flood<L> {
    queue: L,
    /// The levels of all starts up to that of the job on the lowest, 0.
    starts: Arc<Mutex<Vec<i16>>>,
}

impl<L: Leveled> Flood<L> {
    fn hand_in(&self, level: i16) {
        let flood = self.clone();
        // From -100 to 100.
        let own = i8::try_from(level - 100).unwrap_or(i8::MAX);
        self.queue.queue(own, async move { flood.start(level) });
    }

    /// Each hands in another of its level.
    fn start(&self, level: i16) {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        if starts.last() == Some(&0) || starts.len() == MOST_PASSING {
            return;
        }
        starts.push(level);
        drop(starts);
        self.hand_in(level);
    }
}

/// Runs all jobs with the limit and without, again and again, and compares neighbours. Each pair
/// begins with the other of the two, and one of each goes before all.
async fn by_turns<F>(load: Load, run: impl Fn(bool) -> F) -> anyhow::Result<Cost>
where
    F: Future<Output = usize> + Send,
{
    let (mut added, mut times, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..=(COMPARED / load.jobs).clamp(FEWEST, MOST) {
        let mut seconds = [0.0; 2];
        for limited in [pair % 2 == 1, pair % 2 == 0] {
            let meter = Meter::start()?;
            let sum = run(limited).await;
            let cost = meter.stop(load.jobs)?;
            check(sum, load.jobs)?;
            seconds[usize::from(limited)] = cost.cpu().as_secs_f64();
            if limited {
                costs.push(cost);
            }
        }
        let [without, with] = seconds;
        if pair > 0 {
            added.push(with - without);
            times.push(with / without);
        }
    }
    costs.sort_by_key(Cost::cpu);
    let cost = costs.swap_remove(costs.len() / 2);
    Ok(cost
        .with("added", median(added))
        .with("times", median(times)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most starts in any second: as the events tell, if the subject has events, and by the first
/// poll of each job. That comes later, when a thread gets to it.
async fn strictness<R: Rated>(load: Load) -> anyhow::Result<Cost> {
    let (told, begun) = (Times::default(), Times::default());
    let meter = Meter::start()?;
    let tell = told.clone();
    let mut subject = R::observed(load.slots, STRICT, move |at| tell.add(at));
    let strict = STRICT.starts.get() as usize;
    let mut left = 0..load.jobs;
    while !left.is_empty() {
        let burst = 1 + chance(2 * strict);
        for n in left.by_ref().take(burst) {
            let begun = begun.clone();
            subject.queue(async move {
                begun.add(Instant::now());
                if n % 4 == 0 {
                    let (now, time) = (Instant::now(), Duration::from_micros(chance(3_000) as u64));
                    while now.elapsed() < time {}
                }
                sleep(Duration::from_micros(chance(50_000) as u64)).await;
                n
            });
        }
        // As long as they take, give or take half: at times the limiter has had a rest.
        let time = STRICT.per * u32::try_from(burst)? / STRICT.starts.get();
        sleep(time / 2 + time * u32::try_from(chance(1_000))? / 1_000).await;
    }
    let sum = subject.sum().await;
    let cost = meter.stop(load.jobs)?;
    check(sum, load.jobs)?;
    let (mut told, mut begun) = (told.take(), begun.take());
    let lines = most_in(STRICT.per, &mut begun);
    let starts = match told.len() {
        0 => lines,
        events => {
            ensure!(events == load.jobs, "{events} events tell of a start");
            most_in(STRICT.per, &mut told)
        }
    };
    Ok(cost.with("most_starts", starts).with("most_lines", lines))
}

/// When something has happened.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Instant>>>);

impl Times {
    fn add(&self, at: Instant) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(at);
    }

    fn take(&self) -> Vec<Instant> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn most_in(window: Duration, times: &mut [Instant]) -> usize {
    times.sort_unstable();
    let mut first = 0;
    let within = times.iter().enumerate().map(|(last, now)| {
        while *now - times[first] >= window {
            first += 1;
        }
        last - first + 1
    });
    within.max().unwrap_or(0)
}

/// A number below that one.
fn chance(below: usize) -> usize {
    let random = RandomState::new().hash_one(below);
    usize::try_from(random % below as u64).unwrap_or(0)
}

/// The cost is that of queueing; `drain` and `slowest_start` are about what comes then.
async fn waiting<K: Keyed>(load: Load, keys: bool) -> anyhow::Result<Cost> {
    let gate = Gated::default();
    let mut queue = K::new(load.slots, keys);
    // Of other keys than all that follow.
    for n in 0..load.slots {
        let own = keys.then_some((KEYS + n) as u64);
        queue.queue(own, gate.job(n));
    }
    quiet().await;
    let starts = Arc::new(Mutex::new(Starts::default()));
    let meter = Meter::start()?;
    for n in load.slots..load.slots + load.jobs {
        let starts = Arc::clone(&starts);
        queue.queue(key(n, keys), started(starts, n));
    }
    let wall = meter.wall();
    quiet().await;
    let cost = meter.stop(load.jobs)?.within(wall);

    let began = now();
    with(&starts, |starts| starts.last = began);
    gate.open();
    let sum = queue.sum().await;
    let drain = now().saturating_sub(began);
    check(sum, load.slots + load.jobs)?;
    let slowest = with(&starts, |starts| starts.slowest);
    ensure!(!slowest.is_zero(), "no job has started");
    Ok(cost
        .with("drain", (drain / u32::try_from(load.jobs)?).as_secs_f64())
        .with("slowest_start", slowest.as_secs_f64())
        .with("future_bytes", size_of_val(&started(starts, 0))))
}

#[derive(Default)]
struct Starts {
    last: Duration,
    slowest: Duration,
}

/// A job that notes when it starts, and lets others run once.
fn started(starts: Arc<Mutex<Starts>>, n: usize) -> impl Future<Output = usize> + Send + 'static {
    let mut yielded = false;
    poll_fn(move |cx| {
        if yielded {
            return Poll::Ready(n);
        }
        yielded = true;
        with(&starts, |starts| {
            let now = now();
            starts.slowest = starts.slowest.max(now.saturating_sub(starts.last));
            starts.last = now;
        });
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn with<T>(starts: &Mutex<Starts>, f: impl FnOnce(&mut Starts) -> T) -> T {
    f(&mut starts.lock().unwrap_or_else(PoisonError::into_inner))
}

/// CPU time of all threads: it stands still while another process has the cores.
fn now() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

fn key(n: usize, keys: bool) -> Option<u64> {
    keys.then_some((n % KEYS) as u64)
}

const STRICT: Limit = limit(40);
const NEVER_REACHED: Limit = limit(100_000_000);
const KEYS: usize = 10_000;
/// Starts after which a job has starved.
const MOST_PASSING: usize = 20_000;
/// How many jobs run in each of the two ways, all together, and how often at least and at most.
const COMPARED: usize = 1_000_000;
const FEWEST: usize = 4;
const MOST: usize = 50;

const fn limit(starts: u32) -> Limit {
    match NonZeroU32::new(starts) {
        Some(starts) => Limit {
            starts,
            per: Duration::from_secs(1),
        },
        None => unreachable!(),
    }
}
