//! What has left the queue and has not ended: an entry for each slot that is held, and one for each
//! withdrawal.

use std::collections::BTreeSet;
use std::mem;
use std::num::NonZeroU32;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use aiopool_core::{Admitted, Level, Outside, Slot, Ticket, Time, Walk};
use slab::Slab;

use crate::job::cell::Runnable;
use crate::observe::Seen;
use crate::source::{Apart, ComingBack, Item, Source, SourceBox, SourceId};
use crate::state::signal::{Countdown, Remote};

/// The entries of a pool. An index of one is an index of its slab.
#[derive(Default)]
pub(crate) struct ActiveTable {
    slots: Slab<Active>,
    /// For each withdrawal under way, whose jobs have left the queue and have not all been dropped,
    /// those who wait for its end.
    withdrawals: Slab<Vec<Arc<Countdown>>>,
}

/// What stands in the queue.
pub(crate) enum Waiter {
    Job(Runnable),
    /// A running map or stream, for its next item; or an item. In a box, so that a job that waits
    /// takes two words.
    Apart(Box<Apart>),
}

/// What a slot is held for.
pub(crate) enum Work {
    Job(Runnable),
    Item(Pin<Box<dyn Item>>),
    /// A source is to be asked for its next item.
    Pull(SourceBox),
}

/// What a worker has taken, or is to take.
pub(crate) struct Taken {
    /// The index of the entry.
    pub(crate) index: usize,
    pub(crate) work: Work,
}

/// Memory that nobody needs. It takes as long to free as a peak was high.
pub(crate) struct Spare {
    _slots: Slab<Active>,
}

/// The entry of a slot that is held.
struct Active {
    /// The place that the job, or its source, had in the queue.
    ticket: Ticket,
    /// The level at which it stood there.
    level: Level,
    /// `None` while it is being given back, and while the job is outside.
    slot: Option<Slot>,
    outside: Option<OutsideEntry>,
    /// When it was given out, if the pool is timed.
    at: Time,
    /// Whether that was a start already, whatever becomes of the job: a permit had the slot before.
    has_started: bool,
    /// The source whose item it is, and the place of the entry among those of its items.
    item: Option<(SourceId, usize)>,
    /// The work, while no worker has taken it.
    open: Option<Work>,
    /// The index of the remote of the worker that has taken it.
    worker: Option<usize>,
    /// Whether the job is to be stopped by the worker that takes it.
    stop: bool,
    /// Those who wait for the end of the job.
    watchers: Vec<Arc<Countdown>>,
    /// What a report tells of the job, if that is kept.
    noted: Option<Box<Noted>>,
    /// Whether a report tells that the job was stopped.
    is_told: bool,
}

/// What a report tells of an active job beside its key, which its slot has.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) name: Option<Arc<str>>,
    /// When it was handed in, if that is known.
    pub(crate) queued_at: Option<Time>,
}

/// An active job that a closed pool has stopped.
pub(crate) struct Stopped {
    pub(crate) entry: usize,
    pub(crate) ticket: Ticket,
    /// The number of its key.
    pub(crate) key: Option<u32>,
    pub(crate) noted: Option<Noted>,
}

/// A job that waits for others.
#[derive(Clone, Copy)]
pub(crate) struct Parent {
    /// The place that it had in the queue.
    pub(crate) ticket: Ticket,
    /// The index of its entry.
    pub(crate) entry: usize,
}

/// What is known of a job that is outside.
struct OutsideEntry {
    outside: Outside,
    /// Its place in the queue, once it wants its slots again.
    place: Option<Ticket>,
    /// Whether its worker has not looked since then: it need not be woken to do so.
    is_to_look: bool,
}

impl ActiveTable {
    /// Adds the entry of what was admitted.
    pub(crate) fn insert(&mut self, admitted: Admitted<Waiter>, level: Level, at: Time) -> Taken {
        let index = self.slots.insert(Active {
            ticket: admitted.ticket,
            level,
            slot: Some(admitted.slot),
            outside: None,
            at,
            has_started: false,
            item: None,
            open: None,
            worker: None,
            stop: false,
            watchers: Vec::new(),
            noted: None,
            is_told: false,
        });
        Taken::new(index, admitted.waiter)
    }

    /// A slot was used before the job of this entry had it.
    pub(crate) fn has_started(&mut self, index: usize) {
        self.slots[index].has_started = true;
    }

    /// The slot of an entry whose job has ended, and when it was given out, if that was no start unless
    /// the job has begun.
    pub(crate) fn take_slot(&mut self, index: usize) -> Option<(Slot, Option<Time>)> {
        let entry = &mut self.slots[index];
        let at = (!entry.has_started).then_some(entry.at);
        Some((entry.slot.take()?, at))
    }

