//! A runtime that shuts down while jobs wait and run, and while their results are awaited
//! elsewhere.

use std::pin::pin;
use std::task::Poll;
use std::thread;

use aiopool::{Job, JobError, JobHandle, Pool};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::common::{
    Count, Gate, assert_whole, current_thread, for_both, in_time_on, let_others_run, like,
    poll_once, until,
};

const MANY: usize = 1_000_000;
/// A recursion over a few thousand jobs would overflow it.
const SMALL_STACK: usize = 256 * 1024;

/// Runs `body` with a runtime of each flavour, all of it on small stacks.
fn on_small_stacks(body: fn(Runtime)) {
    let small = |name: &str| {
        thread::Builder::new()
            .name(name.into())
            .stack_size(SMALL_STACK)
    };
    in_time_on(small("current_thread"), move || body(current_thread()));
    in_time_on(small("multi_thread"), move || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_stack_size(SMALL_STACK);
        body(builder.build().unwrap());
    });
}

fn is_cancelled<T>(handle: &mut JobHandle<T>) -> bool {
    match poll_once(pin!(handle)) {
        Poll::Ready(result) => result.is_err_and(|error| error.is_cancelled()),
        Poll::Pending => false,
    }
}

#[test]
fn a_million_waiting_jobs_are_dropped_and_their_handles_are_cancelled() {
    on_small_stacks(|runtime| {
        let (pool, drops) = (Pool::new(10), Count::new());
        let mut handles = runtime.block_on(async {
            let handles = pool.map_n(0..MANY, |_| drops.pending());
            until(|| pool.active() == 10).await;
            handles
        });
        drop(runtime);
        assert_eq!((drops.get(), pool.len()), (MANY, 0));
        assert!(handles.iter_mut().all(is_cancelled));
    });
}

#[test]
fn waiting_jobs_are_dropped_though_nothing_has_been_polled_on_the_runtime() {
    on_small_stacks(|runtime| {
        let (pool, drops) = (Pool::new(1), Count::new());
        let guard = runtime.enter();
        for _ in 0..MANY / 10 {
            drop(pool.spawn_n(drops.pending()));
        }
        drop(guard);
        drop(runtime);
        assert_eq!((drops.get(), pool.len()), (MANY / 10, 0));
    });
}

#[test]
fn jobs_that_hold_their_slots_are_dropped_though_fewer_workers_have_been_started() {
    on_small_stacks(|runtime| {
        let (pool, drops) = (Pool::new(MANY / 10), Count::new());
        let guard = runtime.enter();
        let mut handles = pool.map_n(0..MANY / 10, |_| drops.pending());
        drop(guard);
        assert_eq!(pool.active(), MANY / 10);
        drop(runtime);
        assert_eq!((drops.get(), pool.len()), (MANY / 10, 0));
        assert!(handles.iter_mut().all(is_cancelled));
    });
}

#[test]
fn jobs_handed_in_to_a_runtime_that_is_gone_are_cancelled() {
    for_both(|runtime| {
        let (pool, drops) = (Pool::new(1), Count::new());
        let handle = runtime.handle().clone();
        drop(runtime);
        let _guard = handle.enter();
        let mut handles = pool.map_n(0..10, |_| drops.pending());
        assert!(handles.iter_mut().all(is_cancelled));
        let mut spawn = pin!(pool.spawn(drops.pending()));
        match poll_once(spawn.as_mut()) {
            Poll::Ready(mut handle) => assert!(is_cancelled(&mut handle)),
            Poll::Pending => panic!("the spawn hangs"),
        }
        let exec = poll_once(pin!(pool.exec(drops.pending())));
        assert!(matches!(exec, Poll::Ready(Err(JobError::Cancelled))));
        match poll_once(pin!(pool.map(0..5, |_| async {}))) {
            Poll::Ready(results) => assert!(results[0].as_ref().unwrap_err().is_cancelled()),
            Poll::Pending => panic!("the map hangs"),
        }
        let mut results = pool.itermap(0..5, |_| async {});
        let first = poll_once(pin!(results.next()));
        assert!(matches!(first, Poll::Ready(Some(Err(JobError::Cancelled)))));
        assert!(matches!(poll_once(pin!(results.next())), Poll::Ready(None)));
        assert_eq!((drops.get(), pool.len()), (12, 0));
    });
}

