//! A running map or stream: it stands in the line for its next item, pulls it when it gets a slot,
//! and goes to the back of the line.

use std::any::Any;
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::Ticket;
use pin_project_lite::pin_project;

use crate::body::{Body, Caught, Sealed};
use crate::error::JobError;
use crate::foreign::{Payload, discard, guarded};
use crate::job::Job;
use crate::line::{Shared, State, Waiter};
use crate::results::{AnyResults, End, Place, Reserved, Results};
use crate::run::{Course, Ended};
use crate::runtime::Handle;
use crate::stop::pull;
use crate::worker::Work;

/// What stands in the line for a map or a stream.
pub(crate) struct Source {
    id: SourceId,
    /// The key of its crew, which is there as long as the source.
    crew: usize,
    items: Box<dyn Items>,
    /// The place for the item that it is asked for.
    reserved: Option<Reserved>,
    /// Whether a worker asks it now.
    is_asked: bool,
}

/// Names a source in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId {
    key: usize,
    /// No other source of the pool has the same.
    pub(crate) serial: u64,
}

/// A source that has not been abandoned.
pub(crate) struct Seat {
    serial: u64,
    /// Its place while it stands in the line.
    ticket: Option<Ticket>,
    pub(crate) results: Box<dyn AnyResults>,
}

/// The items of a source, whatever their types.
pub(crate) trait Items: Send {
    /// The next item. It takes the allocation of `spare`, an item that has ended, if it fits.
    fn pull(&mut self, id: SourceId, at: Reserved, spare: Option<Pin<Box<dyn Item>>>) -> Pulled;

    /// Drops the iterator and the function, which may both panic.
    fn discard(self: Box<Self>);
}

/// What a source gives when it is asked for an item.
pub(crate) enum Pulled {
    Item(Pin<Box<dyn Item>>, Rest),
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
    fn give_up(self: Pin<&mut Self>) -> Ended;

    /// Puts the result, if the item has ended, among those of its source. Runs nothing foreign. The
    /// waker it gives is to be woken last.
    fn put(self: Pin<&mut Self>, results: &mut dyn AnyResults) -> Option<Waker>;
}

/// An iterator and the function that makes jobs of its items.
struct Mapped<I, F> {
    items: I,
    function: F,
}

pin_project! {
    struct ItemJob<B: Body> {
        #[pin]
        body: B,
        course: Course,
        source: SourceId,
        place: Place,
        result: Option<Result<B::Output, JobError>>,
    }
}

impl Shared {
    /// An id for a source that is to come.
    pub(crate) fn announce_source(&self, results: Box<dyn AnyResults>) -> SourceId {
        let mut state = self.lock();
        let serial = state.next_source;
        state.next_source += 1;
        let key = state.sources.insert(Seat {
            serial,
            ticket: None,
            results,
        });
        SourceId { key, serial }
    }

    /// A source takes its first place in the line, to be asked on `home`.
    pub(crate) fn begin_source(
        self: &Arc<Self>,
        id: SourceId,
        items: Box<dyn Items>,
        home: Handle,
    ) {
        let mut state = self.lock();
        let (crew, spare) = state.crew_on(home);
        state.source_begins(crew);
        state.line_up(Box::new(Source {
            id,
            crew,
            items,
            reserved: None,
            is_asked: false,
        }));
        self.advance(state);
        drop(spare);
    }

    /// A source takes the last place in the line, after it stood aside.
    pub(crate) fn go_on(self: &Arc<Self>, source: Box<Source>) {
        let mut state = self.lock();
        state.line_up(source);
        self.advance(state);
    }

    /// Drops the iterator and the function of a source whose results nobody reads any more.
    pub(crate) fn discard(&self, source: Source) {
        // Nobody waits for them.
        let _reader = self.retire(source, End::CutShort);
    }

    /// Drops the iterator and the function of a source, then lets its reader know that there are no
    /// more items. The waker it gives is to be woken last.
    pub(crate) fn retire(&self, source: Source, end: End) -> Option<Waker> {
        let Source {
            id,
            crew,
            items,
            reserved,
            is_asked,
        } = source;
        items.discard();
        let mut state = self.lock();
        state.asked -= usize::from(is_asked);
        let end = match state.results(id) {
            Some(results) => {
                if reserved.is_some() {
                    results.unreserve();
                }
                Ok(results.end(end))
            }
            None => Err(end),
        };
        let (woken, gone) = state.source_ends(crew);
        drop(state);
        drop(gone);
        pull(woken);
        end.unwrap_or_else(|end| {
            discard(end);
            None
        })
    }
}

impl State {
    /// A source that has not been abandoned takes the last place in the line.
    pub(crate) fn line_up(&mut self, source: Box<Source>) {
        let (key, crew) = (source.id.key, source.crew);
        let ticket = self.submit(Waiter::Source(source), crew);
        self.sources[key].ticket = Some(ticket);
    }

    /// Forgets the source with this id: what is known of it, and itself if it stands in the line.
    pub(crate) fn forget_source(&mut self, id: SourceId) -> Option<(Seat, Option<Waiter>)> {
        self.seat(id)?;
        let seat = self.sources.remove(id.key);
        let source = seat.ticket.and_then(|ticket| self.withdraw(ticket));
        Some((seat, source))
    }

