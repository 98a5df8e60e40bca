//! The storage of the queue: lists that are first in, first out, where anybody may step out of the
//! middle.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;

use crate::steps::step;

/// A place in the queue. It stays valid until its holder leaves the queue; afterwards it names
/// nobody, even if the storage of the place has been used again. It is printed as a number. Tickets
/// are ordered so that they can be kept in trees; that is not the order of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Where the chunk of the place is.
    chunk: u32,
    /// The number of the chunk, and behind it [`PLACE_BITS`] of the place in it.
    serial: u32,
}

/// Lists of chunks, in each of which waiters stand side by side. A waiter that leaves the middle
/// leaves its place vacant, and a chunk without waiters is unlinked: so every step is O(1), the queue
/// never moves what stands in a full chunk, and a place costs little beside the waiter itself if an
/// `Option` of it costs nothing.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    chunks: Vec<Chunk<T>>,
    /// The first of the vacant chunks; each names the next.
    vacant: u32,
    /// The storage of a chunk that was unlinked, for the next one.
    spare: Box<[Option<T>]>,
    /// The number of the next chunk. It goes on counting when the queue is emptied, so an old ticket
    /// can be mistaken for a new one only after 2^27 chunks.
    number: u32,
    /// The number of the first chunk that was begun after the last walk had. Those who come after a
    /// walk has begun come into none of the chunks before this one.
    fence: u32,
    /// How many walks have begun, modulo 2^16.
    walks: u16,
    /// Where the walk has come to.
    walked: Cursor,
}

/// Those who stand behind one another.
#[derive(Debug)]
pub(crate) struct List {
    head: u32,
    /// The chunk that is being filled. It alone may have no waiters.
    tail: u32,
    /// How many more the tail takes in.
    room: u32,
    /// The fence at that time.
    fence: u32,
    len: usize,
}

/// The number by which a list is found, in whatever table its owner keeps.
pub(crate) type ListId = u32;

#[derive(Debug)]
struct Chunk<T> {
    places: Box<[Option<T>]>,
    /// A bit for each place: whether somebody stands there.
    taken: u32,
    /// How many places have been given out.
    filled: u8,
    /// Whether it is filled from the front: who comes later stands before who came earlier.
    reversed: bool,
    /// How many walks had begun when it was begun, modulo 2^16: the numbers of chunks begin again too.
    walks: u16,
    number: u32,
    /// The number of the list that it belongs to.
    list: ListId,
    before: u32,
    /// The chunk behind; of a vacant chunk, the next vacant one.
    behind: u32,
}

/// The place behind those that have been looked at.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    chunk: u32,
    /// The place, counted in the order in which the chunk is left.
    rank: u32,
}

/// A walk along all who stand in the queue when it begins: see
/// [`Admission::begin_walk`](crate::Admission::begin_walk).
#[derive(Debug)]
pub struct Walk {
    /// The number of the first chunk that was begun later.
    end: u32,
}

/// Everybody of an emptied queue, in order.
#[derive(Debug)]
pub struct Drain<T> {
    queue: Queue<T>,
    list: List,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serial.fmt(f)
    }
}

impl Ticket {
    /// Names nobody: what was never taken has it.
    pub const NOBODY: Self = Self {
        chunk: NOBODY,
        serial: u32::MAX,
    };

    fn number(self) -> u32 {
        self.serial >> PLACE_BITS
    }

    fn place(self) -> u32 {
        self.serial & (PLACES - 1)
    }
}

impl Walk {
    /// Whether the waiter with this ticket came before the walk began, be it in the queue still or
    /// admitted. Of tickets 2^26 chunks apart it is not known.
    #[must_use]
    pub fn includes(&self, ticket: Ticket) -> bool {
        is_before(ticket.number(), self.end)
    }
}

