//! The queue: lanes, each of one level and one key, and whose turn it is.
//!
//! A lane is first in, first out. The lanes of a level that may go on stand in its ring and take
//! turns. A lane whose key holds it back is parked: it is in no ring until its key lets it go.

use alloc::boxed::Box;
use core::num::NonZeroU32;
use core::ops::{Index, IndexMut};

use slab::Slab;

use crate::levels::Levels;
use crate::queue::{List, ListId, Queue, Ticket, Walk};
use crate::request::{Level, Waiter};
use crate::steps::step;

/// The id of a lane, which is also the number of its list.
pub(crate) type LaneId = ListId;

/// All who wait.
#[derive(Debug)]
pub(crate) struct Lanes<W> {
    queue: Queue<W>,
    table: Table,
    /// `None` while nobody has asked for another lane than the first. Then all stand in that one, and
    /// nobody takes turns.
    levels: Option<Box<Levels>>,
    /// How many wait in other lanes than the first.
    elsewhere: usize,
    /// How many slots the waiters ask for beside one each.
    surplus: usize,
    /// How many of them have begun.
    begun: usize,
    parked: usize,
    /// The lane in which the walk is.
    walked: LaneId,
}

#[derive(Debug)]
struct Table {
    /// That of those who ask for nothing: of the level 0, without a key. It never goes.
    first: Lane,
    /// An id is one more than an index here.
    others: Slab<Lane>,
}

#[derive(Debug)]
struct Lane {
    list: List,
    level: Level,
    /// The index of its key.
    key: Option<u32>,
    /// The next lane of its key.
    sibling: Option<LaneId>,
    place: Place,
}

/// Where a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is empty, or there are no rings.
    Nowhere,
    Ring {
        before: LaneId,
        behind: LaneId,
    },
    Parked,
}

impl<W: Waiter> Lanes<W> {
    pub(crate) fn new() -> Self {
        Self {
            queue: Queue::new(),
            table: Table {
                first: Lane::new(Level::default(), None, None),
                others: Slab::new(),
            },
            levels: None,
            surplus: 0,
            begun: 0,
            elsewhere: 0,
            parked: 0,
            walked: FIRST,
        }
    }

