//! Panics of foreign code, wherever it is called: each settles its own job and harms nobody else.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aiopool::{Job, JobError, JobHandle, Pool};
use futures_util::{FutureExt, StreamExt};
use tokio::task::yield_now;
use tokio_test::assert_pending;

use crate::common::{Count, Gate, assert_whole, let_others_run, on_both, poll_once, raise, until};

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        raise(self.0);
    }
}

/// A job that is ready at once, or never, and panics when it is dropped.
fn bomb(ready: bool) -> impl Future<Output = ()> + Send + 'static {
    let bomb = Bomb("the drop of the future");
    poll_fn(move |_| {
        let _captured = &bomb;
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

/// Runs `trouble` in a pool in which a neighbour is active and others wait, and looks after them.
fn harms_nobody(trouble: impl AsyncFn(&Pool) + Clone + Send + 'static) {
    on_both(async move || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let neighbour = pool.spawn_n(gate.passed());
        trouble(&pool).await;
        let others = pool.map_n(0..10, |n| async move { n });
        gate.open();
        neighbour.await.unwrap();
        for (n, other) in others.into_iter().enumerate() {
            assert_eq!(other.await.unwrap(), n);
        }
        assert_whole(&pool).await;
    });
}

fn message<T>(result: Result<T, JobError>) -> String {
    match result {
        Ok(_) => "none".into(),
        Err(JobError::Panicked(panic)) => panic.message().unwrap_or("no message").into(),
        Err(error) => error.to_string(),
    }
}

fn payload<T>(result: std::thread::Result<T>) -> Option<&'static str> {
    result.err()?.downcast_ref().copied()
}

