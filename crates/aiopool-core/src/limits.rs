//! The limits of a pool beside its size.

use crate::deadlines::Deadlines;
use crate::keys::{Key, Keys};
use crate::rate::Rates;
use crate::stats::HeldBy;
use crate::time::Time;

/// What holds jobs back beside the slots.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rates: Rates,
    /// When they were changed, if there had been starts by then. What was started before is not
    /// taken back: another start of the same moment may be remembered in its place.
    pub(crate) changed_at: Option<Time>,
    /// Until when nothing starts.
    pub(crate) paused: Time,
    pub(crate) keys: Keys,
    /// When a key is to be looked at: jobs of it may start then, or it may be forgotten.
    pub(crate) deadlines: Deadlines,
    /// What held the next waiter back when it was last asked for.
    pub(crate) held_by: Option<HeldBy>,
}

impl Limits {
    /// A key is to be looked at, at the latest then.
    pub(crate) fn look_at_key(&mut self, index: u32, at: Time) {
        let is_sooner = self.deadlines.get(index).is_none_or(|set| at < set);
        if at < Time::NEVER && is_sooner {
            self.deadlines.set(index, at);
        }
    }

    /// A key without jobs is forgotten when nothing else is to be remembered of it.
    pub(crate) fn tidy_key(&mut self, index: u32) {
        let Some(idle_at) = self.keys.at(index).and_then(Key::idle_at) else {
            return;
        };
        if idle_at == Time::NEVER {
            self.deadlines.clear(index);
        } else {
            // Later, if it has no limit in time either: whoever has opened it is about to use it.
            self.deadlines.set(index, idle_at);
        }
    }

    pub(crate) fn forget_key(&mut self, index: u32, now: Time) {
        let Some(idle_at) = self.keys.at(index).and_then(Key::idle_at) else {
            return;
        };
        if idle_at <= now {
            self.keys.forget(index);
            if self.keys.len() == 0 {
                // As long as there were many keys at once.
                self.deadlines = Deadlines::default();
            }
        } else {
            self.look_at_key(index, idle_at);
        }
    }
}
