//! A source that workers pull, and its reader.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::Stream;
use futures_util::FutureExt;

use super::{
    Gate, Note, block_on, endless, explore, explore_long, meet, poll_once, thread, waited, when,
};
use crate::pool::Pool;
use crate::stream::Itermap;
use crate::sys::runtime::Handle;

// Fails when `Results::read` leaves the source where it stands aside, and when
// `Results::put` wakes nobody.
#[test]
fn a_stream_goes_on_when_its_reader_has_caught_up() {
    explore([false, true], || {
        let pool = Pool::new(1);
        let mut stream = pool.itermap(0..2, |n| async move { n }).ahead(1);
        let (mut has_waited, mut results) = (false, Vec::new());
        while let (waited, Some(result)) = block_on(waited(next(&mut stream))) {
            has_waited |= waited;
            results.push(result.expect("the item runs"));
        }
        assert_eq!(results, [0, 1]);
        has_waited
    });
}

// Fails when `Results::park` lets the source go one item further.
#[test]
fn a_stream_stands_aside_while_its_reader_is_behind() {
    explore([0, 1], || {
        let (pool, pulled) = (Pool::new(1), Arc::new(AtomicUsize::new(0)));
        let counted = pulled.clone();
        let items = std::iter::repeat_with(move || counted.fetch_add(1, Ordering::Relaxed));
        let mut stream = pool.itermap(items, |n| async move { n }).ahead(1);
        let read = poll_once(pin!(next(&mut stream))).is_ready();
        block_on(pool.join());
        assert_eq!(pulled.load(Ordering::Relaxed), usize::from(read) + 1);
        usize::from(read)
    });
}

// Fails when `Results::end` wakes nobody, when `Results::wake_reader` looks only at the first
// place, and when the source of a stream that was read to its end is not forgotten.
#[test]
fn a_reader_that_waits_is_told_that_there_are_no_more_items() {
    explore([false, true], || {
        let pool = Pool::new(1);
        // This iterator does not know that it is empty.
        let items = std::iter::from_fn(|| None::<u32>);
        let mut stream = pool.itermap(items, |n| async move { n });
        let (waited, result) = block_on(waited(next(&mut stream)));
        assert!(result.is_none());
        drop(stream);
        assert!(!pool.shared.lock().has_sources());
        waited
    });
}

// Fails when `Results::put` takes the places as the results come, and when `Results::wake_reader`
// looks only at the end.
#[test]
fn results_that_come_out_of_order_are_read_in_order() {
    explore_long([false, true], || {
        let pool = Pool::new(2);
        let mut stream = pool.itermap_ordered(0..2, |n| async move { n });
        let (waited, result) = block_on(waited(next(&mut stream)));
        assert_eq!(result.expect("not the end").expect("the item runs"), 0);
        let result = block_on(next(&mut stream));
        assert_eq!(result.expect("not the end").expect("the item runs"), 1);
        assert!(block_on(next(&mut stream)).is_none());
        waited
    });
}

// Fails when `Results::wake_reader` leaves it to the end of the source to wake a map, and when
// `Results::read_whole` does not wait for the items.
#[test]
fn a_map_returns_when_its_last_item_and_its_source_end_at_once() {
    explore([false, true], || {
        let pool = Pool::new(2);
        let (waited, results) = block_on(waited(pool.map(0..1, |n| async move { n })));
        assert!(matches!(results[..], [Ok(0)]));
        waited
    });
}

// Fails when `Worker::put_back` leaves the source in the queue or opens the entry of its item to
// nobody, when `Worker::queue_up` is not counted as searching, and when `Shared::advance` does not
// look again.
#[test]
fn a_source_takes_all_free_slots() {
    explore_long(
        ["its worker took the next", "a new worker took the next"],
        || {
            let pool = Pool::new(2);
            let (first, second) = (Gate::new(), Gate::new());
            let gates = [(first.clone(), second.clone()), (second, first)];
            let pullers = Arc::new(std::sync::Mutex::new(Vec::new()));
            let seen = pullers.clone();
            let results = block_on(pool.map(gates, move |(mine, other)| {
                let puller = thread::current().id();
                seen.lock().expect("nobody panics with it").push(puller);
                meet(mine, other)
            }));
            assert!(matches!(results[..], [Ok(()), Ok(())]));
            let pullers = pullers.lock().expect("nobody panics with it");
            if pullers[0] == pullers[1] {
                "its worker took the next"
            } else {
                "a new worker took the next"
            }
        },
    );
}

