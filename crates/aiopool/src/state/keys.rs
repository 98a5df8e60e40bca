//! The keys that a pool knows. Keys of texts and numbers are compared under the lock; those of other
//! types where it is open, for to compare them is foreign code, and so is to drop the last clone of one.

use std::mem;
use std::ops::Range;

use aiopool_core::KeyId;

use crate::key::Key;

/// The keys that are open in the core, by their hashes. Each key that comes adds a chain, which takes
/// its part of one other chain: so no step moves all keys (linear hashing, W. Litwin, 1980).
#[derive(Default)]
pub(crate) struct KeyTable {
    /// The index of the first key of each chain.
    chains: Vec<u32>,
    /// The keys by the indices of their ids.
    keys: Vec<Option<Known>>,
    len: usize,
}

struct Known {
    key: Key,
    id: KeyId,
    /// The indices of its neighbours in its chain.
    before: u32,
    behind: u32,
}

impl KeyTable {
    /// The id of a key, if no foreign code is needed to see that it is known. The key becomes a clone
    /// of that of the pool.
    pub(crate) fn get(&self, key: &mut Key) -> Option<KeyId> {
        let known = self.with_hash(key.hash(), self.first(key.hash()));
        let mut known = known.take(LOOKED_AT);
        let known = known.find(|known| known.key.is_seen_to_be(key))?;
        if !known.key.is_clone_of(key) {
            // What is dropped here is a text or a number.
            *key = known.key.clone();
        }
        Some(known.id)
    }

    /// The key with this hash that has come last. While it is the same, no key that was not there is
    /// there.
    pub(crate) fn newest(&self, hash: u64) -> Option<KeyId> {
        let mut known = self.with_hash(hash, self.first(hash));
        known.next().map(|known| known.id)
    }

    /// The newest key with this hash, or the next one behind that with the id `after`.
    pub(crate) fn next(&self, hash: u64, after: Option<KeyId>) -> Option<(Key, KeyId)> {
        let after = after.and_then(|id| self.at(id));
        let first = after.map_or_else(|| self.first(hash), |known| known.behind);
        let known = self.with_hash(hash, first).next()?;
        Some((known.key.clone(), known.id))
    }

    /// The key whose id has this index.
    pub(crate) fn of_index(&self, index: u32) -> Option<Key> {
        Some(self.known(index)?.key.clone())
    }

    /// The ids of those at these indices.
    pub(crate) fn ids(&self, indices: Range<usize>) -> Vec<KeyId> {
        let known = self.keys.get(indices).into_iter().flatten().flatten();
        known.map(|known| known.id).collect()
    }

    /// The indices of all keys lie below this.
    pub(crate) fn end(&self) -> usize {
        self.keys.len()
    }

    /// Whether the key with this id is still there.
    pub(crate) fn has(&self, id: KeyId) -> bool {
        self.at(id).is_some()
    }

    pub(crate) fn insert(&mut self, key: Key, id: KeyId) {
        self.len += 1;
        if self.len > self.chains.len() {
            self.add_chain();
        }
        let chain = self.chain(key.hash());
        let index = id.index();
        if self.keys.len() <= index {
            self.keys.resize_with(index + 1, || None);
        }
        // The one that had the index before has left.
        self.keys[index] = Some(Known {
            key,
            id,
            before: NONE,
            behind: NONE,
        });
        self.link(index_of(id), chain);
    }

    /// A key has gone. It is to be dropped under no lock.
    pub(crate) fn remove(&mut self, id: KeyId) -> Option<Key> {
        let chain = self.chain(self.at(id)?.key.hash());
        self.unlink(index_of(id), chain);
        let known = self.keys[id.index()].take()?;
        self.len -= 1;
        if self.len == 0 {
            // As long as there were many at once.
            (self.chains, self.keys) = (Vec::new(), Vec::new());
        }
        Some(known.key)
    }

    fn at(&self, id: KeyId) -> Option<&Known> {
        let known = self.keys.get(id.index())?.as_ref();
        known.filter(|known| known.id == id)
    }

    fn known(&self, index: u32) -> Option<&Known> {
        self.keys.get(index as usize)?.as_ref()
    }

    fn known_mut(&mut self, index: u32) -> Option<&mut Known> {
        self.keys.get_mut(index as usize)?.as_mut()
    }

    /// The index of the first key of the chain for this hash.
    fn first(&self, hash: u64) -> u32 {
        let first = self.chains.get(self.chain(hash));
        first.copied().unwrap_or(NONE)
    }

    /// Those with this hash, from the one at an index on, in their chain.
    fn with_hash(&self, hash: u64, first: u32) -> impl Iterator<Item = &Known> {
        let known = std::iter::successors(self.known(first), |known| self.known(known.behind));
        known.filter(move |known| known.key.hash() == hash)
    }

    /// The chain for a hash: its lowest bits say which, one more of them where that chain is there.
    fn chain(&self, hash: u64) -> usize {
        let chains = self.chains.len().next_power_of_two();
        let chain = usize::try_from(hash % chains as u64).unwrap_or_default();
        if chain < self.chains.len() {
            chain
        } else {
            chain - chains / 2
        }
    }

