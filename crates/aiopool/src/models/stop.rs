//! Cancelling, while jobs begin, end and are handed in.

use super::{Gate, Note, OpenOnDrop, block_on, endless, explore, suspend_once, thread, when};
use crate::error::JobError;
use crate::job::Job;
use crate::pool::Pool;
use crate::sys::runtime::Handle;

// Fails when `Active::stop` forgets the stop of an entry that nobody has taken up yet, when
// `ActiveTable::assign` does, and when `wake_workers` does not wake the worker.
#[test]
fn a_job_is_cancelled_whether_its_worker_has_begun_or_not() {
    explore(["before it began", "after it began"], cancelled);
}

// Fails when `Taken::new` does not let the handle know the entry of its job, and when
// `Shared::stop` only looks into the queue.
#[test]
fn a_job_is_cancelled_whether_it_waits_or_has_just_been_admitted() {
    explore(["before it began", "after it began"], || {
        let pool = Pool::new(1);
        let (begun, dropped) = (Note::default(), Note::default());
        let _first = pool.spawn_n(async {});
        let handle = pool.spawn_n(endless(begun.clone(), dropped.on_drop()));
        assert!(handle.cancel());
        assert!(block_on(handle).expect_err("it never ends").is_cancelled());
        assert!(dropped.is_set());
        block_on(pool.join());
        when(&begun)
    });
}

// Fails when a worker that yields does not open its entry again or does not lay it down, and when
// `ActiveTable::unassign` forgets the stop, or leaves the worker at the entry.
#[test]
fn a_job_is_cancelled_whether_its_worker_has_yielded_or_not() {
    explore(["before it began", "after it began"], || {
        Handle::stingy().enter();
        cancelled()
    });
}

// Fails when `Shared::stop` takes whatever job its entry is held for, when it finds the entry and
// stops its job under two locks, and when `ActiveTable::assign` keeps the stop of the job before.
#[test]
fn a_cancellation_that_comes_when_a_job_ends_spares_the_next_one() {
    explore(["cancelled", "ended"], || {
        let pool = Pool::new(1);
        let first = pool.spawn_n(suspend_once());
        let second = pool.spawn_n(suspend_once());
        let told = first.cancel();
        let first = block_on(first);
        block_on(second).expect("nobody has cancelled the second job");
        match first {
            Ok(()) => "ended",
            Err(JobError::Cancelled) if told => "cancelled",
            Err(error) => panic!("{error}"),
        }
    });
}

// Fails when `Caught` keeps the future that has ended.
#[test]
fn nothing_of_a_job_is_left_when_cancel_returns() {
    explore([0, 1], || {
        let (pool, dropped) = (Pool::new(1), Note::default());
        let held = dropped.on_drop();
        let mut handle = pool.spawn_n(async move {
            let _held = held;
            suspend_once().await;
        });
        let (stopped, results) = block_on(pool.cancel([&mut handle]));
        assert!(dropped.is_set());
        assert_eq!(results.len(), stopped);
        assert_eq!(block_on(handle).is_ok(), stopped == 0);
        stopped
    });
}

// Fails when `Progress::poll` forgets that its job was stopped while the callback runs.
#[test]
fn cancel_waits_for_the_callback_of_a_job_that_has_begun() {
    explore(["before it began", "after it began"], || {
        let (pool, called, dropped) = (Pool::new(1), Note::default(), Note::default());
        let begun = Note::default();
        let job = endless(begun.clone(), dropped.on_drop());
        let callback_called = called.clone();
        let mut handle = pool.spawn_n(job.with_callback(|result| async move {
            suspend_once().await;
            callback_called.set();
            result.is_err()
        }));
        let (stopped, results) = block_on(pool.cancel([&mut handle]));
        assert!(dropped.is_set() && called.is_set());
        assert_eq!(stopped, 1);
        assert!(matches!(results[..], [Ok(true)]));
        when(&begun)
    });
}

// Fails when a worker does not tell those who watch its job end, when `Shared::stop_all` counts the
// workers and watches them under two locks, and when it does not empty the queue.
#[test]
fn cancel_all_waits_for_what_ends_meanwhile() {
    explore([0, 1, 2], || {
        let pool = Pool::new(1);
        let (first, second) = (Note::default(), Note::default());
        let (held, also_held) = (first.on_drop(), second.on_drop());
        let _first = pool.spawn_n(async move {
            let _held = held;
            suspend_once().await;
        });
        let _second = pool.spawn_n(async move {
            let _held = also_held;
            suspend_once().await;
        });
        let stopped = block_on(pool.cancel_all());
        assert!(first.is_set() && second.is_set());
        stopped
    });
}

// Fails when `Shared::stop_all` stops no worker, and when the last to be told does not wake it.
#[test]
fn cancel_all_meets_a_job_that_is_handed_in() {
    explore(
        [
            "it was cancelled before it began",
            "it was cancelled after it began",
            "it ran",
        ],
        || {
            let (pool, begun) = (Pool::new(1), Note::default());
            let submitter = thread::spawn({
                let (pool, begun) = (pool.clone(), begun.clone());
                move || {
                    pool.spawn_n(async move {
                        begun.set();
                        suspend_once().await;
                    })
                }
            });
            let stopped = block_on(pool.cancel_all());
            let handle = submitter.join().expect("the submitter does not panic");
            let result = block_on(handle);
            assert_eq!(result.is_err(), stopped == 1);
            match (result, begun.is_set()) {
                (Ok(()), _) => "it ran",
                (Err(_), false) => "it was cancelled before it began",
                (Err(_), true) => "it was cancelled after it began",
            }
        },
    );
}

