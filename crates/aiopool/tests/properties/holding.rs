//! What a user does with the handles and streams that it holds.

use std::mem;
use std::task::Poll;

use crate::sources::Read;
use crate::work::{caught, dropped, told};
use crate::world::{Inside, World};

impl World {
    pub(crate) fn cancel_handle(&self, index: usize) {
        let mut inside = self.lock();
        let held = inside.handles.remove(index);
        let expected = inside.model.cancel(held.job);
        drop(inside);
        let cancelled = held.handle.cancel();
        let mut inside = self.lock();
        inside.expect(cancelled == expected, || {
            format!("cancel of job {} gives {cancelled}", held.job)
        });
        inside.handles.insert(index, held);
    }

    pub(crate) fn await_handle(&self, index: usize) {
        let mut inside = self.lock();
        let mut held = inside.handles.remove(index);
        let expected = inside.model.take(held.job);
        drop(inside);
        let result = match held.handle.poll() {
            Poll::Ready(result) => Some(told(result)),
            Poll::Pending => None,
        };
        let mut inside = self.lock();
        inside.expect(result == expected, || {
            format!(
                "the handle of job {} gives {result:?}, not {expected:?}",
                held.job
            )
        });
        held.awaited = result.is_none();
        if held.awaited {
            inside.handles.insert(index, held);
        } else {
            drop(inside);
            drop(held);
        }
    }

    pub(crate) fn drop_handle(&self, index: usize) {
        let mut inside = self.lock();
        let held = inside.handles.remove(index);
        inside.model.detach(held.job);
        drop(inside);
        self.drop_quietly(held);
    }

    pub(crate) fn read_stream(&self, index: usize) {
        let mut inside = self.lock();
        let mut stream = inside.streams.remove(index);
        let expected = inside.model.read(stream.source);
        drop(inside);
        let read = match caught(|| stream.results.poll_next()) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(result))) => Poll::Ready(Read::Result(told(result))),
            Ok(Poll::Ready(None)) => Poll::Ready(Read::End),
            Err(message) => Poll::Ready(Read::Panic(message)),
        };
        let mut inside = self.lock();
        inside.expect(read == expected, || {
            format!("source {} gives {read:?}, not {expected:?}", stream.source)
        });
        stream.awaited = read.is_pending();
        inside.streams.insert(index, stream);
    }

    pub(crate) fn drop_stream(&self, index: usize) {
        let mut inside = self.lock();
        let stream = inside.streams.remove(index);
        inside.model.abandon(stream.source);
        drop(inside);
        self.drop_quietly(stream);
    }

    /// Drops the handles whose results a `cancel` has taken: they cannot be polled any more.
    pub(crate) fn drop_read_handles(&self) {
        let mut inside = self.lock();
        let Inside { model, handles, .. } = &mut *inside;
        let all = mem::take(handles).into_iter();
        let (wanted, read): (Vec<_>, Vec<_>) = all.partition(|held| model.jobs[held.job].wanted);
        *handles = wanted;
        drop(inside);
        self.drop_quietly(read);
    }

    /// What is the pool's may hold values whose drop panics: that is not the user's to see.
    pub(crate) fn drop_quietly<T>(&self, value: T) {
        if let Some(message) = dropped(value) {
            self.violation(|| format!("the user, who drops what is the pool's, meets: {message}"));
        }
    }
}
