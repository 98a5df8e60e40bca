//! The admission core of `aiopool`: who is active, who waits, and who goes next.
//!
//! [`Admission`] is a plain state machine. It holds no lock, reads no clock and knows no runtime;
//! a *face* (the asyncio one, the Tokio one) feeds it what happened and carries out what it
//! decides. What waits in it is the face's own type `W`: a job, a blocked caller, or a running
//! `map` that stands in the queue with one item at a time. Who wants to hear that the pool is idle is
//! the face's own type `J`.
//!
//! # The kinds of methods, and the order to call them in
//!
//! | kind | methods | what they do |
//! | --- | --- | --- |
//! | questions | [`size`], [`active`], [`waiting`], [`len`], [`is_empty`], [`is_full`], [`is_closed`], [`get`], [`waiters`], [`joiners`] | look, change nothing |
//! | inputs | [`submit`], [`finish`], [`join`] | tell the core what happened |
//! | commands | [`withdraw`], [`withdraw_all`], [`begin_walk`], [`walk_on`], [`leave`], [`close`], [`reopen`] | take back what was told |
//! | outputs | [`poll_admit`], [`poll_idle`], [`poll_all_idle`] | what the face must now do |
//!
//! After any inputs and commands, first call [`poll_admit`] until it answers `None` and start
//! what it hands out; then call [`poll_idle`] until it answers `None`, or
//! [`poll_all_idle`] once, and tell each one. The core
//! does nothing by itself: an admission that is not polled for is late, never lost.
//!
//! A running `map` is admitted like anybody else. It takes one item, which keeps the slot, and is
//! submitted again: so it goes to the back of the queue after each item.
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
