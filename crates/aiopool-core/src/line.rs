//! The line: first in, first out, and anybody may step out of the middle.

use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::num::NonZeroU32;

/// A place in the line. It stays valid until its holder leaves the line; afterwards it names
/// nobody, even if the storage of the place has been used again. It is printed as a number that
/// counts the places given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    index: u32,
    serial: NonZeroU32,
}

/// A doubly linked list inside one vector: O(1) at both ends and in the middle, and a place costs
/// 16 bytes beside the waiter itself.
#[derive(Debug)]
pub(crate) struct Line<T> {
    places: Vec<Place<T>>,
    head: u32,
    tail: u32,
    /// The first vacant place; each names the next.
    vacant: u32,
    len: usize,
    /// The serial of the next ticket. It goes on counting when the storage is given back, so an
    /// old ticket can be mistaken for a new one only after 2^32 pushes.
    serial: NonZeroU32,
}

#[derive(Debug)]
enum Place<T> {
    Vacant {
        next: u32,
    },
    Taken {
        serial: NonZeroU32,
        before: u32,
        behind: u32,
        waiter: T,
    },
}

/// The waiters of an emptied line, in the order in which they stood.
#[derive(Debug)]
pub struct Drain<T> {
    places: Vec<Place<T>>,
    head: u32,
    left: usize,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serial.fmt(f)
    }
}

impl<T> Line<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            head: NOBODY,
            tail: NOBODY,
            vacant: NOBODY,
            len: 0,
            serial: NonZeroU32::MIN,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&T> {
        match self.places.get(ticket.index as usize)? {
            Place::Taken { serial, waiter, .. } if *serial == ticket.serial => Some(waiter),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &T)> {
        let mut next = self.head;
        core::iter::from_fn(move || match self.places.get(next as usize)? {
            Place::Taken {
                serial,
                behind,
                waiter,
                ..
            } => {
                let index = core::mem::replace(&mut next, *behind);
                let serial = *serial;
                Some((Ticket { index, serial }, waiter))
            }
            Place::Vacant { .. } => None,
        })
    }

    pub(crate) fn push(&mut self, waiter: T) -> Ticket {
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let index = self.take_place(Place::Taken {
            serial,
            before: self.tail,
            behind: NOBODY,
            waiter,
        });
        self.link_before(self.tail, index);
        self.tail = index;
        self.len += 1;
        Ticket { index, serial }
    }

    pub(crate) fn pop(&mut self) -> Option<(Ticket, T)> {
        let index = self.head;
        let Place::Taken { serial, .. } = self.places.get(index as usize)? else {
            return None;
        };
        let ticket = Ticket {
            index,
            serial: *serial,
        };
        Some((ticket, self.remove(ticket)?))
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        self.get(ticket)?;
        let index = ticket.index;
        let vacant = Place::Vacant { next: self.vacant };
        let Place::Taken {
            before,
            behind,
            waiter,
            ..
        } = core::mem::replace(&mut self.places[index as usize], vacant)
        else {
            return None;
        };
        self.vacant = index;
        self.len -= 1;
        self.link_before(before, behind);
        self.link_behind(behind, before);
        if self.len == 0 && self.places.capacity() > KEPT_PLACES {
            self.give_storage_back();
        }
        Some(waiter)
    }

    pub(crate) fn drain(&mut self) -> Drain<T> {
        let (head, left) = (self.head, self.len);
        let places = self.give_storage_back();
        Drain { places, head, left }
    }

    /// What holds after every step. The links are walked only while the line is short, so that a
    /// debug build stays O(1) per step.
    pub(crate) fn check(&self) {
        debug_assert_eq!(self.len == 0, self.head == NOBODY);
        debug_assert_eq!(self.len == 0, self.tail == NOBODY);
        if cfg!(debug_assertions) && self.places.len() <= CHECKED_PLACES {
            let (mut walked, mut before, mut index) = (0, NOBODY, self.head);
            while let Some(Place::Taken {
                before: linked,
                behind,
                ..
            }) = self.places.get(index as usize)
            {
                debug_assert_eq!(*linked, before, "the links differ by direction");
                (walked, before, index) = (walked + 1, index, *behind);
            }
            debug_assert_eq!(before, self.tail, "the line does not end at its tail");
            debug_assert_eq!(walked, self.len, "the line has lost or won somebody");
        }
    }

    fn take_place(&mut self, taken: Place<T>) -> u32 {
        if let Some(Place::Vacant { next }) = self.places.get(self.vacant as usize) {
            let index = core::mem::replace(&mut self.vacant, *next);
            self.places[index as usize] = taken;
            return index;
        }
        let index = u32::try_from(self.places.len()).unwrap_or(NOBODY);
        assert!(index != NOBODY, "the line holds at most 2^32 - 1 waiters");
        self.places.push(taken);
        index
    }

    /// Lets the one at `index`, or the line itself, know who stands behind it now.
    fn link_before(&mut self, index: u32, now: u32) {
        match self.places.get_mut(index as usize) {
            Some(Place::Taken { behind, .. }) => *behind = now,
            _ => self.head = now,
        }
    }

    /// Lets the one at `index`, or the line itself, know who stands before it now.
    fn link_behind(&mut self, index: u32, now: u32) {
        match self.places.get_mut(index as usize) {
            Some(Place::Taken { before, .. }) => *before = now,
            _ => self.tail = now,
        }
    }

    fn give_storage_back(&mut self) -> Vec<Place<T>> {
        (self.head, self.tail, self.vacant, self.len) = (NOBODY, NOBODY, NOBODY, 0);
        core::mem::take(&mut self.places)
    }
}

