//! The admission core of `aiopool`: it knows which jobs are active and which wait, and decides
//! which goes next.
//!
//! [`Admission`] is a plain state machine. It holds no lock, reads no clock and knows no runtime. A
//! *face* (for asyncio, or for Tokio) tells the core what happened, and carries out what the core
//! decides. The type `W` of the waiters is the face's own: a job, a blocked caller, or a running
//! `map` that stands in the queue with one item at a time. So is the type `J` of the joiners, which
//! wait until the pool is idle.
//!
//! # The kinds of methods, and the order to call them in
//!
//! | kind | methods | what they do |
//! | --- | --- | --- |
//! | questions | [`size`], [`active`], [`waiting`], [`len`], [`is_empty`], [`is_full`], [`is_closed`], [`get`], [`waiters`], [`joiners`] | read the state, change nothing |
//! | inputs | [`submit`], [`finish`], [`join`] | tell the core what happened |
//! | commands | [`withdraw`], [`withdraw_all`], [`begin_walk`], [`walk_on`], [`leave`], [`close`], [`reopen`] | take inputs back, close and reopen |
//! | outputs | [`poll_admit`], [`poll_idle`], [`poll_all_idle`] | tell the face what to do now |
//!
//! After any inputs and commands, first call [`poll_admit`] until it returns `None`, and start each
//! waiter that it returns. Then call [`poll_idle`] until it returns `None`, or [`poll_all_idle`]
//! once, and tell each joiner that it returns. The core does nothing by itself. If the face polls
//! late, an admission is late, never lost.
//!
//! The core admits a running `map` like any other waiter. The face pulls one item, which keeps the
//! slot, and submits the `map` again. So the `map` goes to the back of the queue after each item.
//!
//! # Example
//!
//! ```
//! use std::num::NonZeroUsize;
//! use aiopool_core::Admission;
//!
//! let mut pool = Admission::<&str, ()>::new(NonZeroUsize::MIN);
//! pool.submit("first").unwrap();
//! let second = pool.submit("second").unwrap();
//! pool.submit("third").unwrap();
//!
//! let admitted = pool.poll_admit().unwrap();
//! assert_eq!(admitted.waiter, "first");
//! assert!(pool.poll_admit().is_none(), "the only slot is taken");
//!
//! assert_eq!(pool.withdraw(second), Some("second"));
//! pool.finish(admitted.slot);
//! assert_eq!(pool.poll_admit().unwrap().waiter, "third");
//! ```
//!
//! [`size`]: Admission::size
//! [`active`]: Admission::active
//! [`waiting`]: Admission::waiting
//! [`len`]: Admission::len
//! [`is_empty`]: Admission::is_empty
//! [`is_full`]: Admission::is_full
//! [`is_closed`]: Admission::is_closed
//! [`get`]: Admission::get
//! [`waiters`]: Admission::waiters
//! [`joiners`]: Admission::joiners
//! [`submit`]: Admission::submit
//! [`finish`]: Admission::finish
//! [`join`]: Admission::join
//! [`withdraw`]: Admission::withdraw
//! [`withdraw_all`]: Admission::withdraw_all
//! [`begin_walk`]: Admission::begin_walk
//! [`walk_on`]: Admission::walk_on
//! [`leave`]: Admission::leave
//! [`close`]: Admission::close
//! [`reopen`]: Admission::reopen
//! [`poll_admit`]: Admission::poll_admit
//! [`poll_idle`]: Admission::poll_idle
//! [`poll_all_idle`]: Admission::poll_all_idle

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod admission;
mod queue;

pub use admission::{Admission, Admitted, Closed, Slot};
pub use queue::{Drain, Ticket, Walk};
