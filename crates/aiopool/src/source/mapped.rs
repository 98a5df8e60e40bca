//! A running map or stream: it stands in the queue for its next item, pulls it when it gets a slot,
//! and goes to the back of the queue.

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use aiopool_core::Level;
use pin_project_lite::pin_project;

use crate::error::JobError;
use crate::job::body::{Body, Caught, Ended, Progress};
use crate::job::options::Options;
use crate::job::{Job, with_body};
use crate::source::results::Results;
use crate::source::{AnyResults, End, Item, Items, Place, Pulled, Reserved, Rest, SourceId};
use crate::stats::Outcome;
use crate::sys::unwind::{Payload, discard, guarded};

/// An iterator and the function that makes jobs of its items.
struct Mapped<I, F> {
    items: I,
    function: F,
    /// The span of the call.
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

pin_project! {
    struct ItemJob<B: Body> {
        #[pin]
        body: B,
        progress: Progress,
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
    Box::new(Mapped {
        items,
        function,
        #[cfg(feature = "tracing")]
        span: tracing::Span::current(),
    })
}

impl<I: Iterator, F> Mapped<I, F> {
    fn item_job<B: Body>(
        &self,
        body: B,
        source: SourceId,
        level: Level,
        reserved: Reserved,
        spare: Option<Pin<Box<dyn Item>>>,
        has_options: bool,
    ) -> Pulled {
        #[cfg(feature = "tracing")]
        let body = crate::job::traced::Traced::within(body, self.span.clone());
        let place = reserved.place;
        let mut next = Some(body);
        // The types differ where the function panics: what it was to make is another job then.
        let renewed = spare.and_then(|mut item| {
            item.as_mut().renew(&mut next, source, place);
            next.is_none().then_some(item)
        });
        let made = next.map(|body| -> Pin<Box<dyn Item>> {
            Box::pin(ItemJob {
                body,
                progress: Progress::default(),
                source,
                place,
                result: None,
            })
        });
        // A source that is known to have ended takes no further turn, and no slot, to find that
        // out.
        let rest = if self.hint().1 == Some(0) {
            Rest::Exhausted
        } else if reserved.is_last {
            Rest::Unwanted
        } else {
            Rest::Wanted
        };
        match renewed.or(made) {
            Some(item) if !has_options => Pulled::Item(item, rest),
            Some(mut item) => match item.as_mut().options() {
                Some(options) if !options.are_plain_at(level) => Pulled::Apart(item, rest),
                Some(options) if options.name().is_some() => Pulled::Named(item, rest),
                _ => Pulled::Item(item, rest),
            },
            None => unreachable!("the body is in the one or the other"),
        }
    }

    fn hint(&self) -> (usize, Option<usize>) {
        guarded(|| self.items.size_hint()).unwrap_or_else(|payload| {
            discard(payload);
            (0, None)
        })
    }
}

impl<I, F, J> Items for Mapped<I, F>
where
    I: Iterator + Send + 'static,
    F: FnMut(I::Item) -> J + Send + 'static,
    J: Job,
{
    fn pull(
        &mut self,
        id: SourceId,
        level: Level,
        at: Reserved,
        spare: Option<Pin<Box<dyn Item>>>,
    ) -> Pulled {
        #[cfg(feature = "tracing")]
        let _entered = self.span.clone().entered();
        let item = match guarded(|| self.items.next()) {
            Ok(Some(item)) => item,
            Ok(None) => return Pulled::Nothing(End::Exhausted),
            Err(payload) => return Pulled::Nothing(End::Panicked(payload)),
        };
        let pulled = guarded(|| {
            with_body!(J, (self.function)(item), |body| {
                self.item_job(body, id, level, at, spare, J::HAS_OPTIONS)
            })
        });
        // A panic of the function is the item's own.
        pulled.unwrap_or_else(|payload| {
            let body = Caught::new(panicking::<J::Output>(payload));
            self.item_job(body, id, level, at, None, false)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.hint()
    }

    fn discard(self: Box<Self>) {
        // One by one: two that panic when they are dropped together abort the process.
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
    fn source(&self) -> SourceId {
        self.source
    }

    fn renew(self: Pin<&mut Self>, next: &mut dyn Any, source: SourceId, place: Place) {
        let mut this = self.project();
        if let Some(body) = next.downcast_mut::<Option<B>>().and_then(Option::take) {
            this.body.set(body);
            *this.progress = Progress::default();
            (*this.source, *this.place) = (source, place);
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, stop: bool) -> Poll<Ended> {
        let this = self.project();
        let finished = ready!(this.progress.poll(this.body, cx, stop));
        Poll::Ready(finished.keep(this.result))
    }

    fn give_up_as(self: Pin<&mut Self>, why: JobError) -> Ended {
        let this = self.project();
        this.progress.give_up(this.body, why).keep(this.result)
    }

    fn fail(self: Pin<&mut Self>, payload: Payload) -> Ended {
        let this = self.project();
        // If that panics too, the first panic is the cause.
        let given_up = this.progress.give_up(this.body, JobError::Cancelled);
        discard(given_up.keep(this.result));
        *this.result = Some(Err(JobError::panicked(payload)));
        Ended {
            outcome: Some(Outcome::Failed),
            ..Ended::without_a_job(None)
        }
    }

    fn options(self: Pin<&mut Self>) -> Option<&mut Options> {
        self.project().body.options()
    }

    fn put(self: Pin<&mut Self>, results: &mut dyn AnyResults) -> Option<Waker> {
        let this = self.project();
        let results = results.as_any().downcast_mut::<Results<B::Output>>()?;
        results.put(*this.place, this.result.take()?)
    }
}