#[test]
fn in_a_poll() {
    harms_nobody(async |pool| {
        let job = async {
            yield_now().await;
            raise("the poll")
        };
        let result: Result<(), _> = pool.exec(job).await;
        assert_eq!(message(result), "the poll");
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_ready() {
    harms_nobody(async |pool| {
        assert_eq!(
            message(pool.exec(bomb(true)).await),
            "the drop of the future"
        );
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_ready_whose_output_panics_too() {
    harms_nobody(async |pool| {
        let first = Bomb("the drop of the future");
        let mut output = Some(Bomb("the drop of the output"));
        let job = poll_fn(move |_| {
            let _captured = &first;
            Poll::Ready(output.take())
        });
        assert_eq!(message(pool.exec(job).await), "the drop of the future");
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_cancelled() {
    harms_nobody(async |pool| {
        let mut handle = pool.spawn_n(bomb(false));
        let (stopped, mut results) = pool.cancel([&mut handle]).await;
        assert_eq!(stopped, 1);
        assert_eq!(message(results.pop().unwrap()), "the drop of the future");
    });
}

#[test]
fn in_the_drop_of_a_future_that_was_cancelled_in_the_queue() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        drop(pool.spawn_n(gate.passed()));
        let waiting = pool.spawn_n(bomb(false));
        assert!(waiting.cancel());
        assert_eq!(message(waiting.await), "the drop of the future");
        assert_pending!(poll_once(pin!(pool.spawn(bomb(false)))));
        assert_pending!(poll_once(pin!(pool.exec(bomb(false)))));
        gate.open();
    });
}

#[test]
fn in_the_drop_of_a_future_whose_call_was_never_polled() {
    harms_nobody(async |pool| {
        drop(pool.spawn(bomb(false)));
        drop(pool.exec(bomb(false)));
        let captured = Bomb("the drop of the callback");
        let callback = move |_| async move { drop(captured) };
        drop(pool.exec(bomb(false).with_callback(callback)));
    });
}

#[test]
fn in_the_drops_of_many_futures_that_cancel_all_takes_out_of_the_queue() {
    on_both(async || {
        let pool = Pool::new(2);
        let handles = pool.map_n(0..10, |_| bomb(false));
        assert_eq!(pool.cancel_all().await, 10);
        for handle in handles {
            assert_eq!(message(handle.await), "the drop of the future");
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn in_the_drop_of_a_future_that_has_panicked_the_first_panic_is_the_result() {
    harms_nobody(async |pool| {
        let bomb = Bomb("the drop of the future");
        let job = poll_fn(move |_| -> Poll<()> {
            let _captured = &bomb;
            raise("the poll")
        });
        assert_eq!(message(pool.exec(job).await), "the poll");
    });
}

#[test]
fn in_the_drop_of_an_output_that_nobody_wants() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        for _ in 0..4 {
            let passed = gate.passed();
            drop(pool.spawn_n(async {
                passed.await;
                Bomb("the drop of the output")
            }));
        }
        gate.open();
        until(|| pool.len() == 1).await;
    });
}

#[test]
fn in_the_drop_of_an_output_that_was_there_when_its_handle_is_dropped() {
    harms_nobody(async |pool| {
        let handle = pool.spawn_n(async { Bomb("the drop of the output") });
        until(|| handle.is_finished()).await;
        drop(handle);
    });
}

#[test]
fn in_the_drops_of_many_outputs_that_were_there_when_their_stream_is_dropped() {
    harms_nobody(async |pool| {
        for ordered in [false, true] {
            let job = |n| async move { (n > 0).then(|| Bomb("the drop of the output")) };
            let mut results = if ordered {
                pool.itermap_ordered(0..9, job).ahead(5)
            } else {
                pool.itermap(0..9, job).ahead(5)
            };
            assert!(results.next().await.unwrap().unwrap().is_none());
            until(|| pool.len() == 1).await;
            drop(results);
        }
    });
}

#[test]
fn in_the_drops_of_many_outputs_that_were_there_when_their_map_is_dropped() {
    harms_nobody(async |pool| {
        let job = |n| async move {
            if n == 3 {
                pending::<()>().await;
            }
            Bomb("the drop of the output")
        };
        let begun = pool.executed();
        let mut map = Box::pin(pool.map(0..4, job));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| pool.executed() == begun + 3).await;
        drop(map);
    });
}

#[test]
fn in_the_drops_of_the_outputs_of_a_map_whose_iterator_has_panicked() {
    harms_nobody(async |pool| {
        let items = (0..5).inspect(|n| {
            if *n == 3 {
                raise("the iterator");
            }
        });
        let map = pool.map(items, |_| async { Bomb("the drop of the output") });
        let result = AssertUnwindSafe(map).catch_unwind().await;
        assert_eq!(payload(result), Some("the iterator"));
    });
}

#[test]
fn in_the_drop_of_an_output_that_comes_after_its_reader_has_gone() {
    harms_nobody(async |pool| {
        let (gate, begun) = (Gate::new(), Count::new());
        let (passed, counted) = (gate.clone(), begun.clone());
        let mut map = Box::pin(pool.map(0..4, move |_| {
            counted.add();
            // It holds out against the cancellation: its callback gives a result after all.
            let passed = passed.passed();
            pending::<()>().with_callback(|_| async {
                passed.await;
                Bomb("the drop of the output")
            })
        }));
        assert!(poll_once(map.as_mut()).is_pending());
        until(|| begun.get() == 1).await;
        drop(map);
        let_others_run().await;
        gate.open();
    });
}

#[test]
fn in_the_call_of_a_callback() {
    harms_nobody(async |pool| {
        let job = async {}.with_callback(|_| {
            if true {
                raise("the callback");
            }
            async {}
        });
        assert_eq!(message(pool.exec(job).await), "the callback");
    });
}

#[test]
fn in_the_future_of_a_callback_and_in_its_drop() {
    harms_nobody(async |pool| {
        let job = async {}.with_callback(|_| async { raise("the callback") });
        let result: Result<(), _> = pool.exec(job).await;
        assert_eq!(message(result), "the callback");
        let job = async {}.with_callback(|_| bomb(true));
        assert_eq!(message(pool.exec(job).await), "the drop of the future");
        let called = Count::new();
        let counted = called.clone();
        let mut handle = pool.spawn_n(async {}.with_callback(move |_| {
            counted.add();
            bomb(false)
        }));
        until(|| called.get() == 1).await;
        let (_, mut results) = pool.cancel([&mut handle]).await;
        assert_eq!(message(results.pop().unwrap()), "the drop of the future");
    });
}

#[test]
fn in_the_drop_of_the_job_before_its_callback() {
    harms_nobody(async |pool| {
        let job = bomb(true).with_callback(|result| async move { message(result) });
        assert_eq!(pool.exec(job).await.unwrap(), "the drop of the future");
        let job = bomb(false).with_callback(|result| async move { message(result) });
        let mut handle = pool.spawn_n(job);
        let (_, mut results) = pool.cancel([&mut handle]).await;
        assert_eq!(results.pop().unwrap().unwrap(), "the drop of the future");
    });
}

#[test]
fn in_the_drop_of_a_callback_that_is_not_called() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        drop(pool.spawn_n(gate.passed()));
        let captured = Bomb("the drop of the callback");
        let job = pending::<()>().with_callback(move |_| async move { drop(captured) });
        let handle = pool.spawn_n(job);
        assert!(handle.cancel());
        assert!(handle.await.unwrap_err().is_cancelled());
        gate.open();
    });
}

#[test]
fn in_the_iterator_of_a_map_it_comes_out_after_its_jobs_were_cancelled() {
    on_both(async || {
        let (pool, drops) = (Pool::new(3), Count::new());
        let gate = Gate::new();
        let neighbour = pool.spawn_n(gate.passed());
        let items = (0..5).inspect(|n| {
            if *n == 1 {
                raise("the iterator");
            }
        });
        let dropped = drops.clone();
        let map = pool.map(items, move |_| dropped.pending());
        let result = AssertUnwindSafe(map).catch_unwind().await;
        assert_eq!(payload(result), Some("the iterator"));
        assert_eq!(drops.get(), 1);
        gate.open();
        neighbour.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn in_the_iterator_of_a_stream_it_comes_out_after_the_earlier_results() {
    harms_nobody(async |pool| {
        for ordered in [false, true] {
            let items = (0..5).inspect(|n| {
                if *n == 3 {
                    raise("the iterator");
                }
            });
            let job = |n| async move {
                yield_now().await;
                n
            };
            let mut results = if ordered {
                pool.itermap_ordered(items, job).ahead(9)
            } else {
                pool.itermap(items, job).ahead(9)
            };
            for n in 0..3 {
                assert_eq!(results.next().await.unwrap().unwrap(), n);
            }
            let panicked = AssertUnwindSafe(results.next()).catch_unwind().await;
            assert_eq!(payload(panicked), Some("the iterator"));
            assert!(results.next().await.is_none());
        }
    });
}

#[test]
fn in_an_iterator_nobody_waits_for_any_more() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        drop(pool.spawn_n(gate.passed()));
        let mut results = pool.itermap((0..5).inspect(|_| raise("the iterator")), |_| async {});
        assert_pending!(poll_once(pin!(results.next())));
        gate.open();
        until(|| pool.len() == 1).await;
        drop(results);
    });
}

/// An iterator that panics when it is dropped.
fn endless(bomb: Bomb) -> impl Iterator<Item = usize> + Send + 'static {
    (0..).inspect(move |_| {
        let _captured = &bomb;
    })
}

#[test]
fn in_the_drop_of_an_iterator() {
    harms_nobody(async |pool| {
        let items = || endless(Bomb("the drop of the iterator")).take(3);
        assert_eq!(pool.map(items(), |n| async move { n }).await.len(), 3);
        let results = pool.itermap(items(), |n| async move { n });
        assert_eq!(results.collect::<Vec<_>>().await.len(), 3);
        let results = pool.itermap_ordered(items(), |n| async move { n });
        assert_eq!(results.collect::<Vec<_>>().await.len(), 3);
    });
}

#[test]
fn in_the_drop_of_an_iterator_whose_reader_has_gone() {
    harms_nobody(async |pool| {
        // Active, in the queue, and held back by the reader.
        let mut active = Box::pin(pool.map(endless(Bomb("active")), |_| pending::<()>()));
        assert!(poll_once(active.as_mut()).is_pending());
        until(|| (pool.active(), pool.waiting()) == (2, 1)).await;
        let mut waiting = Box::pin(pool.map(endless(Bomb("waiting")), |_| pending::<()>()));
        assert!(poll_once(waiting.as_mut()).is_pending());
        drop(waiting);
        drop(active);
        until(|| pool.len() == 1).await;
        let mut held_back = pool.itermap(endless(Bomb("held back")), |n| async move { n });
        held_back.next().await.unwrap().unwrap();
        until(|| pool.len() == 1).await;
        drop(held_back);
    });
}

#[test]
fn in_the_function_it_is_the_result_of_its_item() {
    harms_nobody(async |pool| {
        let function = |n| {
            if n == 1 {
                raise("the function");
            }
            async {}
        };
        let results = pool.map(0..3, function).await.into_iter().map(message);
        let expected = ["none", "the function", "none"];
        assert_eq!(results.collect::<Vec<_>>(), expected);
        for (handle, expected) in pool.map_n(0..3, function).into_iter().zip(expected) {
            assert_eq!(message(handle.await), expected);
        }
        let results = pool.itermap_ordered(0..3, function).map(message);
        assert_eq!(results.collect::<Vec<_>>().await, expected);
    });
}

/// A waker that panics when it wakes.
#[derive(Default)]
struct PanickingWaker(AtomicUsize);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        raise("the wake");
    }
}

