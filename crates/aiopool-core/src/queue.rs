//! The queue: first in, first out, and anybody may step out of the middle.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::num::NonZeroU32;

/// A place in the queue. It stays valid until its holder leaves the queue; afterwards it names
/// nobody, even if the storage of the place has been used again. It is printed as a number that
/// counts the places given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Where the chunk of the place is.
    chunk: u32,
    serial: NonZeroU32,
}

/// A list of chunks, in each of which waiters stand in the order of their serials. A waiter that
/// leaves the middle leaves its place vacant, and a chunk without waiters is unlinked: so every step
/// is O(1), the queue never moves what stands in it, and a place costs little beside the waiter
/// itself if an `Option` of it costs nothing.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    links: Vec<Link<T>>,
    head: u32,
    /// The chunk that is being filled. It alone may have no waiters.
    tail: u32,
    /// The first of the vacant links; each names the next.
    vacant: u32,
    /// The storage of a chunk that was unlinked, for the next one.
    spare: Option<Box<Chunk<T>>>,
    len: usize,
    /// The serial of the next ticket. It goes on counting when the queue is drained, so an old
    /// ticket can be mistaken for a new one only after 2^32 pushes.
    serial: NonZeroU32,
    /// Where the [walk](Self::begin_walk) has come to.
    walked: Cursor,
}

#[derive(Debug)]
struct Link<T> {
    /// `None`: vacant.
    chunk: Option<Box<Chunk<T>>>,
    before: u32,
    /// The chunk behind; of a vacant link, the next vacant one.
    behind: u32,
}

#[derive(Debug)]
struct Chunk<T> {
    /// The serials of its places have this number, save for their last [`PLACE_BITS`].
    number: u32,
    /// A bit for each place: whether somebody stands there.
    taken: u32,
    waiters: [Option<T>; PLACES],
}

/// The place behind those that have been looked at.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    chunk: u32,
    place: u32,
}

/// A walk along all who stand in the queue when it begins: see
/// [`Admission::begin_walk`](crate::Admission::begin_walk).
#[derive(Debug)]
pub struct Walk {
    /// The serial of the first who came later.
    end: NonZeroU32,
}

/// The waiters of an emptied queue, in the order in which they stood.
#[derive(Debug)]
pub struct Drain<T>(Queue<T>);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serial.fmt(f)
    }
}

impl Ticket {
    fn number(self) -> u32 {
        position(self.serial) >> PLACE_BITS
    }

    fn place(self) -> u32 {
        place(position(self.serial))
    }
}

impl Walk {
    /// Whether the waiter with this ticket came before the walk began, be it in the queue still or
    /// admitted. Of tickets 2^31 apart it is not known.
    #[must_use]
    pub fn includes(&self, ticket: Ticket) -> bool {
        // The distance, which is right also where the serials begin again.
        let distance = self.end.get().wrapping_sub(ticket.serial.get());
        distance != 0 && distance <= u32::MAX / 2
    }
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            links: Vec::new(),
            head: NOBODY,
            tail: NOBODY,
            vacant: NOBODY,
            spare: None,
            len: 0,
            serial: NonZeroU32::MIN,
            walked: Cursor::END,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&T> {
        let chunk = self.chunk(ticket.chunk)?;
        let waiter = chunk.waiters.get(ticket.place() as usize)?.as_ref();
        waiter.filter(|_| chunk.number == ticket.number())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &T)> {
        let mut cursor = Cursor::at(self.head);
        core::iter::from_fn(move || {
            let ticket = self.seek(&mut cursor)?;
            Some((ticket, self.get(ticket)?))
        })
    }

    pub(crate) fn push(&mut self, waiter: T) -> Ticket {
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let position = position(serial);
        let place = place(position);
        if place == 0 || self.tail == NOBODY {
            self.begin_chunk(position >> PLACE_BITS);
        }
        let chunk = self.tail;
        if let Some(chunk) = self.chunk_mut(chunk) {
            chunk.put(place, waiter);
        }
        self.len += 1;
        Ticket { chunk, serial }
    }

