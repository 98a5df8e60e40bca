//! What a running map or stream is to the queue: the records, and what its items and results can
//! do.

pub(crate) mod mapped;
mod places;
pub(crate) mod results;

use std::any::Any;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aiopool_core::{Level, Request};

use crate::error::JobError;
use crate::job::body::Ended;
use crate::job::options::Options;
use crate::sys::unwind::Payload;

/// What stands in the queue for a map or a stream.
pub(crate) struct Source {
    id: SourceId,
    /// The index of its workers, which is there as long as the source.
    workers: usize,
    /// Where it stands in the queue, and its items do, unless they ask for another level.
    request: Request,
    items: Box<dyn Items>,
    /// The place for the item that it is asked for.
    pub(crate) reserved: Option<Reserved>,
    /// Whether the pool takes no more of its items.
    pub(crate) is_closed: bool,
    /// Whether a worker asks it now.
    pub(crate) is_asked: bool,
}

/// What stands in the queue in an allocation of its own.
pub(crate) enum Apart {
    Source(Source),
    Item(WaitingItem),
    Caller(WaitingCaller),
    Back(ComingBack),
}

/// A source in its place for the queue, which it keeps from turn to turn.
pub(crate) struct SourceBox(Box<Apart>);

/// An item that waits for itself, because its job has options of its own.
pub(crate) struct WaitingItem {
    pub(crate) item: Pin<Box<dyn Item>>,
    /// The index of the workers that are to run it.
    pub(crate) workers: usize,
    pub(crate) weight: NonZeroU32,
}

/// A caller that waits for a slot without a job.
pub(crate) struct WaitingCaller {
    /// What the state knows it by.
    pub(crate) index: usize,
    /// The index of the workers on its runtime.
    pub(crate) workers: usize,
    pub(crate) weight: NonZeroU32,
    /// What it had left when it was taken out of the queue, to be woken under no lock.
    pub(crate) lost: Option<Waker>,
}

/// A job that is outside and wants its slots again. Its worker has it.
pub(crate) struct ComingBack {
    /// The index of its entry.
    pub(crate) entry: usize,
    /// The index of its workers.
    pub(crate) workers: usize,
    pub(crate) weight: NonZeroU32,
    /// Whether it pays the rates as a start does.
    pub(crate) pays: bool,
}

/// A source whose iterator and function have been dropped.
pub(crate) struct DiscardedSource {
    pub(crate) id: SourceId,
    pub(crate) workers: usize,
    pub(crate) had_reserved: bool,
    pub(crate) was_asked: bool,
}

/// Names a source in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId {
    pub(crate) index: usize,
    /// No other source of the pool has the same.
    pub(crate) serial: u64,
}

/// The items of a source, whatever their types.
pub(crate) trait Items: Send {
    /// The next item. It takes the allocation of `spare`, an item that has ended, if it fits.
    fn pull(
        &mut self,
        id: SourceId,
        level: Level,
        at: Reserved,
        spare: Option<Pin<Box<dyn Item>>>,
    ) -> Pulled;

    /// How many items are left at least and at most, as the iterator says. It need not know.
    fn size_hint(&self) -> (usize, Option<usize>);

    /// Drops the iterator and the function, which may both panic.
    fn discard(self: Box<Self>);
}

/// What a source gives when it is asked for an item.
pub(crate) enum Pulled {
    Item(Pin<Box<dyn Item>>, Rest),
    /// As [`Item`](Self::Item), and its job has a name.
    Named(Pin<Box<dyn Item>>, Rest),
    /// An item that does not start in the turn of its source: it has options of its own.
    Apart(Pin<Box<dyn Item>>, Rest),
    Nothing(End),
}

/// What is known of the items that come after one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {
    Wanted,
    /// The reader is so far behind that it has to catch up first.
    Unwanted,
    /// The iterator says that there are none. It need not know.
    Exhausted,
}

/// The job of an item, as its worker sees it.
pub(crate) trait Item: Send {
    /// The id of its source.
    fn source(&self) -> SourceId;

    /// Runs what is in `next`, an `Option` of a body, in the allocation of this item, which has
    /// ended. Leaves it there if it is of another type.
    fn renew(self: Pin<&mut Self>, next: &mut dyn Any, source: SourceId, place: Place);