#[test]
fn in_the_wake_of_those_who_wait() {
    harms_nobody(async |pool| {
        let panics = Arc::<PanickingWaker>::default();
        let waker = Waker::from(panics.clone());
        let mut cx = Context::from_waker(&waker);
        let gate = Gate::new();
        let mut handle = pool.spawn_n(gate.passed());
        let mut spawn = pin!(pool.spawn(async {}));
        let mut exec = pin!(pool.exec(async {}));
        let mut map = pin!(pool.map(0..3, |_| async {}));
        let mut results = pool.itermap(0..3, |_| async {});
        assert!(handle.poll_unpin(&mut cx).is_pending());
        assert!(spawn.as_mut().poll(&mut cx).is_pending());
        assert!(exec.as_mut().poll(&mut cx).is_pending());
        assert!(map.as_mut().poll(&mut cx).is_pending());
        assert!(results.poll_next_unpin(&mut cx).is_pending());
        gate.let_pass();
        until(|| panics.0.load(Ordering::SeqCst) == 5).await;
        handle.await.unwrap();
        spawn.await.await.unwrap();
        exec.await.unwrap();
        assert_eq!(map.await.len(), 3);
        assert_eq!(results.collect::<Vec<_>>().await.len(), 3);

        // Its callback holds the end of the cancelled job up.
        let passed = gate.passed();
        let mut handle = pool.spawn_n(pending::<()>().with_callback(|_| passed));
        let mut cancel = pin!(pool.cancel([&mut handle]));
        assert!(cancel.as_mut().poll(&mut cx).is_pending());
        gate.let_pass();
        until(|| panics.0.load(Ordering::SeqCst) == 6).await;
        assert_eq!(cancel.await.0, 1);
    });
}

