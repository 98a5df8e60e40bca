//! The pool never hogs: beside its jobs, however short they are, others get their turn as soon as
//! beside tasks behind a semaphore.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::{JoinSet, block_in_place, consume_budget, yield_now};

use crate::common::{Count, current_thread, in_time, multi_thread, raise};

/// What hands jobs in, again and again, until the load is over.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Spawn,
    SpawnN,
    Exec,
    Map,
    MapN,
    Itermap,
    ItermapOrdered,
    /// No pool, but tasks, each of which is started when there is a permit for it.
    Semaphore,
}

/// How the other task lets others run.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// It comes when all have run that can run now, as a task does that another task has woken.
    OfAll,
    /// It comes when the runtime has looked at its timers and sockets besides, as a task does that
    /// one of these has woken.
    OfTheRuntime,
}

/// Short jobs, which are counted.
#[derive(Debug, Clone)]
struct Load {
    ran: Count,
    is_over: Arc<AtomicBool>,
    /// Whether the jobs suspend once.
    yields: bool,
}

impl Load {
    fn new(yields: bool) -> Self {
        Self {
            ran: Count::new(),
            is_over: Arc::default(),
            yields,
        }
    }

    fn job(&self) -> impl Future<Output = ()> + Send + use<> {
        let (ran, yields) = (self.ran.clone(), self.yields);
        async move {
            ran.add();
            if yields {
                Turn::OfAll.pass().await;
            }
        }
    }

    /// A job that hands the next one in.
    fn chain(&self, pool: &Pool) -> impl Future<Output = ()> + Send + use<> {
        let (load, pool, job) = (self.clone(), pool.clone(), self.job());
        async move {
            job.await;
            if !load.is_over() {
                drop(pool.spawn_n(Box::pin(load.chain(&pool)) as BoxedJob));
            }
        }
    }

