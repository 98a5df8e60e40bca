//! Priorities, weights, and how options come together.

use std::panic::catch_unwind;

use aiopool::{HeldBy, Job, JobError, Key, Pool};

use crate::common::{
    Count, Gate, Log, assert_whole, in_time_on, let_others_run, on_both, on_current_thread, until,
};

#[test]
fn higher_priorities_go_first_and_every_17th_start_to_a_lower_one() {
    on_current_thread(async || {
        let (pool, log) = (Pool::new(1), Log::new());
        let mut jobs = Vec::new();
        for (priority, count) in [(0, 2), (1, 40), (-100, 1), (100, 1)] {
            for _ in 0..count {
                let log = log.clone();
                jobs.push(pool.spawn_n(async move { log.add(priority) }.priority(priority)));
            }
        }
        for job in jobs {
            job.await.unwrap();
        }
        let order = log.take();
        assert_eq!(
            order[..2],
            [0, 100],
            "the first had started before the others came"
        );
        let lower: Vec<_> = (2..44).filter(|n| order[*n] < 1).collect();
        assert_eq!(lower.len(), 3 - 1);
    });
}

#[test]
fn a_job_takes_as_many_slots_as_its_weight_and_is_passed_by_nobody() {
    on_both(async || {
        let (pool, gate) = (Pool::new(4), Gate::new());
        let heavy = pool.spawn_n(gate.passed().weight(3));
        let other = pool.spawn_n(gate.passed().weight(2));
        let light = pool.spawn_n(async {});
        let_others_run().await;
        let stats = pool.stats();
        assert_eq!((stats.active, stats.waiting), (1, 2));
        assert_eq!(stats.held_by, Some(HeldBy::Slots));
        assert!(pool.is_full());
        assert!(other.cancel());
        light.await.unwrap();
        gate.open();
        heavy.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn a_job_heavier_than_the_pool_runs_alone() {
    on_both(async || {
        let (pool, gate) = (Pool::new(3), Gate::new());
        let jobs = [
            pool.spawn_n(gate.passed()),
            pool.spawn_n(gate.passed().weight(u32::MAX)),
            pool.spawn_n(gate.passed()),
        ];
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting()), (1, 2));
        gate.let_pass();
        until(|| pool.waiting() == 1).await;
        let_others_run().await;
        assert_eq!((pool.active(), pool.waiting()), (1, 1));
        gate.open();
        for job in jobs {
            job.await.unwrap();
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn options_and_a_callback_come_together_in_any_order() {
    on_both(async || {
        let pool = Pool::builder(2).per_key(1).build();
        let key = Key::from("a");
        let first = async { 1 }
            .key(&key)
            .with_callback(|result| async move { result.unwrap() + 1 })
            .weight(2)
            .name("first")
            .priority(3);
        let second = async { 1 }
            .with_callback(|result| async move { result.unwrap() + 1 })
            .name("second")
            .priority(-3)
            .key("a")
            .key("b");
        assert_eq!(pool.exec(first).await.unwrap(), 2);
        assert_eq!(pool.exec(second).await.unwrap(), 2);
        let gate = Gate::new();
        let job = pool.spawn_n(named(gate.passed().weight(2)));
        let other = pool.spawn_n(async {});
        let_others_run().await;
        assert_eq!(pool.waiting(), 1, "the weight is kept");
        gate.open();
        job.await.unwrap();
        other.await.unwrap();
        assert_whole(&pool).await;
    });
}

#[test]
fn an_item_with_a_priority_or_a_weight_waits_for_itself() {
    on_both(async || {
        let (pool, gate, begun) = (Pool::new(2), Gate::new(), Count::new());
        let map = tokio::spawn(pool.map(0..3, {
            let (gate, begun) = (gate.clone(), begun.clone());
            move |n| {
                let (gate, begun) = (gate.passed(), begun.clone());
                async move {
                    begun.add();
                    gate.await;
                    n
                }
                .weight(2)
            }
        }));
        until(|| begun.get() == 1 && pool.stats().held_by == Some(HeldBy::Slots)).await;
        let_others_run().await;
        assert_eq!((pool.active(), begun.get()), (1, 1));
        gate.open();
        let results: Vec<_> = map.await.unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [0, 1, 2]);
        let low = pool.map(0..3, |n| async move { n }.priority(-1)).await;
        assert_eq!(low.len(), 3);
        let named = pool.map(0..3, |n| async move { n }.name("n")).await;
        assert_eq!(named.len(), 3);
        assert_whole(&pool).await;
    });
}

#[test]
fn an_item_goes_by_its_priority_once_it_is_pulled() {
    on_current_thread(async || {
        for (priority, order) in [(1, ["item", "plain"]), (-1, ["plain", "item"])] {
            let (pool, gate, log) = (Pool::new(1), Gate::new(), Log::new());
            let first = pool.spawn_n(gate.passed());
            let add = |name: &'static str| {
                let log = log.clone();
                async move { log.add(name) }
            };
            let item = add("item");
            let mut item = Some(item);
            let map = pool.map(0..1, move |_| item.take().unwrap().priority(priority));
            let map = tokio::spawn(map);
            let_others_run().await;
            let plain = pool.spawn_n(add("plain"));
            gate.open();
            first.await.unwrap();
            plain.await.unwrap();
            assert_eq!(map.await.unwrap().len(), 1);
            assert_eq!(log.take(), order);
        }
    });
}

#[test]
fn the_last_of_each_option_counts_and_one_that_is_given_alone_changes_no_other() {
    let job = std::future::ready(())
        .key("a")
        .weight(2)
        .priority(1)
        .name("first");
    let job = job.priority(-1).name("second");
    let expected = r#"key: Some("a"), level: -1, weight: 2, name: Some("second")"#;
    assert!(format!("{job:?}").contains(expected), "{job:?}");
    let job = job.weight(1);
    let expected = r#"key: Some("a"), level: -1, weight: 1, name: Some("second")"#;
    assert!(format!("{job:?}").contains(expected), "{job:?}");
    let job = job.key("b");
    let expected = r#"key: Some("b"), level: -1, weight: 1, name: Some("second")"#;
    assert!(format!("{job:?}").contains(expected), "{job:?}");
}

#[test]
fn a_large_job_with_options_stays_in_its_box() {
    // As little stack as a thread of a runtime has.
    let builder = std::thread::Builder::new().stack_size(2 << 20);
    in_time_on(builder, || {
        let runtime = crate::common::current_thread();
        runtime.block_on(async {
            let pool = Pool::new(1);
            let dropped = Count::new();
            let held = dropped.drops();
            let large = [7_u8; 5_000];
            let large = [large, large, large];
            let job = async move {
                tokio::task::yield_now().await;
                drop(held);
                large[2][4_999]
            };
            let job = job
                .key("a")
                .weight(2)
                .with_callback(|result| async move { result.unwrap() });
            assert_eq!(pool.exec(job).await.unwrap(), 7);
            let job = async move {
                tokio::task::yield_now().await;
                large[2][4_999]
            };
            assert_eq!(pool.exec(job.name("large")).await.unwrap(), 7);
            assert_eq!(dropped.get(), 1);
        });
    });
}

#[test]
fn options_that_no_pool_can_keep_panic_where_they_are_given() {
    let message = |give: fn()| {
        let payload = catch_unwind(give).unwrap_err();
        let text = payload.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| (*payload.downcast_ref::<&str>().unwrap()).to_owned())
    };
    assert!(message(|| drop(async {}.priority(101))).contains("from -100 to 100"));
    assert!(message(|| drop(async {}.priority(-101))).contains("from -100 to 100"));
    assert!(message(|| drop(async {}.weight(0))).contains("at least 1"));
    assert!(message(|| drop(Pool::builder(1).per_key(0))).contains("at least 1"));
}

#[test]
fn a_waiting_job_with_options_can_be_cancelled() {
    on_both(async || {
        let pool = Pool::builder(1).per_key(1).build();
        let (gate, dropped) = (Gate::new(), Count::new());
        let first = pool.spawn_n(gate.passed().key("a"));
        let jobs = pool.map_n(0..5, |n| dropped.pending().key("a").priority(n).weight(2));
        assert!(jobs[2].cancel());
        assert_eq!((pool.waiting(), dropped.get()), (4, 1));
        assert_eq!(pool.cancel_all().await, 5);
        assert!(first.await.is_err());
        for job in jobs {
            assert!(matches!(job.await, Err(JobError::Cancelled)));
        }
        assert_whole(&pool).await;
    });
}

/// Generic code adds to what is there.
fn named<J: Job>(job: J) -> impl Job<Output = J::Output> {
    job.name("it").priority(1)
}
