//! The workers of one runtime.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::state::signal::Tether;
use crate::sys::runtime::Handle;

/// The workers on one runtime. It is there while somebody waits for them or they are: a waiter need
/// only know its key.
pub(crate) struct Crew {
    pub(crate) home: Handle,
    /// How many of those who stand in the line are to run here.
    pub(crate) waiting: usize,
    pub(crate) workers: usize,
    /// How many of the workers are about to look for an open post. There are never fewer of them
    /// than open posts, so each post is taken up.
    pub(crate) looking: usize,
    /// The keys of the open posts, in the order in which they are to be taken up.
    pub(crate) open: VecDeque<usize>,
    /// How many sources are asked here, or will be when their readers have caught up.
    pub(crate) sources: usize,
    /// The keys of the tethers of those who sleep until a post is opened: while there are sources,
    /// nobody leaves. Who has been dropped meanwhile, or woken, may still be named.
    pub(crate) sleeping: Vec<usize>,
}

/// Somebody to look for an open post, to be called under no lock.
#[must_use = "its crew counts on it"]
pub(crate) enum Summons {
    Sleeper(Arc<Tether>),
    /// A worker that is to be started on this runtime, for the crew at this key.
    Recruit {
        crew: usize,
        home: Handle,
    },
}

/// What a worker does that finds no open post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Respite {
    /// It looks once more when other tasks have had their turn.
    Linger,
    Sleep,
}

impl Crew {
    pub(crate) fn is_idle(&self) -> bool {
        self.workers == 0 && self.waiting == 0 && self.sources == 0
    }
}
