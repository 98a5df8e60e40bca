//! Who reads the results of a source: the future of `map`, and the streams.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::JobError;
use crate::job::Job;
use crate::source::mapped::mapped;
use crate::source::results::{Order, Read, Results};
use crate::source::{AnyResults, Items, Source, SourceId};
use crate::state::Seat;
use crate::state::Shared;
use crate::sys::runtime::Handle;
use crate::sys::runtime::{current_for, poll_proceed};
use crate::sys::sync::poll_locked;

/// The results of the jobs that a function makes of the items of an iterator, in the order in
/// which they end or in the order of the items: what [`Pool::itermap`] and
/// [`Pool::itermap_ordered`] return.
///
/// It does nothing until it is polled for the first time. From then on its jobs make progress
/// while nobody polls it; the iterator is pulled whenever it is this stream's turn for a slot and
/// at most [`ahead`](Self::ahead) items have been pulled whose results have not been read. So a
/// slow reader bounds the memory, and never stalls a job that runs.
///
/// The stream ends after the last result. It is [`Unpin`].
///
/// # Panics
///
/// Polling it panics outside a Tokio runtime, and where the iterator has panicked: with the same
/// payload, after the results of all items that came before have been read. A panic of the
/// function or of a job is that item's result.
///
/// # Cancel safety
///
/// Waiting for the next result may be given up at any moment; no result is lost. Dropping the
/// stream pulls no more items and cancels those jobs of it that are active.
///
/// [`Pool::itermap`]: crate::Pool::itermap
/// [`Pool::itermap_ordered`]: crate::Pool::itermap_ordered
#[must_use = "a stream does nothing unless it is polled"]
pub struct Itermap<T: Send + 'static> {
    reader: Reader<T>,
    caller: &'static Location<'static>,
}

/// The end of a source at which results are read. Dropping it ends the source.
pub(crate) struct Reader<T: Send + 'static> {
    shared: Arc<Shared>,
    id: SourceId,
    /// Until the first poll, what the source is to be made of.
    items: Option<Box<dyn Items>>,
    results: PhantomData<fn() -> T>,
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
}

impl<T: Send + 'static> Itermap<T> {
    pub(crate) fn new(reader: Reader<T>, caller: &'static Location<'static>) -> Self {
        Self { reader, caller }
    }

    /// Allows at most `items` items to be pulled whose results have not been read. The default is
    /// the size of the pool.
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    #[track_caller]
    pub fn ahead(self, items: usize) -> Self {
        assert!(
            items > 0,
            "a stream that is 0 items ahead never starts: allow at least 1"
        );
        let Reader { shared, id, .. } = &self.reader;
        let goes_on = shared.lock().results_of::<T>(*id).set_ahead(items);
        if let Some(source) = goes_on {
            shared.go_on(source);
        }
        self
    }
}

impl<T: Send + 'static> Stream for Itermap<T> {
    type Item = Result<T, JobError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, caller } = self.get_mut();
        reader.start(caller);
        let budget = ready!(poll_proceed(cx));
        let read = ready!(poll(&reader.shared, reader.id, cx, Results::<T>::read));
        budget.made_progress();
        Poll::Ready(match read {
            Read::Result(result, source) => {
                if let Some(source) = source {
                    reader.shared.go_on(source);
                }
                Some(result)
            }
            Read::Panicked(payload) => resume_unwind(payload),
            Read::End => None,
        })
    }
}

impl<T: Send + 'static> Reader<T> {
    pub(crate) fn new<I, F, J>(
        shared: Arc<Shared>,
        items: I,
        function: F,
        order: Order,
        ahead: usize,
    ) -> Self
    where
        I: Iterator + Send + 'static,
        F: FnMut(I::Item) -> J + Send + 'static,
        J: Job<Output = T>,
    {
        let results = Results::<T>::new(order, ahead);
        let id = shared.announce_source(Box::new(results));
        Self {
            shared,
            id,
            items: Some(mapped(items, function)),
            results: PhantomData,
        }
    }

    /// All results at once.
    pub(crate) async fn whole(
        mut self,
        caller: &'static Location<'static>,
    ) -> Vec<Result<T, JobError>> {
        self.start(caller);
        let (shared, id) = (self.shared.clone(), self.id);
        match poll_fn(|cx| poll(&shared, id, cx, Results::<T>::read_whole)).await {
            Ok(results) => results.into_vec(),
            Err(payload) => {
                shared.stop_items(id);
                let quiet = |results: &mut Results<T>| results.is_quiet().then_some(());
                poll_fn(|cx| poll(&shared, id, cx, quiet)).await;
                // Dropped before, for a result that panicked in an unwinding would abort.
                drop(self);
                resume_unwind(payload)
            }
        }
    }

    /// Lets the source take its first place in the line, at the first poll.
    fn start(&mut self, caller: &Location<'_>) {
        if self.items.is_none() {
            return;
        }
        let home = current_for(caller);
        if let Some(items) = self.items.take() {
            self.shared.begin_source(self.id, items, home);
        }
    }
}

impl<T: Send + 'static> Drop for Reader<T> {
    fn drop(&mut self) {
        // It was never polled.
        if let Some(items) = self.items.take() {
            items.discard();
        }
        self.shared.abandon(self.id);
    }
}

/// Waits until `read` finds something among the results of a source.
fn poll<T: 'static, R>(
    shared: &Shared,
    source: SourceId,
    cx: &mut Context<'_>,
    mut read: impl FnMut(&mut Results<T>) -> Option<R>,
) -> Poll<R> {
    poll_locked(&shared.state, cx, |state| {
        let results = state.results_of(source);
        read(results).ok_or(&mut results.reader)
    })
}

impl<T: Send + 'static> fmt::Debug for Itermap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Itermap").finish_non_exhaustive()
    }
}
