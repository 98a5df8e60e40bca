//! The pool, the handles and the runtime, dropped in every order.

use std::pin::pin;
use std::task::Poll;

use aiopool::{JobError, JobHandle, Pool};
use tokio::runtime::Runtime;

use crate::common::{Count, for_both, poll_once, until};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Pool,
    Handles,
    Runtime,
}

/// A job that has finished, one that is active and two that wait.
struct Scene {
    pool: Option<Pool>,
    handles: Vec<JobHandle<&'static str>>,
    runtime: Option<Runtime>,
    futures: Count,
    outputs: Count,
}

impl Scene {
    fn new(runtime: Runtime) -> Self {
        let (pool, futures, outputs) = (Pool::new(1), Count::new(), Count::new());
        let begun = Count::new();
        let handles = runtime.block_on(async {
            let finished = {
                let dropped = futures.drops();
                pool.spawn_n(async {
                    let _dropped = dropped;
                    "finished"
                })
            };
            let others = pool.map_n(0..3, |_| {
                let (pending, begun) = (futures.pending(), begun.clone());
                async move {
                    begun.add();
                    pending.await;
                    "never"
                }
            });
            // It has its own life: nobody holds its handle.
            let output = outputs.drops();
            drop(pool.spawn_n(async { output }));
            until(|| finished.is_finished() && begun.get() == 1).await;
            assert_eq!((pool.active(), pool.waiting()), (1, 3));
            std::iter::once(finished).chain(others).collect()
        });
        Self {
            pool: Some(pool),
            handles,
            runtime: Some(runtime),
            futures,
            outputs,
        }
    }

    fn drop_part(&mut self, part: Part) {
        match part {
            Part::Pool => self.pool = None,
            Part::Runtime => self.runtime = None,
            Part::Handles => self.read(),
        }
    }

    /// Reads what can be read, which is everything once the runtime is gone.
    fn read(&mut self) {
        let read: Vec<_> = self.handles.iter_mut().map(|handle| read(handle)).collect();
        assert!(matches!(read[0], Some(Ok("finished"))), "{read:?}");
        for result in &read[1..] {
            match result {
                None => assert!(self.runtime.is_some()),
                Some(Err(error)) => assert!(error.is_cancelled() && self.runtime.is_none()),
                Some(Ok(result)) => panic!("a job has ended as {result}"),
            }
        }
        self.handles.clear();
    }
}

fn read(handle: &mut JobHandle<&'static str>) -> Option<Result<&'static str, JobError>> {
    match poll_once(pin!(handle)) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[test]
fn in_every_order_each_future_is_dropped_once_and_each_handle_settles() {
    use Part::{Handles, Pool, Runtime};
    for_both(|runtime| {
        let orders = [
            [Pool, Handles, Runtime],
            [Pool, Runtime, Handles],
            [Handles, Pool, Runtime],
            [Handles, Runtime, Pool],
            [Runtime, Pool, Handles],
            [Runtime, Handles, Pool],
        ];
        let again = crate::common::like(&runtime);
        let runtimes = std::iter::once(runtime).chain(std::iter::repeat_with(again));
        for (order, runtime) in orders.into_iter().zip(runtimes) {
            let mut scene = Scene::new(runtime);
            assert_eq!(scene.futures.get(), 1, "{order:?}");
            for part in order {
                scene.drop_part(part);
            }
            assert_eq!(
                (scene.futures.get(), scene.outputs.get()),
                (4, 1),
                "{order:?}"
            );
        }
    });
}

#[test]
fn a_handle_that_is_kept_does_not_keep_what_the_job_held() {
    for_both(|runtime| {
        let mut scene = Scene::new(runtime);
        scene.drop_part(Part::Runtime);
        assert_eq!((scene.futures.get(), scene.outputs.get()), (4, 1));
        assert!(scene.handles.iter().all(JobHandle::is_finished));
        let pool = scene.pool.as_ref().unwrap();
        assert_eq!((pool.active(), pool.waiting()), (0, 0));
    });
}

#[test]
fn handles_may_be_dropped_by_the_jobs_themselves() {
    for_both(|runtime| {
        let (pool, drops) = (Pool::new(2), Count::new());
        runtime.block_on(async {
            let kept: Vec<_> = (0..10).map(|_| pool.spawn_n(drops.pending())).collect();
            // The last of these jobs holds the handles of the others, and the pool.
            let (clone, dropped) = (pool.clone(), drops.drops());
            drop(pool.spawn_n(async move {
                let _dropped = dropped;
                let _held = (kept, clone);
                std::future::pending::<()>().await;
            }));
        });
        drop(pool);
        drop(runtime);
        assert_eq!(drops.get(), 11);
    });
}

#[test]
fn the_last_pool_may_be_dropped_by_its_own_job() {
    crate::common::on_both(async || {
        let (pool, ended) = (Pool::new(1), Count::new());
        for _ in 0..3 {
            let (pool, ended) = (pool.clone(), ended.clone());
            drop(pool.clone().spawn_n(async move {
                drop(pool);
                ended.add();
            }));
        }
        drop(pool);
        until(|| ended.get() == 3).await;
    });
}

#[test]
fn what_no_runtime_is_needed_for_works_when_it_is_gone() {
    for_both(|runtime| {
        let pool = Pool::new(2);
        let (mut handles, mut map) = runtime.block_on(async {
            let handles = pool.map_n(0..4, |_| std::future::pending::<()>());
            let mut map = Box::pin(pool.map(0..4, |_| std::future::pending::<()>()));
            assert!(poll_once(map.as_mut()).is_pending());
            (handles, map)
        });
        drop(runtime);
        assert!(matches!(poll_once(pin!(pool.join())), Poll::Ready(())));
        assert!(matches!(poll_once(pin!(pool.cancel_all())), Poll::Ready(0)));
        let cancelled = poll_once(pin!(pool.cancel(&mut handles)));
        assert!(matches!(cancelled, Poll::Ready((0, _))));
        assert!(
            handles
                .iter()
                .all(|handle| handle.is_finished() && !handle.cancel())
        );
        match poll_once(map.as_mut()) {
            Poll::Ready(results) => {
                assert!(results.last().unwrap().as_ref().unwrap_err().is_cancelled());
            }
            Poll::Pending => panic!("the map hangs"),
        }
        assert!(pool.is_empty());
    });
}

#[test]
fn a_pool_outlives_its_runtime_and_works_on_the_next_one() {
    for_both(|runtime| {
        let pool = Pool::new(2);
        let next = crate::common::like(&runtime)();
        let old = runtime.block_on(async { pool.map_n(0..5, |_| std::future::pending::<()>()) });
        drop(runtime);
        let results = next.block_on(pool.map(0..5, |n| async move { n }));
        assert!(results.iter().all(Result::is_ok));
        assert!(old.iter().all(JobHandle::is_finished));
        next.block_on(crate::common::assert_whole(&pool));
    });
}
