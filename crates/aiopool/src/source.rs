//! A running map or stream: it stands in the line for its next item, pulls it when it gets a slot,
//! and goes to the back of the line.

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::Ticket;
use pin_project_lite::pin_project;

use crate::body::{Body, Caught, Sealed};
use crate::foreign::{Payload, discard, guarded, wake};
use crate::job::Job;
use crate::line::{Shared, State, Waiter};
use crate::results::{AnyResults, Place, Reserved, Results};
use crate::run::{Course, Ended};
use crate::runtime::Handle;

/// What stands in the line for a map or a stream.
pub(crate) struct Source {
    id: SourceId,
    home: Handle,
    /// The key of its crew, while it stands in the line.
    crew: usize,
    items: Box<dyn Items>,
    results: Arc<dyn AnyResults>,
}

/// Names a source in its pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceId {
    key: usize,
    /// No other source of the pool has the same.
    pub(crate) serial: u64,
}

/// A source that has not been abandoned, with its place while it stands in the line.
pub(crate) struct Seat {
    serial: u64,
    ticket: Option<Ticket>,
}

/// The items of a source, whatever their types.
pub(crate) trait Items: Send {
    /// The next item. It takes the allocation of `spare`, an item that has ended, if it fits.
    fn pull(&mut self, spare: Option<Pin<Box<dyn Item>>>) -> Pulled;

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

/// Why there are no more items.
pub(crate) enum End {
    Exhausted,
    /// The iterator panicked.
    Panicked(Payload),
    /// The runtime shut down, or nobody wants the results any more.
    CutShort,
}

/// The job of an item, as its worker sees it.
pub(crate) trait Item: Send {
    /// Runs what is in `next`, an `Option` of a body, in the allocation of this item, which has
    /// ended. Leaves it there if it is of another type, or `results`, an `Arc` of them, are others.
    fn renew(self: Pin<&mut Self>, next: &mut dyn Any, results: &dyn Any, place: Place);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, stop: bool) -> Poll<Ended>;
    fn give_up(self: Pin<Box<Self>>) -> Ended;
}

/// An iterator and the function that makes jobs of its items.
pub(crate) struct Mapped<I, F, T> {
    items: I,
    function: F,
    results: Arc<Results<T>>,
}

pin_project! {
    struct ItemJob<B: Body> {
        #[pin]
        body: B,
        course: Course,
        results: Arc<Results<B::Output>>,
        place: Place,
    }
}

impl Shared {
    /// An id for a source that is to come.
    pub(crate) fn announce_source(&self) -> SourceId {
        let mut state = self.lock();
        let serial = state.next_source;
        state.next_source += 1;
        let ticket = None;
        let key = state.sources.insert(Seat { serial, ticket });
        SourceId { key, serial }
    }

    /// A source has ended, and its last item too.
    pub(crate) fn forget_source(&self, id: SourceId) {
        self.lock().forget_source(id);
    }

    /// A source takes the last place in the line, for the first time or after it stood aside.
    pub(crate) fn line_up(self: &Arc<Self>, source: Box<Source>) {
        let home = source.home.clone();
        let mut state = self.lock();
        let (crew, spare) = state.crew_on(home);
        let lined_up = state.line_up(source, crew);
        let gone = state.dismiss();
        match lined_up {
            Ok(()) => self.advance(state),
            Err(abandoned) => {
                drop(state);
                wake(abandoned.retire(End::CutShort));
            }
        }
        drop((spare, gone));
    }
}

impl State {
    /// A source takes the last place in the line, if it has not been abandoned.
    pub(crate) fn line_up(&mut self, source: Box<Source>, crew: usize) -> Result<(), Box<Source>> {
        let id = source.id;
        if self.seat(id).is_none() {
            return Err(source);
        }
        let ticket = self.submit(Waiter::Source(source), crew);
        self.sources[id.key].ticket = Some(ticket);
        Ok(())
    }

    /// Forgets the source with this id, and gives the place that it had in the line last.
    pub(crate) fn forget_source(&mut self, id: SourceId) -> Option<Ticket> {
        self.seat(id)?;
        self.sources.remove(id.key).ticket
    }

    fn seat(&self, id: SourceId) -> Option<&Seat> {
        let seat = self.sources.get(id.key)?;
        (seat.serial == id.serial).then_some(seat)
    }
}