    fn jobs(&self) -> impl Iterator<Item = ()> + Send + use<> {
        let load = self.clone();
        (0..).map_while(move |_: usize| (!load.is_over()).then_some(()))
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    async fn run(self, verb: Verb, size: usize) {
        let (pool, load) = (Pool::new(size), self.clone());
        let job = move |()| load.job();
        match verb {
            Verb::Spawn => {
                while !self.is_over() {
                    drop(pool.spawn(self.job()).await);
                }
            }
            Verb::SpawnN => {
                for _ in 0..2 * size {
                    drop(pool.spawn_n(self.chain(&pool)));
                }
            }
            Verb::Exec => {
                let mut callers = JoinSet::new();
                for _ in 0..2 * size {
                    let (pool, load) = (pool.clone(), self.clone());
                    callers.spawn(async move {
                        while !load.is_over() {
                            pool.exec(load.job()).await.unwrap();
                        }
                    });
                }
                callers.join_all().await;
            }
            Verb::Map => drop(pool.map(self.jobs(), job).await),
            Verb::MapN => {
                while !self.is_over() {
                    for handle in pool.map_n((0..2 * size).map(drop), &job) {
                        handle.await.unwrap();
                    }
                }
            }
            Verb::Itermap => drop(pool.itermap(self.jobs(), job).count().await),
            Verb::ItermapOrdered => drop(pool.itermap_ordered(self.jobs(), job).count().await),
            Verb::Semaphore => self.run_as_tasks(size).await,
        }
        pool.join().await;
    }

    async fn run_as_tasks(self, size: usize) {
        let (permits, mut tasks) = (Arc::new(Semaphore::new(size)), JoinSet::new());
        while !self.is_over() {
            let (permit, job) = (permits.clone().acquire_owned().await, self.job());
            tasks.spawn(async move {
                job.await;
                drop(permit);
            });
            while tasks.try_join_next().is_some() {}
        }
        tasks.join_all().await;
    }
}

impl Turn {
    async fn pass(self) {
        match self {
            Self::OfAll => {
                let mut has_yielded = false;
                poll_fn(|cx| {
                    if has_yielded {
                        return Poll::Ready(());
                    }
                    has_yielded = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            Self::OfTheRuntime => yield_now().await,
        }
    }
}

/// How many jobs ran between two turns of another task, each time, from few to many.
async fn jobs_between_turns(
    turn: Turn,
    load: &Load,
    running: impl Future<Output = ()> + Send + 'static,
) -> Vec<usize> {
    let (ran, is_over) = (load.ran.clone(), load.is_over.clone());
    let other = tokio::spawn(async move {
        while ran.get() == 0 {
            yield_now().await;
        }
        let mut counts = Vec::new();
        for _ in 0..TURNS {
            let before = ran.get();
            turn.pass().await;
            counts.push(ran.get() - before);
        }
        is_over.store(true, Ordering::SeqCst);
        counts
    });
    tokio::spawn(running).await.unwrap();
    let mut counts = other.await.unwrap();
    counts.sort_unstable();
    counts
}

fn beside(runtime: &Runtime, verb: Verb, size: usize, turn: Turn, yields: bool) -> Vec<usize> {
    let load = Load::new(yields);
    let running = load.clone().run(verb, size);
    runtime.block_on(jobs_between_turns(turn, &load, running))
}

fn one_thread_of_many() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

/// With each verb and size, on runtimes whose only thread runs all tasks in turn.
fn on_one_thread(check: impl Fn(&Runtime, Verb, usize) + Clone + Send + 'static) {
    for (name, make) in [
        ("current_thread", current_thread as fn() -> Runtime),
        ("one thread of many", one_thread_of_many),
    ] {
        let check = check.clone();
        in_time(name, move || {
            let runtime = make();
            for size in [1, 2, 10, 100, 1_000] {
                for verb in VERBS {
                    check(&runtime, verb, size);
                }
            }
        });
    }
}

#[test]
fn a_task_that_another_wakes_waits_for_no_more_jobs_than_beside_a_semaphore() {
    on_one_thread(|runtime, verb, size| {
        let most = |verb| {
            *beside(runtime, verb, size, Turn::OfAll, false)
                .last()
                .unwrap()
        };
        let (ours, theirs) = (most(verb), most(Verb::Semaphore));
        assert!(ours <= theirs, "{verb:?} {size}: {ours} and {theirs}");
    });
}

#[test]
fn a_task_that_a_timer_or_a_socket_wakes_waits_for_no_more_jobs_than_beside_a_semaphore() {
    on_one_thread(|runtime, verb, size| {
        let counts = |verb| beside(runtime, verb, size, Turn::OfTheRuntime, false);
        let (ours, theirs) = (counts(verb), counts(Verb::Semaphore));
        for n in [TURNS / 2, TURNS - 1] {
            // With one permit every other poll is that of the task that starts the others, which
            // is none of a pool's: a pool makes the runtime look, and does not count as exactly.
            let (ours, theirs) = (ours[n], theirs[n] * 3 / 2);
            assert!(ours <= theirs, "{verb:?} {size}: {ours} and {theirs}");
        }
    });
}

/// While a thread has lost its core, jobs run on the other: what is usual is counted, not the most.
#[test]
fn on_two_threads_too() {
    in_time("multi_thread", || {
        let runtime = multi_thread();
        for size in [10, 100, 1_000] {
            for (verb, turn) in VERBS
                .into_iter()
                .flat_map(|verb| [Turn::OfAll, Turn::OfTheRuntime].map(|turn| (verb, turn)))
            {
                let usual = beside(&runtime, verb, size, turn, false)[TURNS / 2];
                assert!(
                    usual <= 2 * POLLS_OF_A_ROUND,
                    "{verb:?} {turn:?} {size}: {usual}"
                );
            }
        }
    });
}

#[test]
fn jobs_that_suspend_once_run_once_in_a_slot_between_two_turns() {
    on_one_thread(|runtime, verb, size| {
        // The queue of a thread of many has 256 places. What is woken when they are taken, jobs of
        // pools as tasks, goes to a queue for all threads, of which few are polled now and then.
        if size <= 100 {
            let most = beside(runtime, verb, size, Turn::OfAll, true)[TURNS - 1];
            assert!(most <= size, "{verb:?} {size}: {most}");
        }
    });
}

#[test]
fn with_a_hundred_thousand_slots_or_waiting_jobs_others_wait_no_longer() {
    in_time("current_thread", || {
        let runtime = current_thread();
        for size in [1, 10, MANY] {
            for turn in [Turn::OfAll, Turn::OfTheRuntime] {
                let load = Load::new(false);
                let waiting = load.clone();
                let counts = runtime.block_on(jobs_between_turns(turn, &load, async move {
                    let pool = Pool::new(size);
                    drop(pool.map_n(0..MANY, |_| waiting.job()));
                    pool.join().await;
                }));
                let most = counts[TURNS - 1];
                assert!(most <= 2 * POLLS_OF_A_ROUND, "{size}: {most}");
            }
        }
    });
}

#[test]
fn workers_that_are_left_from_jobs_that_suspended_do_not_run_short_ones_all_at_once() {
    in_time("current_thread", || {
        current_thread().block_on(async {
            let (pool, load, size) = (Pool::new(1_000), Load::new(false), 1_000);
            let barrier = Arc::new(Barrier::new(size));
            // All of them are suspended, and end in one round.
            let suspended = pool.map_n(0..size, |_| {
                let (barrier, chain) = (barrier.clone(), load.chain(&pool));
                async move {
                    barrier.wait().await;
                    chain.await;
                }
            });
            let counts = jobs_between_turns(Turn::OfAll, &load, async move {
                for handle in suspended {
                    handle.await.unwrap();
                }
                pool.join().await;
            });
            let counts = counts.await;
            // But for the round in which they end, and that in which they see that they are too many.
            assert!(counts[TURNS - 3] <= 2 * POLLS_OF_A_ROUND, "{counts:?}");
        });
    });
}

#[test]
fn as_many_jobs_as_there_are_slots_may_keep_their_threads() {
    in_time("multi_thread", || {
        let size = 200;
        multi_thread().block_on(async move {
            let (pool, barrier) = (Pool::new(size), Arc::new(std::sync::Barrier::new(size)));
            // Each waits for all of the others before it suspends for the first time.
            let handles = pool.map_n(0..size, |_| {
                let barrier = barrier.clone();
                async move {
                    block_in_place(|| barrier.wait());
                }
            });
            for handle in handles {
                handle.await.unwrap();
            }
        });
    });
}

#[test]
fn jobs_with_callbacks_give_turns() {
    give_turns(|load| load.job().with_callback(|_| async {}));
}

#[test]
fn a_function_that_panics_gives_turns() {
    give_turns(|load| {
        load.ran.add();
        if true {
            raise("the function");
        }
        async {}
    });
}

#[test]
fn jobs_that_use_up_the_budget_of_their_worker_give_turns() {
    give_turns(|load| {
        let job = load.job();
        async move {
            // What is ready takes one from the budget, as a socket or a channel would.
            consume_budget().await;
            job.await;
        }
    });
}

fn give_turns<J: Job>(job: impl Fn(&Load) -> J + Send + 'static) {
    in_time("current_thread", move || {
        let (size, load) = (3, Load::new(false));
        let jobs = load.clone();
        let running = async move {
            let map = Pool::new(size).map(jobs.jobs(), move |()| job(&jobs));
            drop(map.await);
        };
        let counts = jobs_between_turns(Turn::OfAll, &load, running);
        let most = current_thread().block_on(counts)[TURNS - 1];
        assert!(most <= size, "{most}");
    });
}

type BoxedJob = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

const VERBS: [Verb; 7] = [
    Verb::Spawn,
    Verb::SpawnN,
    Verb::Exec,
    Verb::Map,
    Verb::MapN,
    Verb::Itermap,
    Verb::ItermapOrdered,
];
const MANY: usize = 100_000;
const TURNS: usize = 100;
/// After so many polls Tokio looks at timers and sockets, and on many threads at tasks from outside.
const POLLS_OF_A_ROUND: usize = 61;
