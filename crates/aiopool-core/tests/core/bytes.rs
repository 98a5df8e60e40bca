//! Steps as bytes: what a fuzzer makes up, and what is kept of that.

use aiopool_core::Phase;

use crate::model::Place;
use crate::settings::Settings;
use crate::world::{Step, World};

/// Takes the steps that these bytes say: the first two bytes choose the world, and each step is a
/// byte for its kind and one for whom it concerns.
pub(crate) fn take(bytes: &[u8]) {
    let Some((settings, steps)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let mut world = World::new(Settings::of(usize::from(u16::from_le_bytes(*settings))));
    for step in steps.chunks_exact(2) {
        world.take(step_of(step[0], usize::from(step[1])));
    }
    world.end();
}

fn step_of(kind: u8, which: usize) -> Step {
    let nanos = (which % 8 > 0).then_some(which as u64 % 32);
    match kind % 32 {
        0..4 => {
            let level = [0, 0, 1, -100][which % 4];
            let key = [None, Some(0), Some(1)][which / 4 % 3];
            let weight = [1, 1, 2, u32::MAX][which / 12 % 4];
            Step::Submit(
                Place { level, key },
                weight,
                which / 48 % 4 == 3,
                which < 192,
            )
        }
        4 => Step::Finish(which),
        5 | 6 => Step::Admit,
        7 if which % 4 == 0 => Step::TakeBack(which / 4),
        7 if which % 4 == 2 => Step::Refund(which / 4),
        7 => Step::Pay,
        8 => Step::GoOutside(which),
        9 => Step::ComeBack(which / 2, which % 2 == 0),
        10 => Step::Force(which),
        11 => Step::EndOutside(which),
        12 => Step::BeginLeaving,
        13 => Step::EndLeaving,
        14 => Step::Withdraw(which),
        15 => Step::WithdrawStale(which),
        16 => Step::BeginWalk,
        17 => Step::WalkOn,
        18 => Step::Enter([Phase::Open, Phase::Draining, Phase::Closed][which % 3]),
        19 => Step::Join,
        20 => Step::JoinActive,
        21 => Step::Leave(which),
        22 => Step::LeaveActive(which),
        23 => Step::TellIdle,
        24 => Step::TellAllIdle,
        25 => Step::TellDrained,
        26 => Step::Wait(which as u64 % 16),
        27 => Step::Resize(which % 4 + 1),
        28 => Step::SetRates(which),
        29 if which % 2 == 0 => Step::Pause(nanos),
        29 => Step::PauseKey(which, nanos),
        30 => Step::Resume,
        _ => Step::ResumeKey(which),
    }
}
