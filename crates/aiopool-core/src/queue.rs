//! The queue: first in, first out, and anybody may step out of the middle.

use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::num::NonZeroU32;

/// A place in the queue. It stays valid until its holder leaves the queue; afterwards it names
/// nobody, even if the storage of the place has been used again. It is printed as a number that
/// counts the places given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    index: u32,
    serial: NonZeroU32,
}

/// A linked list inside one vector. Who steps out of the middle leaves a gap, and when there are
/// more gaps than waiters all of them are closed: so every step is O(1), spread over those before
/// it, and a place costs 8 bytes beside the waiter itself if an `Option` of it costs nothing.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    places: Vec<Place<T>>,
    head: u32,
    tail: u32,
    /// The first vacant place; each names the next.
    vacant: u32,
    len: usize,
    gaps: usize,
    /// The serial of the next ticket. It goes on counting when the storage is given back, so an
    /// old ticket can be mistaken for a new one only after 2^32 pushes.
    serial: NonZeroU32,
}

#[derive(Debug)]
struct Place<T> {
    /// `None`: vacant.
    serial: Option<NonZeroU32>,
    /// Who stands behind; of a vacant place, the next vacant one.
    behind: u32,
    /// `None`: vacant, or a gap.
    waiter: Option<T>,
}

/// The waiters of an emptied queue, in the order in which they stood.
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

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            head: NOBODY,
            tail: NOBODY,
            vacant: NOBODY,
            len: 0,
            gaps: 0,
            serial: NonZeroU32::MIN,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&T> {
        let place = self.places.get(ticket.index as usize)?;
        place.waiter.as_ref().filter(|_| place.is_of(ticket))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &T)> {
        let mut next = self.head;
        let places = core::iter::from_fn(move || {
            let place = self.places.get(next as usize)?;
            let index = core::mem::replace(&mut next, place.behind);
            Some((index, place))
        });
        places.filter_map(|(index, place)| {
            let serial = place.serial?;
            Some((Ticket { index, serial }, place.waiter.as_ref()?))
        })
    }

    pub(crate) fn push(&mut self, waiter: T) -> Ticket {
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let taken = Place {
            serial: Some(serial),
            behind: NOBODY,
            waiter: Some(waiter),
        };
        let index = self.take_place(taken);
        self.link(self.tail, index);
        self.tail = index;
        self.len += 1;
        Ticket { index, serial }
    }

    pub(crate) fn pop(&mut self) -> Option<(Ticket, T)> {
        loop {
            let index = self.head;
            let (serial, behind, waiter) = self.vacate(index)?;
            self.head = behind;
            if behind == NOBODY {
                self.tail = NOBODY;
            }
            if let Some(waiter) = waiter {
                self.len -= 1;
                self.tidy();
                return Some((Ticket { index, serial }, waiter));
            }
            self.gaps -= 1;
        }
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let place = self.places.get_mut(ticket.index as usize)?;
        if !place.is_of(ticket) {
            return None;
        }
        let waiter = place.waiter.take()?;
        self.len -= 1;
        self.gaps += 1;
        self.tidy();
        Some(waiter)
    }

    pub(crate) fn drain(&mut self) -> Drain<T> {
        let (head, left) = (self.head, self.len);
        let places = self.give_storage_back();
        Drain { places, head, left }
    }

    /// What holds after every step. The links are walked only while the queue is short, so that a
    /// debug build stays O(1) per step.
    pub(crate) fn check(&self) {
        debug_assert!(self.gaps <= self.len, "gaps are left open");
        debug_assert_eq!(self.len == 0, self.head == NOBODY);
        debug_assert_eq!(self.len == 0, self.tail == NOBODY);
        if cfg!(debug_assertions) && self.places.len() <= CHECKED_PLACES {
            let (mut walked, mut gaps, mut last, mut index) = (0, 0, NOBODY, self.head);
            while let Some(place) = self.places.get(index as usize) {
                if place.waiter.is_some() {
                    walked += 1;
                } else {
                    gaps += 1;
                }
                (last, index) = (index, place.behind);
            }
            debug_assert_eq!(last, self.tail, "the queue does not end at its tail");
            debug_assert_eq!(walked, self.len, "the queue has lost or won somebody");
            debug_assert_eq!(gaps, self.gaps, "a gap has been lost or won");
        }
    }

    /// Closes the gaps when there are too many, and gives the storage of a long queue back when
    /// nobody is left.
    fn tidy(&mut self) {
        if self.gaps > self.len {
            let (mut last, mut index) = (NOBODY, self.head);
            while let Some(place) = self.places.get(index as usize) {
                let next = place.behind;
                if place.waiter.is_some() {
                    last = index;
                } else {
                    self.vacate(index);
                    self.link(last, next);
                }
                index = next;
            }
            (self.tail, self.gaps) = (last, 0);
        }
        if self.len == 0 && self.places.capacity() > KEPT_PLACES {
            self.give_storage_back();
        }
    }

    fn take_place(&mut self, taken: Place<T>) -> u32 {
        let index = self.vacant;
        if let Some(place) = self.places.get_mut(index as usize) {
            self.vacant = place.behind;
            *place = taken;
            return index;
        }
        let index = u32::try_from(self.places.len()).unwrap_or(NOBODY);
        assert!(index != NOBODY, "the queue holds at most 2^32 - 1 waiters");
        self.places.push(taken);
        index
    }

    /// Who had the place at `index`, who stood behind it and who in it.
    fn vacate(&mut self, index: u32) -> Option<(NonZeroU32, u32, Option<T>)> {
        let place = self.places.get_mut(index as usize)?;
        let serial = place.serial.take()?;
        let behind = core::mem::replace(&mut place.behind, self.vacant);
        self.vacant = index;
        Some((serial, behind, place.waiter.take()))
    }

    /// Lets the one at `index`, or the queue itself, know who stands behind it now.
    fn link(&mut self, index: u32, now: u32) {
        match self.places.get_mut(index as usize) {
            Some(place) => place.behind = now,
            None => self.head = now,
        }
    }

    fn give_storage_back(&mut self) -> Vec<Place<T>> {
        (self.head, self.tail, self.vacant) = (NOBODY, NOBODY, NOBODY);
        (self.len, self.gaps) = (0, 0);
        core::mem::take(&mut self.places)
    }
}