    pub(crate) fn pop(&mut self) -> Option<(Ticket, T)> {
        let index = self.head;
        let chunk = self.chunk_mut(index)?;
        let place = chunk.first(0)?;
        let serial = chunk.serial(place);
        let waiter = chunk.take(place)?;
        let ticket = Ticket {
            chunk: index,
            serial,
        };
        let is_empty = chunk.taken == 0;
        self.left(index, is_empty);
        Some((ticket, waiter))
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let chunk = self.chunk_mut(ticket.chunk)?;
        if chunk.number != ticket.number() {
            return None;
        }
        let waiter = chunk.take(ticket.place())?;
        let is_empty = chunk.taken == 0;
        self.left(ticket.chunk, is_empty);
        Some(waiter)
    }

    pub(crate) fn drain(&mut self) -> Drain<T> {
        let rest = Self {
            serial: self.serial,
            ..Self::new()
        };
        Drain(core::mem::replace(self, rest))
    }

    /// Begins to look at all who stand here now, one after another. Others may come and step out
    /// meanwhile. The walks of a queue have one cursor: if a second begins before the first has
    /// ended, both of them go on from the head.
    pub(crate) fn begin_walk(&mut self) -> Walk {
        self.walked = Cursor::at(self.head);
        Walk { end: self.serial }
    }

    /// The next whom the walk comes by; `None` at its end.
    pub(crate) fn walk_on(&mut self, walk: &Walk) -> Option<(Ticket, &T)> {
        let mut cursor = self.walked;
        let ticket = self.seek(&mut cursor)?;
        if !walk.includes(ticket) {
            return None;
        }
        self.walked = cursor;
        Some((ticket, self.get(ticket)?))
    }

    /// What holds after every step. The chunks are walked only while they are few, so that a debug
    /// build stays O(1) per step.
    pub(crate) fn check(&self) {
        if cfg!(debug_assertions) && self.links.len() <= CHECKED_CHUNKS {
            let (mut waiters, mut last, mut index) = (0, NOBODY, self.head);
            while let Some(link) = self.links.get(index as usize) {
                debug_assert_eq!(link.before, last, "a chunk does not know who is before it");
                let taken = link.chunk.as_ref().map_or(0, |chunk| chunk.taken);
                debug_assert!(
                    taken != 0 || index == self.tail,
                    "a chunk without waiters is kept"
                );
                waiters += taken.count_ones() as usize;
                (last, index) = (index, link.behind);
            }
            debug_assert_eq!(last, self.tail, "the queue does not end at its tail");
            debug_assert_eq!(waiters, self.len, "the queue has lost or won somebody");
        }
    }

    /// The first who stands at the cursor or behind it. The cursor moves behind that one.
    fn seek(&self, cursor: &mut Cursor) -> Option<Ticket> {
        loop {
            let link = self.links.get(cursor.chunk as usize)?;
            let chunk = link.chunk.as_ref()?;
            if let Some(place) = chunk.first(cursor.place) {
                cursor.place = place + 1;
                return Some(Ticket {
                    chunk: cursor.chunk,
                    serial: chunk.serial(place),
                });
            }
            // More may come into the last chunk.
            if cursor.chunk == self.tail {
                return None;
            }
            *cursor = Cursor::at(link.behind);
        }
    }

    /// The chunk with this number is the last from now on.
    #[cold]
    fn begin_chunk(&mut self, number: u32) {
        let tail = self.tail;
        if let Some(chunk) = self.chunk_mut(tail).filter(|chunk| chunk.taken == 0) {
            // A walk may be in the midst of it. Those who come now are not among those it looks at.
            chunk.number = number;
            return;
        }
        let mut chunk = self.spare.take().unwrap_or_else(|| Box::new(Chunk::new()));
        chunk.number = number;
        let index = self.take_link(Link {
            chunk: Some(chunk),
            before: self.tail,
            behind: NOBODY,
        });
        self.link(self.tail, index);
        self.tail = index;
    }

    /// Somebody has left the chunk at this index.
    fn left(&mut self, index: u32, is_empty: bool) {
        self.len -= 1;
        if is_empty && index != self.tail {
            self.unlink(index);
        }
    }

