//! Outputs whose drop panics: whoever drops what holds them for the pool meets no panic, and two of
//! them at once do not abort the process.

#![cfg(not(aiopool_loom))]

use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};

use aiopool::{Job, Pool};
use futures_util::FutureExt;
use tokio_test::assert_pending;
use tokio_test::task::spawn;

#[derive(Debug)]
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        // Without the hook, which prints.
        resume_unwind(Box::new("dropped"));
    }
}

#[tokio::test]
async fn dropping_a_handle_with_such_a_result_is_quiet() {
    let pool = Pool::new(2);
    let handles = pool.map_n(0..2, |_| async { PanicsWhenDropped });
    pool.join().await;
    drop(handles);
}

#[tokio::test]
async fn dropping_a_stream_with_such_results_is_quiet() {
    let pool = Pool::new(2);
    let stream = pool.itermap_ordered(0..3, |n| async move {
        if n == 0 {
            pending::<()>().await;
        }
        PanicsWhenDropped
    });
    let mut stream = spawn(stream.ahead(3));
    assert_pending!(stream.poll_next());
    while pool.executed() < 2 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    pool.join().await;
}

#[tokio::test]
async fn dropping_a_map_with_such_results_is_quiet() {
    let pool = Pool::new(2);
    let mut map = spawn(pool.map(0..3, |n| async move {
        if n == 0 {
            pending::<()>().await;
        }
        PanicsWhenDropped
    }));
    assert_pending!(map.poll());
    while pool.executed() < 2 {
        tokio::task::yield_now().await;
    }
    drop(map);
    pool.join().await;
}

#[tokio::test]
async fn a_map_whose_iterator_panics_drops_such_results_before_it_panics() {
    let pool = Pool::new(1);
    let items = (0..3).inspect(|n| {
        if *n == 2 {
            resume_unwind(Box::new("no more items"));
        }
    });
    let map = pool.map(items, |_| async { PanicsWhenDropped });
    let payload = AssertUnwindSafe(map).catch_unwind().await.err();
    let message = payload.and_then(|payload| payload.downcast::<&str>().ok());
    assert_eq!(message.as_deref(), Some(&"no more items"));
    pool.join().await;
}

#[tokio::test]
async fn a_cancel_that_is_given_up_leaves_all_results_in_the_handles() {
    let pool = Pool::new(3);
    let mut handles = pool.map_n(0..3, |n| {
        pending::<()>().with_callback(move |_| async move {
            if n == 2 {
                pending::<()>().await;
            }
            PanicsWhenDropped
        })
    });
    tokio::task::yield_now().await;
    let mut cancel = spawn(pool.cancel(&mut handles));
    assert_pending!(cancel.poll());
    while pool.active() > 1 {
        tokio::task::yield_now().await;
    }
    assert_pending!(cancel.poll());
    drop(cancel);
    for handle in handles.drain(..2) {
        std::mem::forget(handle.await.expect("its callback has given a result"));
    }
}
