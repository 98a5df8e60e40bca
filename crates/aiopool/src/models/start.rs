//! Handing in, starting and ending.

use super::{
    Census, Gate, Note, block_on, endless, explore, explore_long, explore_to, meet, poll_once,
    thread, waited,
};
use crate::pool::Pool;
use crate::sys::runtime::Handle;

// Fails when `Worker::next` looks who is next before it has given its slot back.
#[test]
fn a_job_that_is_handed_in_while_another_ends_is_started() {
    explore(["by its own worker", "by the worker of the other"], || {
        let (pool, census) = (Pool::new(1), Census::default());
        let first = pool.spawn_n(census.clone().job());
        let second = pool.spawn_n(census.clone().job());
        let first = block_on(first).expect("the first job runs");
        let second = block_on(second).expect("the second job runs");
        block_on(pool.join());
        assert_eq!(census.most(), 1, "the pool has one slot");
        assert_eq!(pool.executed(), 2);
        if first == second {
            "by the worker of the other"
        } else {
            "by its own worker"
        }
    });
}

// Fails when `WorkersTable::leave` counts a worker that has left as one that is searching.
#[test]
fn a_job_that_is_handed_in_while_a_worker_leaves_another_is_started() {
    // One interruption only: the model has too many steps for more.
    explore_to(1, ["by the worker that stayed", "by a new worker"], || {
        let (pool, gate) = (Pool::new(2), Gate::new());
        let first = pool.spawn_n(gate.clone().pass());
        let second = pool.spawn_n(async { thread::current().id() });
        let second = block_on(second).expect("the second job runs");
        let third = pool.spawn_n(async move {
            gate.open();
            thread::current().id()
        });
        let third = block_on(third).expect("the third job runs");
        block_on(first).expect("the first job passes the gate");
        if second == third {
            "by the worker that stayed"
        } else {
            "by a new worker"
        }
    });
}

// Fails when `Shared::advance` starts one waiter and does not look again, and when
// `WorkersTable::offer` takes any worker that is searching, or that there is, for enough.
#[test]
fn a_job_that_is_handed_in_while_another_is_started_is_active_beside_it() {
    explore_long(["it was started", "it was left to the other"], || {
        let pool = Pool::new(2);
        let (here, there) = (Gate::new(), Gate::new());
        let submitter = thread::spawn({
            let (pool, here, there) = (pool.clone(), here.clone(), there.clone());
            move || pool.spawn_n(meet(there, here))
        });
        let handle = pool.spawn_n(meet(here, there));
        let left = pool.waiting() > 0;
        block_on(handle).expect("the jobs have met");
        drop(submitter.join());
        block_on(pool.join());
        if left {
            "it was left to the other"
        } else {
            "it was started"
        }
    });
}

// Fails when a worker calls no other one to the next open entry: one that searches is enough here.
#[test]
fn jobs_that_are_handed_in_at_once_are_active_beside_each_other() {
    explore_long([()], || {
        let pool = Pool::new(2);
        let (here, there) = (Gate::new(), Gate::new());
        let first = pool.spawn_n(meet(there.clone(), here.clone()));
        let second = pool.spawn_n(meet(here, there));
        block_on(first).expect("the jobs have met");
        block_on(second).expect("the jobs have met");
        block_on(pool.join());
    });
}

// Fails when a worker that yields does not open its entry again, is not counted as searching, or
// keeps its entry until its next turn.
#[test]
fn a_job_whose_worker_has_to_yield_first_is_begun_by_whoever_comes_first() {
    let outcomes = [
        "by its own worker",
        "by the worker of the other",
        "by the worker of the other, which has run that one first",
    ];
    explore_long(outcomes, || {
        let pool = Pool::new(2);
        Handle::stingy().enter();
        let begun = Note::default();
        let second_begun = begun.clone();
        let first = pool.spawn_n(async move { (thread::current().id(), second_begun.is_set()) });
        let second = pool.spawn_n(async move {
            begun.set();
            thread::current().id()
        });
        Handle::default().enter();
        let (first, overtaken) = block_on(first).expect("the first job runs");
        let second = block_on(second).expect("the second job runs");
        match (first == second, overtaken) {
            (false, _) => "by its own worker",
            (true, false) => "by the worker of the other",
            (true, true) => "by the worker of the other, which has run that one first",
        }
    });
}

// Fails when `JobHandle::poll_started` does not look once more after it has left its waker, and
// when the worker does not wake it.
#[test]
fn a_blocked_spawn_is_told_that_its_job_starts() {
    explore([false, true], || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let first = pool.spawn_n(async {});
        let (waited, second) = block_on(waited(pool.spawn(gate.clone().pass())));
        gate.open();
        block_on(second).expect("the job passes the gate");
        drop(first);
        waited
    });
}

// Fails when the drop of `Spawn` does not take its job back.
#[test]
fn a_spawn_that_is_dropped_takes_its_job_back_unless_it_has_been_started() {
    let outcomes = ["taken back", "started at once", "started meanwhile"];
    explore(outcomes, || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let (begun, dropped) = (Note::default(), Note::default());
        let _first = pool.spawn_n(async {});
        let (job_begun, held, job_gate) = (begun.clone(), dropped.on_drop(), gate.clone());
        let mut spawn = Box::pin(pool.spawn(async move {
            let _held = held;
            job_begun.set();
            job_gate.pass().await;
        }));
        let waits = poll_once(spawn.as_mut()).is_pending();
        drop(spawn);
        let taken_back = dropped.is_set();
        gate.open();
        block_on(pool.join());
        assert!(dropped.is_set(), "the job is neither taken back nor run");
        assert_eq!(taken_back, !begun.is_set());
        match (taken_back, waits) {
            (true, _) => "taken back",
            (false, true) => "started meanwhile",
            (false, false) => "started at once",
        }
    });
}

// Fails when `Shared::end_withdrawal` wakes nobody for the jobs it drops.
#[test]
fn a_blocked_spawn_is_told_that_its_job_was_cancelled() {
    explore_long([false, true], || {
        let pool = Pool::new(1);
        let [begun, dropped] = [(); 2].map(|()| Note::default());
        let _first = pool.spawn_n(std::future::pending::<()>());
        let mut spawn = Box::pin(pool.spawn(endless(begun.clone(), dropped.on_drop())));
        assert!(poll_once(spawn.as_mut()).is_pending());
        let canceller = thread::spawn({
            let pool = pool.clone();
            move || block_on(pool.cancel_all())
        });
        let (waited, handle) = block_on(waited(spawn));
        let result = block_on(handle);
        assert!(result.expect_err("it never ends").is_cancelled());
        assert!(dropped.is_set() && !begun.is_set());
        assert_eq!(canceller.join().expect("cancelling does not panic"), 2);
        waited
    });
}
