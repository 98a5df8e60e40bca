//! The end of a source: its iterator and its function are dropped, and its reader hears of it.

use std::task::Waker;

use crate::source::{End, SourceBox};
use crate::state::Shared;
use crate::sys::unwind::discard;

impl Shared {
    /// Drops the iterator and the function of a source, then lets its reader know that there are no
    /// more items. The waker it gives is to be woken last.
    pub(crate) fn end_source(&self, source: SourceBox, end: End) -> Option<Waker> {
        // Before the reader hears of the end: what the iterator held has gone when `map` returns.
        let source = source.discard();
        let mut state = self.lock();
        // Under one lock with the end of the results: who reads it finds the source gone.
        let (reader, effects) = state.end_source(&source, end);
        drop(state);
        effects.carry_out();
        reader.unwrap_or_else(|end| {
            discard(end);
            None
        })
    }

    /// Drops the iterator and the function of a source whose results nobody reads any more.
    pub(crate) fn discard_source(&self, source: SourceBox) {
        // Nobody waits for them.
        let _reader = self.end_source(source, End::CutShort);
    }
}
