//! How many jobs may start in a time.

use std::panic::catch_unwind;
use std::time::Duration;

use aiopool::{HeldBy, Pool, Rate};
use tokio::time::Instant;

use crate::common::{Gate, Log, in_frozen_time, let_others_run, millis, since, until};

#[test]
fn a_strict_rate_lets_so_many_start_in_any_window() {
    in_frozen_time(async || {
        let pool = Pool::builder(10).rate(Rate::new(2, millis(100))).build();
        assert_eq!(starts(&pool, 5).await, [0, 0, 100, 100, 200]);
    });
}

#[test]
fn a_bucket_lets_a_burst_start_and_then_goes_on_evenly() {
    in_frozen_time(async || {
        let rate = Rate::new(2, millis(100)).burst(3);
        let pool = Pool::builder(10).rate(rate).build();
        assert_eq!(starts(&pool, 6).await, [0, 0, 0, 50, 100, 150]);
    });
}

#[test]
fn several_rates_have_to_agree() {
    in_frozen_time(async || {
        let rates = [Rate::new(2, millis(100)), Rate::new(3, millis(1000))];
        let pool = Pool::builder(10).rate(rates).build();
        assert_eq!(starts(&pool, 7).await, [0, 0, 100, 1000, 1000, 1100, 2000]);
    });
}

#[test]
fn the_items_of_a_map_keep_to_the_rate_and_its_end_costs_nothing() {
    in_frozen_time(async || {
        let pool = Pool::builder(10).rate(Rate::new(2, millis(100))).build();
        let begun = Instant::now();
        // The iterator does not know its end before it is asked, for which a turn is needed.
        let mut left = 0..3;
        let items = std::iter::from_fn(move || left.next());
        let times = pool.map(items, move |_| async move { since(begun) }).await;
        let times: Vec<_> = times.into_iter().map(Result::unwrap).collect();
        assert_eq!(times, [0, 0, 100]);
        assert_eq!(
            since(begun),
            100,
            "the end was found in the turn of the fourth"
        );
        assert_eq!(starts_from(&pool, 2, begun).await, [100, 200]);
    });
}

#[test]
fn a_map_starts_its_items_at_the_rate_while_the_first_ones_run() {
    in_frozen_time(async || {
        let pool = Pool::builder(10).rate(Rate::new(1, millis(100))).build();
        let begun = Instant::now();
        let times = pool.map(0..4, move |_| async move {
            let time = since(begun);
            tokio::time::sleep(millis(1000)).await;
            time
        });
        let times: Vec<_> = times.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(times, [0, 100, 200, 300]);
    });
}

#[test]
fn jobs_that_are_cancelled_while_they_wait_cost_nothing() {
    in_frozen_time(async || {
        let pool = Pool::builder(10).rate(Rate::new(1, millis(100))).build();
        let begun = Instant::now();
        let first = pool.spawn_n(async move { since(begun) });
        let second = pool.spawn_n(async move { since(begun) });
        let third = pool.spawn_n(async move { since(begun) });
        assert!(second.cancel());
        assert_eq!(first.await.unwrap(), 0);
        assert_eq!(third.await.unwrap(), 100);
    });
}

#[test]
fn a_job_that_never_begins_is_no_start() {
    in_frozen_time(async || {
        let pool = Pool::builder(1).rate(Rate::new(1, millis(100))).build();
        let begun = Instant::now();
        pool.exec(async {}).await.unwrap();
        tokio::time::sleep(millis(150)).await;
        // Admitted, but no worker has come to it yet.
        let first = pool.spawn_n(async move { since(begun) });
        assert_eq!(pool.active(), 1);
        assert!(first.cancel());
        assert_eq!(pool.exec(async move { since(begun) }).await.unwrap(), 150);
        assert_eq!(pool.stats().started, 2);
    });
}

#[test]
fn another_rate_takes_effect_at_once_and_grants_nothing_twice() {
    in_frozen_time(async || {
        let pool = Pool::builder(10).rate(Rate::new(1, millis(1000))).build();
        let (log, begun) = (Log::new(), Instant::now());
        let handles = hand_in(&pool, 5, &log, begun);
        tokio::time::sleep(millis(300)).await;
        assert_eq!(log.take(), [0]);
        pool.set_rate(Rate::new(2, millis(400)));
        let_others_run().await;
        assert_eq!(log.take(), [300], "the start at 0 counts");
        tokio::time::sleep(millis(300)).await;
        assert_eq!(log.take(), [400]);
        pool.set_rate(None);
        let_others_run().await;
        assert_eq!(log.take(), [600, 600], "nothing holds them back");
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[test]
fn a_rate_that_is_set_while_jobs_wait_for_slots_holds_their_starts_back() {
    in_frozen_time(async || {
        let (pool, gate, log, begun) = (Pool::new(1), Gate::new(), Log::new(), Instant::now());
        let first = pool.spawn_n(gate.passed());
        let handles = hand_in(&pool, 3, &log, begun);
        until(|| pool.waiting() == 3).await;
        pool.set_rate(Rate::new(1, millis(100)));
        gate.open();
        for handle in handles {
            handle.await.unwrap();
        }
        first.await.unwrap();
        assert_eq!(log.take(), [0, 100, 200], "it begins without a past");
    });
}

#[test]
fn what_holds_the_next_job_back_is_told() {
    in_frozen_time(async || {
        let pool = Pool::builder(2).rate(Rate::new(1, millis(100))).build();
        assert_eq!(pool.stats().held_by, None);
        let jobs = [pool.spawn_n(async {}), pool.spawn_n(async {})];
        assert_eq!(pool.stats().held_by, Some(HeldBy::Rate));
        pool.pause(Some(millis(500)));
        assert_eq!(pool.stats().held_by, Some(HeldBy::Pause));
        for job in jobs {
            job.await.unwrap();
        }
        assert_eq!(pool.stats().held_by, None);
    });
}

#[test]
fn a_rate_that_cannot_be_kept_panics_where_it_is_made() {
    let second = Duration::from_secs(1);
    let message = |make: fn() -> Rate| {
        let payload = catch_unwind(make).unwrap_err();
        let message = payload.downcast_ref::<String>().cloned();
        message.unwrap_or_else(|| (*payload.downcast_ref::<&str>().unwrap()).to_owned())
    };
    assert!(message(|| Rate::new(0, millis(1))).contains("allow at least 1"));
    assert!(message(|| Rate::new(1, Duration::ZERO)).contains("choose a longer time"));
    assert!(message(|| Rate::new(1, Duration::MAX)).contains("choose a shorter time"));
    assert!(message(|| Rate::new(1, millis(1)).burst(0)).contains("allow at least 1"));
    assert_eq!(
        format!("{:?}", Rate::new(2, second).burst(40)),
        "Rate { limit: 2, per: 1s, burst: 40 }"
    );
}

/// When each of so many jobs starts, in milliseconds from now.
async fn starts(pool: &Pool, jobs: usize) -> Vec<u128> {
    starts_from(pool, jobs, Instant::now()).await
}

async fn starts_from(pool: &Pool, jobs: usize, begun: Instant) -> Vec<u128> {
    let log = Log::new();
    for handle in hand_in(pool, jobs, &log, begun) {
        handle.await.unwrap();
    }
    log.take()
}

fn hand_in(
    pool: &Pool,
    jobs: usize,
    log: &Log<u128>,
    begun: Instant,
) -> Vec<aiopool::JobHandle<()>> {
    pool.map_n(0..jobs, |_| {
        let log = log.clone();
        async move { log.add(since(begun)) }
    })
}
