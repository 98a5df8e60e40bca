//! The queue: first come, first served, whichever verb handed a job in.

use std::pin::pin;

use aiopool::Pool;
use futures_util::StreamExt;
use futures_util::future::join;
use tokio_test::{assert_pending, task};

use crate::common::{Count, Gate, Log, let_others_run, on_both, poll_once, until};

#[test]
fn it_is_first_in_first_out_over_all_verbs_and_a_map_goes_to_the_back_after_each_item() {
    on_both(async || {
        let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
        let job = {
            let log = log.clone();
            move |name: String| {
                let log = log.clone();
                async move { log.add(name) }
            }
        };
        let jobs = |name: &'static str| {
            let job = job.clone();
            move |n| job(format!("{name}{n}"))
        };
        drop(pool.spawn_n(gate.passed()));

        drop(pool.spawn_n(job("spawn_n".into())));
        let mut exec = task::spawn(pool.exec(job("exec".into())));
        assert_pending!(exec.poll());
        let mut map = task::spawn(pool.map(0..3, jobs("map")));
        assert_pending!(map.poll());
        drop(pool.map_n(0..2, jobs("map_n")));
        let mut stream = task::spawn(pool.itermap(0..3, jobs("itermap")).ahead(3));
        assert_pending!(stream.poll_next());
        let mut ordered = task::spawn(pool.itermap_ordered(0..2, jobs("ordered")).ahead(3));
        assert_pending!(ordered.poll_next());
        let mut spawn = task::spawn(pool.spawn(job("spawn".into())));
        assert_pending!(spawn.poll());

        gate.open();
        pool.join().await;
        let expected = [
            "spawn_n", "exec", "map0", "map_n0", "map_n1", "itermap0", "ordered0", "spawn", "map1",
            "itermap1", "ordered1", "map2", "itermap2",
        ];
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn an_exec_beside_an_endless_map_is_not_starved() {
    on_both(async || {
        let pool = Pool::new(2);
        let mut map = pin!(pool.map(0_u64.., |_| async {}));
        assert!(poll_once(map.as_mut()).is_pending());
        for n in 0..100 {
            assert_eq!(pool.exec(async move { n }).await.unwrap(), n);
        }
    });
}

#[test]
fn two_maps_take_turns() {
    on_both(async || {
        let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
        drop(pool.spawn_n(gate.passed()));
        let jobs = |name: &'static str| {
            let log = log.clone();
            move |n| {
                log.add((name, n));
                async {}
            }
        };
        let mut first = task::spawn(pool.map(0..3, jobs("first")));
        let mut second = task::spawn(pool.map(0..3, jobs("second")));
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        gate.open();
        join(first, second).await;
        let turns = (0..3).flat_map(|n| [("first", n), ("second", n)]);
        assert_eq!(log.take(), turns.collect::<Vec<_>>());
    });
}

#[test]
fn a_stream_that_was_held_back_goes_to_the_back_of_the_queue() {
    on_both(async || {
        let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
        let pulled = log.clone();
        let mut stream = pool.itermap(0..3, move |n| {
            pulled.add(n);
            async {}
        });
        stream.next().await.unwrap().unwrap();
        pool.join().await;
        // It is one ahead, as far as it may go, and does not stand in the queue.
        drop(pool.spawn_n(gate.passed()));
        for n in 10..12 {
            let log = log.clone();
            drop(pool.spawn_n(async move { log.add(n) }));
        }
        stream.next().await.unwrap().unwrap();
        gate.open();
        pool.join().await;
        assert_eq!(log.take(), [0, 1, 10, 11, 2]);
    });
}

#[test]
fn those_who_leave_the_line_do_not_change_the_order_of_the_others() {
    on_both(async || {
        let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
        drop(pool.spawn_n(gate.passed()));
        let handles = pool.map_n(0..9, |n| {
            let log = log.clone();
            async move { log.add(n) }
        });
        for handle in handles.iter().step_by(4) {
            assert!(handle.cancel());
        }
        gate.open();
        pool.join().await;
        assert_eq!(log.take(), [1, 2, 3, 5, 6, 7]);
    });
}

#[test]
fn jobs_start_in_their_order_in_a_pool_with_many_slots() {
    // Which of two threads is faster is nobody's promise, so this is about one.
    crate::common::on_current_thread(async || {
        let (pool, log) = (Pool::new(3), Log::new());
        let handles = pool.map_n(0..20, |n| {
            let log = log.clone();
            async move {
                log.add(n);
                tokio::task::yield_now().await;
            }
        });
        pool.join().await;
        assert_eq!(log.take(), (0..20).collect::<Vec<_>>());
        assert!(handles.iter().all(aiopool::JobHandle::is_finished));
    });
}

#[test]
fn a_map_pulls_an_item_only_when_it_has_a_slot_for_it() {
    on_both(async || {
        let (pool, gate, pulled, begun) = (Pool::new(2), Gate::new(), Count::new(), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..6).inspect(move |_| pulled.add())
        };
        let jobs = {
            let (gate, begun) = (gate.clone(), begun.clone());
            move |_| {
                begun.add();
                gate.passed()
            }
        };
        let mut map = task::spawn(pool.map(items, jobs));
        assert_eq!(pulled.get(), 0);
        assert_pending!(map.poll());
        for passed in 0..4 {
            until(|| begun.get() == passed + 2).await;
            let_others_run().await;
            assert_eq!(pulled.get(), passed + 2);
            assert_eq!((pool.active(), pool.waiting()), (2, 1));
            gate.let_pass();
        }
        gate.open();
        assert_eq!(map.await.len(), 6);
        assert_eq!(pulled.get(), 6);
    });
}