    /// How many slots the waiters ask for.
    pub(crate) fn wanted(&self) -> usize {
        self.waiting().saturating_add(self.surplus)
    }

    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.table.first.list.len() + self.elsewhere
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun
    }

    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&W> {
        self.queue.get(ticket)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &W)> {
        let lanes = self.table.iter();
        lanes.flat_map(|(_, lane)| self.queue.iter(&lane.list))
    }

    /// Puts a waiter at the back of the lane of those who ask for nothing.
    #[inline]
    pub(crate) fn push_plain(&mut self, waiter: W, weight: NonZeroU32) -> Ticket {
        self.surplus = self.surplus.wrapping_add(weight.get() as usize - 1);
        let ticket = self.queue.push(&mut self.table.first.list, FIRST, waiter);
        if self.levels.is_some() {
            self.came_into(FIRST, false);
        }
        ticket
    }

    /// The lane of those of a level that have no key.
    pub(crate) fn plain_lane(&mut self, level: Level) -> LaneId {
        if level == Level::default() {
            return FIRST;
        }
        let plain = self.levels().ring(level).plain;
        plain.unwrap_or_else(|| {
            let lane = self.add_lane(Lane::new(level, None, None));
            self.levels().ring_mut(level).plain = Some(lane);
            lane
        })
    }

    /// The lane of a level and the key with this index, whose first lane is `lanes`.
    pub(crate) fn lane_of_key(
        &mut self,
        level: Level,
        key: u32,
        lanes: &mut Option<LaneId>,
    ) -> LaneId {
        self.levels();
        let mut next = *lanes;
        while let Some((id, lane)) = next.and_then(|id| Some((id, self.table.get(id)?))) {
            step();
            if lane.level == level {
                return id;
            }
            next = lane.sibling;
        }
        let lane = self.add_lane(Lane::new(level, Some(key), *lanes));
        *lanes = Some(lane);
        lane
    }

    pub(crate) fn push(&mut self, id: LaneId, waiter: W, front: bool) -> Ticket {
        self.elsewhere += usize::from(id != FIRST);
        self.surplus = self.surplus.wrapping_add(surplus(&waiter));
        self.begun += usize::from(waiter.has_begun());
        let list = &mut self.table[id].list;
        let ticket = if front {
            self.queue.push_front(list, id, waiter)
        } else {
            self.queue.push(list, id, waiter)
        };
        if self.levels.is_some() {
            self.came_into(id, front);
        }
        ticket
    }

    /// Somebody has come into a lane, which may stand in no ring yet.
    #[cold]
    fn came_into(&mut self, id: LaneId, front: bool) {
        let lane = &mut self.table[id];
        match lane.place {
            Place::Ring { .. } if front => {
                self.leave_ring(id);
                self.enter_ring(id);
            }
            Place::Ring { .. } => {}
            Place::Nowhere => {
                let level = lane.level;
                self.levels().begin_waiting(level);
                self.enter_ring(id);
            }
            // The new first may be one that its key lets go.
            Place::Parked if front => {
                self.parked -= lane.list.len() - 1;
                self.enter_ring(id);
            }
            Place::Parked => self.parked += 1,
        }
    }

    /// The next in the only lane, while there are no others.
    #[inline]
    pub(crate) fn pop_plain(&mut self) -> Option<(Ticket, W)> {
        self.queue.pop(&mut self.table.first.list)
    }

    /// The lane whose turn it is, if one stands in a ring.
    pub(crate) fn candidate(&self) -> Option<LaneId> {
        match &self.levels {
            Some(levels) => levels.candidate(),
            None => (!self.table.first.list.is_empty()).then_some(FIRST),
        }
    }

    /// The index of the key of a lane.
    pub(crate) fn key(&self, id: LaneId) -> Option<u32> {
        self.table[id].key
    }

    /// The index of the key of a waiter.
    pub(crate) fn key_of(&self, ticket: Ticket) -> Option<u32> {
        self.key(self.queue.list_of(ticket)?)
    }

    pub(crate) fn level(&self, id: LaneId) -> Level {
        self.table[id].level
    }

    /// How many slots the first in a lane asks for, and whether it waits for the rates.
    pub(crate) fn first(&self, id: LaneId) -> Option<(NonZeroU32, bool)> {
        let waiter = self.queue.first(&self.table[id].list)?;
        Some((waiter.weight(), waiter.pays()))
    }

    /// Takes the first out of the lane whose turn it was: the lane goes to the back of its ring. Says
    /// whether that counts among the starts of its level.
    pub(crate) fn take(&mut self, id: LaneId, counts: bool) -> Option<(Ticket, W)> {
        let lane = &mut self.table[id];
        let level = lane.level;
        let (ticket, waiter) = self.queue.pop(&mut lane.list)?;
        self.surplus = self.surplus.wrapping_sub(surplus(&waiter));
        self.begun -= usize::from(waiter.has_begun());
        let is_empty = lane.list.is_empty();
        self.elsewhere -= usize::from(id != FIRST);
        if is_empty {
            self.leave_ring(id);
        }
        let lane = &self.table[id];
        if let Some(levels) = &mut self.levels {
            if is_empty {
                levels.end_waiting(level);
            } else if !self.queue.is_front_first(&lane.list) {
                // It was the first of its ring, so it is the last from now on.
                levels.ring_mut(level).first = Some(lane.behind());
            }
            if counts {
                levels.started(level);
            }
        }
        Some((ticket, waiter))
    }

    /// Somebody of this level starts who has left the queue uncounted.
    pub(crate) fn count_start(&mut self, level: Level) {
        if let Some(levels) = &mut self.levels {
            levels.started(level);
        }
    }

    /// Takes a waiter out, wherever it stands, and tells in which lane that was.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<(W, LaneId)> {
        let id = self.queue.list_of(ticket)?;
        let lane = &mut self.table[id];
        let waiter = self.queue.remove(&mut lane.list, ticket)?;
        self.surplus = self.surplus.wrapping_sub(surplus(&waiter));
        self.begun -= usize::from(waiter.has_begun());
        let is_empty = lane.list.is_empty();
        self.elsewhere -= usize::from(id != FIRST);
        match lane.place {
            // If it was the first, the next may be one that its key lets go.
            Place::Parked => {
                self.parked -= lane.list.len() + 1;
                lane.place = Place::Nowhere;
                if !is_empty {
                    self.enter_ring(id);
                }
            }
            Place::Ring { .. } if is_empty => self.leave_ring(id),
            Place::Ring { .. } | Place::Nowhere => {}
        }
        let level = self.table[id].level;
        if let Some(levels) = self.levels.as_mut().filter(|_| is_empty) {
            levels.end_waiting(level);
        }
        Some((waiter, id))
    }

    /// The key of a lane holds it back.
    pub(crate) fn park(&mut self, id: LaneId) {
        self.leave_ring(id);
        let lane = &mut self.table[id];
        lane.place = Place::Parked;
        self.parked += lane.list.len();
    }

    /// Whether somebody waits in the lanes of a key, of which this is the first, that are parked.
    pub(crate) fn has_parked(&self, mut next: Option<LaneId>) -> bool {
        while let Some(lane) = next.and_then(|id| self.table.get(id)) {
            if lane.place == Place::Parked && !lane.list.is_empty() {
                return true;
            }
            next = lane.sibling;
        }
        false
    }

    /// The lanes of a key, of which this is the first, may go on.
    pub(crate) fn unpark(&mut self, mut next: Option<LaneId>) {
        while let Some(id) = next {
            step();
            let lane = &mut self.table[id];
            next = lane.sibling;
            if lane.place == Place::Parked {
                self.parked -= lane.list.len();
                lane.place = Place::Nowhere;
                self.enter_ring(id);
            }
        }
    }

    /// The index of the key of a lane that is not needed any more.
    pub(crate) fn emptied(&self, id: LaneId) -> Option<u32> {
        let lane = &self.table[id];
        lane.key.filter(|_| lane.list.is_empty())
    }

    /// Takes a lane away that has been [emptied](Self::emptied), out of those of its key, whose first
    /// is `lanes`.
    pub(crate) fn remove_lane(&mut self, id: LaneId, lanes: &mut Option<LaneId>) {
        let lane = &mut self.table[id];
        let sibling = lane.sibling;
        self.queue.dissolve(&mut lane.list);
        self.table.remove(id);
        if *lanes == Some(id) {
            *lanes = sibling;
            return;
        }
        let mut next = *lanes;
        while let Some(other) = next {
            step();
            let lane = &mut self.table[other];
            if lane.sibling == Some(id) {
                lane.sibling = sibling;
                return;
            }
            next = lane.sibling;
        }
    }

    pub(crate) fn begin_walk(&mut self) -> Walk {
        self.walked = FIRST;
        self.queue.walk_along(&self.table.first.list);
        self.queue.begin_walk()
    }

    pub(crate) fn walk_on(&mut self) -> Option<(Ticket, &W)> {
        loop {
            if let Some(ticket) = self.queue.walk_on() {
                return Some((ticket, self.queue.get(ticket)?));
            }
            step();
            // Lanes that are added meanwhile have nobody in them who was there before.
            self.walked += 1;
            if self.walked >= self.table.end() {
                return None;
            }
            if let Some(lane) = self.table.get(self.walked) {
                self.queue.walk_along(&lane.list);
            }
        }
    }

    /// What holds after every step. Not all lanes are looked at, so that a debug build stays O(1) a
    /// step.
    pub(crate) fn check(&self) {
        if cfg!(debug_assertions) && self.table.others.len() <= CHECKED_LANES {
            let (mut waiting, mut parked) = (0, 0);
            for (id, lane) in self.table.iter() {
                self.queue.check(&lane.list, id);
                waiting += lane.list.len();
                parked += if lane.place == Place::Parked {
                    lane.list.len()
                } else {
                    0
                };
                let is_ringed = matches!(lane.place, Place::Ring { .. });
                debug_assert_eq!(
                    is_ringed || lane.place == Place::Parked,
                    self.levels.is_some() && !lane.list.is_empty(),
                    "a lane is not where it belongs"
                );
            }
            debug_assert_eq!(waiting, self.waiting(), "somebody is lost or won");
            debug_assert_eq!(parked, self.parked, "the parked are miscounted");
        }
    }

    fn add_lane(&mut self, lane: Lane) -> LaneId {
        self.table.insert(lane)
    }

    /// The rings, which are there from now on.
    fn levels(&mut self) -> &mut Levels {
        if self.levels.is_none() {
            let mut levels = Box::new(Levels::new());
            levels.ring_mut(Level::default()).plain = Some(FIRST);
            self.levels = Some(levels);
            if !self.table.first.list.is_empty() {
                self.came_into(FIRST, false);
            }
        }
        self.levels.get_or_insert_with(|| Box::new(Levels::new()))
    }

    /// A lane comes to the back of its ring; to the front if the first in it stands at the front of the
    /// level.
    fn enter_ring(&mut self, id: LaneId) {
        let front = self.queue.is_front_first(&self.table[id].list);
        let Some(levels) = &mut self.levels else {
            return;
        };
        let level = self.table[id].level;
        let ring = levels.ring_mut(level);
        let place = match ring.first {
            None => Place::Ring {
                before: id,
                behind: id,
            },
            Some(first) => {
                let last = self.table[first].before();
                self.table[last].set_behind(id);
                self.table[first].set_before(id);
                Place::Ring {
                    before: last,
                    behind: first,
                }
            }
        };
        if front || ring.first.is_none() {
            ring.first = Some(id);
        }
        levels.fill(level);
        self.table[id].place = place;
    }

    fn leave_ring(&mut self, id: LaneId) {
        let lane = &mut self.table[id];
        let (Place::Ring { before, behind }, Some(levels)) = (lane.place, &mut self.levels) else {
            return;
        };
        lane.place = Place::Nowhere;
        let level = lane.level;
        let ring = levels.ring_mut(level);
        if behind == id {
            ring.first = None;
            levels.empty(level);
            return;
        }
        if ring.first == Some(id) {
            ring.first = Some(behind);
        }
        self.table[before].set_behind(behind);
        self.table[behind].set_before(before);
    }
}

