//! The state at which a job and its handle meet, without a pool around it.

use std::future::poll_fn;
use std::sync::Arc;

use super::{block_on, explore, thread, waited};
use crate::job::join_state::{Detached, JoinState};
use crate::sys::sync::{AtomicBool, Ordering};
use crate::sys::unwind::wake;

// Fails when `JoinState::settle` or `JoinState::is_settled` is relaxed.
#[test]
fn who_sees_that_it_is_settled_sees_the_result() {
    explore([false, true], || {
        let meeting = Arc::new((JoinState::open(), AtomicBool::new(false)));
        let here = meeting.clone();
        let runnable = thread::spawn(move || {
            let (state, result) = &*here;
            result.store(true, Ordering::Relaxed);
            wake(
                state
                    .settle()
                    .unwrap_or_else(|Detached| unreachable!("the receiver waits")),
            );
        });
        let (state, result) = &*meeting;
        let (waited, ()) = block_on(waited(poll_fn(|cx| state.poll_settled(cx, || None))));
        assert!(result.load(Ordering::Relaxed));
        drop(runnable.join());
        waited
    });
}

// Fails when `JoinState::detach` says that the result is there without having looked, or that it is
// not when it has come meanwhile; and when `JoinState::settle` does not see that the receiver has
// gone.
#[test]
fn of_two_that_leave_the_last_knows_that_it_is_the_last() {
    explore(["the runnable", "the receiver"], || {
        let state = Arc::new(JoinState::open());
        let here = state.clone();
        let runnable = thread::spawn(move || here.settle().is_err());
        let receiver_is_last = state.detach();
        let runnable_is_last = runnable.join().expect("settling does not panic");
        assert_ne!(receiver_is_last, runnable_is_last);
        if runnable_is_last {
            "the runnable"
        } else {
            "the receiver"
        }
    });
}

// Fails when `JoinState::detach` puts `DETACHED` where `SETTLED` was.
#[test]
fn who_has_seen_that_it_is_settled_goes_on_seeing_it() {
    let outcomes = ["never", "at the second look", "at both"];
    explore(outcomes, || {
        let state = Arc::new(JoinState::open());
        let settle = |state: &JoinState| drop(state.settle().ok());
        let runnable = thread::spawn({
            let state = state.clone();
            move || settle(&state)
        });
        let receiver = thread::spawn({
            let state = state.clone();
            move || state.detach()
        });
        let seen = [state.is_settled(), state.is_settled()];
        drop((runnable.join(), receiver.join()));
        assert!(state.is_settled());
        match seen {
            [false, false] => "never",
            [false, true] => "at the second look",
            [true, true] => "at both",
            [true, false] => panic!("it was settled, and is not any more"),
        }
    });
}

// Fails when `JoinState::poll_settled` does not leave a waker again after one was taken, and when
// `JoinState::settle` or `JoinState::take_waker` forgets the waker.
#[test]
fn a_receiver_that_was_woken_at_the_start_is_woken_at_the_end_too() {
    let outcomes = [
        "it came late",
        "at the start",
        "at the end",
        "at the start and at the end",
    ];
    explore(outcomes, || {
        let state = Arc::new(JoinState::open());
        let here = state.clone();
        let runnable = thread::spawn(move || {
            let at_start = here.take_waker().map(|left| left.waker);
            let woken_at_start = at_start.is_some();
            wake(at_start);
            let at_end = here
                .settle()
                .unwrap_or_else(|Detached| unreachable!("the receiver waits"));
            let woken_at_end = at_end.is_some();
            wake(at_end);
            (woken_at_start, woken_at_end)
        });
        block_on(poll_fn(|cx| state.poll_settled(cx, || None)));
        match runnable.join().expect("waking does not panic") {
            (false, false) => "it came late",
            (true, false) => "at the start",
            (false, true) => "at the end",
            (true, true) => "at the start and at the end",
        }
    });
}
