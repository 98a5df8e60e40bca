//! Where the results of a map or a stream wait for their reader.

use std::any::Any;
use std::mem;
use std::task::Waker;

use crate::error::JobError;
use crate::source::places::Places;
use crate::source::{AnyResults, End, Place, Reserved, SourceBox};
use crate::sys::unwind::{Payload, discard};

/// The results of a source, and how far its items have come. It stands under the lock of the pool.
pub(crate) struct Results<T> {
    order: Order,
    /// A place for each item that was pulled and not read yet, save that in the order of
    /// completion a place comes with its result.
    places: Places<Result<T, JobError>>,
    /// The place of the first of `places`.
    first: usize,
    /// How many items may be pulled and not read yet; of a map, that have not ended yet.
    ahead: usize,
    /// How many are.
    unread: usize,
    /// How many of these have no result yet.
    active: usize,
    end: Option<End>,
    /// What stands for the items that the source has not given, until it has its place.
    cut: Option<JobError>,
    /// The source, while it may not go ahead.
    parked: Option<SourceBox>,
    pub(crate) reader: Option<Waker>,
}

/// In which order results are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they come.
    Completion,
    /// As their items came.
    Items,
    /// As their items came, all at once at the end.
    Whole,
}

/// What the reader of a stream finds.
pub(crate) enum Read<T> {
    /// A result, and the source if there is room for it to go on.
    Result(Result<T, JobError>, Option<SourceBox>),
    /// The iterator has panicked, and all results before that have been read.
    Panicked(Payload),
    End,
}

/// The side of the items.
impl<T> Results<T> {
    pub(crate) fn new(order: Order, ahead: usize) -> Self {
        Self {
            order,
            places: Places::new(),
            first: 0,
            ahead,
            unread: 0,
            active: 0,
            end: None,
            cut: None,
            parked: None,
            reader: None,
        }
    }

    /// Stores the result of an item. The waker it gives is to be woken last.
    pub(crate) fn put(&mut self, place: Place, result: Result<T, JobError>) -> Option<Waker> {
        self.active -= 1;
        // In the order of completion a slow item has no place that would hold the others up.
        if self.order == Order::Completion {
            self.places.push_back(Some(result));
        } else {
            self.places.fill(place.0 - self.first, result);
        }
        self.put_cut();
        self.wake_reader()
    }

    /// What stands for the items that a closed pool has not taken comes behind all others. After a
    /// shutdown it comes at once: nobody may be left who would put the others.
    fn put_cut(&mut self) {
        let is_closed = self.cut.as_ref().is_some_and(JobError::is_closed);
        if !is_closed || self.order != Order::Completion || self.active == 0 {
            if let Some(error) = self.cut.take() {
                self.places.push_back(Some(Err(error)));
            }
        }
    }

    /// Whether another item may be pulled.
    fn has_room(&self) -> bool {
        let pulled = match self.order {
            Order::Completion | Order::Items => self.unread,
            Order::Whole => self.active,
        };
        pulled < self.ahead
    }

    /// The waker of the reader, if there is something to read.
    fn wake_reader(&mut self) -> Option<Waker> {
        self.reader.as_ref()?;
        let readable = match self.order {
            Order::Completion | Order::Items => {
                let ended = self.unread == 0 && self.end.is_some();
                ended || self.places.is_ready()
            }
            Order::Whole => match self.end {
                Some(End::Panicked(_)) => true,
                Some(_) => self.active == 0,
                None => false,
            },
        };
        // Woken for nothing, the reader of a large map would come once for each of its items.
        if readable { self.reader.take() } else { None }
    }
}