    #[cold]
    fn unlink(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index as usize) else {
            return;
        };
        let (before, behind) = (link.before, link.behind);
        link.behind = self.vacant;
        self.spare = link.chunk.take();
        self.vacant = index;
        self.link(before, behind);
        // Only the tail has nobody behind it, and that is never unlinked.
        if let Some(link) = self.links.get_mut(behind as usize) {
            link.before = before;
        }
        if self.walked.chunk == index {
            self.walked = Cursor::at(behind);
        }
    }

    fn take_link(&mut self, taken: Link<T>) -> u32 {
        let index = self.vacant;
        if let Some(link) = self.links.get_mut(index as usize) {
            self.vacant = link.behind;
            *link = taken;
            return index;
        }
        let index = u32::try_from(self.links.len()).unwrap_or(NOBODY);
        // As many chunks as there are numbers for.
        assert!(
            index <= NOBODY >> PLACE_BITS,
            "the queue holds at most 2^32 - 1 waiters"
        );
        self.links.push(taken);
        index
    }

    /// Lets the chunk at `index`, or the queue itself, know which is behind it now.
    fn link(&mut self, index: u32, behind: u32) {
        match self.links.get_mut(index as usize) {
            Some(link) => link.behind = behind,
            None => self.head = behind,
        }
    }

    fn chunk(&self, index: u32) -> Option<&Chunk<T>> {
        self.links.get(index as usize)?.chunk.as_deref()
    }

    fn chunk_mut(&mut self, index: u32) -> Option<&mut Chunk<T>> {
        self.links.get_mut(index as usize)?.chunk.as_deref_mut()
    }
}

impl<T> Chunk<T> {
    fn new() -> Self {
        Self {
            number: 0,
            taken: 0,
            waiters: [const { None }; PLACES],
        }
    }

    /// The first place that is taken, from this one on.
    fn first(&self, from: u32) -> Option<u32> {
        let taken = self.taken & u32::MAX.checked_shl(from).unwrap_or(0);
        (taken != 0).then(|| taken.trailing_zeros())
    }

    fn serial(&self, place: u32) -> NonZeroU32 {
        // The very last position of all has no serial, and nobody has it.
        let position = self.number << PLACE_BITS | place;
        NonZeroU32::MIN.saturating_add(position)
    }

    fn put(&mut self, place: u32, waiter: T) {
        if let Some(vacant) = self.waiters.get_mut(place as usize) {
            *vacant = Some(waiter);
            self.taken |= 1 << place;
        }
    }

    fn take(&mut self, place: u32) -> Option<T> {
        let waiter = self.waiters.get_mut(place as usize)?.take()?;
        self.taken &= !(1 << place);
        Some(waiter)
    }
}

impl Cursor {
    const END: Self = Self::at(NOBODY);

    const fn at(chunk: u32) -> Self {
        Self { chunk, place: 0 }
    }
}

impl<T> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop().map(|(_, waiter)| waiter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len, Some(self.0.len))
    }
}

impl<T> ExactSizeIterator for Drain<T> {}
impl<T> FusedIterator for Drain<T> {}

/// Serials count from 1, positions from 0.
fn position(serial: NonZeroU32) -> u32 {
    serial.get() - 1
}

/// The place of a position in its chunk.
fn place(position: u32) -> u32 {
    position & ((1 << PLACE_BITS) - 1)
}

