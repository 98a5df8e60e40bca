//! The keys of a pool that are open in its core, with the objects that users know them by.
//!
//! Looking a key up hashes and compares objects, which is foreign code. So a caller gets the
//! candidates, compares them, and opens a key only if none has come meanwhile: see `run::keys`.

use aiopool_core::KeyId;
use hashbrown::HashTable;
use pyo3::prelude::*;

#[derive(Default)]
pub(super) struct Keys {
    /// By the index of the core.
    entries: Vec<Option<Entry>>,
    /// Those indexes, by the hash of the object.
    indexes: HashTable<usize>,
}

struct Entry {
    id: KeyId,
    hash: u64,
    object: Py<PyAny>,
}

/// The keys with one hash.
pub(crate) struct Candidates(pub(crate) Vec<(KeyId, Py<PyAny>)>);

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    pub(super) fn candidates(&self, py: Python<'_>, hash: u64) -> Candidates {
        let entries = self.with_hash(hash);
        let entries = entries.map(|entry| (entry.id, entry.object.clone_ref(py)));
        Candidates(entries.collect())
    }

    /// Whether a key with this hash is there that is none of these. Keys of other hashes may come and go:
    /// they hold nobody up.
    pub(super) fn has_more(&self, hash: u64, Candidates(seen): &Candidates) -> bool {
        let mut entries = self.with_hash(hash);
        entries.any(|entry| seen.iter().all(|(id, _)| *id != entry.id))
    }

    fn with_hash(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        let entries = self.indexes.iter_hash(hash);
        let entries = entries.filter_map(|index| self.entries.get(*index)?.as_ref());
        entries.filter(move |entry| entry.hash == hash)
    }

    pub(super) fn insert(&mut self, id: KeyId, hash: u64, object: Py<PyAny>) {
        let index = id.index();
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(Entry { id, hash, object });
        let entries = &self.entries;
        let hash_of = |index: &usize| entries[*index].as_ref().map_or(0, |entry| entry.hash);
        self.indexes.insert_unique(hash, index, hash_of);
    }

    /// The key has gone. Gives its object, to be dropped.
    pub(super) fn remove(&mut self, id: KeyId) -> Option<Py<PyAny>> {
        let index = id.index();
        let entry = self.entries.get_mut(index)?.take()?;
        let found = self.indexes.find_entry(entry.hash, |other| *other == index);
        if let Ok(found) = found {
            found.remove();
        }
        if self.indexes.is_empty() {
            // As long as there were many at once.
            *self = Self::default();
        }
        Some(entry.object)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.entries.iter().flatten().map(|entry| entry.id)
    }

    /// The object of the key that is open at this index.
    pub(super) fn object(&self, index: usize) -> Option<&Py<PyAny>> {
        self.entries.get(index)?.as_ref().map(|entry| &entry.object)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| &entry.object)
    }
}
