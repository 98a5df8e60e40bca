//! Levels: whose turn it is among those who may go on.

use core::cmp::Reverse;

use crate::queue::ListId;
use crate::request::Level;
use crate::steps::step;

/// The levels, each with a ring of lanes that take turns.
#[derive(Debug)]
pub(crate) struct Levels {
    /// A bit for each level in whose ring a lane stands.
    filled: [u64; LEVEL_WORDS],
    /// A bit for each level of which somebody waits, if only for a key.
    waiting: [u64; LEVEL_WORDS],
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
    /// How many of its lanes are not empty.
    lanes: u32,
    /// When a job of this level was last started, or the level began to wait, in starts.
    last: u64,
    /// When nobody of this level waited any more.
    emptied: u64,
}

impl Levels {
    pub(crate) fn new() -> Self {
        Self {
            filled: [0; LEVEL_WORDS],
            waiting: [0; LEVEL_WORDS],
            rings: [Ring {
                first: None,
                plain: None,
                lanes: 0,
                last: 0,
                emptied: u64::MAX,
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

    /// A lane of this level is not empty any more.
    pub(crate) fn begin_waiting(&mut self, level: Level) {
        let ring = &mut self.rings[level.index()];
        ring.lanes += 1;
        if ring.lanes == 1 {
            // Nobody has been started since it waited: it goes on to wait. A map has put its item in
            // its place.
            if ring.emptied != self.starts {
                ring.last = self.starts;
            }
            self.waiting[level.index() / WORD] |= 1 << (level.index() % WORD);
        }
    }

    /// A lane of this level has been emptied.
    pub(crate) fn end_waiting(&mut self, level: Level) {
        let ring = &mut self.rings[level.index()];
        ring.lanes -= 1;
        if ring.lanes == 0 {
            ring.emptied = self.starts;
            self.waiting[level.index() / WORD] &= !(1 << (level.index() % WORD));
        }
    }

    /// The index of the highest level in which somebody may go on.
    fn highest(&self) -> Option<usize> {
        let words = self.filled.iter().enumerate().rev();
        let mut highest = words.filter(|(_, word)| **word != 0);
        highest
            .next()
            .map(|(index, word)| index * WORD + word.ilog2() as usize)
    }

    /// The lane whose turn it is: of the highest level, or, after [`SHARE`] starts in a row that were
    /// of the highest, of the lower one that has been passed longest.
    pub(crate) fn candidate(&self) -> Option<ListId> {
        let highest = self.highest()?;
        let passed = if self.in_a_row >= SHARE {
            // Of two that have been passed as long the higher one.
            let lower = below(&self.filled, highest);
            lower.min_by_key(|level| (self.rings[*level].last, Reverse(*level)))
        } else {
            None
        };
        self.rings[passed.unwrap_or(highest)].first
    }

    /// Somebody of this level has been started.
    pub(crate) fn started(&mut self, level: Level) {
        self.starts += 1;
        self.rings[level.index()].last = self.starts;
        // Those who wait for a key count too: they have their turn as soon as it lets them go.
        let passes = is_any_below(&self.waiting, level.index());
        let is_highest = || {
            self.highest()
                .is_none_or(|highest| highest <= level.index())
        };
        self.in_a_row = if passes && is_highest() {
            self.in_a_row.saturating_add(1)
        } else {
            0
        };
    }
}

/// The levels below this one whose bits are set.
fn below(words: &[u64; LEVEL_WORDS], level: usize) -> impl Iterator<Item = usize> + use<'_> {
    (0..=level / WORD).flat_map(move |index| {
        let mut word = words[index];
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

/// Whether the bit of a level below this one is set.
fn is_any_below(words: &[u64; LEVEL_WORDS], level: usize) -> bool {
    let (word, lower) = (words[level / WORD], &words[..level / WORD]);
    word & ((1 << (level % WORD)) - 1) != 0 || lower.iter().any(|word| *word != 0)
}

/// After so many starts in a row of the highest level, a lower one has its turn.
const SHARE: u32 = 16;
const WORD: usize = u64::BITS as usize;
const LEVEL_WORDS: usize = Level::COUNT.div_ceil(WORD);