/// The side of the source.
impl<T: Send + 'static> AnyResults for Results<T> {
    fn reserve(&mut self) -> Reserved {
        self.unread += 1;
        self.active += 1;
        let place = Place(self.first + self.places.len());
        if self.order != Order::Completion {
            self.places.push_back(None);
        }
        let is_last = !self.has_room();
        Reserved { place, is_last }
    }

    fn unreserve(&mut self) {
        self.unread -= 1;
        self.active -= 1;
        if self.order != Order::Completion {
            self.places.pop_back();
        }
    }

    fn park(&mut self, source: SourceBox) -> Option<SourceBox> {
        // The reader may have caught up since the place was reserved, and would not come again: it
        // has nothing left to read.
        if self.has_room() {
            return Some(source);
        }
        self.parked = Some(source);
        None
    }

    fn keep(&mut self, source: SourceBox) {
        self.parked = Some(source);
    }

    fn take_parked(&mut self) -> Option<SourceBox> {
        self.parked.take()
    }

    fn release(&mut self) -> Option<SourceBox> {
        if self.order != Order::Whole {
            // Its reader does that.
            return None;
        }
        self.take_source()
    }

    fn limit(&mut self, ahead: usize) {
        if self.order == Order::Whole && self.ahead == usize::MAX {
            self.ahead = ahead;
        }
    }

    fn end(&mut self, end: End) -> Option<Waker> {
        // Whoever reads the results has to see that some are missing.
        self.cut = match end {
            End::CutShort => Some(JobError::Cancelled),
            End::Closed => Some(JobError::Closed),
            End::Exhausted | End::Panicked(_) => None,
        };
        self.unread += usize::from(self.cut.is_some());
        self.put_cut();
        self.end = Some(end);
        self.wake_reader()
    }

    fn is_empty(&self) -> bool {
        let has_panicked = matches!(self.end, Some(End::Panicked(_)));
        self.places.len() == 0 && self.parked.is_none() && !has_panicked
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn discard(self: Box<Self>) -> Option<SourceBox> {
        let Self {
            places,
            end,
            parked,
            reader,
            ..
        } = *self;
        // One by one: two that panic when they are dropped together abort the process.
        for result in places.into_values() {
            discard(result);
        }
        discard(end);
        discard(reader);
        parked
    }
}

/// The side of the reader.
impl<T> Results<T> {
    /// Allows `ahead` items to be pulled and not read yet. Gives the source if it may go on now.
    pub(crate) fn set_ahead(&mut self, ahead: usize) -> Option<SourceBox> {
        self.ahead = ahead;
        self.take_source()
    }

    /// The next result of a stream, or none yet.
    pub(crate) fn read(&mut self) -> Option<Read<T>> {
        if let Some(result) = self.places.pop_ready() {
            self.first += 1;
            self.unread -= 1;
            return Some(Read::Result(result, self.take_source()));
        }
        // Items that are still active have results to come, whatever has become of the source.
        if self.unread > 0 || self.end.is_none() {
            return None;
        }
        // A panic is told once; a stream that is polled on has ended.
        match self.end.replace(End::Exhausted) {
            Some(End::Panicked(payload)) => Some(Read::Panicked(payload)),
            _ => Some(Read::End),
        }
    }

    /// All results of a map, or what its iterator panicked with, or none yet.
    pub(crate) fn read_whole(&mut self) -> Option<Result<Whole<T>, Payload>> {
        match self.end.take()? {
            // At once: the map stops its items then, and waits for these.
            End::Panicked(payload) => {
                self.end = Some(End::Exhausted);
                Some(Err(payload))
            }
            end => {
                self.end = Some(end);
                (self.active == 0).then(|| Ok(Whole(mem::replace(&mut self.places, Places::new()))))
            }
        }
    }

    /// How many results are left to be read, if that is known.
    pub(crate) fn left(&self) -> Option<usize> {
        self.end.as_ref().map(|_| self.unread)
    }

    /// Whether no item is active.
    pub(crate) fn is_quiet(&self) -> bool {
        self.active == 0
    }

    /// The source that stands aside, if it may go on.
    fn take_source(&mut self) -> Option<SourceBox> {
        if self.has_room() {
            self.parked.take()
        } else {
            None
        }
    }
}

/// All results of a map.
pub(crate) struct Whole<T>(Places<Result<T, JobError>>);

impl<T> Whole<T> {
    /// To be called under no lock: it takes as long as there are results.
    pub(crate) fn into_vec(self) -> Vec<Result<T, JobError>> {
        self.0.into_values().collect()
    }
}
