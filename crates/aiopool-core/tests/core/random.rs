//! Random sequences of everything that can be told to the core.

use aiopool_core::Phase;
use proptest::option;
use proptest::prelude::*;

use crate::model::Place;
use crate::settings::Settings;
use crate::world::{Step, World};

fn place() -> impl Strategy<Value = Place> {
    let level = prop_oneof![4 => Just(0), 1 => -1..=2_i8, 1 => prop_oneof![Just(-100), Just(100)]];
    (level, option::of(0..2_usize)).prop_map(|(level, key)| Place { level, key })
}

fn submit() -> impl Strategy<Value = Step> {
    let weight = prop_oneof![6 => Just(1), 1 => 2..4_u32, 1 => Just(u32::MAX)];
    (
        place(),
        weight,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(place, weight, front, pays)| Step::Submit(place, weight, front, pays))
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![4 => Just(Phase::Open), 1 => Just(Phase::Draining), 1 => Just(Phase::Closed)]
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    let nanos = || option::of(0..30_u64);
    prop_oneof![
        160 => submit(),
        100 => which().prop_map(Step::Finish),
        200 => Just(Step::Admit),
        10 => which().prop_map(Step::TakeBack),
        10 => which().prop_map(Step::Refund),
        20 => Just(Step::Pay),
        20 => which().prop_map(Step::GoOutside),
        20 => (which(), any::<bool>()).prop_map(|(which, front)| Step::ComeBack(which, front)),
        5 => which().prop_map(Step::Force),
        5 => which().prop_map(Step::EndOutside),
        3 => Just(Step::BeginLeaving),
        5 => Just(Step::EndLeaving),
        30 => which().prop_map(Step::Withdraw),
        5 => which().prop_map(Step::WithdrawStale),
        5 => Just(Step::BeginWalk),
        20 => Just(Step::WalkOn),
        6 => phase().prop_map(Step::Enter),
        5 => Just(Step::Join),
        5 => Just(Step::JoinActive),
        2 => which().prop_map(Step::Leave),
        2 => which().prop_map(Step::LeaveActive),
        5 => Just(Step::TellIdle),
        3 => Just(Step::TellAllIdle),
        3 => Just(Step::TellDrained),
        60 => (0..12_u64).prop_map(Step::Wait),
        8 => (1..5_usize).prop_map(Step::Resize),
        6 => which().prop_map(Step::SetRates),
        4 => nanos().prop_map(Step::Pause),
        8 => Just(Step::Resume),
        6 => (which(), nanos()).prop_map(|(key, nanos)| Step::PauseKey(key, nanos)),
        8 => which().prop_map(Step::ResumeKey),
    ]
}

/// What is told to a pool without limits.
fn plain_step() -> impl Strategy<Value = Step> {
    let place = Place {
        level: 0,
        key: None,
    };
    prop_oneof![
        8 => Just(Step::Submit(place, 1, false, true)),
        6 => any::<usize>().prop_map(Step::Finish),
        8 => Just(Step::Admit),
        4 => any::<usize>().prop_map(Step::Withdraw),
        1 => any::<usize>().prop_map(Step::WithdrawStale),
        1 => Just(Step::BeginWalk),
        3 => Just(Step::WalkOn),
        2 => phase().prop_map(Step::Enter),
        2 => Just(Step::Join),
        2 => Just(Step::TellIdle),
        1 => Just(Step::TellAllIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_naive_model_does(
        settings in any::<usize>().prop_map(Settings::of),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(settings);
        for step in steps {
            world.take(step);
        }
        world.end();
    }

    #[test]
    fn a_pool_without_limits_does_what_the_naive_model_does(
        size in 1..4_usize,
        steps in prop::collection::vec(plain_step(), 0..300),
    ) {
        let mut world = World::new(Settings::plain(size));
        for step in steps {
            world.take(step);
        }
        world.end();
    }

    /// What is promised once the face has done all that the core asked for.
    #[test]
    fn a_face_that_polls_after_each_step_keeps_every_slot_busy(
        size in 1..4_usize,
        steps in prop::collection::vec(plain_step(), 0..200),
    ) {
        let mut world = World::new(Settings::plain(size));
        for step in steps {
            world.take(step);
            for _ in 0..size {
                world.take(Step::Admit);
            }
            prop_assert!(world.core.waiting() == 0 || world.core.active() == size);
        }
    }
}