// Fails when `State::admit` admits somebody in spite of a hold.
#[test]
fn a_waiting_job_does_not_begin_in_the_slot_of_another_that_is_cancelled_with_it() {
    explore([1, 2], || {
        let (pool, begun) = (Pool::new(1), Note::default());
        let mut first = pool.spawn_n(suspend_once());
        let job = endless(begun.clone(), ());
        let mut second = pool.spawn_n(job);
        // The second may begin after the first has ended by itself, which then was not stopped.
        let (stopped, _) = block_on(pool.cancel([&mut first, &mut second]));
        assert!(!begun.is_set() || stopped == 1);
        stopped
    });
}

// Fails when `Shared::stop_all` takes all jobs out of the queue under one lock.
#[test]
fn others_come_to_the_lock_while_cancel_all_empties_the_queue() {
    explore([0, 1, 2], || {
        let pool = Pool::new(1);
        let _active = pool.spawn_n(std::future::pending::<()>());
        let _waiting = [
            pool.spawn_n(std::future::pending::<()>()),
            pool.spawn_n(std::future::pending::<()>()),
        ];
        let looker = thread::spawn({
            let pool = pool.clone();
            move || pool.shared.lock().admission().waiting()
        });
        block_on(pool.cancel_all());
        looker.join().expect("it looks only")
    });
}

// Fails when `Shared::stop` takes a job out of the queue and begins its withdrawal under two locks,
// when `State::is_idle` leaves withdrawals out, and when `Shared::end_withdrawal` tells no joiner,
// or does it before it drops the job.
#[test]
fn join_waits_for_a_job_that_another_is_dropping() {
    explore(["before it began", "after it began"], || {
        let (pool, begun, dropped) = (Pool::new(1), Note::default(), Gate::new());
        let _first = pool.spawn_n(async {});
        let held = OpenOnDrop(dropped.clone());
        let handle = pool.spawn_n(endless(begun.clone(), held));
        let canceller = thread::spawn(move || handle.cancel());
        block_on(pool.join());
        assert!(dropped.is_open());
        drop(canceller.join());
        when(&begun)
    });
}

// Fails when `Shared::stop_all` empties the queue and begins the withdrawal under two locks.
#[test]
fn join_waits_for_a_job_that_cancel_all_is_dropping() {
    explore(["before it began", "after it began"], || {
        let (pool, begun, dropped) = (Pool::new(1), Note::default(), Gate::new());
        let _first = pool.spawn_n(async {});
        let held = OpenOnDrop(dropped.clone());
        let _handle = pool.spawn_n(endless(begun.clone(), held));
        let canceller = thread::spawn({
            let pool = pool.clone();
            move || block_on(pool.cancel_all())
        });
        block_on(pool.join());
        assert!(dropped.is_open());
        drop(canceller.join());
        when(&begun)
    });
}

// Fails when `Shared::withdraw` takes a job out of the queue and begins its withdrawal under two
// locks.
#[test]
fn join_waits_for_a_job_that_a_dropped_spawn_takes_back() {
    explore(["before it began", "after it began"], || {
        let (pool, begun, dropped) = (Pool::new(1), Note::default(), Gate::new());
        let _first = pool.spawn_n(async {});
        let (job_begun, held) = (begun.clone(), OpenOnDrop(dropped.clone()));
        let mut spawn = Box::pin(pool.spawn(async move {
            let _held = held;
            job_begun.set();
        }));
        let _ = super::poll_once(spawn.as_mut());
        let taker = thread::spawn(move || drop(spawn));
        block_on(pool.join());
        assert!(dropped.is_open());
        drop(taker.join());
        when(&begun)
    });
}

// Fails when `Shared::stop` takes a job out of the queue and begins its withdrawal under two locks,
// when `Shared::stop_all` does not count withdrawals or does not watch them, and when
// `Shared::end_withdrawal` does not tell those who watch, or does it before it drops the job.
#[test]
fn cancel_all_waits_for_a_job_that_another_is_dropping() {
    explore([1, 2], || {
        let (pool, dropped) = (Pool::new(1), Gate::new());
        let _first = pool.spawn_n(std::future::pending::<()>());
        let held = OpenOnDrop(dropped.clone());
        let handle = pool.spawn_n(endless(Note::default(), held));
        let canceller = thread::spawn(move || handle.cancel());
        let stopped = block_on(pool.cancel_all());
        assert!(dropped.is_open());
        drop(canceller.join());
        stopped
    });
}

// Fails when the drop of `Exec` does not cancel its job.
#[test]
fn an_exec_that_is_dropped_leaves_nothing_behind() {
    explore(["before it began", "after it began"], || {
        let pool = Pool::new(1);
        let (begun, dropped) = (Note::default(), Note::default());
        let mut exec = Box::pin(pool.exec(endless(begun.clone(), dropped.on_drop())));
        assert!(super::poll_once(exec.as_mut()).is_pending());
        drop(exec);
        block_on(pool.join());
        assert!(dropped.is_set());
        when(&begun)
    });
}

/// Cancels an endless job; tells when it was stopped.
fn cancelled() -> &'static str {
    let pool = Pool::new(1);
    let (begun, dropped) = (Note::default(), Note::default());
    let handle = pool.spawn_n(endless(begun.clone(), dropped.on_drop()));
    assert!(handle.cancel());
    assert!(block_on(handle).expect_err("it never ends").is_cancelled());
    assert!(dropped.is_set());
    when(&begun)
}
