//! A runtime that shuts down, and drops workers in whatever state they are.

use super::{Note, block_on, endless, explore, explore_to, suspend_once, thread, when};
use crate::pool::Pool;
use crate::sys::runtime::Handle;

// Fails when a worker that is dropped keeps its slot, gives it to nobody, takes no open entry up,
// or does not settle a job that it has not begun; and when `Shared::advance` tells no joiner.
#[test]
fn a_runtime_that_shuts_down_while_jobs_are_handed_in_drops_them_or_ran_them() {
    let outcomes = [(false, false), (true, false), (true, true)];
    explore(outcomes, || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        let down = thread::spawn({
            let runtime = runtime.clone();
            move || runtime.shut_down()
        });
        runtime.enter();
        let first = pool.spawn_n(async {});
        let second = pool.spawn_n(async {});
        let results = (block_on(first), block_on(second));
        block_on(pool.join());
        drop(down.join());
        (results.0.is_ok(), results.1.is_ok())
    });
}

// Fails when a worker that is dropped keeps its slot, gives it to nobody, does not settle its job,
// or does not leave its workers; and when `Join` counts only those who are active.
#[test]
fn a_runtime_that_shuts_down_cancels_what_is_active_and_what_waits() {
    explore(["before it began", "after it began"], || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        runtime.enter();
        let (begun, dropped) = (Note::default(), [(); 3].map(|()| Note::default()));
        let jobs = dropped
            .iter()
            .map(|dropped| (begun.clone(), dropped.on_drop()));
        let handles = pool.map_n(jobs, |(begun, held)| endless(begun, held));
        let down = thread::spawn(move || runtime.shut_down());
        block_on(pool.join());
        assert!(dropped.iter().all(Note::is_set));
        assert!(pool.shared.lock().runtimes() == 0, "a worker has not left");
        for handle in handles {
            assert!(block_on(handle).expect_err("it never ends").is_cancelled());
        }
        drop(down.join());
        when(&begun)
    });
}

// Fails when a worker that is dropped leaves an entry open for which nobody searches, and when it
// calls another one to it.
#[test]
fn a_runtime_that_shuts_down_cancels_more_jobs_than_workers_have_been_started_for() {
    let outcomes = ["none has begun", "one has begun", "both have begun"];
    // One interruption only: the model has too many steps for more.
    explore_to(1, outcomes, || {
        let (pool, runtime) = (Pool::new(2), Handle::new());
        runtime.enter();
        let begun = [(); 2].map(|()| Note::default());
        let handles = pool.map_n(begun.clone(), |begun| endless(begun, ()));
        let down = thread::spawn(move || runtime.shut_down());
        block_on(pool.join());
        assert!(pool.shared.lock().runtimes() == 0, "a worker has not left");
        for handle in handles {
            assert!(block_on(handle).expect_err("it never ends").is_cancelled());
        }
        drop(down.join());
        match begun.iter().filter(|begun| begun.is_set()).count() {
            0 => "none has begun",
            1 => "one has begun",
            _ => "both have begun",
        }
    });
}

// Fails when a worker that yields does not open its entry again, and when one that is dropped takes
// no open entry up.
#[test]
fn a_runtime_that_shuts_down_cancels_the_job_of_a_worker_that_has_yielded() {
    explore(["before it began", "after it began"], || {
        let (pool, runtime) = (Pool::new(1), Handle::stingy());
        runtime.enter();
        let (begun, dropped) = (Note::default(), Note::default());
        let handle = pool.spawn_n(endless(begun.clone(), dropped.on_drop()));
        let down = thread::spawn(move || runtime.shut_down());
        assert!(block_on(handle).expect_err("it never ends").is_cancelled());
        assert!(dropped.is_set());
        drop(down.join());
        when(&begun)
    });
}

// Fails when a worker that is dropped does not tell those who watch its job end.
#[test]
fn cancel_all_returns_when_the_runtime_shuts_down_meanwhile() {
    explore([0, 1], || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        runtime.enter();
        let dropped = Note::default();
        let _handle = pool.spawn_n(endless(Note::default(), dropped.on_drop()));
        let down = thread::spawn(move || runtime.shut_down());
        let stopped = block_on(pool.cancel_all());
        assert!(dropped.is_set());
        drop(down.join());
        stopped
    });
}

// Fails when `Worker::next` does not start the worker of a job from elsewhere, and when it runs
// that job itself.
#[test]
fn a_worker_that_ends_leaves_the_slot_to_a_job_of_another_runtime() {
    explore(["before", "meanwhile"], || {
        let pool = Pool::new(1);
        let first = pool.spawn_n(suspend_once());
        let runtime = Handle::new();
        runtime.enter();
        let home = runtime.id();
        let second = pool.spawn_n(async move {
            assert!(Handle::current().id() == home, "it runs elsewhere");
        });
        let left = pool.waiting() == 1;
        block_on(second).expect("the second job runs");
        drop(first);
        block_on(pool.join());
        if left { "meanwhile" } else { "before" }
    });
}
