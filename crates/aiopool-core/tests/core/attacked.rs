//! What attacks have found, and what was like it.

use std::num::NonZeroU32;

use aiopool_core::{KeyId, Level, Request};

use crate::settings::Job;
use crate::telling::{Pool, admit, at, in_level, job, level, of, pool, rate, run, submit};

#[test]
fn the_same_rates_again_grant_nothing_twice() {
    for rates in [
        [rate(1, 1, None), rate(1, 1_000_000, Some(1))],
        [rate(1, 10_000, Some(1)), rate(1, 1_000, Some(1))],
        [rate(10, 1_000, None), rate(2, 1_000, Some(40))],
    ] {
        let starts = |changes: bool| {
            let mut pool = pool(1_000);
            pool.set_rates(&rates, at(0));
            (0..1_000).for_each(|number| submit(&mut pool, Request::default(), number));
            let mut starts = 0;
            for now in 0..20_000 {
                if changes {
                    pool.set_rates(&rates, at(now));
                }
                while let Some(slot) = admit(&mut pool, at(now)).map(|(_, slot)| slot) {
                    starts += 1;
                    pool.finish(slot);
                }
            }
            starts
        };
        assert_eq!(starts(true), starts(false), "{rates:?}");
    }
}

#[test]
fn a_strict_rate_that_is_lowered_and_raised_again_remembers_its_starts() {
    let mut pool = pool(100);
    pool.set_rates(&[rate(10, 1_000, None)], at(0));
    (0..100).for_each(|number| submit(&mut pool, Request::default(), number));
    let count = |pool: &mut Pool, now| std::iter::from_fn(|| admit(pool, at(now))).count();
    assert_eq!(count(&mut pool, 1), 10);
    pool.set_rates(&[rate(2, 1_000, None)], at(2));
    assert_eq!(count(&mut pool, 2), 0);
    pool.set_rates(&[rate(10, 1_000, None)], at(3));
    assert_eq!(count(&mut pool, 1_000), 0);
    assert_eq!(count(&mut pool, 1_001), 10);
}

#[test]
fn all_at_the_front_of_a_level_start_before_the_others() {
    let mut pool = pool(1);
    let keys = [(); 4].map(|()| pool.open_key(None, &[]));
    for (number, key) in (10..).zip(keys) {
        submit(&mut pool, of(key), number);
    }
    let front = Request {
        front: true,
        ..of(keys[0])
    };
    (1..=3).for_each(|number| submit(&mut pool, front, number));
    assert_eq!(run(&mut pool)[..3], [3, 2, 1]);
}

#[test]
fn who_stands_at_the_front_and_waited_for_its_key_is_at_the_front_again() {
    let mut pool = pool(2);
    let key = pool.open_key(NonZeroU32::new(1), &[]);
    submit(&mut pool, of(key), 0);
    let (_, slot) = admit(&mut pool, at(0)).expect("a slot is free");
    let front = Request {
        front: true,
        ..of(key)
    };
    submit(&mut pool, front, 1);
    assert!(admit(&mut pool, at(0)).is_none());
    (2..6).for_each(|number| submit(&mut pool, Request::default(), number));
    pool.finish(slot);
    assert_eq!(admit(&mut pool, at(0)).map(|(number, _)| number), Some(1));
}

/// A job waits below a flood, and for a key that the flood needs too.
#[test]
fn a_level_that_waits_for_a_key_has_its_turn_when_the_key_lets_it_go() {
    let mut pool = pool(2);
    let key = pool.open_key(NonZeroU32::new(1), &[]);
    let high = |key: Option<KeyId>| Request {
        level: level(1),
        key,
        front: false,
    };
    submit(&mut pool, of(key), 7);
    let (mut of_key, mut of_flood) = (None, None);
    for tick in 0..4_000 {
        if pool.waiting() < 6 {
            submit(&mut pool, high(Some(key)), 1_000);
            submit(&mut pool, high(None), 2_000);
        }
        if tick % 40 == 0 {
            of_key.take().into_iter().for_each(|slot| pool.finish(slot));
        }
        of_flood
            .take()
            .into_iter()
            .for_each(|slot| pool.finish(slot));
        while let Some((number, slot)) = admit(&mut pool, at(0)) {
            match number {
                1_000 => of_key = Some(slot),
                2_000 => of_flood = Some(slot),
                _ => return,
            }
        }
    }
    panic!("the lower level never had its turn");
}

#[test]
fn the_level_that_has_been_passed_longest_is_the_one_that_has_waited_longest() {
    let mut pool = pool(1);
    // This level has had a start, and the one that comes later has had none.
    submit(&mut pool, Request::default(), 98);
    submit(&mut pool, in_level(level(5)), 97);
    assert_eq!(run(&mut pool), [97, 98]);
    submit(&mut pool, Request::default(), 0);
    for number in 1..=17 {
        submit(&mut pool, in_level(level(5)), number);
    }
    for _ in 0..16 {
        let (_, slot) = admit(&mut pool, at(0)).expect("somebody waits");
        pool.finish(slot);
    }
    submit(&mut pool, in_level(level(-1)), 99);
    assert_eq!(admit(&mut pool, at(0)).map(|(number, _)| number), Some(0));
}

#[test]
fn a_key_stays_open_while_a_job_of_it_is_outside() {
    let mut pool = pool(1);
    let key = pool.open_key(NonZeroU32::new(1), &[]);
    submit(&mut pool, of(key), 0);
    let (_, slot) = admit(&mut pool, at(0)).expect("a slot is free");
    let outside = pool.go_outside(slot);
    while pool.poll_due(at(0)) {}
    assert!(pool.has_key(key));
    let back = Job {
        begun: true,
        ..job(0, 1)
    };
    let ticket = pool.come_back(&outside, back, Level::default(), false);
    assert!(ticket.is_ok());
    assert_eq!((pool.waiting(), pool.outside(), pool.len()), (0, 1, 1));
    let (_, slot) = admit(&mut pool, at(0)).expect("it is back");
    pool.end_outside(outside);
    assert_eq!((pool.outside(), pool.stats().started), (0, 1));
    pool.finish(slot);
    while pool.poll_due(at(0)) {}
    assert_eq!(pool.poll_key_gone(), Some(key));
}

#[test]
fn a_higher_level_starts_first_however_many_keys_are_due() {
    let mut pool = pool(1);
    for _ in 0..200 {
        let key = pool.open_key(None, &[]);
        pool.pause_key(key, at(9));
    }
    let key = pool.open_key(None, &[]);
    pool.pause_key(key, at(10));
    let high = Request {
        level: level(1),
        ..of(key)
    };
    submit(&mut pool, high, 1);
    assert!(admit(&mut pool, at(0)).is_none());
    submit(&mut pool, Request::default(), 0);
    assert_eq!(admit(&mut pool, at(10)).map(|(number, _)| number), Some(1));
}
