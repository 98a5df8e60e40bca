//! The end of a source: its iterator and its function are dropped, its reader hears of it.

use std::task::Waker;

use crate::source::{End, Source};
use crate::state::Shared;
use crate::state::signal::pull;
use crate::sys::unwind::discard;

impl Shared {
    /// Drops the iterator and the function of a source whose results nobody reads any more.
    pub(crate) fn discard(&self, source: Source) {
        // Nobody waits for them.
        let _reader = self.retire(source, End::CutShort);
    }

    /// Drops the iterator and the function of a source, then lets its reader know that there are no
    /// more items. The waker it gives is to be woken last.
    pub(crate) fn retire(&self, source: Source, end: End) -> Option<Waker> {
        let Source {
            id,
            crew,
            items,
            reserved,
            is_asked,
        } = source;
        items.discard();
        let mut state = self.lock();
        state.asked -= usize::from(is_asked);
        let end = match state.results(id) {
            Some(results) => {
                if reserved.is_some() {
                    results.unreserve();
                }
                Ok(results.end(end))
            }
            None => Err(end),
        };
        let (woken, gone) = state.source_ends(crew);
        drop(state);
        drop(gone);
        pull(woken);
        end.unwrap_or_else(|end| {
            discard(end);
            None
        })
    }
}
