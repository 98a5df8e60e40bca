//! A model with more threads than loom allows, for shuttle only.

use super::{Census, Note, block_on, endless, explore, poll_once, suspend_once, thread};
use crate::pool::Pool;
use std::pin::pin;

#[test]
fn six_threads_can_hand_in_give_up_cancel_and_join_at_once() {
    explore([()], || {
        let (pool, census) = (Pool::new(2), Census::default());
        let users: Vec<_> = (0..6)
            .map(|number| {
                let (pool, census) = (pool.clone(), census.clone());
                thread::spawn(move || use_pool(number, &pool, &census))
            })
            .collect();
        for user in users {
            user.join().expect("a thread finds what it expects");
        }
        block_on(pool.join());
        assert!(pool.is_empty());
        assert!(census.most() <= 2, "the pool has two slots");
    });
}

fn use_pool(number: usize, pool: &Pool, census: &Census) {
    let census = census.clone();
    let job = move || census.clone().job();
    match number {
        0 => drop(block_on(pool.spawn_n(job())).expect("nobody cancels it")),
        1 => {
            let handle = block_on(pool.spawn(job()));
            block_on(handle).expect("nobody cancels it");
        }
        2 => {
            let (begun, dropped) = (Note::default(), Note::default());
            let mut handle = pool.spawn_n(endless(begun, dropped.on_drop()));
            let (stopped, results) = block_on(pool.cancel([&mut handle]));
            assert_eq!((stopped, results.len()), (1, 1));
            assert!(dropped.is_set());
        }
        3 => {
            // The job is given up at once, whether it has begun or not. The census counts only jobs
            // that end.
            let mut exec = pin!(pool.exec(suspend_once()));
            let _ = poll_once(exec.as_mut());
        }
        4 => {
            let results = block_on(pool.map(0..3, move |_| job()));
            assert!(results.iter().all(Result::is_ok));
        }
        _ => block_on(pool.join()),
    }
}
