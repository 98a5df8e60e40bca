//! The readers of a source's results: the future of `map`, and the streams.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};

use crate::error::JobError;
use crate::job::Job;
use crate::job::waiting::Waiting;
use crate::run::nested;
use crate::source::mapped::mapped;
use crate::source::results::{Order, Read, Results};
use crate::source::{AnyResults, End, Items, SourceBox, SourceId};
use crate::state::Shared;
use crate::sys::runtime::{Handle, current_for, poll_in_budget};
use crate::sys::sync::poll_locked;
use crate::sys::unwind::{discard, wake};

/// A stream of the results of the jobs that a function makes of an iterator's items.
///
/// [`Pool::itermap`] returns a stream in the order in which the jobs end, and
/// [`Pool::itermap_ordered`] one in the order of the items.
///
/// The stream does nothing until it is polled for the first time. From then on its jobs make
/// progress while no task polls it. The pool pulls the iterator when it is this stream's turn for a
/// slot, while fewer than [`ahead`](Self::ahead) items are pulled whose results have not been read.
/// So memory stays bounded when the reader is slow, and a slow reader never stalls a running job.
///
/// The stream ends after the last result, and is fused. If the runtime shuts down, or the pool is
/// [closed](crate::Pool::close), an error is the last result, which stands for all items that have not
/// been pulled. It is [`Unpin`]. Its size hint is the hint
/// that the iterator gave in the call, less the number of results that have been read: for `0..10`
/// it is exact. If the iterator knows that it has no items, the map or stream ends at once, without
/// a slot. A stream takes part in the [budget](tokio::task::coop) of the task that reads it.
///
/// # Panics
///
/// Polling the stream panics outside a Tokio runtime. If the iterator has panicked, polling panics
/// with the same payload, after the results of all earlier items have been read. A panic of the
/// function or of a job is the result of that item.
///
/// # Cancel safety
///
/// Waiting for the next result may be given up at any moment; no result is lost. If the stream is
/// dropped, the pool pulls no more items and cancels the active jobs of the stream.
///
/// [`Pool::itermap`]: crate::Pool::itermap
/// [`Pool::itermap_ordered`]: crate::Pool::itermap_ordered
#[must_use = "a stream does nothing unless it is polled"]
pub struct Itermap<T: Send + 'static> {
    reader: Reader<T>,
    caller: &'static Location<'static>,
    /// The least and the greatest number of results that are left.
    hint: (usize, Option<usize>),
    /// Whether the stream has returned its end.
    has_ended: bool,
}

/// Reads the results of a source. Dropping the reader ends the source.
pub(crate) struct Reader<T: Send + 'static> {
    shared: Arc<Shared>,
    id: SourceId,
    /// The items for the source, until the first poll. In a mutex, so that a stream is `Sync`; it
    /// is never locked.
    items: Mutex<Option<Box<dyn Items>>>,
    /// While a job of the pool waits for results.
    waiting: Option<Waiting>,
    results: PhantomData<fn() -> T>,
}

impl Shared {
    /// Puts a new source into the queue, or gives it back if the pool is closed. Its iterator runs on
    /// `runtime`.
    fn begin_source(
        self: &Arc<Self>,
        id: SourceId,
        items: Box<dyn Items>,
        runtime: Handle,
    ) -> Result<(), SourceBox> {
        let request = nested::request_in(self, true);
        let mut state = self.lock_for(&runtime);
        let (begun, handles) = state.begin_source(id, request, items, runtime);
        if let Some(parent) = nested::entry_in(self).filter(|_| begun.is_ok()) {
            state.adopt_source(id, parent);
        }
        self.advance(state);
        handles.into_iter().for_each(discard);
        begun
    }

    /// Puts a source that stood aside at the back of the queue.
    fn go_on(self: &Arc<Self>, source: SourceBox) {
        let mut state = self.lock();
        let queued = state.enqueue_source(source);
        self.advance(state);
        if let Err(source) = queued {
            wake(self.end_source(source, End::Closed));
        }
    }
}