impl List {
    pub(crate) fn new() -> Self {
        Self {
            head: NOBODY,
            tail: NOBODY,
            room: 0,
            fence: 0,
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: NOBODY,
            spare: Box::default(),
            number: 0,
            fence: 0,
            walks: 0,
            walked: Cursor::at(NOBODY),
        }
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&T> {
        let chunk = self.chunk(ticket.chunk)?;
        let waiter = chunk.places.get(ticket.place() as usize)?.as_ref();
        waiter.filter(|_| chunk.number == ticket.number())
    }

    /// The number of the list in which the holder of the ticket stands.
    pub(crate) fn list_of(&self, ticket: Ticket) -> Option<ListId> {
        self.get(ticket)?;
        self.chunk(ticket.chunk).map(|chunk| chunk.list)
    }

    pub(crate) fn iter<'a>(
        &'a self,
        list: &List,
    ) -> impl Iterator<Item = (Ticket, &'a T)> + use<'a, T> {
        let mut cursor = Cursor::at(list.head);
        core::iter::from_fn(move || {
            let ticket = self.seek(&mut cursor)?;
            Some((ticket, self.get(ticket)?))
        })
    }

    /// Adds somebody behind all others of a list, which has this number.
    #[expect(clippy::inline_always, reason = "as `put`")]
    #[inline(always)]
    pub(crate) fn push(&mut self, list: &mut List, number: ListId, waiter: T) -> Ticket {
        if list.room == 0 || list.fence != self.fence {
            self.make_room(list, number);
        }
        list.room -= 1;
        list.len += 1;
        self.put(list.tail, waiter)
    }

    /// Adds somebody before all others.
    pub(crate) fn push_front(&mut self, list: &mut List, number: ListId, waiter: T) -> Ticket {
        if !self.has_room_in_front(list) {
            self.begin_head(list, number);
        }
        list.len += 1;
        self.put(list.head, waiter)
    }

    #[inline]
    pub(crate) fn pop(&mut self, list: &mut List) -> Option<(Ticket, T)> {
        let id = list.head;
        let chunk = self.chunks.get_mut(id as usize)?;
        let place = chunk.first()?;
        let serial = chunk.serial(place);
        let waiter = chunk.take(place)?;
        list.len -= 1;
        if chunk.taken == 0 && list.tail != id {
            self.unlink(list, id);
        }
        Some((Ticket { chunk: id, serial }, waiter))
    }

    /// Who is first in a list.
    pub(crate) fn first(&self, list: &List) -> Option<&T> {
        let chunk = self.chunk(list.head)?;
        chunk.places.get(chunk.first()? as usize)?.as_ref()
    }

    /// Whether the first in a list has come to the front.
    pub(crate) fn is_front_first(&self, list: &List) -> bool {
        self.chunk(list.head)
            .is_some_and(|chunk| chunk.reversed && chunk.taken != 0)
    }

    /// Takes somebody out of the list in which [`list_of`](Self::list_of) says that the holder of
    /// the ticket stands.
    pub(crate) fn remove(&mut self, list: &mut List, ticket: Ticket) -> Option<T> {
        let chunk = self.chunks.get_mut(ticket.chunk as usize)?;
        if chunk.number != ticket.number() {
            return None;
        }
        let waiter = chunk.take(ticket.place())?;
        list.len -= 1;
        if chunk.taken == 0 && list.tail != ticket.chunk {
            self.unlink(list, ticket.chunk);
        }
        Some(waiter)
    }

    /// A list in which nobody stands will not be used again: its last chunk goes too.
    pub(crate) fn dissolve(&mut self, list: &mut List) {
        debug_assert!(list.is_empty(), "somebody stands in a list that goes");
        if list.tail != NOBODY {
            self.unlink(list, list.tail);
        }
    }

    /// Everybody of a list, which is the only one of this queue.
    pub(crate) fn drain(&mut self, list: &mut List) -> Drain<T> {
        let rest = Self {
            number: self.number,
            fence: self.fence,
            ..Self::new()
        };
        Drain {
            queue: core::mem::replace(self, rest),
            list: core::mem::replace(list, List::new()),
        }
    }

    /// Begins to look at all who stand here now: from here on nobody comes into a chunk in which one
    /// of them stands.
    pub(crate) fn begin_walk(&mut self) -> Walk {
        self.fence = self.number;
        self.walks = self.walks.wrapping_add(1);
        Walk { end: self.number }
    }

    /// The walks of a queue have one cursor, which goes along this list from now on.
    pub(crate) fn walk_along(&mut self, list: &List) {
        self.walked = Cursor::at(list.head);
    }

    /// The next in this list who was there when the last walk began; `None` at the end.
    pub(crate) fn walk_on(&mut self) -> Option<Ticket> {
        while let Some(chunk) = self.chunk(self.walked.chunk) {
            step();
            let mut cursor = self.walked;
            if chunk.walks != self.walks || is_before(chunk.number, self.fence) {
                if let Some(ticket) = self.seek_here(&mut cursor) {
                    self.walked = cursor;
                    return Some(ticket);
                }
                cursor = Cursor::at(chunk.behind);
            } else if chunk.reversed {
                cursor = Cursor::at(chunk.behind);
            } else {
                // Behind one that is filled from the back there are only later ones.
                cursor = Cursor::at(NOBODY);
            }
            self.walked = cursor;
        }
        None
    }

    /// What holds of a list after every step. The chunks are walked only while they are few, so that
    /// a debug build stays O(1) a step.
    pub(crate) fn check(&self, list: &List, number: ListId) {
        if cfg!(debug_assertions) && self.chunks.len() <= CHECKED_CHUNKS {
            let (mut waiters, mut before, mut id) = (0, NOBODY, list.head);
            while let Some(chunk) = self.chunk(id) {
                debug_assert_eq!(
                    chunk.before, before,
                    "a chunk does not know who is before it"
                );
                debug_assert_eq!(chunk.list, number, "a chunk is of another list");
                debug_assert!(
                    chunk.taken != 0 || id == list.tail,
                    "a chunk without waiters is kept"
                );
                waiters += chunk.taken.count_ones() as usize;
                (before, id) = (id, chunk.behind);
            }
            debug_assert_eq!(before, list.tail, "the list does not end at its tail");
            debug_assert_eq!(waiters, list.len, "the list has lost or won somebody");
        }
    }

    /// Adds somebody to a chunk that has room.
    #[expect(
        clippy::inline_always,
        reason = "each waiter comes here, by one of two ways"
    )]
    #[inline(always)]
    fn put(&mut self, id: u32, waiter: T) -> Ticket {
        let serial = self.chunks[id as usize].put(waiter);
        Ticket { chunk: id, serial }
    }

    /// The first who stands at the cursor or behind it. The cursor moves behind that one.
    fn seek(&self, cursor: &mut Cursor) -> Option<Ticket> {
        loop {
            let chunk = self.chunk(cursor.chunk)?;
            let ticket = self.seek_here(cursor);
            if ticket.is_some() {
                return ticket;
            }
            *cursor = Cursor::at(chunk.behind);
        }
    }

    /// The same, in the chunk of the cursor.
    fn seek_here(&self, cursor: &mut Cursor) -> Option<Ticket> {
        let chunk = self.chunk(cursor.chunk)?;
        let rank = chunk.rank_from(cursor.rank)?;
        cursor.rank = rank + 1;
        Some(Ticket {
            chunk: cursor.chunk,
            serial: chunk.serial(chunk.place(rank)),
        })
    }

    /// The tail of a list gets room for one more, or there is another tail.
    #[cold]
    fn make_room(&mut self, list: &mut List, number: ListId) {
        let is_fenced = list.fence != self.fence;
        let walks = self.walks;
        if let Some(chunk) = self.chunks.get_mut(list.tail as usize) {
            let grows = !is_fenced && !chunk.reversed && chunk.grow();
            if !grows && chunk.taken == 0 {
                // A walk may be in the midst of it. Those who come now are not among those it looks
                // at.
                (chunk.filled, chunk.reversed, chunk.walks) = (0, false, walks);
                chunk.number = next_number(&mut self.number);
            }
            list.room = chunk.room();
            if grows || chunk.taken == 0 {
                list.fence = self.fence;
                return;
            }
        }
        let id = self.take_chunk(list, number);
        self.chunks[id as usize].before = list.tail;
        self.link(list, list.tail, id);
        list.tail = id;
        list.room = self.chunks[id as usize].room();
        list.fence = self.fence;
    }

    fn has_room_in_front(&mut self, list: &List) -> bool {
        let fence = self.fence;
        let head = self.chunks.get_mut(list.head as usize);
        let head = head.filter(|chunk| chunk.reversed && !is_before(chunk.number, fence));
        head.is_some_and(|chunk| chunk.room() > 0 || chunk.grow())
    }

    #[cold]
    fn begin_head(&mut self, list: &mut List, number: ListId) {
        let head = list.head;
        let id = self.take_chunk(list, number);
        let chunk = &mut self.chunks[id as usize];
        (chunk.behind, chunk.reversed) = (head, true);
        if let Some(chunk) = self.chunks.get_mut(head as usize) {
            chunk.before = id;
        } else {
            // Who comes to the back needs another chunk.
            (list.tail, list.room) = (id, 0);
        }
        list.head = id;
    }

    fn take_chunk(&mut self, list: &List, number: ListId) -> u32 {
        let mut places = core::mem::take(&mut self.spare);
        // The chunks of a short list grow as they are filled, so that it takes little more than it
        // needs: there may be many of them.
        let part = (list.len / PART).clamp(FEW, PLACES as usize);
        let needed = 1 << part.ilog2();
        if places.len() < needed {
            places = vacant(needed);
        }
        let taken = Chunk {
            places,
            taken: 0,
            filled: 0,
            reversed: false,
            walks: self.walks,
            number: next_number(&mut self.number),
            list: number,
            before: NOBODY,
            behind: NOBODY,
        };
        let id = self.vacant;
        if let Some(chunk) = self.chunks.get_mut(id as usize) {
            self.vacant = chunk.behind;
            *chunk = taken;
            return id;
        }
        let id = u32::try_from(self.chunks.len()).unwrap_or(NOBODY);
        // As many chunks as there are numbers for.
        assert!(id < NUMBERS, "the queue holds at most 2^32 - 32 waiters");
        self.chunks.push(taken);
        id
    }

    #[cold]
    fn unlink(&mut self, list: &mut List, id: u32) {
        let Some(chunk) = self.chunks.get_mut(id as usize) else {
            return;
        };
        let (before, behind) = (chunk.before, chunk.behind);
        chunk.behind = self.vacant;
        let places = core::mem::take(&mut chunk.places);
        self.vacant = id;
        if places.len() > self.spare.len() {
            self.spare = places;
        }
        self.link(list, before, behind);
        if let Some(chunk) = self.chunks.get_mut(behind as usize) {
            chunk.before = before;
        } else {
            (list.tail, list.room) = (before, 0);
        }
        if self.walked.chunk == id {
            self.walked = Cursor::at(behind);
        }
    }

    /// Lets the chunk, or the list itself, know which is behind it now.
    fn link(&mut self, list: &mut List, id: u32, behind: u32) {
        match self.chunks.get_mut(id as usize) {
            Some(chunk) => chunk.behind = behind,
            None => list.head = behind,
        }
    }

    fn chunk(&self, id: u32) -> Option<&Chunk<T>> {
        self.chunks.get(id as usize)
    }
}