    /// The results of a source that has not been abandoned.
    pub(crate) fn results(&mut self, id: SourceId) -> Option<&mut dyn AnyResults> {
        Some(&mut *self.seat(id)?.results)
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
    pub(crate) fn put(&mut self, item: Pin<&mut dyn Item>, ended: &mut Ended) -> bool {
        let Some(results) = self.results(item.source()) else {
            return false;
        };
        ended.waker = item.put(results);
        true
    }

    /// A worker is about to ask the source, if it has been given the turn of one: there has to be a
    /// place for the item, unless nobody wants it any more.
    pub(crate) fn ask(&mut self, work: &mut Work) {
        let Work::Pull(source) = work else { return };
        (source.reserved, source.is_asked) = match (self.results(source.id), source.reserved) {
            (Some(results), None) => (Some(results.reserve()), true),
            (Some(_), reserved) => (reserved, true),
            (None, _) => (None, true),
        };
        self.asked += 1;
    }

    /// Nobody asks the source now.
    pub(crate) fn is_asked_no_more(&mut self, source: &mut Source) {
        self.asked -= usize::from(mem::take(&mut source.is_asked));
    }

    fn seat(&mut self, id: SourceId) -> Option<&mut Seat> {
        let seat = self.sources.get_mut(id.key)?;
        (seat.serial == id.serial).then_some(seat)
    }
}

impl Source {
    pub(crate) fn id(&self) -> SourceId {
        self.id
    }

    pub(crate) fn crew(&self) -> usize {
        self.crew
    }

    /// The next item, in the allocation of `spare` if it fits.
    pub(crate) fn pull(&mut self, spare: Option<Pin<Box<dyn Item>>>) -> Pulled {
        let Some(reserved) = self.reserved else {
            return Pulled::Nothing(End::CutShort);
        };
        let pulled = self.items.pull(self.id, reserved, spare);
        if let Pulled::Item(..) = pulled {
            self.reserved = None;
        }
        pulled
    }
}

/// An iterator with the function that makes jobs of its items.
pub(crate) fn mapped<I, F, J>(items: I, function: F) -> Box<dyn Items>
where
    I: Iterator + Send + 'static,
    F: FnMut(I::Item) -> J + Send + 'static,
    J: Job,
{
    Box::new(Mapped { items, function })
}

impl<I: Iterator, F> Mapped<I, F> {
    fn item_job<B: Body>(
        &self,
        body: B,
        source: SourceId,
        reserved: Reserved,
        spare: Option<Pin<Box<dyn Item>>>,
    ) -> Pulled {
        let place = reserved.place;
        let mut next = Some(body);
        let renewed = spare.and_then(|mut item| {
            item.as_mut().renew(&mut next, source, place);
            next.is_none().then_some(item)
        });
        let made = next.map(|body| -> Pin<Box<dyn Item>> {
            Box::pin(ItemJob {
                body,
                course: Course::default(),
                source,
                place,
                result: None,
            })
        });
        let rest = if self.is_exhausted() {
            Rest::Exhausted
        } else if reserved.is_last {
            Rest::Unwanted
        } else {
            Rest::Wanted
        };
        match renewed.or(made) {
            Some(item) => Pulled::Item(item, rest),
            None => unreachable!("the body is in the one or the other"),
        }
    }

    fn is_exhausted(&self) -> bool {
        guarded(|| self.items.size_hint().1 == Some(0)).unwrap_or_else(|payload| {
            discard(payload);
            false
        })
    }
}

impl<I, F, J> Items for Mapped<I, F>
where
    I: Iterator + Send + 'static,
    F: FnMut(I::Item) -> J + Send + 'static,
    J: Job,
{
    fn pull(&mut self, id: SourceId, at: Reserved, spare: Option<Pin<Box<dyn Item>>>) -> Pulled {
        let item = match guarded(|| self.items.next()) {
            Ok(Some(item)) => item,
            Ok(None) => return Pulled::Nothing(End::Exhausted),
            Err(payload) => return Pulled::Nothing(End::Panicked(payload)),
        };
        match guarded(|| (self.function)(item).into_body(Sealed)) {
            Ok(body) => self.item_job(body, id, at, spare),
            // A panic of the function is the item's own.
            Err(payload) => {
                self.item_job(Caught::new(panicking::<J::Output>(payload)), id, at, None)
            }
        }
    }

    fn discard(self: Box<Self>) {
        let Self { items, function } = *self;
        discard(items);
        discard(function);
    }
}

/// A job that panics with what the function has panicked with that was to make it.
pub(crate) async fn panicking<T>(payload: Payload) -> T {
    resume_unwind(payload)
}

impl<B: Body> Item for ItemJob<B> {
    fn source(&self) -> SourceId {
        self.source
    }

    fn renew(self: Pin<&mut Self>, next: &mut dyn Any, source: SourceId, place: Place) {
        let mut this = self.project();
        if let Some(body) = next.downcast_mut::<Option<B>>().and_then(Option::take) {
            this.body.set(body);
            *this.course = Course::default();
            (*this.source, *this.place) = (source, place);
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        let this = self.project();
        let outcome = ready!(this.course.poll(this.body, cx, stop));
        Poll::Ready(outcome.keep(this.result))
    }

    fn give_up(self: Pin<&mut Self>) -> Ended {
        let this = self.project();
        this.course.give_up(this.body).keep(this.result)
    }

    fn put(self: Pin<&mut Self>, results: &mut dyn AnyResults) -> Option<Waker> {
        let this = self.project();
        let results = results.as_any().downcast_mut::<Results<B::Output>>()?;
        results.put(*this.place, this.result.take()?)
    }
}
