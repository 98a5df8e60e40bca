//! `Debug`: it never blocks, and does not tell what it would have to wait for.

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use aiopool::{Job, JobError, JobHandle, Pool};
use futures_util::{FutureExt, StreamExt};
use tokio_test::{assert_pending, task};

use crate::common::{Gate, Log, assert_whole, multi_thread, on_both, until};

#[test]
fn a_pool_tells_its_size_and_who_is_active_and_waits() {
    on_both(async || {
        let pool = Pool::new(2);
        assert_eq!(
            format!("{pool:?}"),
            "Pool { size: 2, active: 0, waiting: 0 }"
        );
        let handles = pool.map_n(0..5, |_| std::future::pending::<()>());
        until(|| format!("{pool:?}") == "Pool { size: 2, active: 2, waiting: 3 }").await;
        assert_eq!((pool.cancel_all().await, handles.len()), (5, 5));
    });
}

#[test]
fn a_handle_tells_its_id_and_whether_its_job_has_ended() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let handle = pool.spawn_n(gate.passed());
        let text = format!("{handle:?}");
        assert!(text.starts_with("JobHandle { id: "), "{text}");
        assert!(text.contains("is_finished: false"), "{text}");
        gate.open();
        pool.join().await;
        assert!(format!("{handle:?}").contains("is_finished: true"));
        assert_eq!(format!("{}", handle.id()), handle.id().to_string());
    });
}

#[test]
fn the_other_public_types_tell_their_names() {
    let pool = Pool::new(1);
    assert!(format!("{:?}", Pool::builder(3)).starts_with("Builder"));
    let results = pool.itermap(0..2, |_| async {});
    assert!(format!("{results:?}").starts_with("Itermap"));
    let abort = multi_thread().block_on(async { pool.spawn_n(ready(7)).abort_handle() });
    let text = format!("{abort:?}");
    assert!(text.starts_with("AbortHandle { id: "), "{text}");
    assert!(text.contains("is_finished: "), "{text}");
    let callback: fn(Result<u8, JobError>) -> Ready<()> = |_| ready(());
    let job = ready(7).with_callback(callback);
    assert!(format!("{job:?}").starts_with("WithCallback"));
}

#[test]
fn it_may_be_asked_while_other_threads_hammer_the_pool() {
    on_both(async || {
        let (pool, stop) = (Pool::new(2), Arc::new(AtomicBool::new(false)));
        let handle = Arc::new(pool.spawn_n(std::future::pending::<()>()));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (pool, handle, stop) = (pool.clone(), handle.clone(), stop.clone());
                thread::spawn(move || {
                    loop {
                        assert!(format!("{pool:?} {handle:?}").starts_with("Pool { size: 2"));
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            let handles = pool.map_n(0..100, |n| async move { n });
            let others = pool.map(0..20, |n| async move { n }).await;
            assert_eq!(others.len(), 20);
            for handle in handles {
                assert!(handle.await.is_ok());
            }
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        handle.cancel();
        assert_whole(&pool).await;
    });
}

/// Formats whatever it can get hold of, wherever it is dropped or woken: under a lock of the pool
/// that would block for ever, and so would the getters.
struct Nosy {
    pool: Pool,
    handle: Arc<Mutex<Option<JobHandle<()>>>>,
    log: Log<String>,
}

impl Nosy {
    fn look(&self) {
        self.log
            .add(format!("{} {}", self.pool.len(), self.pool.is_full()));
        let handle = self.handle.try_lock().unwrap();
        self.log.add(format!("{:?} {:?}", self.pool, *handle));
        if let Some(handle) = &*handle {
            self.log
                .add(format!("{} {}", handle.is_finished(), handle.cancel()));
        }
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

#[test]
fn no_foreign_code_runs_under_a_lock() {
    on_both(async || {
        let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
        let slot = Arc::new(Mutex::new(None));
        let nosy = || Nosy {
            pool: pool.clone(),
            handle: slot.clone(),
            log: log.clone(),
        };
        let entered = |expected: usize| {
            let entries = log.take();
            assert!(entries.len() >= expected, "{entries:?}");
        };

        // In the poll, in the drop of the future and in that of the output.
        *slot.lock().unwrap() = Some(pool.spawn_n(gate.passed()));
        let (in_future, in_output) = (nosy(), nosy());
        drop(pool.spawn_n(async move {
            in_future.look();
            drop(in_future);
            in_output
        }));
        gate.let_pass();
        pool.join().await;
        entered(6);

        // In the drop of a job that waits, and in that of an iterator.
        *slot.lock().unwrap() = None;
        drop(pool.spawn_n(gate.passed()));
        let job = |nosy: Nosy| async move {
            let _nosy = nosy;
            std::future::pending::<()>().await;
        };
        assert!(pool.spawn_n(job(nosy())).cancel());
        assert_pending!(task::spawn(pool.spawn(job(nosy()))).poll());
        assert_pending!(task::spawn(pool.exec(job(nosy()))).poll());
        let held = nosy();
        let items = (0..3).inspect(move |_| held.look());
        assert_pending!(task::spawn(pool.map(items, |_| async {})).poll());
        entered(8);
        drop(pool.spawn_n(job(nosy())));
        assert_eq!(pool.cancel_all().await, 2);
        entered(2);

        // In an iterator and in a function, while they run and when they are dropped.
        let (of_items, of_function) = (nosy(), nosy());
        let mut results = pool.itermap((0..5).inspect(move |_| of_items.look()), move |_| {
            of_function.look();
            async {}
        });
        while results.next().await.is_some() {}
        pool.join().await;
        entered(24);

        // In the wakers of those who wait, when they wake and when they are dropped.
        let waker = Waker::from(Arc::new(nosy()));
        let mut cx = Context::from_waker(&waker);
        let mut handle = pool.spawn_n(gate.passed());
        let mut spawn = Box::pin(pool.spawn(async {}));
        let mut exec = Box::pin(pool.exec(async {}));
        let mut map = Box::pin(pool.map(0..3, |_| async {}));
        let mut results = pool.itermap(0..3, |_| async {});
        let mut join = Box::pin(pool.join());
        let mut cancel = Box::pin(pool.cancel_all());
        assert!(handle.poll_unpin(&mut cx).is_pending());
        assert!(spawn.poll_unpin(&mut cx).is_pending());
        assert!(exec.poll_unpin(&mut cx).is_pending());
        assert!(map.poll_unpin(&mut cx).is_pending());
        assert!(results.poll_next_unpin(&mut cx).is_pending());
        assert!(join.poll_unpin(&mut cx).is_pending());
        gate.open();
        pool.join().await;
        entered(12);
        assert!(cancel.poll_unpin(&mut cx).is_ready());
        drop((handle, spawn, exec, map, results, join, waker));
        assert_whole(&pool).await;
    });
}