impl<T> Chunk<T> {
    /// Gives the serial of the place.
    #[expect(clippy::inline_always, reason = "as `Queue::put`")]
    #[inline(always)]
    fn put(&mut self, waiter: T) -> u32 {
        let place = self.filled;
        self.filled += 1;
        self.taken |= 1 << place;
        self.places[usize::from(place)] = Some(waiter);
        self.serial(u32::from(place))
    }

    /// How many more may come into it.
    fn room(&self) -> u32 {
        u32::try_from(self.places.len()).map_or(0, |places| places - u32::from(self.filled))
    }

    /// Makes room for more, if it is not as large as chunks are.
    fn grow(&mut self) -> bool {
        let grows = self.places.len() < PLACES as usize;
        if grows {
            let mut places = core::mem::take(&mut self.places).into_vec();
            for _ in 0..places.len() {
                step();
            }
            places.reserve_exact(places.len());
            places.resize_with(2 * places.len(), || None);
            self.places = places.into_boxed_slice();
        }
        grows
    }

    /// The place of who leaves first.
    #[inline]
    fn first(&self) -> Option<u32> {
        if self.reversed {
            self.taken.checked_ilog2()
        } else {
            // Behind the last place if nobody stands here.
            Some(self.taken.trailing_zeros())
        }
    }

