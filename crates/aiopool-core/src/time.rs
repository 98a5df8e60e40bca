//! Time, which the face reads off its clock.

/// A moment, in nanoseconds since a moment that the face has chosen. The core only compares moments,
/// and adds durations to them: it never takes a difference, and so rounds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The moment that the face has chosen. A pool that is not [timed](crate::Admission::is_timed)
    /// can be given this one instead of the time.
    pub const ZERO: Self = Self(0);
    /// Later than any moment that comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment so many nanoseconds after [`ZERO`](Self::ZERO).
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How many nanoseconds after [`ZERO`](Self::ZERO) it is.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment so many nanoseconds later, at most [`NEVER`](Self::NEVER).
    #[must_use]
    pub const fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}
