//! Jobs without their slots.

use super::{Gate, Note, block_on, explore, explore_to, thread};
use crate::pool::Pool;
use crate::sys::runtime::Handle;

// Fails when a worker does not look whether its job has been woken, when `State::let_back` gives no
// wake-up, and when a job that waits for another keeps its slot.
#[test]
fn a_job_that_waits_for_another_goes_on_when_that_has_ended() {
    explore([2], || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let parent = async move { 1 + inner.exec(async { 1 }).await.expect("it ends") };
        let result = block_on(pool.exec(parent)).expect("it ends");
        block_on(pool.join());
        result
    });
}

// Fails when a worker does not poll what its job waits for, or does not look after it has told the
// state that the job is outside.
#[test]
fn a_job_that_waits_outside_comes_back_when_that_is_ready() {
    explore(["ready"], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let opens = thread::spawn({
            let gate = gate.clone();
            move || gate.open()
        });
        let inner = pool.clone();
        let job = async move { inner.outside(gate.pass()).await };
        block_on(pool.exec(job)).expect("it ends");
        block_on(pool.join());
        opens.join().expect("the thread ends");
        "ready"
    });
}

// Fails when a worker does not look for a cancellation while its job is outside, or when that leaves
// the place of the job in the queue.
#[test]
fn a_job_that_is_cancelled_while_it_comes_back_has_ended_or_ends() {
    explore(["ended", "cancelled"], || {
        let (pool, gate, dropped) = (Pool::new(1), Gate::new(), Note::default());
        let opens = thread::spawn({
            let gate = gate.clone();
            move || gate.open()
        });
        let (inner, drops) = (pool.clone(), dropped.on_drop());
        let handle = pool.spawn_n(async move {
            let _drops = drops;
            inner.outside(gate.pass()).await;
        });
        handle.cancel();
        let outcome = match block_on(handle) {
            Ok(()) => "ended",
            Err(_) => "cancelled",
        };
        assert!(dropped.is_set());
        block_on(pool.join());
        assert_eq!(pool.stats().outside, 0);
        opens.join().expect("the thread ends");
        outcome
    });
}

// Fails when a worker that is dropped leaves its job outside, or in the queue.
#[test]
fn a_runtime_that_shuts_down_while_a_job_is_outside_drops_it() {
    explore_to(2, ["before it left", "after it left"], || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        runtime.enter();
        let (left, dropped) = (Note::default(), Note::default());
        let (inner, drops, leaves) = (pool.clone(), dropped.on_drop(), left.clone());
        let handle = pool.spawn_n(async move {
            let _drops = drops;
            leaves.set();
            inner.outside(std::future::pending::<()>()).await;
        });
        let down = thread::spawn(move || runtime.shut_down());
        block_on(handle).expect_err("it never ends");
        assert!(dropped.is_set());
        block_on(pool.join());
        assert_eq!((pool.len(), pool.stats().outside), (0, 0));
        drop(down.join());
        if left.is_set() {
            "after it left"
        } else {
            "before it left"
        }
    });
}