impl<T: Send + 'static> Itermap<T> {
    pub(crate) fn new(mut reader: Reader<T>, caller: &'static Location<'static>) -> Self {
        let hint = reader
            .items()
            .as_ref()
            .map_or((0, None), |items| items.size_hint());
        Self {
            reader,
            caller,
            hint,
            has_ended: false,
        }
    }

    /// Sets the largest number of items that may be pulled while their results have not been read.
    /// The default is the size of the pool.
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
        let Self {
            reader,
            caller,
            hint: (least, most),
            has_ended,
        } = self.get_mut();
        if *has_ended {
            return Poll::Ready(None);
        }
        reader.start(caller);
        let read = poll_in_budget(cx, |cx| reader.poll(cx, Results::<T>::read));
        Poll::Ready(match ready!(read) {
            Read::Result(result, source) => {
                if let Some(source) = source {
                    reader.shared.go_on(source);
                }
                *least = least.saturating_sub(1);
                *most = most.map(|most| most.saturating_sub(1));
                Some(result)
            }
            Read::Panicked(payload) => resume_unwind(payload),
            Read::End => {
                *has_ended = true;
                None
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.has_ended {
            return (0, Some(0));
        }
        let Reader { shared, id, .. } = &self.reader;
        let left = shared.lock().results_of::<T>(*id).left();
        left.map_or(self.hint, |left| (left, Some(left)))
    }
}

impl<T: Send + 'static> FusedStream for Itermap<T> {
    fn is_terminated(&self) -> bool {
        self.has_ended
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
        let results = Box::new(Results::<T>::new(order, ahead));
        let id = shared.lock().announce_source(results);
        Self {
            shared,
            id,
            items: Mutex::new(Some(mapped(items, function))),
            waiting: None,
            results: PhantomData,
        }
    }

    /// Waits for all results.
    pub(crate) async fn whole(
        mut self,
        caller: &'static Location<'static>,
    ) -> Vec<Result<T, JobError>> {
        self.start(caller);
        let read = poll_fn(|cx| poll_in_budget(cx, |cx| self.poll(cx, Results::read_whole)));
        match read.await {
            Ok(results) => results.into_vec(),
            Err(payload) => {
                self.shared.stop_items(self.id);
                let quiet = |results: &mut Results<T>| results.is_quiet().then_some(());
                poll_fn(|cx| self.poll(cx, quiet)).await;
                // Dropped before the panic: a result that panics in its drop during an unwinding
                // aborts the process.
                drop(self);
                resume_unwind(payload)
            }
        }
    }

    /// Puts the source into the queue, at the first poll.
    fn start(&mut self, caller: &Location<'_>) {
        if self.items().is_none() {
            return;
        }
        let runtime = current_for(caller);
        // Before any change: without timers that are needed this panics.
        drop(self.shared.lock_for(&runtime));
        let Some(items) = self.items().take() else {
            return;
        };
        if items.size_hint() == (0, Some(0)) {
            // An empty source ends without a slot, which it might never get: the leaves of a
            // recursion have no items, and their parents hold the slots.
            items.discard();
            self.end(End::Exhausted);
            return;
        }
        if let Err(source) = self.shared.begin_source(self.id, items, runtime) {
            source.discard();
            self.end(End::Closed);
        }
    }

    /// The source has never been in the queue, and gives no items.
    fn end(&self, end: End) {
        wake(self.shared.lock().results_of::<T>(self.id).end(end));
    }

    /// Waits until `read` finds what it looks for in the results.
    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&mut Results<T>) -> Option<R>,
    ) -> Poll<R> {
        let Self { shared, id, .. } = self;
        let polled = poll_locked(&shared.state, cx, |state| {
            let results = state.results_of(*id);
            read(results).ok_or(&mut results.reader)
        });
        self.waiting = if polled.is_pending() {
            nested::wait(shared)
        } else {
            None
        };
        polled
    }

    fn items(&mut self) -> &mut Option<Box<dyn Items>> {
        self.items.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Drop for Reader<T> {
    fn drop(&mut self) {
        // The reader was never polled.
        if let Some(items) = self.items().take() {
            items.discard();
        }
        self.shared.abandon(self.id);
    }
}

impl<T: Send + 'static> fmt::Debug for Itermap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Itermap").finish_non_exhaustive()
    }
}
