//! The explorers of the models. Loom runs all orders in which threads can take turns, up to a
//! number of interruptions. Shuttle runs random orders, with any number of interruptions.

#[cfg(not(aiopool_shuttle))]
pub(crate) use loom::{future, sync, thread, thread_local};
#[cfg(aiopool_shuttle)]
pub(crate) use shuttle::{future, sync, thread, thread_local};

/// Whether the explorer finds all outcomes of a model.
#[cfg(test)]
pub(crate) const IS_COMPLETE: bool = cfg!(not(aiopool_shuttle));

/// Runs `model` in all orders in which its threads are interrupted at most so many times.
#[cfg(all(test, not(aiopool_shuttle)))]
pub(crate) fn check(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    // LOOM_MAX_PREEMPTIONS takes precedence.
    loom.preemption_bound.get_or_insert(interruptions);
    loom.max_branches = STEPS;
    loom.check(model);
}

/// Runs `model` in many orders: half of them random, and half with few changes of turn at random
/// places.
#[cfg(all(test, aiopool_shuttle))]
pub(crate) fn check(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, MaxSteps, Runner};

    let runs = std::env::var("SHUTTLE_RUNS").map_or(RUNS, |runs| {
        runs.parse().expect("SHUTTLE_RUNS is a number of runs")
    });
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS);
    let model = std::sync::Arc::new(model);
    let again = model.clone();
    Runner::new(RandomScheduler::new(runs / 2), config.clone()).run(move || again());
    Runner::new(PctScheduler::new(interruptions + 1, runs / 2), config).run(move || model());
}

/// A run of a model that takes more steps than this never ends.
#[cfg(test)]
const STEPS: usize = 5_000;
#[cfg(all(test, aiopool_shuttle))]
const RUNS: usize = 20_000;
