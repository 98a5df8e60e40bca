//! The sources of running maps and streams, with their results.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::Waker;

use aiopool_core::Ticket;
use slab::Slab;

use crate::job::body::Ended;
use crate::source::results::Results;
use crate::source::{AnyResults, DiscardedSource, End, Item, Source, SourceBox, SourceId};
use crate::state::active::Parent;

/// The sources of a pool. A source that is not here has been abandoned: nobody reads its results,
/// and whoever has it drops it.
#[derive(Default)]
pub(crate) struct SourceTable {
    entries: Slab<SourceEntry>,
    next_serial: u64,
    /// How many sources workers ask for an item just now.
    asked: usize,
}

/// A source that has not been abandoned.
pub(crate) struct SourceEntry {
    serial: u64,
    /// Its last place in the queue.
    pub(crate) ticket: Option<Ticket>,
    /// The entries of its items, and of itself while it is asked for one.
    pub(crate) items: Vec<usize>,
    /// The places in the queue of its items that wait for themselves.
    pub(crate) waiting: BTreeSet<Ticket>,
    /// The job that waits for it, if one has called.
    parent: Option<Parent>,
    pub(crate) results: Box<dyn AnyResults>,
}

/// The result of an item is of a source that nobody reads any more.
pub(crate) struct NotWanted;

impl SourceTable {
    /// An id for a source that is to come.
    pub(crate) fn announce(&mut self, results: Box<dyn AnyResults>) -> SourceId {
        // An index comes again when a source has been abandoned, a serial never does.
        let serial = self.next_serial;
        self.next_serial += 1;
        let index = self.entries.insert(SourceEntry {
            serial,
            ticket: None,
            items: Vec::new(),
            waiting: BTreeSet::new(),
            parent: None,
            results,
        });
        SourceId { index, serial }
    }

    /// A source that has not been abandoned has taken a place in the queue.
    pub(crate) fn set_ticket(&mut self, id: SourceId, ticket: Ticket) {
        self.entries[id.index].ticket = Some(ticket);
    }

    /// A job has called that waits for it.
    pub(crate) fn adopt(&mut self, id: SourceId, parent: Parent) {
        if let Some(entry) = self.entry(id) {
            entry.parent = Some(parent);
        }
    }

    /// That job.
    pub(crate) fn parent(&mut self, id: SourceId) -> Option<Parent> {
        self.entry(id)?.parent
    }

    /// Abandons the source.
    pub(crate) fn remove(&mut self, id: SourceId) -> Option<SourceEntry> {
        self.entry(id)?;
        Some(self.entries.remove(id.index))
    }

    /// An entry is that of an item. Gives its place among those of the source, if that has not been
    /// abandoned.
    pub(crate) fn add_item(&mut self, id: SourceId, entry: usize) -> Option<usize> {
        let items = &mut self.entry(id)?.items;
        items.push(entry);
        Some(items.len() - 1)
    }

    /// The entry at this place is that of an item no more. Gives the one that has its place now.
    pub(crate) fn remove_item(&mut self, id: SourceId, place: usize) -> Option<usize> {
        let items = &mut self.entry(id)?.items;
        items.swap_remove(place);
        items.get(place).copied()
    }

    /// The entries of the items of a source.
    pub(crate) fn items(&mut self, id: SourceId) -> Vec<usize> {
        let entry = self.entry(id);
        entry.map_or_else(Vec::new, |entry| entry.items.clone())
    }

    /// The last place in the queue of the source at this index.
    pub(crate) fn ticket_at(&self, index: usize) -> Option<Ticket> {
        self.entries.get(index)?.ticket
    }

    /// Takes the source at this index that stands aside, if `is_one`.
    pub(crate) fn take_parked(
        &mut self,
        index: usize,
        is_one: impl FnOnce(&Source) -> bool,
    ) -> Option<SourceBox> {
        let results = &mut self.entries.get_mut(index)?.results;
        let source = results.take_parked()?;
        if is_one(&source) {
            return Some(source);
        }
        results.keep(source);
        None
    }

    /// A source stands aside until the pool, which is closed, comes to it.
    pub(crate) fn keep(&mut self, source: SourceBox) {
        if let Some(entry) = self.entry(source.id()) {
            entry.results.keep(source);
        }
    }

    /// The indices of all that are here now lie below this.
    pub(crate) fn end_of_entries(&self) -> usize {
        self.entries.capacity()
    }

    /// The results of a source that has not been abandoned.
    pub(crate) fn results(&mut self, id: SourceId) -> Option<&mut dyn AnyResults> {
        Some(&mut *self.entry(id)?.results)
    }

