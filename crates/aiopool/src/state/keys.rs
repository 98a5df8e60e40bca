//! The keys that a pool knows. Who looks one up compares under no lock: to compare keys is foreign
//! code, and so is to drop the last clone of one.

use std::collections::BTreeMap;

use aiopool_core::KeyId;

use crate::key::Key;

/// The keys that are open in the core. Trees, because they grow without moving all that is in them.
#[derive(Default)]
pub(crate) struct KeyTable {
    /// By their hashes, and those with one hash by their indices.
    keys: BTreeMap<(u64, usize), (Key, KeyId)>,
    /// The hash of the key with an index.
    hashes: BTreeMap<usize, u64>,
    /// How many have come. While that is the same, a key that was not there is not there.
    opened: u64,
}

impl KeyTable {
    /// The id of a key of which this is a clone. To look for it is no foreign code.
    pub(crate) fn get(&self, key: &Key) -> Option<KeyId> {
        let hash = key.hash();
        let mut keys = self
            .keys
            .range((hash, 0)..=(hash, usize::MAX))
            .take(LOOKED_AT);
        let found = keys.find(|(_, (other, _))| other.is_clone_of(key));
        found.map(|(_, (_, id))| *id)
    }

    /// The first key with this hash, or the next one after that with the id `after`.
    pub(crate) fn next(&self, hash: u64, after: Option<KeyId>) -> Option<(Key, KeyId)> {
        let first = after.map_or(0, |id| id.index() + 1);
        let mut keys = self.keys.range((hash, first)..=(hash, usize::MAX));
        keys.next().map(|(_, (key, id))| (key.clone(), *id))
    }

    /// Whether the key with this id, of which this is a clone, is still there.
    pub(crate) fn has(&self, key: &Key, id: KeyId) -> bool {
        let known = self.keys.get(&(key.hash(), id.index()));
        known.is_some_and(|(_, known)| *known == id)
    }

    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    pub(crate) fn insert(&mut self, key: Key, id: KeyId) {
        self.opened += 1;
        self.hashes.insert(id.index(), key.hash());
        // Those that have gone have left: the place is free.
        self.keys.insert((key.hash(), id.index()), (key, id));
    }

    /// A key has gone. It is to be dropped under no lock.
    pub(crate) fn remove(&mut self, id: KeyId) -> Option<Key> {
        let hash = self.hashes.remove(&id.index())?;
        let (key, _) = self.keys.remove(&(hash, id.index()))?;
        Some(key)
    }
}

/// Keys with one hash are few, unless the hashing of a user is bad.
const LOOKED_AT: usize = 8;
