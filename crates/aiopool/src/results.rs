//! Where the results of a map or a stream wait for their reader.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::error::JobError;
use crate::foreign::{Payload, discard};
use crate::source::{End, Source};
use crate::sync::{Mutex, poll_locked};

/// The results of a source.
pub(crate) struct Results<T>(Mutex<Stock<T>>);

struct Stock<T> {
    order: Order,
    /// A place for each item that was pulled and not read yet, save that in the order of
    /// completion a place comes with its result.
    places: Places<T>,
    /// The place of the first of `places`.
    first: usize,
    /// How many items may be pulled and not read yet.
    ahead: usize,
    /// How many are.
    unread: usize,
    /// How many of these have no result yet.
    active: usize,
    end: Option<End>,
    /// The source, while it may not go ahead.
    parked: Option<Box<Source>>,
    abandoned: bool,
    reader: Option<Waker>,
}

type Places<T> = VecDeque<Option<Result<T, JobError>>>;

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

/// The place of an item among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(usize);

/// What a source gets for its next item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) place: Place,
    /// Whether the reader has to catch up before there is another.
    pub(crate) is_last: bool,
}

/// What the reader of a stream finds.
pub(crate) enum Read<T> {
    /// A result, and the source if there is room for it to go on.
    Result(Result<T, JobError>, Option<Box<Source>>),
    /// The iterator has panicked, and all results before that have been read.
    Panicked(Payload),
    End,
}

/// What a reader leaves behind, to be discarded under no lock.
#[must_use = "what is dropped may panic"]
pub(crate) struct Abandoned<T> {
    /// Whether there are items that have not ended, or not been pulled.
    pub(crate) unfinished: bool,
    results: Places<T>,
    rest: (Option<Box<Source>>, Option<End>, Option<Waker>),
}

/// The results as their source sees them, whatever their type.
pub(crate) trait AnyResults: Send + Sync {
    /// Keeps the source until the reader has caught up, or gives it back if it may go on.
    fn park(&self, source: Box<Source>) -> Option<Box<Source>>;

    /// There are no more items.
    fn end(&self, end: End) -> Option<Waker>;
}

/// The side of the items.
impl<T> Results<T> {
    pub(crate) fn new(order: Order, ahead: usize) -> Self {
        Self(Mutex::new(Stock {
            order,
            places: VecDeque::new(),
            first: 0,
            ahead,
            unread: 0,
            active: 0,
            end: None,
            parked: None,
            abandoned: false,
            reader: None,
        }))
    }

    /// A place for the next item; `None` if nobody wants it any more.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        let mut stock = self.0.lock();
        if stock.abandoned {
            return None;
        }
        stock.unread += 1;
        stock.active += 1;
        let place = Place(stock.first + stock.places.len());
        if stock.order != Order::Completion {
            stock.places.push_back(None);
        }
        let is_last = stock.unread >= stock.ahead;
        Some(Reserved { place, is_last })
    }

    /// There was no item for the place that was reserved last.
    pub(crate) fn unreserve(&self) {
        let mut stock = self.0.lock();
        stock.unread -= 1;
        stock.active -= 1;
        if stock.order != Order::Completion {
            stock.places.pop_back();
        }
    }

    /// Stores the result of an item. The waker it gives is to be woken last.
    pub(crate) fn put(&self, place: Place, result: Result<T, JobError>) -> Option<Waker> {
        let mut stock = self.0.lock();
        stock.active -= 1;
        if stock.abandoned {
            drop(stock);
            discard(result);
            return None;
        }
        if stock.order == Order::Completion {
            stock.places.push_back(Some(result));
        } else {
            let index = place.0 - stock.first;
            stock.places[index] = Some(result);
        }
        stock.wake_reader()
    }
}

impl<T: Send> AnyResults for Results<T> {
    fn park(&self, source: Box<Source>) -> Option<Box<Source>> {
        let mut stock = self.0.lock();
        if stock.abandoned || stock.unread < stock.ahead {
            return Some(source);
        }
        stock.parked = Some(source);
        None
    }