impl Table {
    fn get(&self, id: LaneId) -> Option<&Lane> {
        match id {
            FIRST => Some(&self.first),
            _ => self.others.get(id as usize - 1),
        }
    }

    fn insert(&mut self, lane: Lane) -> LaneId {
        LaneId::try_from(self.others.insert(lane) + 1).unwrap_or(LaneId::MAX)
    }

    fn remove(&mut self, id: LaneId) {
        self.others.remove(id as usize - 1);
        if self.others.is_empty() {
            // As long as there were many at once.
            self.others = Slab::new();
        }
    }

    /// All ids are below this.
    fn end(&self) -> LaneId {
        LaneId::try_from(self.others.capacity() + 1).unwrap_or(LaneId::MAX)
    }

    fn iter(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        let ids = (FIRST..self.end()).map(|id| (id, self.get(id)));
        ids.filter_map(|(id, lane)| Some((id, lane?)))
    }
}

impl Index<LaneId> for Table {
    type Output = Lane;

    fn index(&self, id: LaneId) -> &Lane {
        match id {
            FIRST => &self.first,
            _ => &self.others[id as usize - 1],
        }
    }
}

impl IndexMut<LaneId> for Table {
    fn index_mut(&mut self, id: LaneId) -> &mut Lane {
        match id {
            FIRST => &mut self.first,
            _ => &mut self.others[id as usize - 1],
        }
    }
}

impl Lane {
    fn new(level: Level, key: Option<u32>, sibling: Option<LaneId>) -> Self {
        Self {
            list: List::new(),
            level,
            key,
            sibling,
            place: Place::Nowhere,
        }
    }

    fn before(&self) -> LaneId {
        match self.place {
            Place::Ring { before, .. } => before,
            Place::Nowhere | Place::Parked => FIRST,
        }
    }

    fn set_before(&mut self, id: LaneId) {
        if let Place::Ring { before, .. } = &mut self.place {
            *before = id;
        }
    }

    fn behind(&self) -> LaneId {
        match self.place {
            Place::Ring { behind, .. } => behind,
            Place::Nowhere | Place::Parked => FIRST,
        }
    }

    fn set_behind(&mut self, id: LaneId) {
        if let Place::Ring { behind, .. } = &mut self.place {
            *behind = id;
        }
    }
}

/// How many slots a waiter asks for beside one.
#[inline]
fn surplus<W: Waiter>(waiter: &W) -> usize {
    waiter.weight().get() as usize - 1
}

/// The id of the lane of those who ask for nothing.
const FIRST: LaneId = 0;
/// Debug builds look at so many lanes at most after each step.
const CHECKED_LANES: usize = 8;