impl<T> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let place = self.places.get_mut(self.head as usize)?;
        let vacant = Place::Vacant { next: NOBODY };
        let Place::Taken { behind, waiter, .. } = core::mem::replace(place, vacant) else {
            return None;
        };
        self.head = behind;
        self.left -= 1;
        Some(waiter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Drain<T> {}
impl<T> FusedIterator for Drain<T> {}

/// The index that names no place.
const NOBODY: u32 = u32::MAX;
/// An empty line keeps storage for this many, so that a pool that is now and then full does not
/// allocate each time; a longer line gives its storage back when it empties.
const KEPT_PLACES: usize = 1024;
/// Debug builds walk the links of a line with at most this many places after each step.
const CHECKED_PLACES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn a_place_costs_sixteen_bytes_beside_the_waiter() {
        assert_eq!(size_of::<Place<[usize; 4]>>(), 16 + 32);
    }

    #[test]
    fn an_old_ticket_names_nobody_when_its_place_is_used_again() {
        let mut line = Line::new();
        let old = line.push('a');
        assert_eq!(line.remove(old), Some('a'));
        let new = line.push('b');
        assert_eq!(new.index, old.index);
        assert_eq!(line.get(old), None);
        assert_eq!(line.remove(old), None);
        assert_eq!(line.get(new), Some(&'b'));
    }

    #[test]
    fn an_old_ticket_names_nobody_after_the_storage_was_given_back() {
        let mut line = Line::new();
        let old = line.push('a');
        line.drain();
        line.push('b');
        assert_eq!(line.get(old), None);
    }

    #[test]
    fn a_long_line_gives_its_storage_back_when_it_empties() {
        let mut line = Line::new();
        for n in 0..=KEPT_PLACES {
            line.push(n);
        }
        while line.pop().is_some() {}
        assert_eq!(line.places.capacity(), 0);
    }

    #[test]
    fn a_drained_line_comes_out_in_order_and_is_empty() {
        let mut line = Line::new();
        let tickets: Vec<_> = (0..5).map(|n| line.push(n)).collect();
        line.remove(tickets[0]);
        line.remove(tickets[3]);
        line.push(5);
        let drained = line.drain();
        assert_eq!(drained.len(), 4);
        assert_eq!(drained.collect::<Vec<_>>(), vec![1, 2, 4, 5]);
        assert_eq!(line.pop(), None);
        line.check();
    }
}
