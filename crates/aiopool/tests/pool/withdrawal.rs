//! Jobs that another thread has taken out of the queue, and has not dropped yet.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use aiopool::{JobHandle, Pool};
use tokio_test::{assert_pending, assert_ready_eq, task};

use crate::common::{on_both, until};

#[test]
fn a_cancel_of_such_a_job_waits_until_it_has_been_dropped() {
    on_both(async || {
        while_another_thread_drops(|pool, handle, go_on| {
            let mut cancel = task::spawn(pool.cancel([&mut *handle]));
            assert_pending!(cancel.poll());
            drop(cancel);
            assert!(handle.cancel(), "it has not ended");
            go_on();
            assert!(!handle.cancel());
        })
        .await;
    });
}

#[test]
fn a_second_cancel_all_waits_until_such_jobs_have_been_dropped() {
    on_both(async || {
        while_another_thread_drops(|pool, _, go_on| {
            let mut cancel_all = task::spawn(pool.cancel_all());
            assert_pending!(cancel_all.poll());
            go_on();
            assert!(cancel_all.is_woken());
            assert_ready_eq!(cancel_all.poll(), 0, "the first one has counted it");
        })
        .await;
    });
}

#[test]
fn the_pool_is_joined_when_such_jobs_have_been_dropped() {
    on_both(async || {
        while_another_thread_drops(|pool, handle, go_on| {
            let mut join = task::spawn(pool.join());
            assert_pending!(join.poll());
            go_on();
            assert!(join.is_woken());
            assert_ready_eq!(join.poll(), ());
            assert!(handle.is_finished());
        })
        .await;
    });
}

#[test]
fn the_pool_is_joined_when_what_a_dropped_stream_held_has_been_dropped() {
    on_both(async || {
        let pool = Pool::new(1);
        let (tell, told) = channel();
        let items = [(); 2].map(|()| PollsJoinWhenDropped(pool.clone(), tell.clone()));
        let stream = pool.itermap(items, async |item| item).ahead(1);
        let mut stream = task::spawn(stream);
        assert_pending!(stream.poll_next());
        // One item is an unread result by then, and the other is in the iterator, which stands aside.
        until(|| pool.is_empty()).await;
        drop(stream);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [true, true]);
        pool.join().await;
    });
}

/// Tells, when it is dropped, whether the pool is still to be joined.
#[derive(Debug)]
struct PollsJoinWhenDropped(Pool, Sender<bool>);

impl Drop for PollsJoinWhenDropped {
    fn drop(&mut self) {
        let is_pending = task::spawn(self.0.join()).poll().is_pending();
        self.1.send(is_pending).unwrap();
    }
}

/// Calls `body` while nothing is active in a pool, and its only job is being dropped elsewhere.
/// The function that `body` is given lets that go on, and returns when it is done.
async fn while_another_thread_drops(body: impl FnOnce(&Pool, &mut JobHandle<()>, &dyn Fn())) {
    let pool = Pool::new(1);
    let active = pool.spawn_n(std::future::pending::<()>());
    let (held_up, is_dropped, go_on) = HeldUpWhenDropped::new();
    let mut waiting = pool.spawn_n(async move { drop(held_up) });
    let other = pool.clone();
    let (done, is_done) = channel();
    let thread = thread::spawn(move || {
        let _ = task::spawn(other.cancel_all()).poll();
        done.send(()).unwrap();
    });
    is_dropped.recv().unwrap();
    assert!(active.await.unwrap_err().is_cancelled());
    until(|| pool.is_empty()).await;
    body(&pool, &mut waiting, &|| {
        go_on.send(()).unwrap();
        is_done.recv().unwrap();
    });
    thread.join().unwrap();
    pool.join().await;
}

/// Tells that it is dropped, and waits for the word to go on.
struct HeldUpWhenDropped {
    is_dropped: Sender<()>,
    go_on: Receiver<()>,
}

impl HeldUpWhenDropped {
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (dropped, is_dropped) = channel();
        let (sender, go_on) = channel();
        let held_up = Self {
            is_dropped: dropped,
            go_on,
        };
        (held_up, is_dropped, sender)
    }
}

impl Drop for HeldUpWhenDropped {
    fn drop(&mut self) {
        self.is_dropped.send(()).unwrap();
        self.go_on.recv().unwrap();
    }
}