#[test]
fn callbacks_are_not_called() {
    for_both(|runtime| {
        let (pool, called, drops) = (Pool::new(2), Count::new(), Count::new());
        let mut handles = runtime.block_on(async {
            let begun = Count::new();
            let handles = pool.map_n(0..5, |_| {
                let (begun, called, held) = (begun.clone(), called.clone(), drops.drops());
                let pending = drops.pending();
                let job = async move {
                    begun.add();
                    pending.await;
                };
                job.with_callback(|_| async move {
                    let _held = held;
                    called.add();
                })
            });
            until(|| begun.get() == 2).await;
            handles
        });
        drop(runtime);
        assert_eq!((called.get(), drops.get()), (0, 10));
        assert!(handles.iter_mut().all(is_cancelled));
    });
}

#[test]
fn a_callback_that_runs_is_dropped_where_it_stands() {
    for_both(|runtime| {
        let (pool, called, drops) = (Pool::new(1), Count::new(), Count::new());
        let (counted, pending) = (called.clone(), drops.pending());
        let job = async {}.with_callback(move |_| {
            counted.add();
            pending
        });
        let mut handle = {
            let _guard = runtime.enter();
            pool.spawn_n(job)
        };
        runtime.block_on(until(|| called.get() == 1));
        drop(runtime);
        assert_eq!(drops.get(), 1);
        assert!(is_cancelled(&mut handle));
    });
}

/// Shuts the runtime down while `read`, made on it and polled there once, is read by another
/// thread.
fn read_elsewhere<T: Send + 'static>(
    runtime: Runtime,
    read: impl Future<Output = T> + Send + 'static,
    under_way: impl Fn() -> bool,
) -> T {
    let mut read = Box::pin(read);
    runtime.block_on(async {
        assert!(poll_once(read.as_mut()).is_pending());
        until(under_way).await;
    });
    let (reading, polled) = oneshot::channel();
    let reader = thread::spawn(move || {
        let mut reading = Some(reading);
        tokio_test::block_on(std::future::poll_fn(|cx| {
            let read = read.as_mut().poll(cx);
            if let Some(reading) = reading.take() {
                reading.send(()).unwrap();
            }
            read
        }))
    });
    polled.blocking_recv().unwrap();
    drop(runtime);
    reader.join().unwrap()
}

#[test]
fn a_map_that_is_awaited_elsewhere_ends_with_the_cancellation() {
    for_both(|runtime| {
        let (pool, begun) = (Pool::new(3), Count::new());
        let counted = begun.clone();
        let map = pool.map(0.., move |n: usize| {
            counted.add();
            async move {
                if n > 0 {
                    std::future::pending::<()>().await;
                }
                n
            }
        });
        let results = read_elsewhere(runtime, map, || begun.get() == 4);
        assert_eq!(*results[0].as_ref().unwrap(), 0);
        // The three that were active, and one for all that were not pulled.
        assert_eq!(results.len(), 1 + 3 + 1);
        let mut cancelled = results[1..].iter();
        assert!(cancelled.all(|result| result.as_ref().unwrap_err().is_cancelled()));
        assert_eq!((begun.get(), pool.len()), (4, 0));
    });
}