impl<T> Place<T> {
    fn is_of(&self, ticket: Ticket) -> bool {
        self.serial == Some(ticket.serial)
    }
}

impl<T> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            let place = self.places.get_mut(self.head as usize)?;
            self.head = place.behind;
            if let Some(waiter) = place.waiter.take() {
                self.left -= 1;
                return Some(waiter);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Drain<T> {}
impl<T> FusedIterator for Drain<T> {}

/// The index that names no place.
const NOBODY: u32 = u32::MAX;
/// An empty queue keeps storage for this many, so that a pool that is now and then full does not
/// allocate each time; a longer queue gives its storage back when it empties.
const KEPT_PLACES: usize = 1024;
/// Debug builds walk the links of a queue with at most this many places after each step.
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
    fn a_place_costs_eight_bytes_beside_a_waiter_that_is_never_null() {
        assert_eq!(size_of::<Place<(&u8, usize)>>(), 8 + 16);
    }

    #[test]
    fn who_comes_and_steps_out_behind_one_that_stays_leaves_no_storage_behind() {
        let mut queue = Queue::new();
        queue.push(0);
        for n in 1..1_000 {
            let ticket = queue.push(n);
            assert_eq!(queue.remove(ticket), Some(n));
            queue.check();
        }
        assert!(queue.places.len() <= 4);
        assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(0));
    }

    #[test]
    fn an_old_ticket_names_nobody_when_its_place_is_used_again() {
        let mut queue = Queue::new();
        let old = queue.push('a');
        assert_eq!(queue.remove(old), Some('a'));
        let new = queue.push('b');
        assert_eq!(new.index, old.index);
        assert_eq!(queue.get(old), None);
        assert_eq!(queue.remove(old), None);
        assert_eq!(queue.get(new), Some(&'b'));
    }

    #[test]
    fn an_old_ticket_names_nobody_after_the_storage_was_given_back() {
        let mut queue = Queue::new();
        let old = queue.push('a');
        queue.drain();
        queue.push('b');
        assert_eq!(queue.get(old), None);
    }

    #[test]
    fn a_long_line_gives_its_storage_back_when_it_empties() {
        let mut queue = Queue::new();
        for n in 0..=KEPT_PLACES {
            queue.push(n);
        }
        for n in 0..=KEPT_PLACES {
            assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(n));
        }
        assert_eq!(queue.places.capacity(), 0);
    }

    #[test]
    fn a_line_that_is_not_long_keeps_its_storage() {
        let mut queue = Queue::new();
        for n in 0..KEPT_PLACES {
            queue.push(n);
        }
        while queue.pop().is_some() {}
        assert_eq!(queue.places.capacity(), KEPT_PLACES);
    }

    #[test]
    fn a_ticket_is_printed_as_the_number_of_its_place() {
        let mut queue = Queue::new();
        let printed = [queue.push('a'), queue.push('b')].map(|ticket| alloc::format!("{ticket}"));
        assert_eq!(printed, ["1", "2"]);
    }

    #[test]
    fn a_drained_line_comes_out_in_order_and_is_empty() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..5).map(|n| queue.push(n)).collect();
        queue.remove(tickets[0]);
        queue.remove(tickets[3]);
        queue.push(5);
        let mut drained = queue.drain();
        assert_eq!(drained.len(), 4);
        assert_eq!(drained.next(), Some(1));
        assert_eq!(drained.len(), 3);
        assert_eq!(drained.collect::<Vec<_>>(), vec![2, 4, 5]);
        assert_eq!(queue.pop(), None);
        queue.check();
    }
}
