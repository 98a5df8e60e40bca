//! What is promised in numbers.

use std::num::{NonZeroU32, NonZeroUsize};

use aiopool_core::{HeldBy, KeyId, Level, Phase, Request, Slot, Ticket, Time};

use crate::settings::Job;
use crate::telling::{Pool, admit, in_level, job, level, of, pool, rate, run, submit_as};

#[test]
fn below_a_flood_each_level_has_its_turn_and_the_highest_keeps_16_of_17() {
    for count in [2, 3, 32, 201] {
        let levels: Vec<_> = (0..count).map(|n| level(100 - n)).collect();
        let (mut pool, mut last) = (pool(1), vec![0; levels.len()]);
        for level in &levels {
            let number = u32::try_from(pool.len()).expect("they are few");
            submit_as(&mut pool, in_level(*level), number, 1);
        }
        let starts = 17 * 500 * levels.len();
        let mut of_highest = 0;
        for start in 1..=starts {
            let (number, slot) = admit(&mut pool, Time::ZERO).expect("somebody waits");
            let index = number as usize % levels.len();
            let passed = start - last[index] - 1;
            assert!(
                passed < 17 * (levels.len() - 1).max(1),
                "passed {passed} times"
            );
            last[index] = start;
            of_highest += usize::from(index == 0);
            pool.finish(slot);
            // The next of the same level, which tells its level by its number.
            let next = number + u32::try_from(levels.len()).expect("they are few");
            submit_as(&mut pool, in_level(levels[index]), next, 1);
        }
        assert!(of_highest * 17 >= starts * 16, "{of_highest} of {starts}");
        assert!(
            last.iter().all(|last| *last > 0),
            "a level never had its turn"
        );
    }
}

#[test]
fn the_keys_of_a_level_take_turns_whoever_came_first() {
    let mut pool = pool(1);
    let keys = [(); 3].map(|()| pool.open_key(None, &[]));
    for (key, first) in keys.into_iter().zip([0, 10, 20]) {
        for n in 0..4 {
            submit_as(&mut pool, of(key), first + n, 1);
        }
    }
    submit_as(&mut pool, Request::default(), 30, 1);
    let order = run(&mut pool);
    assert_eq!(order, [0, 10, 20, 30, 1, 11, 21, 2, 12, 22, 3, 13, 23]);
}

#[test]
fn a_job_that_waits_for_its_key_lets_others_pass() {
    let mut pool = pool(3);
    let key = pool.open_key(NonZeroU32::new(1), &[]);
    for number in 0..1_000 {
        submit_as(&mut pool, of(key), number, 1);
    }
    submit_as(&mut pool, Request::default(), 1_000, 1);
    let (first, slot) = admit(&mut pool, Time::ZERO).expect("a slot is free");
    let (second, _other) = admit(&mut pool, Time::ZERO).expect("two are free");
    assert_eq!((first, second), (0, 1_000));
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!(pool.stats().held_by, Some(HeldBy::Keys));
    assert_eq!(pool.stats().parked, 999);
    pool.finish(slot);
    assert_eq!(
        admit(&mut pool, Time::ZERO).map(|(number, _)| number),
        Some(1)
    );
}

#[test]
fn a_job_that_waits_for_slots_is_passed_by_nobody_of_its_level_or_below() {
    let mut pool = pool(3);
    let mut held: Vec<_> = (0..2).map(|n| submit_and_admit(&mut pool, n, 1)).collect();
    submit_as(&mut pool, Request::default(), 2, 2);
    submit_as(&mut pool, Request::default(), 3, 1);
    submit_as(&mut pool, in_level(level(-1)), 4, 1);
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!(pool.stats().held_by, Some(HeldBy::Slots));
    // One of a higher level passes it.
    submit_as(&mut pool, in_level(level(1)), 5, 1);
    let (number, slot) = admit(&mut pool, Time::ZERO).expect("it fits");
    assert_eq!(number, 5);
    pool.finish(slot);
    pool.finish(held.remove(0));
    let (number, _slot) = admit(&mut pool, Time::ZERO).expect("two are free");
    assert_eq!((number, pool.held()), (2, 3));
}

#[test]
fn nobody_is_woken_for_a_rate_while_no_slot_is_free() {
    let mut pool = pool(2);
    pool.set_rates(&[rate(1, 1_000, None)], Time::ZERO);
    let _slot = submit_and_admit(&mut pool, 0, 1);
    submit_as(&mut pool, Request::default(), 1, 1);
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!(pool.next_wake(), Some(Time::from_nanos(1_000)));
    pool.resize(NonZeroUsize::MIN);
    assert_eq!(pool.next_wake(), None);
}