    /// The first rank that is taken, from this one on.
    fn rank_from(&self, from: u32) -> Option<u32> {
        let ranks = if self.reversed {
            self.taken.reverse_bits()
        } else {
            self.taken
        };
        let ranks = ranks & u32::MAX.checked_shl(from).unwrap_or(0);
        (ranks != 0).then(|| ranks.trailing_zeros())
    }

    fn place(&self, rank: u32) -> u32 {
        if self.reversed {
            PLACES - 1 - rank
        } else {
            rank
        }
    }

    #[inline]
    fn serial(&self, place: u32) -> u32 {
        self.number << PLACE_BITS | place
    }

    #[inline]
    fn take(&mut self, place: u32) -> Option<T> {
        let waiter = self.places.get_mut(place as usize)?.take()?;
        self.taken &= !(1 << place);
        Some(waiter)
    }
}

impl Cursor {
    const fn at(chunk: u32) -> Self {
        Self { chunk, rank: 0 }
    }
}

impl<T> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.pop(&mut self.list).map(|(_, waiter)| waiter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.list.len, Some(self.list.len))
    }
}

impl<T> ExactSizeIterator for Drain<T> {}
impl<T> FusedIterator for Drain<T> {}

fn vacant<T>(places: usize) -> Box<[Option<T>]> {
    core::iter::repeat_with(|| None).take(places).collect()
}

