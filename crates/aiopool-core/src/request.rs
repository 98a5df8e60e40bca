//! What a waiter asks for.

use core::num::NonZeroU32;

/// What the core asks a waiter.
pub trait Waiter {
    /// How many slots it takes. More than there are count as all of them. It must not change while
    /// the waiter is in the queue.
    #[inline]
    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    /// Whether it is a job that has begun and [comes back](crate::Admission::come_back) from outside. It
    /// must not change while the waiter is in the queue.
    #[inline]
    fn has_begun(&self) -> bool {
        false
    }

    /// Whether its start counts: for the rates, which it waits for, and for the turns of the levels.
    /// That of a job that comes back from a wait for its own pool does not, nor that of a `map`, whose
    /// items [pay](crate::Admission::pay). It must not change while the waiter is in the queue.
    #[inline]
    fn pays(&self) -> bool {
        true
    }
}

/// Where a waiter stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// Higher levels go first.
    pub level: Level,
    /// What its jobs share a limit by. It has to be [open](crate::Admission::open_key).
    pub key: Option<KeyId>,
    /// Whether it stands before all others of its level, instead of behind those of its level and
    /// key: as what a job of the pool waits for does.
    pub front: bool,
}

/// Names a key while it is open: see [`Admission::open_key`](crate::Admission::open_key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId {
    pub(crate) index: u32,
    /// An index is used again, and then by another generation.
    pub(crate) generation: u32,
}

impl KeyId {
    /// A small number, for a table beside the core. When the key has gone, another has it.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A priority, from -100 to 100. The default is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(i8);

impl Level {
    /// The lowest.
    pub const MIN: Self = Self(-100);
    /// The highest.
    pub const MAX: Self = Self(100);
    pub(crate) const COUNT: usize = 201;

    /// `None` if `level` is below -100 or above 100.
    #[must_use]
    pub const fn new(level: i8) -> Option<Self> {
        if level < Self::MIN.0 || level > Self::MAX.0 {
            return None;
        }
        Some(Self(level))
    }

    /// The number that it was made of.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }

    /// Its place among all levels, the lowest first.
    pub(crate) const fn index(self) -> usize {
        self.0.abs_diff(Self::MIN.0) as usize
    }
}
