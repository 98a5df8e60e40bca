//! Futures polled by hand: who is woken, and what is left when they are given up half way.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready};

use crate::common::{Count, Gate, Wakes, assert_whole, let_others_run, on_both, poll_once, until};

/// Gives the future of a verb up after each number of polls. What is made of it must be dropped,
/// no slot may be lost, and its neighbours in the pool must end.
async fn given_up_anywhere<F: Future>(make: impl Fn(Pool, Jobs) -> F) {
    for steps in 0..16 {
        let (pool, jobs) = (Pool::new(2), Jobs::default());
        let neighbours = pool.map_n(0..3, |_| jobs.next());
        let mut future = Box::pin(make(pool.clone(), jobs.clone()));
        for _ in 0..steps {
            if poll_once(future.as_mut()).is_ready() {
                break;
            }
            yield_now().await;
        }
        drop(future);
        assert_whole(&pool).await;
        assert_eq!(jobs.made.get(), jobs.dropped.get(), "after {steps} polls");
        for neighbour in neighbours {
            // Some verbs cancel it.
            drop(neighbour.await);
        }
    }
}

#[derive(Clone, Default)]
struct Jobs {
    made: Count,
    dropped: Count,
}

impl Jobs {
    fn next(&self) -> impl Future<Output = ()> + Send + use<> {
        self.made.add();
        let dropped = self.dropped.drops();
        async move {
            let _dropped = dropped;
            yield_now().await;
            yield_now().await;
        }
    }

    fn next_with_callback(&self) -> impl Job<Output = ()> + use<> {
        let callback = self.next();
        self.next().with_callback(|_| callback)
    }
}

#[test]
fn a_spawn_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| pool.spawn(jobs.next())).await;
        given_up_anywhere(|pool, jobs| pool.spawn(jobs.next_with_callback())).await;
    });
}

#[test]
fn an_exec_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| pool.exec(jobs.next())).await;
        given_up_anywhere(|pool, jobs| pool.exec(jobs.next_with_callback())).await;
    });
}

#[test]
fn a_handle_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| pool.spawn_n(jobs.next())).await;
        given_up_anywhere(|pool, jobs| pool.spawn_n(jobs.next_with_callback())).await;
    });
}

#[test]
fn a_map_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| pool.map(0..4, move |_| jobs.next())).await;
        given_up_anywhere(|pool, jobs| pool.map(0..4, move |_| jobs.next_with_callback())).await;
    });
}

#[test]
fn a_stream_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| {
            let results = pool.itermap(0..4, move |_| jobs.next()).ahead(1);
            results.collect::<Vec<_>>()
        })
        .await;
        given_up_anywhere(|pool, jobs| {
            let results = pool.itermap_ordered(0..4, move |_| jobs.next()).ahead(3);
            results.collect::<Vec<_>>()
        })
        .await;
    });
}

#[test]
fn a_join_may_be_given_up_anywhere() {
    on_both(async || given_up_anywhere(|pool, _| pool.join()).await);
}

#[test]
fn a_cancel_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| async move {
            let mut handles = pool.map_n(0..4, |_| jobs.next_with_callback());
            yield_now().await;
            pool.cancel(&mut handles).await;
        })
        .await;
    });
}

#[test]
fn a_cancel_all_may_be_given_up_anywhere() {
    on_both(async || {
        given_up_anywhere(|pool, jobs| {
            drop(pool.map_n(0..4, |_| jobs.next_with_callback()));
            pool.cancel_all()
        })
        .await;
    });
}

#[test]
fn only_the_last_task_that_polled_an_exec_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (first, second) = (Wakes::new(), Wakes::new());
        let mut exec = pin!(pool.exec(gate.passed()));
        assert_pending!(first.poll(exec.as_mut()));
        assert_pending!(second.poll(exec.as_mut()));
        gate.open();
        until(|| second.get() > 0).await;
        assert_ready!(poll_once(exec)).unwrap();
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn only_the_last_task_that_polled_a_spawn_is_woken_and_once() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let blocker = pool.spawn_n(gate.passed());
        let (first, second) = (Wakes::new(), Wakes::new());
        let mut spawn = pin!(pool.spawn(gate.passed()));
        assert_pending!(first.poll(spawn.as_mut()));
        assert_pending!(second.poll(spawn.as_mut()));
        gate.let_pass();
        until(|| second.get() > 0).await;
        blocker.await.unwrap();
        let handle = assert_ready!(poll_once(spawn));
        gate.open();
        handle.await.unwrap();
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn only_the_last_task_that_polled_a_map_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (first, second) = (Wakes::new(), Wakes::new());
        let passed = gate.clone();
        let mut map = pin!(pool.map(0..2, move |_| passed.passed()));
        assert_pending!(first.poll(map.as_mut()));
        assert_pending!(second.poll(map.as_mut()));
        gate.open();
        until(|| second.get() > 0).await;
        assert_eq!(assert_ready!(poll_once(map)).len(), 2);
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn only_the_last_task_that_polled_a_cancel_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        // The callback holds the end of the cancelled job up.
        let passed = gate.passed();
        let mut handle = pool.spawn_n(pending::<()>().with_callback(|_| passed));
        let (first, second) = (Wakes::new(), Wakes::new());
        let mut cancel = pin!(pool.cancel([&mut handle]));
        assert_pending!(first.poll(cancel.as_mut()));
        assert_pending!(second.poll(cancel.as_mut()));
        gate.open();
        until(|| second.get() > 0).await;
        assert_eq!(assert_ready!(poll_once(cancel)).0, 1);
        assert_eq!((first.get(), second.get()), (0, 1));
    });
}

#[test]
fn nothing_keeps_the_waker_of_a_task_that_has_given_up() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        drop(pool.spawn_n(gate.passed()));
        let wakes = Wakes::new();
        let polled = |future: Pin<&mut dyn Future<Output = ()>>| {
            assert_pending!(wakes.poll(future));
        };
        let waiting = gate.clone();
        polled(pin!(async { drop(pool.spawn(pending::<()>()).await) }));
        polled(pin!(async { drop(pool.exec(pending::<()>()).await) }));
        polled(pin!(async {
            drop(pool.map(0..2, |_| pending::<()>()).await);
        }));
        polled(pin!(async {
            drop(pool.itermap(0..2, |_| pending::<()>()).next().await);
        }));
        polled(pin!(async { drop(pool.spawn_n(waiting.passed()).await) }));
        polled(pin!(pool.join()));
        gate.open();
        pool.join().await;
        assert_eq!(Arc::strong_count(&wakes), 1);
        assert_whole(&pool).await;
    });
}

#[test]
fn a_wake_that_comes_from_the_job_before_does_not_disturb_the_next_in_the_slot() {
    on_both(async || {
        let (pool, polls) = (Pool::new(1), Count::new());
        let (hand_over, waker) = tokio::sync::oneshot::channel();
        let mut hand_over = Some(hand_over);
        pool.exec(poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let sent = hand_over
                .take()
                .is_none_or(|hand_over| hand_over.send(waker).is_err());
            assert!(!sent);
            Poll::Ready(())
        }))
        .await
        .unwrap();
        let waker = waker.await.unwrap();
        let (gate, polled) = (Gate::new(), polls.clone());
        let mut passed = Box::pin(gate.passed());
        let handle = pool.spawn_n(poll_fn(move |cx| {
            polled.add();
            passed.as_mut().poll(cx)
        }));
        until(|| polls.get() > 0).await;
        for _ in 0..10 {
            waker.wake_by_ref();
            let_others_run().await;
        }
        assert!(!handle.is_finished());
        gate.open();
        handle.await.unwrap();
    });
}
