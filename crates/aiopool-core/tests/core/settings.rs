//! What a world can have: its limits, and the steps that are tried in it.

use std::num::NonZeroU32;

use aiopool_core::{Phase, Rate, Waiter};

use crate::model::Place;
use crate::world::Step;

/// What is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) weight: NonZeroU32,
    pub(crate) pays: bool,
    /// Whether it comes back from outside.
    pub(crate) begun: bool,
}

impl Waiter for Job {
    fn weight(&self) -> NonZeroU32 {
        self.weight
    }

    fn pays(&self) -> bool {
        self.pays
    }

    fn has_begun(&self) -> bool {
        self.begun
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) size: usize,
    pub(crate) rates: &'static [Rate],
    pub(crate) key_limit: Option<NonZeroU32>,
    pub(crate) key_rates: &'static [Rate],
    /// The rates that the pool may be given later.
    pub(crate) choices: &'static [&'static [Rate]],
    /// Whether jobs go outside.
    pub(crate) has_outside: bool,
    steps: &'static [Step],
}

impl Settings {
    /// A pool without any limit but its size, to which everything is told that can be told to one.
    pub(crate) fn plain(size: usize) -> Self {
        Self {
            size,
            rates: &[],
            key_limit: None,
            key_rates: &[],
            choices: &[&[]],
            has_outside: false,
            steps: const {
                &[
                    submit(0, None, 1),
                    Step::Admit,
                    Step::BeginWalk,
                    Step::WalkOn,
                    Step::Enter(Phase::Closed),
                    Step::Enter(Phase::Open),
                    Step::Join,
                    Step::TellIdle,
                    Step::TellAllIdle,
                ]
            },
        }
    }

    /// Two keys of one job each.
    pub(crate) fn keys(size: usize) -> Self {
        Self {
            key_limit: Some(NonZeroU32::MIN),
            steps: const {
                &[
                    submit(0, None, 1),
                    submit(0, Some(0), 1),
                    submit(1, Some(0), 1),
                    submit(0, Some(1), 1),
                    Step::Admit,
                    Step::PauseKey(0, None),
                    Step::ResumeKey(0),
                    Step::Wait(1),
                ]
            },
            ..Self::plain(size)
        }
    }

    /// Two levels, weights, the front and the size.
    pub(crate) fn levels(size: usize) -> Self {
        Self {
            has_outside: true,
            steps: const {
                &[
                    submit(0, None, 1),
                    submit(0, None, 2),
                    submit(1, None, 9),
                    Step::Submit(
                        Place {
                            level: 0,
                            key: None,
                        },
                        1,
                        true,
                        true,
                    ),
                    Step::Admit,
                    Step::Enter(Phase::Draining),
                    Step::Resize(1),
                    Step::Resize(3),
                    Step::JoinActive,
                    Step::TellDrained,
                ]
            },
            ..Self::plain(size)
        }
    }

    /// A strict rate, for the pool and for each key, and time that goes on.
    pub(crate) fn rates(size: usize) -> Self {
        Self {
            rates: &[STRICT],
            key_rates: &[STRICT_OF_KEY],
            choices: &[&[BUCKET], &[]],
            steps: const {
                &[
                    submit(0, None, 1),
                    submit(0, Some(0), 1),
                    // A map, whose items pay.
                    Step::Submit(
                        Place {
                            level: 0,
                            key: Some(0),
                        },
                        1,
                        false,
                        false,
                    ),
                    Step::Admit,
                    Step::Wait(2),
                    Step::SetRates(0),
                    Step::SetRates(1),
                    Step::Pause(Some(3)),
                    Step::Resume,
                ]
            },
            ..Self::plain(size)
        }
    }

    /// One of the worlds that random sequences are told to.
    pub(crate) fn of(number: usize) -> Self {
        let choose = |count: usize, power: u32| number / RADIX.pow(power) % count;
        Self {
            size: choose(4, 0) + 1,
            rates: RATES[choose(RATES.len(), 1)],
            key_limit: [None, NonZeroU32::new(1), NonZeroU32::new(2)][choose(3, 2)],
            key_rates: KEY_RATES[choose(KEY_RATES.len(), 3)],
            choices: RATES,
            ..Self::plain(1)
        }
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.to_vec()
    }
}

const fn submit(level: i8, key: Option<usize>, weight: u32) -> Step {
    Step::Submit(Place { level, key }, weight, false, true)
}

const fn rate(limit: u32, per: u64, burst: u32) -> Rate {
    let (Some(limit), Some(per)) = (NonZeroU32::new(limit), std::num::NonZeroU64::new(per)) else {
        panic!("a rate of nothing");
    };
    Rate {
        limit,
        per,
        burst: NonZeroU32::new(burst),
    }
}

const STRICT: Rate = rate(2, 3, 0);
const STRICT_OF_KEY: Rate = rate(1, 4, 0);
const BUCKET: Rate = rate(2, 7, 3);
const RATES: &[&[Rate]] = &[
    &[],
    &[STRICT],
    &[rate(3, 10, 0)],
    &[BUCKET],
    &[rate(2, 5, 0), rate(5, 40, 0)],
    &[rate(3, 10, 5), rate(4, 9, 0)],
    &[rate(1, 1, 1)],
];
const KEY_RATES: &[&[Rate]] = &[&[], &[STRICT_OF_KEY], &[rate(2, 20, 0)], &[rate(1, 6, 2)]];
/// The digits of the number of a world.
const RADIX: usize = 16;