    /// The results of a source for its reader.
    pub(crate) fn results_of<T: 'static>(&mut self, id: SourceId) -> &mut Results<T> {
        let results = self
            .results(id)
            .and_then(|results| results.as_any().downcast_mut());
        results.expect("a source has the results of its reader as long as that is there")
    }

    /// An item has ended: its result goes to its source. Tells whether somebody wants it, or it is
    /// still there, to be discarded under no lock.
    /// Gives the source if it stood aside until then.
    pub(crate) fn put(
        &mut self,
        item: Pin<&mut dyn Item>,
        ended: &mut Ended,
    ) -> Result<Option<SourceBox>, NotWanted> {
        let Some(results) = self.results(item.source()) else {
            // The result is foreign, and so is its drop: not here, under the lock.
            return Err(NotWanted);
        };
        ended.waker = item.put(results);
        Ok(results.release())
    }

    /// An item waits for itself. Of a map that has no bound yet, `most` may be pulled and not have
    /// ended from now on: it would pull all of its items, where their keys hold them back.
    pub(crate) fn add_waiting(&mut self, id: SourceId, ticket: Ticket, most: usize) {
        if let Some(entry) = self.entry(id) {
            entry.waiting.insert(ticket);
            entry.results.limit(most);
        }
    }

    /// An item that had this place in the queue has left it.
    pub(crate) fn remove_waiting(&mut self, id: SourceId, ticket: Ticket) {
        if let Some(entry) = self.entry(id) {
            entry.waiting.remove(&ticket);
        }
    }

    /// The places in the queue of the items of a source that wait for themselves.
    pub(crate) fn waiting(&mut self, id: SourceId) -> Vec<Ticket> {
        let entry = self.entry(id);
        entry.map_or_else(Vec::new, |entry| entry.waiting.iter().copied().collect())
    }

    /// A worker is about to ask the source: there has to be a place for the item, unless nobody
    /// wants it any more.
    pub(crate) fn ask(&mut self, source: &mut Source) {
        source.reserved = match (self.results(source.id()), source.reserved) {
            (Some(results), None) => Some(results.reserve()),
            // It was reserved for a worker that had to yield before it could ask.
            (Some(_), reserved) => reserved,
            (None, _) => None,
        };
        source.is_asked = true;
        self.asked += 1;
    }

    /// Nobody asks the source now.
    pub(crate) fn ask_no_more(&mut self, source: &mut Source) {
        // The mark says whether it was counted: the end of a source comes after this, or without
        // it.
        self.asked -= usize::from(source.is_asked);
        source.is_asked = false;
    }

    /// Whether a worker asks a source for an item just now.
    pub(crate) fn are_asked(&self) -> bool {
        self.asked > 0
    }

    /// There are no more items of the source. Gives the waker of its reader, or what nobody wants
    /// to know, to be discarded under no lock.
    pub(crate) fn end(&mut self, source: &DiscardedSource, end: End) -> Result<Option<Waker>, End> {
        self.asked -= usize::from(source.was_asked);
        let Some(results) = self.results(source.id) else {
            return Err(end);
        };
        // The place was for an item that does not come.
        if source.had_reserved {
            results.unreserve();
        }
        Ok(results.end(end))
    }

    #[cfg(all(test, aiopool_models))]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&mut self, id: SourceId) -> Option<&mut SourceEntry> {
        // The index may be that of another source by now.
        let entry = self.entries.get_mut(id.index)?;
        (entry.serial == id.serial).then_some(entry)
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::source::results::Order;

    proptest! {
        #[test]
        fn a_source_knows_the_entries_of_its_items(steps in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut table = SourceTable::default();
            let id = table.announce(Box::new(Results::<()>::new(Order::Items, 1)));
            // The place that each entry has been told.
            let mut places = BTreeMap::new();
            for (entry, step) in steps.into_iter().enumerate() {
                if step < 150 {
                    places.insert(entry, table.add_item(id, entry).expect("it is there"));
                } else if !places.is_empty() {
                    let ended = *places.keys().nth(usize::from(step) % places.len()).expect("it is one");
                    let place = places.remove(&ended).expect("it is there");
                    if let Some(moved) = table.remove_item(id, place) {
                        places.insert(moved, place);
                    }
                }
                let items = &table.entry(id).expect("it is there").items;
                prop_assert_eq!(items.len(), places.len());
                prop_assert!(places.iter().all(|(entry, place)| items[*place] == *entry));
            }
            // What is told after the source was abandoned harms nobody.
            table.remove(id);
            prop_assert_eq!(table.add_item(id, 0), None);
            prop_assert_eq!(table.remove_item(id, 0), None);
        }
    }
}