fn next_number(number: &mut u32) -> u32 {
    let next = *number;
    *number = (next + 1) & NUMBERS;
    next
}

/// Whether the chunk with the number `a` was begun before that with the number `b`, also where the
/// numbers begin again.
fn is_before(a: u32, b: u32) -> bool {
    let distance = b.wrapping_sub(a) & NUMBERS;
    distance != 0 && distance <= NUMBERS / 2
}

/// The index that names no chunk.
const NOBODY: u32 = u32::MAX;
/// How many bits of a serial name the place in its chunk.
const PLACE_BITS: u32 = 5;
/// How many stand in a chunk: as many as a word has bits.
const PLACES: u32 = 1 << PLACE_BITS;
/// How many stand in the first chunk of a list, until there are more.
const FEW: usize = 4;
/// A chunk begins with room for that part of those who stand in its list.
const PART: usize = 8;
/// The numbers of chunks, and where they begin again.
const NUMBERS: u32 = u32::MAX >> PLACE_BITS;
/// Debug builds walk through a queue of at most so many chunks after each step.
const CHECKED_CHUNKS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// A queue of one list.
    struct One<T> {
        queue: Queue<T>,
        list: List,
    }

    impl<T> One<T> {
        fn new() -> Self {
            Self {
                queue: Queue::new(),
                list: List::new(),
            }
        }

        fn push(&mut self, waiter: T) -> Ticket {
            self.queue.push(&mut self.list, 7, waiter)
        }

        fn push_front(&mut self, waiter: T) -> Ticket {
            self.queue.push_front(&mut self.list, 7, waiter)
        }

        fn pop(&mut self) -> Option<(Ticket, T)> {
            self.queue.pop(&mut self.list)
        }

        fn remove(&mut self, ticket: Ticket) -> Option<T> {
            self.queue.remove(&mut self.list, ticket)
        }

        fn get(&self, ticket: Ticket) -> Option<&T> {
            self.queue.get(ticket)
        }

        fn drain(&mut self) -> Drain<T> {
            self.queue.drain(&mut self.list)
        }

        fn begin_walk(&mut self) -> Walk {
            self.queue.walk_along(&self.list);
            self.queue.begin_walk()
        }

        fn walk_on(&mut self) -> Option<(Ticket, &T)> {
            let ticket = self.queue.walk_on()?;
            Some((ticket, self.queue.get(ticket)?))
        }

        fn check(&self) {
            self.queue.check(&self.list, 7);
        }

        /// How many places there are, taken or not.
        fn places(&self) -> usize {
            let chunks = self.queue.chunks.iter();
            chunks.map(|chunk| chunk.places.len()).sum()
        }

        /// How many chunks there is storage for.
        fn chunks(&self) -> usize {
            let filled = self.queue.chunks.iter();
            let filled = filled.filter(|chunk| !chunk.places.is_empty()).count();
            filled + usize::from(!self.queue.spare.is_empty())
        }
    }

    const MANY: usize = PLACES as usize;

    #[test]
    fn a_place_costs_little_more_than_a_byte_beside_a_waiter_that_is_never_null() {
        assert!(4 * size_of::<Chunk<(&u8, usize)>>() <= 5 * MANY);
        assert_eq!(size_of::<Option<(&u8, usize)>>(), size_of::<(&u8, usize)>());
    }

    #[test]
    fn a_short_list_has_room_for_few() {
        let mut queue = One::new();
        queue.push((&0_u8, 0_usize));
        assert_eq!(queue.places(), FEW);
    }

    #[test]
    fn a_list_has_room_for_little_more_than_those_who_stand_in_it() {
        let mut queue = One::new();
        for n in 0..30 * MANY {
            queue.push(n);
            let spare = queue.places() - (n + 1);
            // A chunk that grows has been full.
            let most = FEW.max(n.min(MANY / 2)).max(n / PART);
            assert!(spare <= most.min(MANY), "{spare} beside {n}");
        }
    }

    #[test]
    fn who_comes_and_steps_out_behind_one_that_stays_leaves_no_storage_behind() {
        let mut queue = One::new();
        queue.push(0);
        for n in 1..1_000 {
            let ticket = queue.push(n);
            assert_eq!(queue.remove(ticket), Some(n));
            queue.check();
        }
        assert!(queue.queue.chunks.len() <= 2);
        assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(0));
    }

    #[test]
    fn an_old_ticket_names_nobody_when_its_place_is_used_again() {
        let mut queue = One::new();
        let old = queue.push(0);
        queue.remove(old);
        for n in 1..MANY {
            let ticket = queue.push(n);
            queue.remove(ticket);
        }
        let new = queue.push(MANY);
        assert_eq!((new.chunk, new.place()), (old.chunk, old.place()));
        assert_eq!(queue.get(old), None);
        assert_eq!(queue.remove(old), None);
        assert_eq!(queue.get(new), Some(&MANY));
    }

    #[test]
    fn a_walk_that_begins_takes_the_other_back_to_the_head() {
        let mut queue = One::new();
        let a = queue.push('a');
        let first = queue.begin_walk();
        assert_eq!(queue.walk_on(), Some((a, &'a')));
        let b = queue.push('b');
        assert_eq!(queue.walk_on(), None);
        let second = queue.begin_walk();
        assert_eq!(queue.walk_on(), Some((a, &'a')));
        assert_eq!(queue.walk_on(), Some((b, &'b')));
        assert_eq!(queue.walk_on(), None);
        assert!(first.includes(a) && !first.includes(b));
        assert!(second.includes(a) && second.includes(b));
    }

    #[test]
    fn a_walk_goes_on_behind_a_chunk_that_has_gone() {
        let mut queue = One::new();
        let tickets: Vec<_> = (0..3 * MANY).map(|n| queue.push(n)).collect();
        queue.begin_walk();
        assert_eq!(queue.walk_on(), Some((tickets[0], &0)));
        for ticket in &tickets[..MANY] {
            queue.remove(*ticket);
        }
        assert_eq!(queue.walk_on(), Some((tickets[MANY], &MANY)));
    }

    #[test]
    fn a_walk_comes_by_those_who_have_waited_while_the_numbers_went_round() {
        let mut queue = One::new();
        let ticket = queue.push('a');
        queue.queue.number = NUMBERS / 2 + 10;
        queue.begin_walk();
        assert_eq!(queue.walk_on(), Some((ticket, &'a')));
        let late = queue.push('b');
        queue.begin_walk();
        assert_eq!(queue.walk_on(), Some((ticket, &'a')));
        assert_eq!(queue.walk_on(), Some((late, &'b')));
        assert_eq!(queue.walk_on(), None);
    }

    #[test]
    fn an_old_ticket_names_nobody_after_the_storage_was_given_back() {
        let mut queue = One::new();
        let old = queue.push('a');
        queue.drain();
        queue.push('b');
        assert_eq!(queue.get(old), None);
    }

    #[test]
    fn a_long_queue_gives_its_storage_back_as_it_empties() {
        let mut queue = One::new();
        let tickets: Vec<_> = (0..1_000).map(|n| queue.push(n)).collect();
        assert_eq!(queue.chunks(), 1_000_usize.div_ceil(MANY));
        // From both ends, so that chunks of the middle are the last to go.
        for n in 0..500 {
            assert_eq!(queue.remove(tickets[n]), Some(n));
            assert_eq!(queue.remove(tickets[999 - n]), Some(999 - n));
            queue.check();
        }
        assert!(queue.chunks() <= 2);
    }

    #[test]
    fn who_comes_and_goes_alone_keeps_to_one_chunk() {
        let mut queue = One::new();
        for n in 0..1_000 {
            queue.push(n);
            assert_eq!(queue.pop().map(|(_, waiter)| waiter), Some(n));
            queue.check();
        }
        assert_eq!(queue.chunks(), 1);
    }

    #[test]
    fn numbers_begin_again_after_the_last_one() {
        let mut queue = One::new();
        queue.queue.number = NUMBERS - 1;
        queue.queue.fence = NUMBERS - 1;
        let tickets: Vec<_> = (0..4 * MANY).map(|n| queue.push(n)).collect();
        let walk = queue.begin_walk();
        for (n, ticket) in tickets.iter().enumerate() {
            assert_eq!(queue.walk_on(), Some((*ticket, &n)));
            assert_eq!(queue.get(*ticket), Some(&n));
            assert!(walk.includes(*ticket));
        }
        assert!(queue.walk_on().is_none());
        let late = queue.push(4 * MANY);
        assert!(!walk.includes(late));
        assert_eq!(queue.remove(late), Some(4 * MANY));
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(queue.pop(), Some((ticket, n)));
            queue.check();
        }
    }

    #[test]
    fn who_comes_to_the_front_stands_before_all_others() {
        let mut queue = One::new();
        let mut expected = alloc::collections::VecDeque::new();
        for n in 0..3 * MANY {
            if n % 3 == 0 {
                queue.push(n);
                expected.push_back(n);
            } else {
                queue.push_front(n);
                expected.push_front(n);
            }
            queue.check();
        }
        let in_order = queue.queue.iter(&queue.list).map(|(_, n)| *n);
        assert!(in_order.eq(expected.iter().copied()));
        assert_eq!(queue.queue.first(&queue.list), expected.front());
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop())
            .map(|(_, n)| n)
            .collect();
        assert!(popped.into_iter().eq(expected));
        queue.check();
        // A list whose only chunk is filled from the front goes on at the back.
        queue.push_front(0);
        queue.pop();
        queue.push(1);
        queue.push_front(2);
        queue.push(3);
        queue.check();
        let popped: Vec<_> = core::iter::from_fn(|| queue.pop())
            .map(|(_, n)| n)
            .collect();
        assert_eq!(popped, [2, 1, 3]);
    }

    #[test]
    fn a_walk_does_not_come_by_those_who_came_later_at_either_end() {
        let mut queue = One::new();
        let (b, c) = (queue.push('b'), queue.push('c'));
        let a = queue.push_front('a');
        let walk = queue.begin_walk();
        let late = [queue.push_front('-'), queue.push('d')];
        assert_eq!(queue.walk_on(), Some((a, &'a')));
        queue.push_front('-');
        assert_eq!(queue.walk_on(), Some((b, &'b')));
        assert_eq!(queue.walk_on(), Some((c, &'c')));
        assert_eq!(queue.walk_on(), None);
        assert!([a, b, c].iter().all(|ticket| walk.includes(*ticket)));
        assert!(!late.iter().any(|ticket| walk.includes(*ticket)));
        queue.begin_walk();
        let all = core::iter::from_fn(|| queue.walk_on().map(|(_, n)| *n));
        assert_eq!(all.collect::<Vec<_>>(), ['-', '-', 'a', 'b', 'c', 'd']);
    }

    #[test]
    fn a_list_that_goes_leaves_its_chunk_to_others() {
        let mut queue = Queue::new();
        for n in 0..1_000 {
            let mut list = List::new();
            let ticket = queue.push(&mut list, n, n);
            assert_eq!(queue.list_of(ticket), Some(n));
            assert_eq!(queue.remove(&mut list, ticket), Some(n));
            assert_eq!(queue.list_of(ticket), None);
            queue.dissolve(&mut list);
            queue.check(&list, n);
        }
        assert_eq!(queue.chunks.len(), 1);
    }

    #[test]
    fn a_ticket_is_printed_as_the_number_of_its_place() {
        let mut queue = One::new();
        let printed = [queue.push('a'), queue.push('b')].map(|ticket| alloc::format!("{ticket}"));
        assert_eq!(printed, ["0", "1"]);
    }

    #[test]
    fn a_drained_queue_comes_out_in_order_and_is_empty() {
        let mut queue = One::new();
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