    /// At its end the item keeps its result, until that is [put](Self::put) where it belongs.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;

    /// Drops the job, which is cancelled.
    fn give_up(self: Pin<&mut Self>) -> Ended {
        self.give_up_as(JobError::Cancelled)
    }

    /// Drops the job, whose result is this error.
    fn give_up_as(self: Pin<&mut Self>, why: JobError) -> Ended;

    /// Drops the job, which has not begun, and settles it with the panic of its key.
    fn fail(self: Pin<&mut Self>, payload: Payload) -> Ended;

    /// The options of the job, if it may have some and has not ended.
    fn options(self: Pin<&mut Self>) -> Option<&mut Options>;

    /// The name of the job, if it has one and has not ended.
    fn name(self: Pin<&mut Self>) -> Option<Arc<str>> {
        self.options()?.name().cloned()
    }

    /// Puts the result, if the item has ended, among those of its source. Runs nothing foreign. The
    /// waker it gives is to be woken last.
    fn put(self: Pin<&mut Self>, results: &mut dyn AnyResults) -> Option<Waker>;
}

impl Source {
    pub(crate) fn new(
        id: SourceId,
        workers: usize,
        request: Request,
        items: Box<dyn Items>,
    ) -> Self {
        Self {
            id,
            workers,
            request,
            items,
            reserved: None,
            is_closed: false,
            is_asked: false,
        }
    }

    pub(crate) fn id(&self) -> SourceId {
        self.id
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    pub(crate) fn request(&self) -> Request {
        self.request
    }

    /// The next item, in the allocation of `spare` if it fits.
    pub(crate) fn pull(&mut self, spare: Option<Pin<Box<dyn Item>>>) -> Pulled {
        if self.is_closed {
            return Pulled::Nothing(End::Closed);
        }
        // It was abandoned before its turn came: nobody has a place for an item.
        let Some(reserved) = self.reserved else {
            return Pulled::Nothing(End::CutShort);
        };
        let pulled = self
            .items
            .pull(self.id, self.request.level, reserved, spare);
        // Without an item the place is given back with the end.
        if !matches!(pulled, Pulled::Nothing(_)) {
            self.reserved = None;
        }
        pulled
    }

    /// Drops the iterator and the function, under no lock.
    fn discard(self) -> DiscardedSource {
        self.items.discard();
        DiscardedSource {
            id: self.id,
            workers: self.workers,
            had_reserved: self.reserved.is_some(),
            was_asked: self.is_asked,
        }
    }
}

impl Apart {
    pub(crate) fn weight(&self) -> NonZeroU32 {
        match self {
            Self::Source(_) => NonZeroU32::MIN,
            Self::Item(waiting) => waiting.weight,
            Self::Caller(waiting) => waiting.weight,
            Self::Back(waiting) => waiting.weight,
        }
    }

    /// The index of the workers that are to run it.
    pub(crate) fn workers(&self) -> usize {
        match self {
            Self::Source(source) => source.workers,
            Self::Item(waiting) => waiting.workers,
            Self::Caller(waiting) => waiting.workers,
            Self::Back(waiting) => waiting.workers,
        }
    }

    /// The options of an item.
    pub(crate) fn options(&mut self) -> Option<&mut Options> {
        match self {
            Self::Source(_) | Self::Caller(_) | Self::Back(_) => None,
            Self::Item(waiting) => waiting.item.as_mut().options(),
        }
    }

    /// What the state knows a caller by.
    pub(crate) fn caller(&self) -> Option<usize> {
        match self {
            Self::Source(_) | Self::Item(_) | Self::Back(_) => None,
            Self::Caller(waiting) => Some(waiting.index),
        }
    }

    /// The source in there, if it is one.
    pub(crate) fn source(&self) -> Option<&Source> {
        match self {
            Self::Source(source) => Some(source),
            Self::Item(_) | Self::Caller(_) | Self::Back(_) => None,
        }
    }

    /// The waker of a caller that has been taken out of the queue.
    pub(crate) fn lost(&mut self) -> Option<&mut Option<Waker>> {
        match self {
            Self::Source(_) | Self::Item(_) | Self::Back(_) => None,
            Self::Caller(waiting) => Some(&mut waiting.lost),
        }
    }