#[test]
fn in_the_wake_of_those_who_join_or_cancel_all() {
    on_both(async || {
        let panics = Arc::<PanickingWaker>::default();
        let waker = Waker::from(panics.clone());
        let mut cx = Context::from_waker(&waker);
        let (pool, gate) = (Pool::new(1), Gate::new());
        let passed = gate.passed();
        drop(pool.spawn_n(pending::<()>().with_callback(|_| passed)));
        let mut joins: Vec<_> = (0..3).map(|_| Box::pin(pool.join())).collect();
        for join in &mut joins {
            assert!(join.poll_unpin(&mut cx).is_pending());
        }
        let mut cancel = pin!(pool.cancel_all());
        assert!(cancel.as_mut().poll(&mut cx).is_pending());
        let last = tokio::spawn(pool.join());
        let_others_run().await;
        gate.open();
        last.await.unwrap();
        until(|| panics.0.load(Ordering::SeqCst) == 4).await;
        for join in joins {
            join.await;
        }
        assert_eq!(cancel.await, 1);
        assert_whole(&pool).await;
    });
}

/// A waker that panics when it is dropped, unless it has been woken.
struct ExplosiveWaker(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);

impl Wake for ExplosiveWaker {
    fn wake(self: Arc<Self>) {
        std::mem::forget(self);
    }

    fn wake_by_ref(self: &Arc<Self>) {}
}

/// Polls once with a waker whose last copy is the one that is left there.
fn leave_a_bomb<R>(poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) {
    let waker = Waker::from(Arc::new(ExplosiveWaker(Bomb("the waker"))));
    assert!(poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn in_the_drops_of_the_wakers_of_those_who_wait_no_longer() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        let mut handle = pool.spawn_n(gate.passed());
        let mut spawn = Box::pin(pool.spawn(async {}));
        let mut exec = Box::pin(pool.exec(async {}));
        let mut map = Box::pin(pool.map(0..3, |_| async {}));
        let mut results = pool.itermap(0..3, |_| async {});
        let mut join = Box::pin(pool.join());
        // Replaced by another, then dropped with who waits.
        for _ in 0..2 {
            leave_a_bomb(|cx| handle.poll_unpin(cx));
            leave_a_bomb(|cx| spawn.poll_unpin(cx));
            leave_a_bomb(|cx| exec.poll_unpin(cx));
            leave_a_bomb(|cx| map.poll_unpin(cx));
            leave_a_bomb(|cx| results.poll_next_unpin(cx));
            leave_a_bomb(|cx| join.poll_unpin(cx));
        }
        drop((handle, spawn, exec, map, results, join));
        gate.open();
        until(|| pool.waiting() == 0).await;
    });
}

