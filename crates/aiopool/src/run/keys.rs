//! Looking a key up: comparing it with those that the pool knows, and finding its limits. All of that
//! is foreign code, and runs under no lock.

use std::mem;

use aiopool_core::KeyId;

use crate::key::Key;
use crate::rate::Rate;
use crate::state::{Shared, State, Timers};
use crate::sys::sync::MutexGuard;
use crate::sys::unwind::{Payload, discard, guarded};

impl Shared {
    /// The lock, with the timers that are needed and the id of a key, which is opened if it is not
    /// there. The key becomes a clone of the one that the pool has. What is foreign may panic: nothing
    /// has changed then.
    #[track_caller]
    pub(crate) fn lock_with_key<'a>(
        &'a self,
        key: &mut Key,
        timers: Timers<'_>,
    ) -> Result<(MutexGuard<'a, State>, KeyId), Payload> {
        loop {
            let mut state = self.lock_with(timers);
            if let Some(id) = state.keys().get(key) {
                return Ok((state, id));
            }
            let newest = state.keys().newest(key.hash());
            drop(state);
            if let Some(id) = self.become_known(key)? {
                state = self.lock_with(timers);
                if state.keys().has(id) {
                    return Ok((state, id));
                }
                // It has gone meanwhile.
                continue;
            }
            let found = guarded(|| self.key_limits.of(key));
            let (limit, rates) = found.inspect_err(|_| give_up(key))?;
            let rates: Vec<_> = rates.into_iter().map(Rate::in_core).collect();
            state = self.lock_with(timers);
            // Another caller may have opened it meanwhile. Keys of other hashes may come and go: they
            // hold nobody up.
            if let Some(id) = state.keys().get(key) {
                return Ok((state, id));
            }
            if state.keys().newest(key.hash()) == newest {
                let id = state.open_key(key.clone(), limit, &rates);
                return Ok((state, id));
            }
        }
    }

    /// The lock with the id of a key, if the pool knows it.
    pub(crate) fn lock_with_known_key(
        &self,
        key: &mut Key,
    ) -> Result<Option<(MutexGuard<'_, State>, KeyId)>, Payload> {
        loop {
            let state = self.lock();
            if let Some(id) = state.keys().get(key) {
                return Ok(Some((state, id)));
            }
            let newest = state.keys().newest(key.hash());
            drop(state);
            let known = self.become_known(key)?;
            let state = self.lock();
            match known {
                Some(id) if state.keys().has(id) => return Ok(Some((state, id))),
                None if state.keys().newest(key.hash()) == newest => return Ok(None),
                // It has gone or come meanwhile: once more.
                Some(_) | None => {}
            }
        }
    }

    /// Makes a key a clone of the one that the pool has, if it has one. Gives the id of that.
    fn become_known(&self, key: &mut Key) -> Result<Option<KeyId>, Payload> {
        if key.is_plain() {
            // It has been looked for under the lock.
            return Ok(None);
        }
        let mut after = None;
        loop {
            // The lock is given back before the comparison.
            let next = self.lock().keys().next(key.hash(), after);
            let Some((other, id)) = next else {
                return Ok(None);
            };
            match guarded(|| other == *key) {
                Ok(true) => {
                    discard(mem::replace(key, other));
                    return Ok(Some(id));
                }
                Ok(false) => discard(other),
                Err(payload) => {
                    discard(other);
                    give_up(key);
                    return Err(payload);
                }
            }
            after = Some(id);
        }
    }
}

/// A key that cannot be used goes here, where its panic harms nobody. Whoever has it drops another.
fn give_up(key: &mut Key) {
    discard(mem::replace(key, Key::from(0)));
}