// Fails when `SourceTable::ask` or `Worker::put_back` does not see that it is abandoned, when
// `Shared::abandon` stops no item, and when an entry does not tell of which source its item is.
#[test]
fn a_stream_that_is_dropped_leaves_nothing_behind() {
    for ahead in [1, 2] {
        explore(
            ["before it was pulled", "before it began", "after it began"],
            move || {
                let pool = Pool::new(1);
                let [begun, pulled, dropped, items_dropped] = [(); 4].map(|()| Note::default());
                let items = {
                    let (pulled, held) = (pulled.clone(), items_dropped.on_drop());
                    std::iter::once(endless(begun.clone(), dropped.on_drop())).inspect(move |_| {
                        let _held = &held;
                        pulled.set();
                    })
                };
                let mut stream = pool.itermap(items, |job| job).ahead(ahead);
                assert!(poll_once(pin!(next(&mut stream))).is_pending());
                drop(stream);
                block_on(pool.join());
                assert!(items_dropped.is_set() && dropped.is_set());
                assert!(!pool.shared.lock().has_sources());
                if pulled.is_set() {
                    when(&begun)
                } else {
                    "before it was pulled"
                }
            },
        );
    }
}

// Fails when `Shared::abandon` leaves the source in the queue.
#[test]
fn a_stream_that_is_dropped_in_the_line_leaves_it() {
    explore(["while it waited", "when it was admitted"], || {
        let (pool, items_dropped) = (Pool::new(1), Note::default());
        let _first = pool.spawn_n(async {});
        let held = items_dropped.on_drop();
        let items = std::iter::repeat_with(move || {
            let _held = &held;
        });
        let mut stream = pool.itermap(items, std::future::ready);
        let _ = poll_once(pin!(next(&mut stream)));
        drop(stream);
        assert_eq!(pool.waiting(), 0);
        let left = items_dropped.is_set();
        block_on(pool.join());
        assert!(items_dropped.is_set());
        assert!(!pool.shared.lock().has_sources());
        if left {
            "while it waited"
        } else {
            "when it was admitted"
        }
    });
}

// Fails when an entry does not tell of which source its item is, when `ActiveTable::unassign`
// forgets the stop, when `Worker::put_back` or `Worker::queue_up` does not lay the entry of the
// item down, and when `Worker::put_back` does not take that of the source up.
#[test]
fn a_map_that_is_dropped_stops_the_items_that_it_has_pulled() {
    explore_long([0, 1, 2], || {
        let (pool, pulled) = (Pool::new(2), Arc::new(AtomicUsize::new(0)));
        let dropped = [(); 2].map(|()| Note::default());
        let jobs = dropped
            .each_ref()
            .map(|dropped| endless(Note::default(), dropped.on_drop()));
        let counted = pulled.clone();
        let mut map = Box::pin(pool.map(jobs, move |job| {
            counted.fetch_add(1, Ordering::Relaxed);
            job
        }));
        assert!(poll_once(map.as_mut()).is_pending());
        drop(map);
        block_on(pool.join());
        assert!(dropped.iter().all(Note::is_set));
        pulled.load(Ordering::Relaxed)
    });
}