impl Source {
    pub(crate) fn new(
        id: SourceId,
        home: Handle,
        items: Box<dyn Items>,
        results: Arc<dyn AnyResults>,
    ) -> Self {
        Self {
            id,
            home,
            crew: 0,
            items,
            results,
        }
    }

    pub(crate) fn id(&self) -> SourceId {
        self.id
    }

    /// It takes a place in the line, to be asked by the crew at this key.
    pub(crate) fn waits_for(&mut self, crew: usize) {
        self.crew = crew;
    }

    pub(crate) fn crew(&self) -> usize {
        self.crew
    }

    /// The next item, in the allocation of `spare` if it fits.
    pub(crate) fn pull(&mut self, spare: Option<Pin<Box<dyn Item>>>) -> Pulled {
        self.items.pull(spare)
    }

    /// Lets the source stand aside while as many results as may be are ahead of their reader.
    pub(crate) fn park(self: Box<Self>) -> Option<Box<Self>> {
        let results = self.results.clone();
        results.park(self)
    }

    /// Drops the iterator, then lets the reader know that there are no more items. The waker it
    /// gives is to be woken last.
    pub(crate) fn retire(self, end: End) -> Option<Waker> {
        self.items.discard();
        self.results.end(end)
    }
}

impl<I, F, J> Mapped<I, F, J::Output>
where
    I: Iterator + Send + 'static,
    F: FnMut(I::Item) -> J + Send + 'static,
    J: Job,
{
    pub(crate) fn boxed(items: I, function: F, results: Arc<Results<J::Output>>) -> Box<dyn Items> {
        Box::new(Self {
            items,
            function,
            results,
        })
    }

    fn item_job<B: Body<Output = J::Output>>(
        &self,
        body: B,
        reserved: Reserved,
        spare: Option<Pin<Box<dyn Item>>>,
    ) -> Pulled {
        let place = reserved.place;
        let mut next = Some(body);
        let renewed = spare.and_then(|mut item| {
            item.as_mut().renew(&mut next, &self.results, place);
            next.is_none().then_some(item)
        });
        let made = next.map(|body| -> Pin<Box<dyn Item>> {
            let (course, results) = (Course::default(), self.results.clone());
            Box::pin(ItemJob {
                body,
                course,
                results,
                place,
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

impl<I, F, J> Items for Mapped<I, F, J::Output>
where
    I: Iterator + Send + 'static,
    F: FnMut(I::Item) -> J + Send + 'static,
    J: Job,
{
    fn pull(&mut self, spare: Option<Pin<Box<dyn Item>>>) -> Pulled {
        let Some(reserved) = self.results.reserve() else {
            return Pulled::Nothing(End::CutShort);
        };
        let item = match guarded(|| self.items.next()) {
            Ok(Some(item)) => item,
            Ok(None) => {
                self.results.unreserve();
                return Pulled::Nothing(End::Exhausted);
            }
            Err(payload) => {
                self.results.unreserve();
                return Pulled::Nothing(End::Panicked(payload));
            }
        };
        match guarded(|| (self.function)(item).into_body(Sealed)) {
            Ok(body) => self.item_job(body, reserved, spare),
            // A panic of the function is the item's own.
            Err(payload) => self.item_job(Caught::new(panicking(payload)), reserved, None),
        }
    }

    fn discard(self: Box<Self>) {
        let Self {
            items, function, ..
        } = *self;
        discard(items);
        discard(function);
    }
}

/// A job that panics with what the function has panicked with that was to make it.
pub(crate) async fn panicking<T>(payload: Payload) -> T {
    resume_unwind(payload)
}

impl<B: Body> Item for ItemJob<B> {
    fn renew(self: Pin<&mut Self>, next: &mut dyn Any, results: &dyn Any, place: Place) {
        let mut this = self.project();
        let results = results.downcast_ref::<Arc<Results<B::Output>>>();
        if !results.is_some_and(|results| Arc::ptr_eq(results, this.results)) {
            return;
        }
        if let Some(body) = next.downcast_mut::<Option<B>>().and_then(Option::take) {
            this.body.set(body);
            *this.course = Course::default();
            *this.place = place;
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        let this = self.project();
        let outcome = ready!(this.course.poll(this.body, cx, stop));
        Poll::Ready(outcome.settle(|result| this.results.put(*this.place, result)))
    }

    fn give_up(mut self: Pin<Box<Self>>) -> Ended {
        let this = self.as_mut().project();
        let outcome = this.course.give_up(this.body);
        outcome.settle(|result| this.results.put(*this.place, result))
    }
}
