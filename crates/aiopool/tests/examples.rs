//! The examples about limits, in paused time: that the limits held.

#![expect(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::Pool;
use tokio::time::Instant;

macro_rules! example {
    ($name:ident, $path:literal) => {
        #[allow(dead_code, reason = "its `main` is for those who run it")]
        #[path = $path]
        mod $name;
    };
}

example!(dashboard, "../examples/dashboard.rs");
example!(grow_and_shrink, "../examples/grow_and_shrink.rs");
example!(heavy_and_light, "../examples/heavy_and_light.rs");
example!(polite_crawler, "../examples/polite_crawler.rs");
example!(urgent, "../examples/urgent.rs");

#[tokio::test(start_paused = true)]
async fn the_crawler_keeps_to_the_rate_and_to_three_requests_a_host() {
    let hosts = polite_crawler::run().await.unwrap();
    let mut requests: Vec<_> = hosts
        .iter()
        .flat_map(|host| host.requests.clone())
        .collect();
    requests.sort();
    assert_eq!(requests.len(), 37);
    assert!(fit_in_bucket(&requests, 10, 20));
    assert!(!fit_in_bucket(&requests, 9, 20));
    assert!(!fit_in_bucket(&requests, 10, 19));
    assert!(hosts.iter().all(|host| host.most_in_flight == 3));
}

#[tokio::test(start_paused = true)]
async fn the_crawler_leaves_a_host_alone_for_the_second_of_its_429() {
    let hosts = polite_crawler::run().await.unwrap();
    let busy = &hosts[0].requests;
    assert_eq!(busy.len(), 13);
    let answered = busy[4] + Duration::from_millis(100);
    let meanwhile = |request: &&Instant| {
        let after = request.saturating_duration_since(answered);
        // Those that were on their way when the host answered arrive soon after that: real sockets do
        // not know of paused time.
        after > Duration::from_millis(250) && after < Duration::from_secs(1)
    };
    let count = |host: &polite_crawler::Host| host.requests.iter().filter(meanwhile).count();
    assert_eq!(count(&hosts[0]), 0);
    assert!(count(&hosts[1]) > 2 && count(&hosts[2]) > 2);
}

#[tokio::test(start_paused = true)]
async fn the_film_has_its_turn_and_all_the_memory() {
    let (names, most) = heavy_and_light::run().await.unwrap();
    assert_eq!(names[6], "film");
    assert_eq!((names.len(), most), (13, 4));
}

#[tokio::test(start_paused = true)]
async fn urgent_jobs_go_first_and_leave_every_17th_start() {
    let (one, flood) = urgent::run().await.unwrap();
    assert!(one.starts_with("rrU"), "{one}");
    let seventeen = format!("{}r", "U".repeat(16));
    let (before, flood) = flood.split_once('U').unwrap();
    assert_eq!(before.trim_matches('r'), "");
    assert!(
        format!("U{flood}").starts_with(&seventeen.repeat(4)),
        "{flood}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_pool_follows_its_load_up_and_down() {
    let (pool, lines) = (Pool::new(2), Arc::new(Mutex::new(Vec::new())));
    let tell = {
        let lines = Arc::clone(&lines);
        move |line| lines.lock().unwrap().push(line)
    };
    grow_and_shrink::run(&pool, tell).await;
    let lines = lines.lock().unwrap();
    let mut sizes: Vec<&str> = lines.iter().map(|line| &line[17..19]).collect();
    sizes.dedup();
    let sizes: Vec<u32> = sizes
        .iter()
        .map(|size| size.trim().parse().unwrap())
        .collect();
    assert_eq!(
        sizes,
        [2, 4, 8, 16, 32, 16, 8, 4, 2, 4, 8, 4, 2],
        "{lines:#?}"
    );
    assert_eq!(pool.stats().succeeded, 220);
}

#[tokio::test(start_paused = true)]
async fn the_dashboard_shows_what_holds_the_jobs() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let lines = Arc::clone(&lines);
        move |line| lines.lock().unwrap().push(line)
    };
    let stats = dashboard::run(tell).await;
    assert_eq!((stats.started, stats.succeeded, stats.failed), (30, 27, 3));
    let lines = lines.lock().unwrap();
    assert!(lines.len() > 5);
    // Two of each of three tables.
    assert!(
        lines.iter().all(|line| line.as_bytes()[0] <= b'6'),
        "{lines:#?}"
    );
    for held_by in ["held by Keys", "held by Rate"] {
        assert!(
            lines.iter().any(|line| line.ends_with(held_by)),
            "{lines:#?}"
        );
    }
}

/// Whether a bucket that gets `limit` starts a second, and holds `burst`, has had them all.
fn fit_in_bucket(starts: &[Instant], limit: usize, burst: usize) -> bool {
    starts.iter().enumerate().all(|(number, first)| {
        starts[number..].iter().enumerate().all(|(more, last)| {
            let span = (*last - *first).as_micros();
            (more + 1) as u128 * 1_000_000 <= burst as u128 * 1_000_000 + limit as u128 * span
        })
    })
}