    /// The job of an entry goes outside. Gives its slot, until it has [gone](Self::has_gone_outside).
    pub(crate) fn go_outside(&mut self, index: usize) -> Option<Slot> {
        self.slots[index].slot.take()
    }

    pub(crate) fn has_gone_outside(&mut self, index: usize, outside: Outside) {
        self.slots[index].outside = Some(OutsideEntry {
            outside,
            place: None,
            is_to_look: false,
        });
    }

    /// The level of an entry, and its job if that is outside.
    pub(crate) fn outside(&self, index: usize) -> (Level, Option<&Outside>) {
        let entry = &self.slots[index];
        let outside = entry.outside.as_ref();
        (entry.level, outside.map(|entry| &entry.outside))
    }

    /// The job of an entry, which is outside, stands in the queue.
    pub(crate) fn comes_back(&mut self, index: usize, place: Ticket) {
        if let Some(outside) = &mut self.slots[index].outside {
            (outside.place, outside.is_to_look) = (Some(place), true);
        }
    }

    /// Whether the worker of an entry looks whether its job has its slots, without a wake-up.
    pub(crate) fn is_to_look(&self, index: usize) -> bool {
        let outside = self.slots[index].outside.as_ref();
        outside.is_some_and(|entry| entry.is_to_look)
    }

    /// The worker of an entry looks whether its job has its slots. If not, it is to be woken when it has.
    pub(crate) fn look(&mut self, index: usize) -> bool {
        let entry = &mut self.slots[index];
        if let Some(outside) = &mut entry.outside {
            outside.is_to_look = false;
        }
        entry.slot.is_some()
    }

    /// The job of an entry is not outside any more, if it was. Gives the place that it has in the queue,
    /// unless it has been admitted.
    pub(crate) fn end_outside(&mut self, index: usize) -> Option<(Outside, Option<Ticket>)> {
        let OutsideEntry { outside, place, .. } = self.slots[index].outside.take()?;
        Some((outside, place))
    }

    /// The job of an entry has its slots again. Its start was one, whatever becomes of it. Gives the
    /// index of the remote of its worker.
    pub(crate) fn is_back(&mut self, index: usize, slot: Slot, at: Time) -> Option<usize> {
        let entry = &mut self.slots[index];
        (entry.slot, entry.at) = (Some(slot), at);
        entry.has_started = true;
        entry.worker
    }

    /// The place that the job of an entry had in the queue, and when it got its slot.
    pub(crate) fn begun(&self, index: usize) -> (Ticket, Time) {
        let entry = &self.slots[index];
        (entry.ticket, entry.at)
    }

    /// The worker of an entry whose job has ended keeps it for what was admitted.
    pub(crate) fn reuse(
        &mut self,
        index: usize,
        admitted: Admitted<Waiter>,
        level: Level,
        at: Time,
    ) -> Taken {
        let entry = &mut self.slots[index];
        // The worker stays, and so does the index, which nobody has to look up anew.
        (entry.ticket, entry.item) = (admitted.ticket, None);
        entry.level = level;
        (entry.slot, entry.at) = (Some(admitted.slot), at);
        entry.has_started = false;
        (entry.noted, entry.is_told) = (None, false);
        Taken::new(index, admitted.waiter)
    }

    /// What a report is to tell of the job of an entry.
    pub(crate) fn note(&mut self, index: usize, noted: Noted) {
        self.slots[index].noted = Some(Box::new(noted));
    }

    /// The job of an entry has this name.
    pub(crate) fn note_name(&mut self, index: usize, name: Option<Arc<str>>) {
        let noted = self.slots[index].noted.take();
        let queued_at = noted.and_then(|noted| noted.queued_at);
        self.note(index, Noted { name, queued_at });
    }

    /// A job has ended. Gives those who waited for that.
    pub(crate) fn remove(&mut self, index: usize) -> Vec<Arc<Countdown>> {
        self.slots.remove(index).watchers
    }

    /// The source whose item an entry is, and the place of the entry among those of its items.
    pub(crate) fn item(&self, index: usize) -> Option<(SourceId, usize)> {
        self.slots[index].item
    }

    /// An entry is that of an item, and has this place among those of the source.
    pub(crate) fn set_item(&mut self, index: usize, item: (SourceId, usize)) {
        self.slots[index].item = Some(item);
    }

    /// Leaves the work of an entry to whichever worker comes first.
    pub(crate) fn open(&mut self, taken: Taken) {
        self.slots[taken.index].open = Some(taken.work);
    }

    /// Takes the work out of an open entry.
    pub(crate) fn take(&mut self, index: usize) -> Option<Taken> {
        let work = self.slots[index].open.take()?;
        Some(Taken { index, work })
    }