#[test]
fn a_stream_that_is_read_elsewhere_ends_with_the_cancellation() {
    for_both(|runtime| {
        let again = like(&runtime);
        let runtimes = std::iter::once(runtime).chain(std::iter::repeat_with(again));
        for (ordered, runtime) in [false, true].into_iter().zip(runtimes) {
            let (pool, begun) = (Pool::new(3), Count::new());
            let counted = begun.clone();
            let job = move |_: usize| {
                counted.add();
                std::future::pending::<()>()
            };
            let results = if ordered {
                pool.itermap_ordered(0.., job)
            } else {
                pool.itermap(0.., job)
            };
            let read = results.ahead(100).collect::<Vec<_>>();
            let results = read_elsewhere(runtime, read, || begun.get() == 3);
            assert_eq!(results.len(), 3 + 1);
            let mut cancelled = results.iter();
            assert!(cancelled.all(|result| result.as_ref().unwrap_err().is_cancelled()));
            assert_eq!((begun.get(), pool.len()), (3, 0));
        }
    });
}

#[test]
fn a_stream_that_was_held_back_gives_what_it_has_and_ends_with_the_cancellation() {
    for_both(|runtime| {
        let pool = Pool::new(2);
        let mut results = pool
            .itermap_ordered(0.., |n: usize| async move { n })
            .ahead(3);
        runtime.block_on(async {
            assert_eq!(results.next().await.unwrap().unwrap(), 0);
            pool.join().await;
        });
        drop(runtime);
        let results: Vec<_> = tokio_test::block_on(results.collect());
        let (last, read) = results.split_last().unwrap();
        assert!(last.as_ref().unwrap_err().is_cancelled());
        let read: Vec<_> = read
            .iter()
            .map(|result| *result.as_ref().unwrap())
            .collect();
        assert_eq!(read, [1, 2, 3]);
        assert!(pool.is_empty());
    });
}

#[test]
fn an_exec_a_handle_and_a_spawn_that_are_awaited_elsewhere_end_with_the_cancellation() {
    for_both(|runtime| {
        let again = like(&runtime);
        let pool = Pool::new(1);
        let exec = pool.exec(std::future::pending::<()>());
        let result = read_elsewhere(runtime, exec, || pool.active() == 1);
        assert!(result.unwrap_err().is_cancelled());

        let runtime = again();
        let guard = runtime.enter();
        let handle = pool.spawn_n(std::future::pending::<()>());
        let spawn = pool.spawn(std::future::pending::<()>());
        drop(guard);
        let both = async { (handle.await, ()) };
        let both = futures_util::future::join(both, spawn);
        let ((result, ()), mut spawned) = read_elsewhere(runtime, both, || pool.len() == 2);
        assert!(result.unwrap_err().is_cancelled());
        assert!(is_cancelled(&mut spawned));
        assert!(pool.is_empty());
    });
}

#[test]
fn those_who_join_or_cancel_elsewhere_are_told() {
    // One cancellation each: a second one would cancel the callbacks.
    for cancels_all in [false, true] {
        for_both(move |runtime| {
            let (pool, gate, begun) = (Pool::new(2), Gate::new(), Count::new());
            // The callbacks hold the cancellation up until the runtime is gone.
            let jobs = |_| {
                let (passed, begun) = (gate.passed(), begun.clone());
                let job = async move {
                    begun.add();
                    std::future::pending::<()>().await;
                };
                job.with_callback(|_| passed)
            };
            let mut handles = runtime.block_on(async {
                let handles = pool.map_n(0..2, jobs);
                // A job that has not begun has no callback.
                until(|| begun.get() == 2).await;
                handles
            });
            let clone = pool.clone();
            let cancel = async move {
                if cancels_all {
                    clone.cancel_all().await
                } else {
                    clone.cancel(&mut handles).await.0
                }
            };
            let both = futures_util::future::join(cancel, pool.join());
            let (stopped, ()) = read_elsewhere(runtime, both, || pool.active() == 2);
            assert_eq!((stopped, pool.len()), (2, 0));
        });
    }
}

