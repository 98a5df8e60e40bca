//! A running map or stream: it stands in the line for its next item, pulls it when it gets a slot,
//! and goes to the back of the line.

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::Job;
use crate::job::body::{Body, Caught, Course, Ended, Sealed};
use crate::source::results::Results;
use crate::source::{AnyResults, End, Item, Items, Place, Pulled, Reserved, Rest, SourceId};
use crate::sys::unwind::{Payload, discard, guarded};

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
