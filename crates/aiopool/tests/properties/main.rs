//! A real pool on a real runtime against a naive model, over random programs of everything that
//! can be done with one.
//!
//! A program runs on one thread. Jobs wait at gates that the program opens, and whatever would
//! wait in a task is polled by the program itself, when it has been woken: so each step has one
//! outcome, and a wakeup that is lost is seen. Steps may follow each other before the runtime has
//! had its turn, and jobs and iterators do some of what the program does: the model is told what
//! the user's own code sees, in the order in which it sees it.
//!
//! `PROPTEST_CASES` tells how many programs are tried.

#![cfg(not(aiopool_models))]

mod acts;
mod callers;
mod compare;
mod endings;
mod gates;
mod handing_in;
mod holding;
mod limits;
mod model;
mod program;
mod sources;
mod strategies;
mod waiting;
mod work;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use tokio::runtime::Builder;

use crate::program::{Ending, Program, Then};
use crate::strategies::programs;
use crate::world::World;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_pool_does_what_a_naive_pool_does(program in programs()) {
        perform(&program);
    }
}

fn perform(program: &Program) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    let world = World::new(program.size);
    runtime.block_on(async {
        for step in &program.steps {
            world.lock().steps += 1;
            world.act(&step.act, None);
            match step.then {
                Then::Settle => world.settle().await,
                Then::Yield => {
                    tokio::task::yield_now().await;
                    world.poll_woken();
                }
                Then::Hurry => {}
            }
            world.verify();
        }
        match program.ending {
            Ending::Drained => {
                world.drain().await;
                world.fill().await;
            }
            Ending::Abandoned => {
                world.abandon();
                world.drain().await;
                world.fill().await;
            }
            Ending::ShutDown => {}
        }
    });
    if let Ending::ShutDown = program.ending {
        world.lock().model.is_shut_down = true;
        drop(runtime);
        world.compare_after_shut_down();
    }
    world.clear();
}

/// As the environment wants it; by default as many programs as take a few seconds.
fn config() -> Config {
    let default = Config::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => CASES,
    };
    let seeds = FileFailurePersistence::WithSource("proptest-regressions");
    Config {
        cases,
        failure_persistence: Some(Box::new(seeds)),
        ..default
    }
}

const CASES: u32 = 1000;
