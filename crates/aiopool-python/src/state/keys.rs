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
    /// How many have ever been opened.
    opened: u64,
}

struct Entry {
    id: KeyId,
    hash: u64,
    object: Py<PyAny>,
}

/// The keys with one hash, when so many had ever been opened.
pub(crate) struct Candidates {
    pub(crate) keys: Vec<(KeyId, Py<PyAny>)>,
    pub(super) opened: u64,
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    pub(super) fn candidates(&self, py: Python<'_>, hash: u64) -> Candidates {
        let entries = self.indexes.iter_hash(hash);
        let entries = entries.filter_map(|index| self.entries.get(*index)?.as_ref());
        let entries = entries.filter(|entry| entry.hash == hash);
        Candidates {
            keys: entries
                .map(|entry| (entry.id, entry.object.clone_ref(py)))
                .collect(),
            opened: self.opened,
        }
    }

    /// Whether no key has been opened since then.
    pub(super) fn are_as_in(&self, candidates: &Candidates) -> bool {
        self.opened == candidates.opened
    }

    pub(super) fn insert(&mut self, id: KeyId, hash: u64, object: Py<PyAny>) {
        let index = id.index();
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(Entry { id, hash, object });
        self.opened += 1;
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
            *self = Self {
                opened: self.opened,
                ..Self::default()
            };
        }
        Some(entry.object)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| &entry.object)
    }
}
