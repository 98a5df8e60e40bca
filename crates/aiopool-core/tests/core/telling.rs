//! What the tests of single promises are told with.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use aiopool_core::{Admission, KeyId, Level, Rate, Request, Slot, Time};

use crate::settings::Job;

pub(crate) type Pool = Admission<Job, ()>;

/// Runs all who wait, one after another.
pub(crate) fn run(pool: &mut Pool) -> Vec<u32> {
    let mut order = Vec::new();
    while let Some((number, slot)) = admit(pool, Time::ZERO) {
        order.push(number);
        pool.finish(slot);
    }
    order
}

/// Hands in a job of the weight 1.
pub(crate) fn submit(pool: &mut Pool, request: Request, number: u32) {
    submit_as(pool, request, number, 1);
}

pub(crate) fn submit_as(pool: &mut Pool, request: Request, number: u32, weight: u32) {
    pool.submit(job(number, weight), request)
        .expect("the pool is open");
}

pub(crate) fn admit(pool: &mut Pool, now: Time) -> Option<(u32, Slot)> {
    while pool.poll_due(now) {}
    let admitted = pool.poll_admit(now)?;
    Some((admitted.waiter.number, admitted.slot))
}

pub(crate) fn pool(size: usize) -> Pool {
    Admission::new(NonZeroUsize::new(size).expect("sizes start at 1"))
}

pub(crate) fn job(number: u32, weight: u32) -> Job {
    Job {
        number,
        weight: NonZeroU32::new(weight).expect("weights start at 1"),
        pays: true,
        begun: false,
    }
}

pub(crate) fn in_level(level: Level) -> Request {
    Request {
        level,
        ..Request::default()
    }
}

pub(crate) fn of(key: KeyId) -> Request {
    Request {
        key: Some(key),
        ..Request::default()
    }
}

pub(crate) fn level(level: i16) -> Level {
    let level = i8::try_from(level).ok().and_then(Level::new);
    level.expect("it is one")
}

pub(crate) fn rate(limit: u32, per: u64, burst: Option<u32>) -> Rate {
    Rate {
        limit: NonZeroU32::new(limit).expect("it is not 0"),
        per: NonZeroU64::new(per).expect("it is not 0"),
        burst: burst.and_then(NonZeroU32::new),
    }
}

pub(crate) fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}