    /// One more chain takes what is its own out of the one that has had it so far. With usual hashes
    /// that is a key or two.
    fn add_chain(&mut self) {
        let new = self.chains.len();
        self.chains.push(NONE);
        let Some(bit) = new.checked_ilog2() else {
            return;
        };
        let old = new - (1 << bit);
        let (mut next, mut last) = (self.chains[old], NONE);
        while let Some(known) = self.known(next) {
            let (index, is_its) = (next, self.chain(known.key.hash()) == new);
            next = known.behind;
            if is_its {
                self.unlink(index, old);
                // Behind the others: those with one hash stay in their order.
                self.link_behind(index, last, new);
                last = index;
            }
        }
    }

    /// A key comes to the front of a chain.
    fn link(&mut self, index: u32, chain: usize) {
        let behind = mem::replace(&mut self.chains[chain], index);
        if let Some(known) = self.known_mut(index) {
            (known.before, known.behind) = (NONE, behind);
        }
        if let Some(known) = self.known_mut(behind) {
            known.before = index;
        }
    }

    /// A key comes to the end of a chain, where this is the last so far.
    fn link_behind(&mut self, index: u32, last: u32, chain: usize) {
        match self.known_mut(last) {
            Some(known) => known.behind = index,
            None => self.chains[chain] = index,
        }
        if let Some(known) = self.known_mut(index) {
            (known.before, known.behind) = (last, NONE);
        }
    }

    fn unlink(&mut self, index: u32, chain: usize) {
        let Some(&Known { before, behind, .. }) = self.known(index) else {
            return;
        };
        match self.known_mut(before) {
            Some(known) => known.behind = behind,
            None => self.chains[chain] = behind,
        }
        if let Some(known) = self.known_mut(behind) {
            known.before = before;
        }
    }
}

fn index_of(id: KeyId) -> u32 {
    u32::try_from(id.index()).unwrap_or(NONE)
}

/// The index of no key: those of the core are below it.
const NONE: u32 = u32::MAX;
/// Keys with one hash are few, unless the hashing of a user is bad.
const LOOKED_AT: usize = 8;

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroUsize;

    use aiopool_core::{Admission, Time};
    use proptest::prelude::*;

    use super::*;

    type Core = Admission<Number, ()>;
    struct Number;
    impl aiopool_core::Waiter for Number {}

    /// All of these have one hash.
    #[derive(PartialEq, Eq)]
    struct Alike(u8);

    impl std::hash::Hash for Alike {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    /// A text, a number, or a key of another type.
    fn key(number: u8) -> Key {
        match number % 3 {
            0 => Key::from(number.to_string()),
            1 => Key::from(number),
            _ => Key::new(Alike(number)),
        }
    }

    /// The id of a key, found as the pool finds it.
    fn find(table: &KeyTable, key: &mut Key) -> Option<KeyId> {
        if let Some(id) = table.get(key) {
            return Some(id);
        }
        let mut after = None;
        while let Some((other, id)) = table.next(key.hash(), after) {
            if other == *key {
                assert!(!key.is_plain(), "a plain key is found at once");
                return Some(id);
            }
            after = Some(id);
        }
        None
    }

    proptest! {
        #[test]
        fn a_table_of_keys_does_what_a_map_does(steps in prop::collection::vec(any::<(bool, u8)>(), 0..800)) {
            let mut core = Core::new(NonZeroUsize::MIN);
            let (mut table, mut plain) = (KeyTable::default(), HashMap::new());
            // Those with one hash, the newest last.
            let mut alike = Vec::new();
            for (comes, number) in steps {
                let found = find(&table, &mut key(number));
                prop_assert_eq!(found, plain.get(&number).copied());
                match found {
                    None if comes => {
                        let id = core.open_key(None, &[]);
                        // Paused, so that it does not go by itself.
                        core.pause_key(id, Time::NEVER);
                        table.insert(key(number), id);
                        plain.insert(number, id);
                        alike.extend((number % 3 == 2).then_some(id));
                    }
                    Some(id) if !comes => {
                        core.resume_key(id, Time::ZERO);
                        while core.poll_due(Time::ZERO) {}
                        prop_assert_eq!(core.poll_key_gone(), Some(id));
                        prop_assert!(table.remove(id).is_some_and(|gone| gone == key(number)));
                        prop_assert!(!table.has(id) && table.remove(id).is_none());
                        plain.remove(&number);
                        alike.retain(|other| *other != id);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.newest(key(2).hash()), alike.last().copied());
            }
            for (number, id) in plain {
                prop_assert_eq!(find(&table, &mut key(number)), Some(id));
            }
        }
    }

    #[test]
    fn a_key_becomes_a_clone_of_the_one_that_is_known() {
        let mut core = Core::new(NonZeroUsize::MIN);
        let mut table = KeyTable::default();
        let known = Key::from("a");
        table.insert(known.clone(), core.open_key(None, &[]));
        let mut same = Key::from("a");
        assert!(table.get(&mut same).is_some() && same.is_clone_of(&known));
    }

    #[test]
    fn keys_are_spread_over_chains() {
        let mut core = Core::new(NonZeroUsize::MIN);
        let mut table = KeyTable::default();
        for number in 0..10_000 {
            let id = core.open_key(None, &[]);
            core.pause_key(id, Time::NEVER);
            table.insert(Key::from(number), id);
        }
        let of = |first: &u32| {
            std::iter::successors(table.known(*first), |known| table.known(known.behind)).count()
        };
        let longest = table.chains.iter().map(of).max();
        assert!(longest.is_some_and(|longest| longest < 20), "{longest:?}");
    }
}
