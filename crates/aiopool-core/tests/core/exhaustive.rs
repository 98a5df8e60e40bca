//! All sequences of what can be told to the core, up to a length.

use std::env;

use crate::settings::Settings;
use crate::world::{Step, World};

/// `CORE_DEPTH=6` goes deeper: with a release build that takes minutes.
#[test]
fn the_core_does_what_the_naive_model_does_in_every_sequence() {
    let depth = env::var("CORE_DEPTH").map_or(DEPTH, |depth| {
        depth.parse().expect("CORE_DEPTH is a number of steps")
    });
    let worlds = [
        ("plain", Settings::plain as fn(usize) -> Settings),
        ("keys", Settings::keys),
        ("levels and weights", Settings::levels),
        ("rates and time", Settings::rates),
    ];
    for (name, settings) in worlds {
        let sequences: u64 = (1..=3)
            .map(|size| follow(settings(size), &mut Vec::new(), depth))
            .sum();
        println!("{name}: {sequences} sequences of up to {depth} steps, for sizes 1 to 3");
    }
}

/// Takes all steps that can be taken after `steps`, and tells how many sequences that makes.
fn follow(settings: Settings, steps: &mut Vec<Step>, depth: usize) -> u64 {
    let before = replay(settings, steps);
    let mut sequences = 0;
    for step in before.steps() {
        steps.push(step);
        sequences += if depth > 1 {
            follow(settings, steps, depth - 1)
        } else {
            replay(settings, steps).end();
            1
        };
        steps.pop();
    }
    sequences
}

/// A slot cannot be copied, so a world cannot.
fn replay(settings: Settings, steps: &[Step]) -> World {
    let mut world = World::new(settings);
    for step in steps {
        world.take(*step);
    }
    world
}

/// As many steps as take no time that anybody notices.
const DEPTH: usize = 4;