#[test]
fn of_the_caller_while_it_waits() {
    harms_nobody(async |pool| {
        let gate = Gate::new();
        let mut handle = pool.spawn_n(gate.passed());
        let mut exec = Box::pin(pool.exec(bomb(false)));
        let mut results = pool.itermap(0..3, |_| bomb(false));
        let mut join = Box::pin(pool.join());
        let caller = std::panic::catch_unwind(AssertUnwindSafe(move || {
            leave_a_bomb(|cx| handle.poll_unpin(cx));
            leave_a_bomb(|cx| exec.poll_unpin(cx));
            leave_a_bomb(|cx| results.poll_next_unpin(cx));
            leave_a_bomb(|cx| join.poll_unpin(cx));
            let _waiting = (handle, exec, results, join);
            raise("the caller");
        }));
        assert_eq!(payload(caller), Some("the caller"));
        gate.open();
        until(|| pool.waiting() == 0).await;
    });
}

#[test]
fn in_the_drops_of_all_that_a_stream_has_left() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut items = 0;
        let iterator = std::iter::from_fn(move || {
            items += 1;
            (items == 1)
                .then_some(())
                .or_else(|| resume_unwind(Box::new(Bomb("the payload of the iterator"))))
        });
        let (function, begun) = (Bomb("the function"), Count::new());
        let beginning = begun.clone();
        let mut results = pool.itermap(iterator, move |()| {
            let _captured = &function;
            beginning.add();
            bomb(false)
        });
        leave_a_bomb(|cx| results.poll_next_unpin(cx));
        until(|| begun.get() == 1 && pool.len() == 1).await;
        let_others_run().await;
        drop(results);
        assert_whole(&pool).await;
    });
}

#[test]
fn with_a_payload_whose_drop_panics_too() {
    fn fatal() -> ! {
        resume_unwind(Box::new(Bomb("the payload")))
    }
    harms_nobody(async |pool| {
        let gate = Gate::new();
        let job = || {
            let passed = gate.passed();
            async {
                passed.await;
                fatal()
            }
        };
        drop::<JobHandle<()>>(pool.spawn_n(job()));
        let callback = job();
        drop::<JobHandle<()>>(pool.spawn_n(async {}.with_callback(|_| callback)));
        let settled: JobHandle<()> = pool.spawn_n(job());
        gate.open();
        until(|| settled.is_finished()).await;
        drop(settled);
        let mut results = pool.itermap(0..3, |_| poll_fn(|_| -> Poll<()> { fatal() }));
        // Who reads the error owns it.
        std::mem::forget(results.next().await);
        until(|| pool.len() == 1).await;
        drop(results);
    });
}

#[test]
fn in_the_drop_after_a_panic_with_a_payload_whose_drop_panics_too() {
    struct Fatal;
    impl Drop for Fatal {
        fn drop(&mut self) {
            resume_unwind(Box::new(Bomb("the payload")));
        }
    }
    harms_nobody(async |pool| {
        let fatal = Fatal;
        let job = poll_fn(move |_| -> Poll<()> {
            let _captured = &fatal;
            raise("the poll")
        });
        assert_eq!(message(pool.exec(job).await), "the poll");
        let handle = pool.spawn_n(async { Fatal });
        until(|| handle.is_finished()).await;
        drop(handle);
    });
}

#[test]
fn in_jobs_that_are_dropped_by_a_runtime_that_shuts_down() {
    crate::common::for_both(|runtime| {
        let pool = Pool::new(2);
        let handles = runtime.block_on(async { pool.map_n(0..10, |_| bomb(false)) });
        drop(runtime);
        for mut handle in handles {
            match poll_once(pin!(&mut handle)) {
                Poll::Ready(result) => assert_eq!(message(result), "the drop of the future"),
                Poll::Pending => panic!("a handle has no result"),
            }
        }
        assert!(pool.is_empty());
    });
}
