//! Levels: whose turn it is among those who may go on.

use crate::queue::ListId;
use crate::request::Level;
use crate::steps::step;

/// The levels, each with a ring of lanes that take turns.
#[derive(Debug)]
pub(crate) struct Levels {
    /// A bit for each level in whose ring a lane stands.
    filled: [u64; LEVEL_WORDS],
    rings: [Ring; Level::COUNT],
    /// How many starts in a row the highest level has had while lower ones waited.
    in_a_row: u32,
    starts: u64,
}

/// The lanes of a level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    /// The lane whose turn it is.
    pub(crate) first: Option<ListId>,
    /// The lane of those without a key.
    pub(crate) plain: Option<ListId>,
    /// When a job of this level was last started, in starts.
    last: u64,
}

impl Levels {
    pub(crate) fn new() -> Self {
        Self {
            filled: [0; LEVEL_WORDS],
            rings: [Ring {
                first: None,
                plain: None,
                last: 0,
            }; Level::COUNT],
            in_a_row: 0,
            starts: 0,
        }
    }

    pub(crate) fn ring(&self, level: Level) -> &Ring {
        &self.rings[level.index()]
    }

    pub(crate) fn ring_mut(&mut self, level: Level) -> &mut Ring {
        &mut self.rings[level.index()]
    }

    pub(crate) fn fill(&mut self, level: Level) {
        self.filled[level.index() / WORD] |= 1 << (level.index() % WORD);
    }

    pub(crate) fn empty(&mut self, level: Level) {
        self.filled[level.index() / WORD] &= !(1 << (level.index() % WORD));
    }

    /// The index of the highest level in which somebody may go on.
    fn highest(&self) -> Option<usize> {
        let words = self.filled.iter().enumerate().rev();
        let mut highest = words.filter(|(_, word)| **word != 0);
        highest
            .next()
            .map(|(index, word)| index * WORD + word.ilog2() as usize)
    }

    /// The indices of the levels below this one in which somebody may go on.
    fn below(&self, level: usize) -> impl Iterator<Item = usize> + use<'_> {
        (0..=level / WORD).flat_map(move |index| {
            let mut word = self.filled[index];
            if index == level / WORD {
                word &= (1 << (level % WORD)) - 1;
            }
            core::iter::from_fn(move || {
                step();
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(index * WORD + bit as usize)
            })
        })
    }

    /// The lane whose turn it is: of the highest level, or, after [`SHARE`] starts in a row that were
    /// of the highest, of the lower one that has been passed longest.
    pub(crate) fn candidate(&self) -> Option<ListId> {
        let highest = self.highest()?;
        let passed = if self.in_a_row >= SHARE {
            self.below(highest)
                .min_by_key(|level| self.rings[*level].last)
        } else {
            None
        };
        self.rings[passed.unwrap_or(highest)].first
    }

    /// Somebody of this level has been started.
    pub(crate) fn started(&mut self, level: Level) {
        self.starts += 1;
        self.rings[level.index()].last = self.starts;
        let is_highest = self
            .highest()
            .is_none_or(|highest| highest <= level.index());
        let passes = self.below(level.index()).next().is_some();
        self.in_a_row = if is_highest && passes {
            self.in_a_row + 1
        } else {
            0
        };
    }
}

/// After so many starts in a row of the highest level, a lower one has its turn.
const SHARE: u32 = 16;
const WORD: usize = u64::BITS as usize;
const LEVEL_WORDS: usize = Level::COUNT.div_ceil(WORD);