/// The index that names no chunk.
const NOBODY: u32 = u32::MAX;
/// How many bits of a position name the place in its chunk.
const PLACE_BITS: u32 = 5;
/// How many stand in a chunk: as many as a word has bits.
const PLACES: usize = 1 << PLACE_BITS;
/// Debug builds walk through a queue of at most so many chunks after each step.
const CHECKED_CHUNKS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn a_place_costs_a_byte_beside_a_waiter_that_is_never_null() {
        let waiters = PLACES * size_of::<(&u8, usize)>();
        let beside = size_of::<Chunk<(&u8, usize)>>() - waiters + size_of::<Link<(&u8, usize)>>();
        assert!(beside <= PLACES, "{beside}");
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
        assert!(queue.links.len() <= 2);
        assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(0));
    }

    #[test]
    fn an_old_ticket_names_nobody_when_its_place_is_used_again() {
        let mut queue = Queue::new();
        let old = queue.push(0);
        queue.remove(old);
        for n in 1..PLACES {
            let ticket = queue.push(n);
            queue.remove(ticket);
        }
        let new = queue.push(PLACES);
        assert_eq!((new.chunk, new.place()), (old.chunk, old.place()));
        assert_eq!(queue.get(old), None);
        assert_eq!(queue.remove(old), None);
        assert_eq!(queue.get(new), Some(&PLACES));
    }

    #[test]
    fn a_walk_that_begins_takes_the_other_back_to_the_head() {
        let mut queue = Queue::new();
        let a = queue.push('a');
        let first = queue.begin_walk();
        assert_eq!(queue.walk_on(&first), Some((a, &'a')));
        let b = queue.push('b');
        assert_eq!(queue.walk_on(&first), None);
        let second = queue.begin_walk();
        assert_eq!(queue.walk_on(&first), Some((a, &'a')));
        assert_eq!(queue.walk_on(&first), None);
        assert_eq!(queue.walk_on(&second), Some((b, &'b')));
        assert_eq!(queue.walk_on(&second), None);
    }

    #[test]
    fn a_walk_goes_on_behind_a_chunk_that_has_gone() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..3 * PLACES).map(|n| queue.push(n)).collect();
        let walk = queue.begin_walk();
        assert_eq!(queue.walk_on(&walk), Some((tickets[0], &0)));
        for ticket in &tickets[..PLACES] {
            queue.remove(*ticket);
        }
        assert_eq!(queue.walk_on(&walk), Some((tickets[PLACES], &PLACES)));
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
    fn a_long_queue_gives_its_storage_back_as_it_empties() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..1_000).map(|n| queue.push(n)).collect();
        assert_eq!(chunks(&queue), 1_000_usize.div_ceil(PLACES));
        // From both ends, so that chunks of the middle are the last to go.
        for n in 0..500 {
            assert_eq!(queue.remove(tickets[n]), Some(n));
            assert_eq!(queue.remove(tickets[999 - n]), Some(999 - n));
            queue.check();
        }
        assert!(chunks(&queue) <= 2);
    }

    #[test]
    fn who_comes_and_goes_alone_keeps_to_one_chunk() {
        let mut queue = Queue::new();
        for n in 0..1_000 {
            queue.push(n);
            assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(n));
            queue.check();
        }
        assert_eq!(chunks(&queue), 1);
    }

    #[test]
    fn serials_begin_again_after_the_last_one() {
        let mut queue = Queue::new();
        queue.serial = NonZeroU32::new(u32::MAX - 40).expect("it is not 0");
        let tickets: Vec<_> = (0..100).map(|n| queue.push(n)).collect();
        let walk = queue.begin_walk();
        for (n, ticket) in tickets.iter().enumerate() {
            assert_eq!(queue.walk_on(&walk), Some((*ticket, &n)));
            assert_eq!(queue.get(*ticket), Some(&n));
            assert!(walk.includes(*ticket));
        }
        assert!(queue.walk_on(&walk).is_none());
        let late = queue.push(100);
        assert!(!walk.includes(late));
        assert_eq!(queue.remove(late), Some(100));
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(queue.pop(), Some((ticket, n)));
            queue.check();
        }
    }

    #[test]
    fn a_ticket_is_printed_as_the_number_of_its_place() {
        let mut queue = Queue::new();
        let printed = [queue.push('a'), queue.push('b')].map(|ticket| alloc::format!("{ticket}"));
        assert_eq!(printed, ["1", "2"]);
    }

    #[test]
    fn a_drained_queue_comes_out_in_order_and_is_empty() {
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

    fn chunks<T>(queue: &Queue<T>) -> usize {
        let linked = queue.links.iter().filter(|link| link.chunk.is_some());
        linked.count() + usize::from(queue.spare.is_some())
    }
}
