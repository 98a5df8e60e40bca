//! All sequences of what can be told to the core, up to a length.
//!
//! A step that changes nothing is taken and compared wherever it can be, and no sequence goes on from
//! it: what would follow is followed without it too.

use std::env;

use crate::world::{Step, World};

/// `CORE_DEPTH=10` goes deeper: 50 million sequences, half a minute of a release build.
#[test]
fn the_core_does_what_the_naive_model_does_in_every_sequence() {
    let depth = env::var("CORE_DEPTH").map_or(DEPTH, |depth| {
        depth.parse().expect("CORE_DEPTH is a number of steps")
    });
    let mut sequences = 0;
    for size in 1..=3 {
        sequences += follow(size, &mut Vec::new(), depth);
    }
    println!("{sequences} sequences of up to {depth} steps, for sizes 1 to 3");
}

/// Takes all steps that can be taken after `steps`, and tells how many sequences that makes.
fn follow(size: usize, steps: &mut Vec<Step>, depth: usize) -> u64 {
    let before = replay(size, steps);
    let mut sequences = 0;
    for step in before.steps() {
        steps.push(step);
        sequences += if depth > 1 && before.changes(step) {
            follow(size, steps, depth - 1)
        } else {
            replay(size, steps);
            1
        };
        steps.pop();
    }
    sequences
}

/// A slot cannot be copied, so a world cannot.
fn replay(size: usize, steps: &[Step]) -> World {
    let mut world = World::new(size);
    for step in steps {
        world.take(*step);
    }
    world
}

/// As many steps as take no time that anybody notices.
const DEPTH: usize = 6;