// Fails when `Worker::next` drops a result that nobody wants after its slot has gone back.
#[test]
fn the_result_that_nobody_wants_has_been_dropped_when_the_pool_is_joined() {
    explore(["it was made", "it was not made"], || {
        let (pool, made, dropped) = (Pool::new(1), Note::default(), Note::default());
        let job = {
            let (made, dropped) = (made.clone(), dropped.clone());
            async move {
                made.set();
                dropped.on_drop()
            }
        };
        let mut map = Box::pin(pool.map([job], |job| job));
        // If it has ended already, its result goes here.
        drop(poll_once(map.as_mut()));
        drop(map);
        block_on(pool.join());
        assert_eq!(made.is_set(), dropped.is_set());
        if made.is_set() {
            "it was made"
        } else {
            "it was not made"
        }
    });
}

// Fails when `Active::stop` or `ActiveTable::assign` forgets the stop of an entry that nobody has
// taken up yet, and when `Worker::outlive_stop` leaves the stop or the watchers behind.
#[test]
fn cancel_all_stops_the_item_of_a_map_if_it_has_been_pulled() {
    for size in [1, 2] {
        explore_long([0, 1], move || {
            let pool = Pool::new(size);
            let dropped = Note::default();
            let job = endless(Note::default(), dropped.on_drop());
            let mut map = Box::pin(pool.map([job], |job| job));
            assert!(poll_once(map.as_mut()).is_pending());
            let stopped = block_on(pool.cancel_all());
            assert_eq!(dropped.is_set(), stopped == 1);
            drop(map);
            block_on(pool.join());
            assert!(dropped.is_set());
            stopped
        });
    }
}

// Fails when `Reader::whole` does not abandon the source, or does not wait for its items.
#[test]
fn a_map_whose_iterator_panics_stops_its_items_first() {
    explore(["before it began", "after it began"], || {
        let pool = Pool::new(2);
        let [begun, dropped] = [(); 2].map(|()| Note::default());
        let mut job = Some(endless(begun.clone(), dropped.on_drop()));
        let items = std::iter::from_fn(move || match job.take() {
            Some(job) => Some(job),
            None => std::panic::resume_unwind(Box::new("no more items")),
        });
        let map = AssertUnwindSafe(pool.map(items, |job| job));
        assert!(block_on(map.catch_unwind()).is_err());
        assert!(dropped.is_set());
        when(&begun)
    });
}

// Fails when a worker that is dropped does not give up its source or its item, or wakes nobody.
#[test]
fn a_stream_whose_runtime_shuts_down_ends_with_a_cancellation() {
    explore([1, 2], || {
        let (pool, runtime) = (Pool::new(1), Handle::new());
        runtime.enter();
        let down = thread::spawn(move || runtime.shut_down());
        let mut stream = pool.itermap(one(), |_| std::future::pending::<()>());
        let mut results = 0;
        while let Some(result) = block_on(next(&mut stream)) {
            assert!(result.expect_err("it never ends").is_cancelled());
            results += 1;
        }
        block_on(pool.join());
        drop(down.join());
        results
    });
}

// Fails when a worker that is dropped does not give up its source or the item that it was offered,
// or wakes nobody.
#[test]
fn a_map_whose_runtime_shuts_down_returns_what_there_is() {
    let outcomes = [
        "its item",
        "its item, and that some may be missing",
        "that something is missing",
    ];
    explore_long(outcomes, || {
        let (pool, runtime) = (Pool::new(2), Handle::new());
        runtime.enter();
        let down = thread::spawn(move || runtime.shut_down());
        let results = block_on(pool.map(one(), std::future::ready));
        block_on(pool.join());
        drop(down.join());
        match results[..] {
            [Ok(0)] => "its item",
            [Ok(0), Err(_)] => "its item, and that some may be missing",
            [Err(_)] => "that something is missing",
            _ => panic!("{results:?}"),
        }
    });
}

/// An iterator that does not know its length. A turn of its own finds out whether it has more
/// items.
fn one() -> impl Iterator<Item = u32> + Send + 'static {
    let mut items = 0..1;
    std::iter::from_fn(move || items.next())
}

pub(super) fn next<T: Send + 'static>(
    stream: &mut Itermap<T>,
) -> impl Future<Output = Option<<Itermap<T> as Stream>::Item>> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))
}