#[test]
fn what_does_not_pay_waits_for_no_rate_and_pays_later_if_all_rates_allow_it() {
    let mut pool = pool(4);
    let at = Time::from_nanos;
    pool.set_rates(&[rate(2, 1_000, None)], at(0));
    let key = pool.open_key(None, &[rate(1, 5_000, None)]);
    let submit_source = |pool: &mut Pool, request| {
        let source = Job {
            pays: false,
            begun: false,
            ..job(0, 1)
        };
        pool.submit(source, request).expect("the pool is open");
        admit(pool, at(0)).expect("it waits for no rate").1
    };
    let keyed = submit_source(&mut pool, of(key));
    assert!(pool.pay(&keyed, Level::default(), at(0)));
    assert!(
        !pool.pay(&keyed, Level::default(), at(0)),
        "the rate of its key does not allow it"
    );
    let plain = submit_source(&mut pool, Request::default());
    assert!(pool.pay(&plain, Level::default(), at(0)));
    assert!(
        !pool.pay(&plain, Level::default(), at(0)),
        "that of the pool does not"
    );
    assert!(!pool.pay(&plain, Level::default(), at(999)));
    assert!(pool.pay(&plain, Level::default(), at(1_000)));
    // What has not paid is not taken from what has.
    let unpaid = submit_source(&mut pool, Request::default());
    pool.take_back(unpaid);
    assert_eq!(pool.stats().started, 2);
    assert!(pool.pay(&plain, Level::default(), at(1_000)));
    assert!(!pool.pay(&plain, Level::default(), at(1_000)));
}

#[test]
fn a_weight_above_the_size_runs_alone() {
    let mut pool = pool(4);
    let slot = submit_and_admit(&mut pool, 0, 50);
    submit_as(&mut pool, Request::default(), 1, 1);
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!(pool.held(), 4);
    pool.finish(slot);
    assert!(admit(&mut pool, Time::ZERO).is_some());
}

#[test]
fn a_heavy_job_is_heavy_at_the_front_too() {
    let mut pool = pool(3);
    let front = Request {
        front: true,
        ..Request::default()
    };
    submit_as(&mut pool, Request::default(), 0, 1);
    submit_as(&mut pool, front, 1, 2);
    let (number, _slot) = admit(&mut pool, Time::ZERO).expect("it fits");
    assert_eq!((number, pool.held(), pool.active()), (1, 2, 1));
}

#[test]
fn growing_lets_in_as_many_as_fit_and_shrinking_stops_nobody() {
    let mut pool = pool(3);
    let mut slots: Vec<_> = (0..3).map(|n| submit_and_admit(&mut pool, n, 1)).collect();
    (3..9).for_each(|number| submit_as(&mut pool, Request::default(), number, 1));
    pool.resize(NonZeroUsize::MIN);
    pool.finish(slots.remove(0));
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!((pool.held(), pool.active()), (2, 2));
    pool.resize(NonZeroUsize::new(4).expect("it is not 0"));
    slots.extend(std::iter::from_fn(|| admit(&mut pool, Time::ZERO)).map(|(_, slot)| slot));
    assert_eq!((slots.len(), pool.active()), (4, 4));
}

#[test]
fn a_strict_rate_has_no_window_with_more_starts_and_a_bucket_begins_full() {
    let strict = rate(4, 400, None);
    let mut pool = pool(100);
    pool.set_rates(&[strict], Time::ZERO);
    let starts = starts_of(&mut pool, 100);
    for (index, start) in starts.iter().enumerate() {
        let window = starts[index..]
            .iter()
            .take_while(|other| **other < start + 400);
        assert!(window.count() <= 4);
    }
    assert_eq!(starts[99], 24 * 400);
    let mut pool = self::pool(100);
    pool.set_rates(&[rate(2, 1_000, Some(40))], Time::ZERO);
    let starts = starts_of(&mut pool, 60);
    assert_eq!(starts.iter().filter(|start| **start == 0).count(), 40);
    assert_eq!(starts.iter().filter(|start| **start < 1_000).count(), 41);
    assert_eq!(starts.iter().filter(|start| **start <= 1_000).count(), 42);
    assert_eq!(starts[59], 20 * 500);
}