    /// The worker with this remote is to run the entry. It hears that the job is to be stopped if
    /// that was said before.
    pub(crate) fn assign(&mut self, index: usize, worker: Option<&(usize, Arc<Remote>)>) {
        let entry = &mut self.slots[index];
        entry.worker = worker.map(|(index, _)| *index);
        // Under the lock, so that a stop is either in the entry by now or finds the worker there.
        if let Some((_, remote)) = worker {
            remote.begin(entry.level, mem::take(&mut entry.stop));
        }
    }

    /// The worker with this remote leaves the entry to another, and what it was told with it.
    pub(crate) fn unassign(&mut self, index: usize, worker: Option<&(usize, Arc<Remote>)>) {
        let entry = &mut self.slots[index];
        entry.worker = None;
        // A stop that the worker has not seen yet is for the one that comes.
        entry.stop = worker.is_some_and(|(_, remote)| remote.take_stop());
    }

    /// Whether the entry is that of the job that had `ticket` in the queue.
    pub(crate) fn has_job(&self, index: usize, ticket: Ticket) -> bool {
        // The index may be stale, and the entry that of another job: a ticket never comes again.
        let entry = self.slots.get(index);
        entry.is_some_and(|entry| entry.ticket == ticket)
    }

    /// The job of an entry is to be stopped: by its worker, whose remote has this index, or by the
    /// one that will take it.
    pub(crate) fn stop(&mut self, index: usize) -> Option<usize> {
        self.slots[index].stop()
    }

    /// As [`stop`](Self::stop), if the entry is still that of an item of `source`.
    pub(crate) fn stop_item(&mut self, index: usize, source: SourceId) -> Option<usize> {
        let entry = self.slots.get_mut(index)?;
        let is_its = entry.item.is_some_and(|(id, _)| id == source);
        is_its.then(|| entry.stop())?
    }

    /// As [`stop`](Self::stop), for those of these entries that `walk` includes, `but` for some. Somebody
    /// waits for their ends.
    pub(crate) fn stop_some(
        &mut self,
        walk: &Walk,
        entries: Range<usize>,
        but: &BTreeSet<Ticket>,
        countdown: &Arc<Countdown>,
    ) -> Vec<usize> {
        let entries = entries.filter_map(|index| {
            let entry = self.slots.get_mut(index)?;
            if !walk.includes(entry.ticket) || but.contains(&entry.ticket) {
                return None;
            }
            countdown.add();
            entry.watchers.push(countdown.clone());
            entry.stop()
        });
        entries.collect()
    }

    /// As [`stop`](Self::stop), for those of these entries of which `are_those` holds, given the number of
    /// the key and whether the job is outside; but each once only. Gives the workers, and what is known
    /// of the jobs.
    pub(crate) fn stop_those(
        &mut self,
        entries: Range<usize>,
        are_those: impl Fn(Option<u32>, bool) -> bool,
    ) -> (Vec<usize>, Vec<Stopped>) {
        let (mut workers, mut stopped) = (Vec::new(), Vec::new());
        for entry in entries {
            let Some(active) = self.slots.get_mut(entry) else {
                continue;
            };
            let outside = active.outside.as_ref().map(|entry| &entry.outside);
            let key = match (&active.slot, outside) {
                (Some(slot), _) => slot.key(),
                (None, Some(outside)) => outside.key(),
                (None, None) => None,
            };
            if active.is_told || !are_those(key, outside.is_some()) {
                continue;
            }
            active.is_told = true;
            workers.extend(active.stop());
            stopped.push(Stopped {
                entry,
                ticket: active.ticket,
                key,
                noted: active.noted.as_deref().cloned(),
            });
        }
        (workers, stopped)
    }

    /// The indices of all entries that are here now lie below this.
    pub(crate) fn end(&self) -> usize {
        self.slots.capacity()
    }

    /// Jobs have left the queue, and are going to be dropped.
    pub(crate) fn begin_withdrawal(&mut self) -> usize {
        self.withdrawals.insert(Vec::new())
    }

    /// They have been dropped. Gives those who waited for that.
    pub(crate) fn end_withdrawal(&mut self, index: usize) -> Vec<Arc<Countdown>> {
        self.withdrawals.remove(index)
    }

    /// Somebody waits for the ends of all withdrawals. There are as many as calls that cancel, or drop
    /// a map, just now.
    pub(crate) fn watch_withdrawals(&mut self, countdown: &Arc<Countdown>) {
        for (_, watchers) in &mut self.withdrawals {
            countdown.add();
            watchers.push(countdown.clone());
        }
    }

    /// Those who wait for the end of the job of an entry.
    pub(crate) fn watchers(&mut self, index: usize) -> &mut Vec<Arc<Countdown>> {
        &mut self.slots[index].watchers
    }

