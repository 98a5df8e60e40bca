//! The admission core of `aiopool`: it knows which jobs are active and which wait, and decides
//! which goes next.
//!
//! [`Admission`] is a plain state machine. It holds no lock, reads no clock and knows no runtime. A
//! *face* (for asyncio, or for Tokio) tells the core what happened, and carries out what the core
//! decides. The type `W` of the [waiters](Waiter) is the face's own: a job, a blocked caller, or a
//! running `map` that stands in the queue with one item at a time. So is the type `J` of the
//! joiners, which wait until the pool is idle, or until nothing is active.
//!
//! # When a waiter starts
//!
//! A waiter starts when the slots, the rates, its key and the pauses all allow it. It takes what it
//! needs in that moment and in one step, or nothing.
//!
//! - The waiters of one [level](Level) and one [key](KeyId) form a *lane*: first in, first out. Those
//!   without a key form one too. The lanes of a level take turns.
//! - The highest level goes first. While lower ones wait, every 17th start goes to the lower one that
//!   has been passed longest.
//! - A waiter that waits for its key lets others pass: its lane is *parked*. A waiter that waits for
//!   slots is passed by nobody of its level or below.
//!
//! # The kinds of methods, and the order to call them in
//!
//! | kind | methods | what they do |
//! | --- | --- | --- |
//! | questions | [`size`], [`active`], [`held`], [`waiting`], [`outside`], [`len`], [`is_empty`], [`is_idle`], [`is_full`], [`may_admit`], [`is_timed`], [`phase`], [`takes`], [`stats`], [`get`], [`waiters`], [`joiners`], [`has_key`] | read the state, change nothing |
//! | inputs | [`submit`], [`finish`], [`pay`], [`take_back`], [`refund`], [`go_outside`], [`come_back`], [`end_outside`], [`force`], [`begin_timeout`], [`end_timeout`], [`join`], [`join_active`], [`begin_leaving`], [`end_leaving`] | tell the core what happened |
//! | commands | [`withdraw`], [`begin_walk`], [`walk_on`], [`leave`], [`leave_active`], [`enter`], [`resize`], [`set_rates`], [`pause`], [`resume`], [`open_key`], [`pause_key`], [`resume_key`] | take inputs back, and change the limits |
//! | outputs | [`poll_admit`], [`next_wake`], [`poll_due`], [`poll_timed_out`], [`poll_key_gone`], [`poll_idle`], [`poll_all_idle`], [`poll_drained`] | tell the face what to do now, and when to ask again |
//!
//! After any inputs and commands, first call [`poll_due`] until it returns `false`, if the pool
//! [`is_timed`], and [`poll_admit`] until it returns `None`, and start each waiter that it returns. Then call [`poll_idle`] until it returns `None`, or [`poll_all_idle`]
//! and [`poll_drained`] once, and tell each joiner that they return; forget the keys that
//! [`poll_key_gone`] returns; stop the jobs that [`poll_timed_out`] returns; and at [`next_wake`] begin again. The core does nothing by itself. If
//! the face polls late, an admission is late, never lost. Several callers that may admit agree by
//! [`begin_advance`] on one that does.
//!
//! The core admits a running `map` like any other waiter, but one that does [not
//! pay](Waiter::pays): it need not wait for a rate to find that its source has ended. The face pulls
//! one item. If the item can [pay](Admission::pay), it keeps the slot, and the face submits the `map`
//! again. So the `map` goes to the back of the queue after each item. If it cannot, or there is no
//! item, the face [takes the slot back](Admission::take_back); an item that cannot pay waits
//! at the front.
//!
//! # Example
//!
//! ```
//! use std::num::NonZeroUsize;
//! use aiopool_core::{Admission, Request, Time, Waiter};
//!
//! #[derive(Debug, PartialEq)]
//! struct Job(&'static str);
//! impl Waiter for Job {}
//!
//! let mut pool = Admission::<Job, ()>::new(NonZeroUsize::MIN);
//! pool.submit(Job("first"), Request::default()).unwrap();
//! let second = pool.submit(Job("second"), Request::default()).unwrap();
//! pool.submit(Job("third"), Request::default()).unwrap();
//!
//! // Nothing here depends on the time.
//! let now = Time::ZERO;
//! let admitted = pool.poll_admit(now).unwrap();
//! assert_eq!(admitted.waiter, Job("first"));
//! assert!(pool.poll_admit(now).is_none(), "the only slot is taken");
//!
//! assert_eq!(pool.withdraw(second), Some(Job("second")));
//! pool.finish(admitted.slot);
//! assert_eq!(pool.poll_admit(now).unwrap().waiter, Job("third"));
//! ```
//!
//! [`size`]: Admission::size
//! [`active`]: Admission::active
//! [`held`]: Admission::held
//! [`waiting`]: Admission::waiting
//! [`outside`]: Admission::outside
//! [`len`]: Admission::len
//! [`is_empty`]: Admission::is_empty
//! [`is_idle`]: Admission::is_idle
//! [`is_full`]: Admission::is_full
//! [`may_admit`]: Admission::may_admit
//! [`is_timed`]: Admission::is_timed
//! [`phase`]: Admission::phase
//! [`takes`]: Admission::takes
//! [`stats`]: Admission::stats
//! [`get`]: Admission::get
//! [`waiters`]: Admission::waiters
//! [`joiners`]: Admission::joiners
//! [`has_key`]: Admission::has_key
//! [`submit`]: Admission::submit
//! [`finish`]: Admission::finish
//! [`take_back`]: Admission::take_back
//! [`pay`]: Admission::pay
//! [`refund`]: Admission::refund
//! [`go_outside`]: Admission::go_outside
//! [`come_back`]: Admission::come_back
//! [`end_outside`]: Admission::end_outside
//! [`force`]: Admission::force
//! [`begin_timeout`]: Admission::begin_timeout
//! [`end_timeout`]: Admission::end_timeout
//! [`join`]: Admission::join
//! [`join_active`]: Admission::join_active
//! [`begin_leaving`]: Admission::begin_leaving
//! [`end_leaving`]: Admission::end_leaving
//! [`withdraw`]: Admission::withdraw
//! [`begin_walk`]: Admission::begin_walk
//! [`walk_on`]: Admission::walk_on
//! [`leave`]: Admission::leave
//! [`leave_active`]: Admission::leave_active
//! [`enter`]: Admission::enter
//! [`resize`]: Admission::resize
//! [`set_rates`]: Admission::set_rates
//! [`pause`]: Admission::pause
//! [`resume`]: Admission::resume
//! [`open_key`]: Admission::open_key
//! [`pause_key`]: Admission::pause_key
//! [`resume_key`]: Admission::resume_key
//! [`poll_admit`]: Admission::poll_admit
//! [`next_wake`]: Admission::next_wake
//! [`poll_due`]: Admission::poll_due
//! [`poll_timed_out`]: Admission::poll_timed_out
//! [`poll_key_gone`]: Admission::poll_key_gone
//! [`poll_idle`]: Admission::poll_idle
//! [`poll_all_idle`]: Admission::poll_all_idle
//! [`poll_drained`]: Admission::poll_drained
//! [`begin_advance`]: Admission::begin_advance

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod admission;
mod deadlines;
mod joiners;
mod keys;
mod lanes;
mod levels;
mod limits;
mod queue;
mod rate;
mod request;
mod stats;
mod steps;
mod time;
mod tokens;

pub use admission::Admission;
pub use queue::{Drain, Ticket, Walk};
pub use rate::Rate;
pub use request::{KeyId, Level, Request, Waiter};
pub use stats::{HeldBy, Stats};
pub use time::Time;
pub use tokens::{Admitted, Leaving, Outside, Phase, Reason, Refused, Slot};