#[test]
fn all_rates_have_to_agree() {
    let mut pool = pool(100);
    pool.set_rates(
        &[rate(20, 1_000, None), rate(100, 120_000, None)],
        Time::ZERO,
    );
    let starts = starts_of(&mut pool, 200);
    assert_eq!(starts[99], 4_000);
    assert_eq!(starts[100], 120_000);
}

#[test]
fn keys_that_are_used_once_leave_nothing_behind() {
    let mut pool = pool(100_000);
    let mut slots = Vec::new();
    for number in 0..100_000 {
        let key = pool.open_key(None, &[rate(1, 1_000, None)]);
        submit_as(&mut pool, of(key), number, 1);
        slots.extend(admit(&mut pool, Time::from_nanos(7)).map(|(_, slot)| slot));
    }
    assert_eq!(slots.len(), 100_000);
    for slot in slots {
        pool.finish(slot);
    }
    assert_eq!(pool.next_wake(), Some(Time::from_nanos(1_007)));
    pool.poll_due(Time::from_nanos(1_006));
    assert_eq!(pool.poll_key_gone(), None);
    let mut gone = 0;
    while let Some(wake) = pool.next_wake() {
        pool.poll_due(wake);
        while let Some(key) = pool.poll_key_gone() {
            assert!(!pool.has_key(key));
            gone += 1;
        }
    }
    assert_eq!(gone, 100_000);
    assert!(!pool.is_timed());
}

#[test]
fn a_pool_without_limits_in_time_never_wakes_by_itself() {
    let mut pool = pool(1);
    for (number, of_level) in (0..10).zip([0, 1, 2].into_iter().cycle()) {
        submit_as(&mut pool, in_level(level(of_level)), number, number + 1);
    }
    while let Some((_, slot)) = admit(&mut pool, Time::ZERO) {
        assert_eq!((pool.next_wake(), pool.is_timed()), (None, false));
        pool.finish(slot);
    }
    pool.pause(Time::NEVER);
    assert_eq!(pool.next_wake(), None);
    submit_as(&mut pool, Request::default(), 0, 1);
    assert!(admit(&mut pool, Time::ZERO).is_none());
    assert_eq!(pool.next_wake(), None);
}

#[test]
fn a_start_of_the_moment_in_which_the_first_rate_was_set_is_given_back() {
    let (mut pool, now) = (pool(2), Time::from_nanos(5));
    pool.set_rates(&[rate(1, 10, None)], now);
    for number in 0..2 {
        submit_as(&mut pool, Request::default(), number, 1);
    }
    let (_, slot) = admit(&mut pool, now).expect("it may start");
    pool.refund(slot, now);
    assert!(admit(&mut pool, now).is_some());
}

#[test]
fn one_caller_at_a_time_admits() {
    let mut pool = pool(1);
    assert!(!pool.is_advancing());
    assert!(pool.begin_advance() && pool.is_advancing());
    assert!(!pool.begin_advance() && pool.is_advancing());
    pool.end_advance();
    assert!(!pool.is_advancing() && pool.begin_advance());
}

#[test]
fn the_time_makes_a_difference_while_there_is_a_rate_a_pause_or_a_key() {
    let mut with_rate = pool(1);
    assert!(!with_rate.is_timed());
    with_rate.set_rates(&[rate(1, 10, None)], Time::ZERO);
    assert!(with_rate.is_timed());
    with_rate.set_rates(&[], Time::ZERO);
    assert!(!with_rate.is_timed());

    let mut paused = pool(1);
    paused.pause(Time::from_nanos(5));
    assert!(paused.is_timed());
    paused.resume(Time::ZERO);
    assert!(!paused.is_timed());

    let mut with_key = pool(1);
    with_key.open_key(None, &[]);
    assert!(with_key.is_timed());
    with_key.poll_due(Time::ZERO);
    assert!(!with_key.is_timed());
}

