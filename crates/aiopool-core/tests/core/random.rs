//! Random sequences of everything that can be told to the core.

use proptest::prelude::*;

use crate::world::{Step, World};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Submit),
        6 => any::<usize>().prop_map(Step::Finish),
        8 => Just(Step::Admit),
        4 => any::<usize>().prop_map(Step::Withdraw),
        1 => any::<usize>().prop_map(Step::WithdrawStale),
        1 => Just(Step::WithdrawAll),
        1 => Just(Step::BeginWalk),
        3 => Just(Step::WalkOn),
        1 => Just(Step::Close),
        2 => Just(Step::Reopen),
        2 => Just(Step::Join),
        1 => any::<usize>().prop_map(Step::Leave),
        2 => Just(Step::TellIdle),
        1 => Just(Step::TellAllIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_naive_model_does(
        size in 1..4_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(size);
        for step in steps {
            world.take(step);
        }
    }

    /// What is promised once the face has done all that the core asked for.
    #[test]
    fn a_face_that_polls_after_each_step_keeps_every_slot_busy(
        size in 1..4_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(size);
        for step in steps {
            world.take(step);
            for _ in 0..size {
                world.take(Step::Admit);
            }
            prop_assert!(world.core.waiting() == 0 || world.core.active() == size);
        }
    }
}