    fn end(&self, end: End) -> Option<Waker> {
        let mut stock = self.0.lock();
        if matches!(end, End::CutShort) && !stock.abandoned {
            // Whoever reads the results has to see that some are missing.
            stock.unread += 1;
            stock.places.push_back(Some(Err(JobError::Cancelled)));
        }
        stock.end = Some(end);
        stock.wake_reader()
    }
}

/// The side of the reader.
impl<T> Results<T> {
    /// Allows `ahead` items to be pulled and not read yet. Gives the source if it may go on now.
    pub(crate) fn set_ahead(&self, ahead: usize) -> Option<Box<Source>> {
        let mut stock = self.0.lock();
        stock.ahead = ahead;
        stock.take_source()
    }

    /// The next result of a stream.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Read<T>> {
        poll_locked(&self.0, cx, |stock| {
            if let Some(result) = stock.places.front_mut().and_then(Option::take) {
                stock.places.pop_front();
                stock.first += 1;
                stock.unread -= 1;
                return Ok(Read::Result(result, stock.take_source()));
            }
            if stock.unread > 0 || stock.end.is_none() {
                return Err(&mut stock.reader);
            }
            match stock.end.replace(End::Exhausted) {
                Some(End::Panicked(payload)) => Ok(Read::Panicked(payload)),
                _ => Ok(Read::End),
            }
        })
    }

    /// All results of a map, or what its iterator panicked with, at once.
    pub(crate) fn poll_whole(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<Result<T, JobError>>, Payload>> {
        let results = poll_locked(&self.0, cx, |stock| match stock.end.take() {
            Some(End::Panicked(payload)) => {
                stock.end = Some(End::Exhausted);
                Ok(Err(payload))
            }
            Some(end) if stock.active == 0 => {
                stock.end = Some(end);
                Ok(Ok(mem::take(&mut stock.places)))
            }
            end => {
                stock.end = end;
                Err(&mut stock.reader)
            }
        });
        results.map_ok(|results| results.into_iter().flatten().collect())
    }

    /// Waits until no item is active.
    pub(crate) fn poll_quiet(&self, cx: &mut Context<'_>) -> Poll<()> {
        poll_locked(&self.0, cx, |stock| match stock.active {
            0 => Ok(()),
            _ => Err(&mut stock.reader),
        })
    }

    /// Nobody will read any more.
    pub(crate) fn abandon(&self) -> Abandoned<T> {
        let mut stock = self.0.lock();
        stock.abandoned = true;
        Abandoned {
            unfinished: stock.active > 0 || stock.end.is_none(),
            results: mem::take(&mut stock.places),
            rest: (stock.parked.take(), stock.end.take(), stock.reader.take()),
        }
    }
}

impl<T> Abandoned<T> {
    pub(crate) fn discard(self) {
        // One by one: two that panic when they are dropped together abort the process.
        for result in self.results {
            discard(result);
        }
        let (source, end, reader) = self.rest;
        // Nobody reads that it was cut short.
        let nobody = source.and_then(|source| source.retire(End::CutShort));
        discard((end, reader, nobody));
    }
}

impl<T> Stock<T> {
    /// The source that stands aside, if it may go on.
    fn take_source(&mut self) -> Option<Box<Source>> {
        if self.unread < self.ahead {
            self.parked.take()
        } else {
            None
        }
    }

    /// The waker of the reader, if there is something to read.
    fn wake_reader(&mut self) -> Option<Waker> {
        let readable = match self.order {
            Order::Completion | Order::Items => {
                let ended = self.unread == 0 && self.end.is_some();
                ended || matches!(self.places.front(), Some(Some(_)))
            }
            Order::Whole => match self.end {
                Some(End::Panicked(_)) => true,
                Some(_) => self.active == 0,
                None => false,
            },
        };
        if readable { self.reader.take() } else { None }
    }
}