    /// Gives memory away, to be freed under no lock, when nothing is held: a slab is walked through
    /// with all places that a peak has left.
    pub(crate) fn take_spare(&mut self) -> Option<Spare> {
        let is_spare = self.slots.is_empty() && self.slots.capacity() > KEPT_ENTRIES;
        is_spare.then(|| Spare {
            _slots: mem::take(&mut self.slots),
        })
    }
}

impl Active {
    fn stop(&mut self) -> Option<usize> {
        // Nobody can be told yet: the entry is open.
        if self.worker.is_none() {
            self.stop = true;
        }
        self.worker
    }
}

impl Taken {
    /// Who was admitted, with the entry at `index`, which a job is to know as its own.
    #[expect(clippy::inline_always, reason = "each job comes here")]
    #[inline(always)]
    fn new(index: usize, waiter: Waiter) -> Self {
        let work = match waiter {
            Waiter::Job(job) => {
                job.is_held_at(index);
                Work::Job(job)
            }
            Waiter::Apart(apart) => match SourceBox::from_box(apart) {
                Ok(source) => Work::Pull(source),
                Err(apart) => Work::Item((*apart).into_item()),
            },
        };
        Self { index, work }
    }
}

impl Work {
    /// The name of the job, if it has one. A source has not given a job yet.
    pub(crate) fn name(&mut self) -> Option<Arc<str>> {
        match self {
            Self::Job(job) => job.name(),
            Self::Item(item) => item.as_mut().name(),
            Self::Pull(_) => None,
        }
    }
}

impl aiopool_core::Waiter for Waiter {
    #[inline]
    fn weight(&self) -> NonZeroU32 {
        match self {
            Self::Job(job) => job.weight(),
            Self::Apart(apart) => apart.weight(),
        }
    }

    #[inline]
    fn has_begun(&self) -> bool {
        self.coming_back().is_some()
    }

    #[inline]
    fn pays(&self) -> bool {
        self.coming_back().is_none_or(|waiting| waiting.pays)
    }
}

impl Waiter {
    /// Whether it is a job that exists: the items that a source has not been asked for do not.
    pub(crate) fn is_job(&self) -> bool {
        matches!(self, Self::Job(_)) || self.source_of_item().is_some()
    }

    /// What an observer sees of it.
    pub(crate) fn seen(&mut self) -> Seen {
        let seen = match self {
            Self::Job(job) => job.with_options(|options| Seen::of(options)),
            Self::Apart(apart) => apart.options().map(|options| Seen::of(options)),
        };
        seen.unwrap_or_default()
    }

    /// Whether a caller waits for it to get its slot.
    pub(crate) fn is_blocking(&self) -> bool {
        match self {
            Self::Job(job) => job.is_blocked(),
            Self::Apart(apart) => apart.caller().is_some(),
        }
    }

    /// A source that was not taken.
    pub(crate) fn into_source(self) -> SourceBox {
        match self {
            Self::Apart(apart) => SourceBox::from_box(apart).unwrap_or_else(|_| no_such_waiter()),
            Self::Job(_) => no_such_waiter(),
        }
    }

    /// An item that was not taken.
    pub(crate) fn into_item(self) -> Pin<Box<dyn Item>> {
        match self {
            Self::Apart(apart) => apart.into_item(),
            Self::Job(_) => no_such_waiter(),
        }
    }

    /// The source, if it is one.
    pub(crate) fn source(&self) -> Option<&Source> {
        match self {
            Self::Job(_) => None,
            Self::Apart(apart) => apart.source(),
        }
    }

    /// What the state knows a caller by that waits for a slot without a job.
    #[inline]
    pub(crate) fn caller(&self) -> Option<usize> {
        match self {
            Self::Job(_) => None,
            Self::Apart(apart) => apart.caller(),
        }
    }

    /// A job that is outside, and wants its slots again.
    #[inline]
    pub(crate) fn coming_back(&self) -> Option<&ComingBack> {
        match self {
            Self::Job(_) => None,
            Self::Apart(apart) => apart.coming_back(),
        }
    }

    /// Whether a worker may take it as it is.
    #[inline]
    pub(crate) fn is_work(&self) -> bool {
        match self {
            Self::Job(_) => true,
            Self::Apart(apart) => apart.caller().is_none() && apart.coming_back().is_none(),
        }
    }

    /// The source of an item that waits for itself.
    #[inline]
    pub(crate) fn source_of_item(&self) -> Option<SourceId> {
        match self {
            Self::Job(_) => None,
            Self::Apart(apart) => apart.source_of_item(),
        }
    }

    /// The index of the workers that are to run it.
    pub(crate) fn workers(&self) -> usize {
        match self {
            Self::Job(job) => job.workers(),
            Self::Apart(apart) => apart.workers(),
        }
    }
}

fn no_such_waiter() -> ! {
    unreachable!("what is given back is what was handed in")
}

/// A table that is empty now and then keeps memory for so many entries.
const KEPT_ENTRIES: usize = 64;
