//! Keys: what jobs share a limit by.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use slab::Slab;

use crate::queue::ListId;
use crate::rate::{Rate, Rates};
use crate::request::KeyId;
use crate::time::Time;

/// What holds the jobs of one key together.
#[derive(Debug)]
pub(crate) struct Key {
    generation: u32,
    /// How many may be active at once.
    limit: Option<NonZeroU32>,
    active: u32,
    /// How many of its jobs are outside.
    outside: u32,
    rates: Rates,
    /// Until when nothing of it starts.
    paused: Time,
    /// The first of its lanes; each names the next.
    pub(crate) lanes: Option<ListId>,
}

#[derive(Debug, Default)]
pub(crate) struct Keys {
    open: Slab<Key>,
    generation: u32,
    /// Those that have gone, until the face has been told.
    gone: Vec<KeyId>,
}

impl Keys {
    pub(crate) fn open(&mut self, limit: Option<NonZeroU32>, rates: &[Rate]) -> KeyId {
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        let index = self.open.insert(Key {
            generation,
            limit,
            active: 0,
            outside: 0,
            rates: Rates::new(rates),
            paused: Time::ZERO,
            lanes: None,
        });
        KeyId {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            generation,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&Key> {
        let key = self.open.get(id.index as usize)?;
        (key.generation == id.generation).then_some(key)
    }

    pub(crate) fn at(&self, index: u32) -> Option<&Key> {
        self.open.get(index as usize)
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut Key> {
        self.open.get_mut(index as usize)
    }

    pub(crate) fn forget(&mut self, index: u32) {
        if let Some(key) = self.open.try_remove(index as usize) {
            self.gone.push(KeyId {
                index,
                generation: key.generation,
            });
        }
        if self.open.is_empty() {
            // As long as there were many at once.
            self.open = Slab::new();
        }
    }

    pub(crate) fn next_gone(&mut self) -> Option<KeyId> {
        self.gone.pop()
    }
}

impl Key {
    /// `None` if a job of the key may start now. Otherwise when to look again: `NEVER` if that is
    /// when one of its jobs ends, or when it is resumed.
    pub(crate) fn blocked_until(&self, now: Time, pays: bool) -> Option<Time> {
        if self.paused > now {
            return Some(self.paused);
        }
        if self.limit.is_some_and(|limit| self.active >= limit.get()) {
            return Some(Time::NEVER);
        }
        let ready_at = self.rates.ready_at();
        (pays && ready_at > now).then_some(ready_at)
    }

    pub(crate) fn start(&mut self, now: Time, pays: bool) {
        self.active += 1;
        if pays {
            self.pay(now);
        }
    }

    /// Whether a pause or the rates hold back a job that is active already.
    pub(crate) fn is_paused(&self, now: Time) -> bool {
        self.paused > now
    }

    pub(crate) fn is_held(&self, now: Time) -> bool {
        self.paused > now || self.rates.ready_at() > now
    }

    pub(crate) fn pay(&mut self, now: Time) {
        self.rates.count(now);
    }

    pub(crate) fn finish(&mut self) {
        self.active -= 1;
    }

    pub(crate) fn go_outside(&mut self) {
        self.outside += 1;
    }

    pub(crate) fn end_outside(&mut self) {
        self.outside -= 1;
    }

    pub(crate) fn take_back(&mut self, at: Time) {
        self.rates.take_back(at);
    }

    pub(crate) fn pause(&mut self, until: Time) {
        self.paused = self.paused.max(until);
    }

    /// Tells whether it was paused.
    pub(crate) fn resume(&mut self, now: Time) -> bool {
        let was_paused = self.paused > now;
        self.paused = Time::ZERO;
        was_paused
    }

    /// When the key may be forgotten, if it has no jobs.
    pub(crate) fn idle_at(&self) -> Option<Time> {
        let has_jobs = self.active > 0 || self.outside > 0 || self.lanes.is_some();
        (!has_jobs).then(|| self.paused.max(self.rates.idle_at()))
    }
}
