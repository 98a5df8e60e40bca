//! How many instructions a job takes, in the core alone and on its whole way through a pool.
//!
//! Counts are the same on a busy machine, which times are not, so a small change in cost shows.
//! Each function here runs [`JOBS`] jobs, and `make bench-instructions` divides by their number.

#![expect(missing_docs, reason = "what the macros make has none")]

use std::num::NonZeroUsize;

use aiopool::Pool;
use aiopool_bench::workloads::{Ready, Work, YieldOnce};
use aiopool_core::{Admission, Request, Ticket, Time, Waiter};
use futures_util::StreamExt;
use gungraun::Callgrind;
use gungraun::prelude::*;
use tokio::runtime::{Builder, Runtime};

main!(
    // The caches that it would simulate are of no machine.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [core, pool]
);

library_benchmark_group!(
    name = core,
    benchmarks = [core_submit, core_turn, core_withdraw]
);

library_benchmark_group!(
    name = pool,
    benchmarks = [
        spawn_n_ready,
        spawn_n_yield_once,
        map_n_yield_once,
        map_yield_once,
        itermap_yield_once
    ]
);

// A queue that grows.
#[library_benchmark]
#[bench::jobs(empty_core())]
fn core_submit(mut core: Core) -> Core {
    for n in 0..JOBS {
        let _ = core.submit(Number(n), Request::default());
    }
    core
}

// One ends, the next is admitted, and another takes the last place in the queue.
#[library_benchmark]
#[bench::jobs(full_core().0)]
fn core_turn(mut core: Core) -> Core {
    for n in 0..JOBS {
        if let Some(admitted) = core.poll_admit(Time::ZERO) {
            core.finish(admitted.slot);
        }
        let _ = core.submit(Number(n), Request::default());
    }
    core
}

#[library_benchmark]
#[bench::jobs(full_core())]
fn core_withdraw((mut core, tickets): (Core, Vec<Ticket>)) -> Core {
    for ticket in tickets {
        core.withdraw(ticket);
    }
    core
}

#[library_benchmark]
#[bench::jobs(used_pool())]
fn spawn_n_ready(used: (Runtime, Pool)) -> (Runtime, Pool) {
    spawn_n(used, &Ready)
}

#[library_benchmark]
#[bench::jobs(used_pool())]
fn spawn_n_yield_once(used: (Runtime, Pool)) -> (Runtime, Pool) {
    spawn_n(used, &YieldOnce)
}

// No more than a loop of `spawn_n`.
#[library_benchmark]
#[bench::jobs(used_pool())]
fn map_n_yield_once(used: (Runtime, Pool)) -> (Runtime, Pool) {
    map_n(used, &YieldOnce)
}

#[library_benchmark]
#[bench::jobs(used_pool())]
fn map_yield_once((runtime, pool): (Runtime, Pool)) -> (Runtime, Pool) {
    runtime.block_on(pool.map(0..JOBS, |n| YieldOnce.job(n)));
    (runtime, pool)
}

#[library_benchmark]
#[bench::jobs(used_pool())]
fn itermap_yield_once((runtime, pool): (Runtime, Pool)) -> (Runtime, Pool) {
    let results = pool.itermap(0..JOBS, |n| YieldOnce.job(n));
    assert_eq!(runtime.block_on(results.count()), JOBS);
    (runtime, pool)
}

fn spawn_n((runtime, pool): (Runtime, Pool), work: &impl Work) -> (Runtime, Pool) {
    runtime.block_on(async {
        for n in 0..JOBS {
            pool.spawn_n(work.job(n));
        }
        pool.join().await;
    });
    (runtime, pool)
}

// Apart from its benchmark, as the closures of that are not counted.
fn map_n((runtime, pool): (Runtime, Pool), work: &impl Work) -> (Runtime, Pool) {
    runtime.block_on(async {
        pool.map_n(0..JOBS, |n| work.job(n));
        pool.join().await;
    });
    (runtime, pool)
}

fn empty_core() -> Core {
    Core::new(NonZeroUsize::MIN)
}

fn full_core() -> (Core, Vec<Ticket>) {
    let mut core = empty_core();
    let submit = |n| core.submit(Number(n), Request::default()).ok();
    let tickets = (0..JOBS).filter_map(submit).collect();
    (core, tickets)
}

/// What is set up once, for the first jobs, is not counted.
fn used_pool() -> (Runtime, Pool) {
    let runtime = Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers needs nothing");
    spawn_n((runtime, Pool::new(SLOTS)), &YieldOnce)
}

type Core = Admission<Number, ()>;

struct Number(#[expect(dead_code, reason = "a waiter has a size")] usize);

impl Waiter for Number {}

const JOBS: usize = 1_000;
const SLOTS: usize = 10;