#[test]
fn jobs_that_have_had_their_time_are_told_once_in_the_order_of_their_ends() {
    let mut pool = pool(1);
    for (index, until) in [(0, 30), (1, 10), (2, 20), (3, 10)] {
        pool.begin_timeout(index, Time::from_nanos(until));
    }
    pool.end_timeout(3);
    pool.end_timeout(7);
    assert_eq!(pool.next_wake(), Some(Time::from_nanos(10)));
    assert_eq!(pool.poll_timed_out(Time::from_nanos(9)), None);
    let now = Time::from_nanos(20);
    let told = std::iter::from_fn(|| pool.poll_timed_out(now));
    assert_eq!(told.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(pool.next_wake(), Some(Time::from_nanos(30)));
    pool.end_timeout(0);
    assert_eq!((pool.next_wake(), pool.is_timed()), (None, false));
}

#[test]
fn a_job_that_comes_back_by_force_has_its_slots_and_nobody_else_starts_until_they_fit() {
    let mut pool = pool(1);
    let slot = submit_and_admit(&mut pool, 0, 1);
    let outside = pool.go_outside(slot);
    let other = submit_and_admit(&mut pool, 1, 1);
    submit_as(&mut pool, Request::default(), 2, 1);
    let slot = pool.force(outside, NonZeroU32::MIN);
    assert_eq!((pool.held(), pool.outside()), (2, 0));
    pool.finish(other);
    assert!(admit(&mut pool, Time::ZERO).is_none());
    pool.finish(slot);
    assert!(admit(&mut pool, Time::ZERO).is_some());
}

#[test]
fn a_pool_that_drains_takes_only_what_its_jobs_wait_for() {
    let mut pool = pool(1);
    assert!(pool.takes(false) && pool.takes(true));
    pool.enter(Phase::Draining);
    assert!(!pool.takes(false) && pool.takes(true));
    let refused = pool.submit(job(0, 1), Request::default());
    assert!(refused.is_err_and(|refused| refused.to_string().contains("closed")));
    let front = Request {
        front: true,
        ..Request::default()
    };
    assert!(pool.submit(job(1, 1), front).is_ok());
    pool.enter(Phase::Closed);
    assert!(!pool.takes(true) && pool.submit(job(2, 1), front).is_err());
}

#[test]
fn a_ticket_of_nobody_names_nobody() {
    let mut pool = pool(1);
    submit_as(&mut pool, Request::default(), 0, 1);
    assert!(pool.get(Ticket::NOBODY).is_none() && pool.withdraw(Ticket::NOBODY).is_none());
}

#[test]
fn a_key_that_has_gone_is_refused_with_its_job() {
    let mut pool = pool(1);
    let key = pool.open_key(None, &[]);
    pool.poll_due(Time::ZERO);
    assert_eq!(pool.poll_key_gone(), Some(key));
    let refused = pool.submit(job(0, 1), of(key)).expect_err("it has gone");
    assert_eq!(refused.waiter, job(0, 1));
    assert_eq!(refused.to_string(), "the key has gone");
    let again = pool.open_key(None, &[]);
    assert_eq!(again.index(), key.index());
    assert!(!pool.has_key(key) && pool.has_key(again));
    assert!(!pool.pause_key(key, Time::NEVER) && !pool.resume_key(key, Time::ZERO));
}

#[test]
fn who_goes_to_the_front_comes_first_also_if_another_key_has_the_turn() {
    let mut pool = pool(1);
    let keys = [(); 2].map(|()| pool.open_key(None, &[]));
    for (key, first) in keys.into_iter().zip([0, 10]) {
        for n in 0..2 {
            submit_as(&mut pool, of(key), first + n, 1);
        }
    }
    let front = Request {
        front: true,
        ..of(keys[1])
    };
    submit_as(&mut pool, front, 20, 1);
    assert_eq!(run(&mut pool)[..2], [20, 0]);
}

#[test]
fn who_comes_to_a_key_that_has_no_room_is_parked_at_once() {
    let mut pool = pool(2);
    let key = pool.open_key(NonZeroU32::new(1), &[]);
    for number in 0..2 {
        submit_as(&mut pool, of(key), number, 1);
    }
    let (_, slot) = admit(&mut pool, Time::ZERO).expect("it fits");
    assert!(admit(&mut pool, Time::ZERO).is_none());
    for number in 2..5 {
        assert_eq!(pool.stats().parked, number as usize - 1);
        submit_as(&mut pool, of(key), number, 1);
    }
    assert_eq!(pool.stats().parked, 4);
    pool.finish(slot);
    assert_eq!(run(&mut pool), [1, 2, 3, 4]);
}

#[test]
fn starts_of_the_highest_count_only_while_a_lower_level_waits() {
    // Levels in one word of the bitmap, and in two.
    for (high, low) in [(-94, -95), (1, -100), (100, 99)] {
        let mut pool = pool(1);
        for number in 0..40 {
            submit_as(&mut pool, in_level(level(high)), number, 1);
        }
        for _ in 0..20 {
            let (_, slot) = admit(&mut pool, Time::ZERO).expect("they wait");
            pool.finish(slot);
        }
        submit_as(&mut pool, in_level(level(low)), 99, 1);
        let place = run(&mut pool).iter().position(|number| *number == 99);
        assert_eq!(place, Some(16), "{high} above {low}");
    }
}

#[test]
fn a_waiter_a_slot_and_who_is_outside_tell_their_key_and_keys_and_pools_their_pauses() {
    let mut pool = pool(2);
    let keys = [(); 2].map(|()| pool.open_key(None, &[]));
    let number = |key: KeyId| u32::try_from(key.index()).ok();
    let now = Time::from_nanos(5);
    pool.pause_key(keys[0], now.after(5));
    let plain = pool
        .submit(job(0, 1), Request::default())
        .expect("it is open");
    let keyed = pool.submit(job(1, 1), of(keys[1])).expect("it is open");
    assert_eq!(pool.key_of_waiter(plain), None);
    assert_eq!(pool.key_of_waiter(keyed), number(keys[1]));
    let (_, first) = admit(&mut pool, Time::ZERO).expect("it fits");
    let (_, second) = admit(&mut pool, Time::ZERO).expect("it fits");
    assert_eq!((first.key(), second.key()), (None, number(keys[1])));
    let outside = pool.go_outside(second);
    assert_eq!(outside.key(), number(keys[1]));
    let paused = |pool: &Pool, now| {
        let of_keys = keys.map(|key| pool.is_key_paused(number(key).unwrap_or(99), now));
        (pool.is_paused(now), of_keys)
    };
    assert_eq!(paused(&pool, now), (false, [true, false]));
    assert_eq!(paused(&pool, now.after(5)), (false, [false, false]));
    pool.pause(now.after(1));
    assert_eq!(paused(&pool, now), (true, [true, false]));
    assert_eq!(paused(&pool, now.after(1)), (false, [true, false]));
    pool.finish(first);
    pool.end_outside(outside);
}

#[test]
fn a_slot_tells_whether_somebody_waits_for_its_key() {
    let mut pool = pool(4);
    let keys = [(); 3].map(|()| pool.open_key(NonZeroU32::new(1), &[]));
    for (number, key) in (0..).zip(keys) {
        submit_as(&mut pool, of(key), number, 1);
    }
    submit_as(&mut pool, Request::default(), 3, 1);
    let slots: Vec<_> = std::iter::from_fn(|| admit(&mut pool, Time::ZERO)).collect();
    assert!(!pool.has_waiters());
    assert!(
        slots
            .iter()
            .all(|(_, slot)| pool.awaited_key(slot).is_none())
    );
    // Two wait for the second key, in lanes of two levels, and nobody for the others.
    submit_as(&mut pool, of(keys[1]), 10, 1);
    let above = Request {
        level: level(1),
        ..of(keys[1])
    };
    submit_as(&mut pool, above, 11, 1);
    pool.resize(NonZeroUsize::new(5).expect("it is not 0"));
    assert!(admit(&mut pool, Time::ZERO).is_none() && pool.has_waiters());
    for (number, slot) in slots {
        let awaited = pool.awaited_key(&slot).map(|index| index as usize);
        assert_eq!(awaited, (number == 1).then(|| keys[1].index()), "{number}");
        if number != 1 {
            pool.finish(slot);
        }
    }
}

#[test]
fn levels_are_from_minus_100_to_100() {
    assert_eq!(Level::new(-101), None);
    assert_eq!(Level::new(101), None);
    assert_eq!(Level::new(-100), Some(Level::MIN));
    assert_eq!(Level::new(100).map(Level::get), Some(Level::MAX.get()));
}

/// The times at which so many jobs start that are all there at once.
fn starts_of(pool: &mut Pool, count: u32) -> Vec<u64> {
    (0..count).for_each(|number| submit_as(pool, Request::default(), number, 1));
    let (mut now, mut starts) = (Time::ZERO, Vec::new());
    loop {
        while let Some((_, slot)) = admit(pool, now) {
            starts.push(now.as_nanos());
            pool.finish(slot);
        }
        let Some(wake) = pool.next_wake() else {
            return starts;
        };
        now = wake;
    }
}

fn submit_and_admit(pool: &mut Pool, number: u32, weight: u32) -> Slot {
    submit_as(pool, Request::default(), number, weight);
    let (admitted, slot) = admit(pool, Time::ZERO).expect("it fits");
    assert_eq!(admitted, number);
    slot
}