    /// The source of an item.
    pub(crate) fn source_of_item(&self) -> Option<SourceId> {
        match self {
            Self::Source(_) | Self::Caller(_) | Self::Back(_) => None,
            Self::Item(waiting) => Some(waiting.item.source()),
        }
    }

    /// A job that comes back.
    pub(crate) fn coming_back(&self) -> Option<&ComingBack> {
        match self {
            Self::Source(_) | Self::Item(_) | Self::Caller(_) => None,
            Self::Back(waiting) => Some(waiting),
        }
    }

    /// The item in there, if it is not a source.
    pub(crate) fn into_item(self) -> Pin<Box<dyn Item>> {
        match self {
            Self::Item(waiting) => waiting.item,
            Self::Source(_) | Self::Caller(_) | Self::Back(_) => unreachable!("it is no item"),
        }
    }
}

impl SourceBox {
    pub(crate) fn new(source: Source) -> Self {
        Self(Box::new(Apart::Source(source)))
    }

    /// The source in there, if it is one.
    pub(crate) fn from_box(apart: Box<Apart>) -> Result<Self, Box<Apart>> {
        match &*apart {
            Apart::Source(_) => Ok(Self(apart)),
            Apart::Item(_) | Apart::Caller(_) | Apart::Back(_) => Err(apart),
        }
    }

    pub(crate) fn into_box(self) -> Box<Apart> {
        self.0
    }

    /// Drops the iterator and the function, under no lock.
    pub(crate) fn discard(self) -> DiscardedSource {
        match *self.0 {
            Apart::Source(source) => source.discard(),
            Apart::Item(_) | Apart::Caller(_) | Apart::Back(_) => unreachable!("{NOT_A_SOURCE}"),
        }
    }
}

impl Deref for SourceBox {
    type Target = Source;

    #[inline]
    fn deref(&self) -> &Source {
        match &*self.0 {
            Apart::Source(source) => source,
            Apart::Item(_) | Apart::Caller(_) | Apart::Back(_) => unreachable!("{NOT_A_SOURCE}"),
        }
    }
}

impl DerefMut for SourceBox {
    #[inline]
    fn deref_mut(&mut self) -> &mut Source {
        match &mut *self.0 {
            Apart::Source(source) => source,
            Apart::Item(_) | Apart::Caller(_) | Apart::Back(_) => unreachable!("{NOT_A_SOURCE}"),
        }
    }
}

/// What a source gets for its next item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) place: Place,
    /// Whether the reader has to catch up before there is another.
    pub(crate) is_last: bool,
}

/// The place of an item among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(usize);

/// Why there are no more items.
pub(crate) enum End {
    Exhausted,
    /// The iterator panicked.
    Panicked(Payload),
    /// The runtime shut down, or nobody wants the results any more.
    CutShort,
    /// The pool takes no more items.
    Closed,
}

/// The results as their source sees them, whatever their type.
pub(crate) trait AnyResults: Send {
    /// A place for the next item. There is one: a source that may not go ahead is parked.
    fn reserve(&mut self) -> Reserved;

    /// There was no item for the place that was reserved last.
    fn unreserve(&mut self);

    /// Keeps the source until the reader has caught up, or gives it back if it may go on.
    fn park(&mut self, source: SourceBox) -> Option<SourceBox>;

    /// Keeps the source, whether it may go on or not.
    fn keep(&mut self, source: SourceBox);

    /// The source that stood aside, whether it may go on or not.
    fn take_parked(&mut self) -> Option<SourceBox>;

    /// The source that stood aside, if it may go on because an item has ended.
    fn release(&mut self) -> Option<SourceBox>;

    /// So many items may be pulled and not have ended, unless that was said otherwise.
    fn limit(&mut self, ahead: usize);

    /// There are no more items. The waker is to be woken last.
    fn end(&mut self, end: End) -> Option<Waker>;

    /// Whether nothing foreign is in them.
    fn is_empty(&self) -> bool;

    /// For an item that [puts](Item::put) its result, and for the reader.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Nobody will read them any more. Under no lock; what stands aside is given back.
    fn discard(self: Box<Self>) -> Option<SourceBox>;
}

const NOT_A_SOURCE: &str = "what is a source stays one";