#[test]
fn a_job_may_hand_in_jobs_while_it_is_dropped() {
    struct HandsIn(Pool, Count);
    impl Drop for HandsIn {
        fn drop(&mut self) {
            if Handle::try_current().is_ok() {
                drop(self.0.spawn_n(self.1.pending()));
            } else {
                self.1.add();
            }
        }
    }
    for_both(|runtime| {
        let (pool, drops) = (Pool::new(2), Count::new());
        runtime.block_on(async {
            for _ in 0..1000 {
                let hands_in = HandsIn(pool.clone(), drops.clone());
                drop(pool.spawn_n(async move {
                    let _hands_in = hands_in;
                    std::future::pending::<()>().await;
                }));
            }
            until(|| pool.active() == 2).await;
        });
        drop(runtime);
        assert_eq!((drops.get(), pool.len()), (1000, 0));
    });
}

/// Two runtimes of the same flavour that share a pool.
fn with_two(body: impl Fn(&Pool, Runtime, Runtime) + Clone + Send + 'static) {
    for_both(move |runtime| {
        let second = like(&runtime)();
        body(&Pool::new(2), runtime, second);
    });
}

#[test]
fn each_job_runs_on_the_runtime_on_which_it_was_handed_in() {
    with_two(|pool, first, second| {
        let mut handles = Vec::new();
        for n in 0..100 {
            let runtime = if n % 3 == 0 { &first } else { &second };
            let id = runtime.handle().id();
            let _guard = runtime.enter();
            handles.push(pool.spawn_n(async move {
                tokio::task::yield_now().await;
                assert_eq!(Handle::current().id(), id);
            }));
        }
        // A current-thread runtime runs only while somebody blocks on it.
        let other = pool.clone();
        let second = thread::spawn(move || second.block_on(other.join()));
        first.block_on(async {
            for handle in handles {
                handle.await.unwrap();
            }
            pool.join().await;
        });
        second.join().unwrap();
    });
}

#[test]
fn the_shutdown_of_one_does_not_harm_the_jobs_of_the_other() {
    with_two(|pool, first, second| {
        let (gate, drops) = (Gate::new(), Count::new());
        let (mut doomed, others) = {
            let mut doomed = Vec::new();
            let mut others = Vec::new();
            for n in 0..20 {
                let _guard = first.enter();
                doomed.push(pool.spawn_n(drops.pending()));
                let _guard = second.enter();
                let passed = gate.passed();
                others.push(pool.spawn_n(async move {
                    passed.await;
                    n
                }));
            }
            (doomed, others)
        };
        drop(first);
        gate.open();
        second.block_on(async {
            for (n, handle) in others.into_iter().enumerate() {
                assert_eq!(handle.await.unwrap(), n);
            }
            pool.join().await;
            assert!(doomed.iter_mut().all(is_cancelled));
            assert_eq!(drops.get(), 20);
            assert_whole(pool).await;
        });
    });
}

#[test]
fn the_shutdown_of_one_lets_the_other_have_its_slots() {
    with_two(|pool, first, second| {
        let mut doomed = {
            let _guard = first.enter();
            pool.map_n(0..4, |_| std::future::pending::<()>())
        };
        let next = {
            let _guard = second.enter();
            pool.spawn_n(async { 6 * 7 })
        };
        second.block_on(let_others_run());
        assert!(!next.is_finished());
        drop(first);
        assert!(doomed.iter_mut().all(is_cancelled));
        assert_eq!(second.block_on(next).unwrap(), 42);
        second.block_on(assert_whole(pool));
    });
}

#[test]
fn a_map_of_a_runtime_that_is_gone_ends_when_its_turn_comes() {
    with_two(|pool, first, second| {
        let gate = Gate::new();
        let blockers = {
            let _guard = second.enter();
            pool.map_n(0..2, |_| gate.passed())
        };
        let mut map = Box::pin(pool.map(0..4, |n| async move { n }));
        {
            let _guard = first.enter();
            assert!(poll_once(map.as_mut()).is_pending());
        }
        drop(first);
        gate.open();
        let results = second.block_on(map);
        assert_eq!(results.len(), 1);
        assert!(results[0].as_ref().unwrap_err().is_cancelled());
        second.block_on(async {
            for blocker in blockers {
                blocker.await.unwrap();
            }
            assert_whole(pool).await;
        });
    });
}
