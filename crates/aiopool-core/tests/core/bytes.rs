//! Steps as bytes: what a fuzzer makes up, and what is kept of that.

use crate::world::{Step, World};

/// Takes the steps that these bytes say: the first byte is the number of slots, from 1 to 3, and each
/// step is a byte for its kind and one for whom it concerns.
pub(crate) fn take(bytes: &[u8]) {
    let Some((size, steps)) = bytes.split_first() else {
        return;
    };
    let mut world = World::new(usize::from(size % 3) + 1);
    for step in steps.chunks_exact(2) {
        world.take(step_of(step[0], usize::from(step[1])));
    }
}

fn step_of(kind: u8, which: usize) -> Step {
    match kind % 14 {
        0 => Step::Submit,
        1 => Step::Finish(which),
        2 => Step::Admit,
        3 => Step::Withdraw(which),
        4 => Step::WithdrawStale(which),
        5 => Step::WithdrawAll,
        6 => Step::Close,
        7 => Step::Reopen,
        8 => Step::Join,
        9 => Step::Leave(which),
        10 => Step::TellIdle,
        11 => Step::BeginWalk,
        12 => Step::WalkOn,
        _ => Step::TellAllIdle,
    }
}
