//! `Pool::itermap`, and what both streams have in common.

use std::future::ready;
use std::ops::Range;
use std::pin::pin;

use aiopool::{Itermap, Job, JobError, Pool};
use futures_util::stream::{FusedStream, select_all};
use futures_util::{Stream, StreamExt};
use tokio_test::{assert_pending, assert_ready, task};

use crate::common::{
    Count, Gate, Log, Wakes, assert_whole, for_both, let_others_run, on_both, raise, until,
};

/// Both streams over the same items and jobs, for what holds for both.
fn both<J: Job>(
    pool: &Pool,
    items: impl Iterator<Item = usize> + Clone + Send + 'static,
    jobs: impl FnMut(usize) -> J + Clone + Send + 'static,
) -> [Itermap<J::Output>; 2] {
    [
        stream(false, pool, items.clone(), jobs.clone()),
        stream(true, pool, items, jobs),
    ]
}

fn stream<J: Job>(
    ordered: bool,
    pool: &Pool,
    items: impl Iterator<Item = usize> + Send + 'static,
    jobs: impl FnMut(usize) -> J + Send + 'static,
) -> Itermap<J::Output> {
    if ordered {
        pool.itermap_ordered(items, jobs)
    } else {
        pool.itermap(items, jobs)
    }
}

#[test]
fn the_results_come_in_the_order_in_which_the_jobs_end() {
    on_both(async || {
        let pool = Pool::new(3);
        let gates: [Gate; 3] = std::array::from_fn(|_| Gate::new());
        let jobs = {
            let gates = gates.clone();
            move |n: usize| {
                let passed = gates[n].passed();
                async move {
                    passed.await;
                    n
                }
            }
        };
        let mut results = task::spawn(pool.itermap(0..3, jobs));
        assert_pending!(results.poll_next());
        for n in [2, 0, 1] {
            gates[n].open();
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(results.next().await.is_none());
        assert_whole(&pool).await;
    });
}

#[test]
fn all_results_come_and_then_the_end_again_and_again() {
    on_both(async || {
        let pool = Pool::new(3);
        for mut results in both(&pool, 0..100, |n| async move { n }) {
            let mut read = Vec::new();
            while let Some(result) = results.next().await {
                assert!(!results.is_terminated());
                read.push(result.unwrap());
            }
            read.sort_unstable();
            assert_eq!(read, (0..100).collect::<Vec<_>>());
            assert!(results.is_terminated());
            assert!(results.next().await.is_none());
            assert!(results.is_terminated());
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn it_may_be_polled_after_its_end_wherever_one_is() {
    for_both(|runtime| {
        for mut results in both(&Pool::new(1), 0..1, |n| async move { n }) {
            assert_eq!(runtime.block_on(results.next()).unwrap().unwrap(), 0);
            assert!(runtime.block_on(results.next()).is_none());
            assert!(assert_ready!(task::spawn(results).poll_next()).is_none());
        }
    });
}

#[test]
fn it_tells_how_many_results_are_left_as_far_as_its_iterator_knows() {
    on_both(async || {
        let pool = Pool::new(2);
        for mut results in both(&pool, 0..3, |n| async move { n }) {
            for left in [3, 2, 1] {
                assert_eq!(results.size_hint(), (left, Some(left)));
                results.next().await.unwrap().unwrap();
            }
            assert_eq!(results.size_hint(), (0, Some(0)));
            assert!(results.next().await.is_none());
            assert_eq!(results.size_hint(), (0, Some(0)));
        }
        // One that does not know is right as soon as it has come to its end.
        for results in both(&pool, (0..9).filter(|n| n % 3 == 0), ready) {
            let mut results = results.ahead(9);
            assert_eq!(results.size_hint(), (0, Some(9)));
            results.next().await.unwrap().unwrap();
            until(|| results.size_hint() == (2, Some(2))).await;
            while results.next().await.is_some() {}
            assert_eq!(results.size_hint(), (0, Some(0)));
        }
        // One that says something else is believed as little as an iterator has to be.
        for mut results in both(&pool, Wrong(0), ready) {
            assert_eq!(results.size_hint(), (1, Some(1)));
            results.next().await.unwrap().unwrap();
            assert_eq!(results.size_hint().0, 0);
            while results.next().await.is_some() {}
        }
        assert_whole(&pool).await;
    });
}

/// Gives three items and says that there is one.
#[derive(Clone)]
struct Wrong(usize);

impl Iterator for Wrong {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 += 1;
        (self.0 <= 3).then_some(self.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (1, Some(1))
    }
}

#[test]
fn no_items_give_no_results() {
    on_both(async || {
        let pool = Pool::new(1);
        for mut results in both(&pool, 0..0, |n| async move { n }) {
            assert!(results.next().await.is_none());
        }
        for mut results in both(&pool, (0..9).filter(|_| false), |n| async move { n }) {
            assert!(results.next().await.is_none());
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn of_no_items_it_needs_no_slot_and_frees_its_iterator_and_function() {
    on_both(async || {
        let (pool, gate, drops) = (Pool::new(1), Gate::new(), Count::new());
        drop(pool.spawn_n(gate.passed()));
        for ordered in [false, true] {
            let (in_items, in_jobs) = (drops.drops(), drops.drops());
            let items = std::iter::empty().inspect(move |_| {
                let _held = &in_items;
            });
            let jobs = move |n: usize| {
                let _held = &in_jobs;
                ready(n)
            };
            let mut results = task::spawn(stream(ordered, &pool, items, jobs));
            assert!(assert_ready!(results.poll_next()).is_none());
            assert!(results.is_terminated());
            assert_eq!(drops.get(), 2 * (1 + usize::from(ordered)));
        }
        assert_eq!((pool.active(), pool.waiting()), (1, 0));
        gate.open();
        assert_whole(&pool).await;
    });
}

#[test]
fn what_its_iterator_says_of_its_length_with_a_panic_is_not_known() {
    on_both(async || {
        let pool = Pool::new(1);
        for mut results in both(&pool, Mute(0..3), ready) {
            assert_eq!(results.size_hint(), (0, None));
            let mut read = 0;
            while let Some(result) = results.next().await {
                assert_eq!(result.unwrap(), read);
                read += 1;
            }
            assert_eq!(read, 3);
        }
        assert_whole(&pool).await;
    });
}

/// Panics when it is asked how many items are left.
#[derive(Clone)]
struct Mute(Range<usize>);

impl Iterator for Mute {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        raise("how many?")
    }
}

#[test]
fn nothing_happens_before_the_first_poll() {
    on_both(async || {
        let (pool, pulled, drops) = (Pool::new(2), Count::new(), Count::new());
        for ordered in [false, true] {
            let (pulled, dropped) = (pulled.clone(), drops.drops());
            let items = (0..3).inspect(move |_| {
                let _held = &dropped;
                pulled.add();
            });
            let results = stream(ordered, &pool, items, |_| async {});
            let_others_run().await;
            assert_eq!(pool.len(), 0);
            drop(results);
        }
        assert_eq!((pulled.get(), drops.get()), (0, 2));
        assert_whole(&pool).await;
    });
}

#[test]
fn exactly_as_many_as_allowed_are_pulled_ahead_of_a_slow_reader() {
    on_both(async || {
        for (size, ahead) in [(4, 1), (4, 3), (1, 3), (2, 2), (3, 50)] {
            let (pool, pulled) = (Pool::new(size), Count::new());
            let items = {
                let pulled = pulled.clone();
                (0..).inspect(move |_| pulled.add())
            };
            for mut results in both(&pool, items, |n| async move { n }) {
                let before = pulled.get();
                results = results.ahead(ahead);
                for read in 1..20 {
                    results.next().await.unwrap().unwrap();
                    // Whatever may be pulled now has been pulled, and has run, when the pool is
                    // idle.
                    pool.join().await;
                    assert_eq!(pulled.get() - before, read + ahead);
                }
            }
            assert_whole(&pool).await;
        }
    });
}

#[test]
fn never_more_than_allowed_are_pulled_and_unread_at_any_moment() {
    on_both(async || {
        for ordered in [false, true] {
            let (pool, read, ahead) = (Pool::new(4), Count::new(), Log::new());
            let items = {
                let (read, ahead) = (read.clone(), ahead.clone());
                (0..500).inspect(move |n| ahead.add(n + 1 - read.get()))
            };
            let mut results = stream(ordered, &pool, items, |n| async move { n }).ahead(5);
            while results.next().await.is_some() {
                read.add();
            }
            // One more, which has been read but is not counted yet.
            assert!(ahead.take().into_iter().max() <= Some(5 + 1));
        }
    });
}

#[test]
fn it_goes_as_far_ahead_as_the_pool_has_slots_if_nothing_else_is_said() {
    on_both(async || {
        let (pool, pulled) = (Pool::new(3), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..).inspect(move |_| pulled.add())
        };
        let [mut results, _] = both(&pool, items, |n| async move { n });
        results.next().await.unwrap().unwrap();
        pool.join().await;
        assert_eq!(pulled.get(), 4);
    });
}

#[test]
fn its_jobs_make_progress_while_nobody_polls_it() {
    on_both(async || {
        let (pool, gate, ended) = (Pool::new(2), Gate::new(), Count::new());
        let jobs = {
            let (gate, ended) = (gate.clone(), ended.clone());
            move |_| {
                let (passed, ended) = (gate.passed(), ended.clone());
                async move {
                    passed.await;
                    ended.add();
                }
            }
        };
        for results in both(&pool, 0..10, jobs) {
            let mut results = task::spawn(results.ahead(10));
            if results.poll_next().is_pending() {
                gate.open();
            }
            pool.join().await;
        }
        assert_eq!(ended.get(), 20);
    });
}

#[test]
fn a_slow_reader_stalls_neither_the_jobs_that_run_nor_those_of_others() {
    on_both(async || {
        let pool = Pool::new(2);
        for mut results in both(&pool, 0.., |n| async move { n }) {
            results.next().await.unwrap().unwrap();
            // The jobs have ended and their slots are free, though nobody has read the results.
            pool.join().await;
            assert_eq!(pool.exec(async { 6 * 7 }).await.unwrap(), 42);
            let first = pool.map(0..10, |n| async move { n }).await;
            assert_eq!(first.len(), 10);
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn a_reader_that_comes_back_gets_all_that_is_left() {
    on_both(async || {
        let pool = Pool::new(2);
        for mut results in both(&pool, 0..50, |n| async move { n }) {
            let mut sum = 0;
            while let Some(result) = results.next().await {
                sum += result.unwrap();
                pool.join().await;
            }
            assert_eq!(sum, (0..50).sum());
        }
    });
}

#[test]
fn dropped_it_cancels_its_active_jobs_and_pulls_no_more() {
    on_both(async || {
        let (pool, pulled, drops) = (Pool::new(2), Count::new(), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..).inspect(move |_| pulled.add())
        };
        let pending = drops.clone();
        for results in both(&pool, items, move |_| pending.pending()) {
            let (pulled_before, dropped_before) = (pulled.get(), drops.get());
            let mut results = task::spawn(results.ahead(10));
            assert_pending!(results.poll_next());
            until(|| pulled.get() == pulled_before + 2).await;
            drop(results);
            pool.join().await;
            assert_eq!(pulled.get(), pulled_before + 2);
            assert_eq!(drops.get(), dropped_before + 2);
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn dropped_it_frees_the_iterator_and_what_nobody_has_read() {
    on_both(async || {
        let (pool, of_items, of_results) = (Pool::new(2), Count::new(), Count::new());
        for ordered in [false, true] {
            let held = of_items.drops();
            let items = (0..).inspect(move |_| {
                let _held = &held;
            });
            let output = of_results.clone();
            let jobs = move |_| {
                let output = output.drops();
                async move { output }
            };
            let mut results = stream(ordered, &pool, items, jobs).ahead(4);
            let (items_before, results_before) = (of_items.get(), of_results.get());
            let first = results.next().await.unwrap().unwrap();
            pool.join().await;
            assert_eq!(
                (of_items.get(), of_results.get()),
                (items_before, results_before)
            );
            drop(results);
            assert_eq!(of_items.get(), items_before + 1);
            assert_eq!(of_results.get(), results_before + 4);
            drop(first);
        }
        assert_whole(&pool).await;
    });
}

#[test]
fn an_error_is_the_result_of_its_own_item() {
    on_both(async || {
        let pool = Pool::new(2);
        let jobs = |n| {
            if n == 1 {
                raise("the function");
            }
            async move {
                if n == 3 {
                    raise("the job");
                }
                n
            }
        };
        for results in both(&pool, 0..6, jobs) {
            let mut told: Vec<_> = results.map(told).collect().await;
            told.sort();
            assert_eq!(told, ["0", "2", "4", "5", "the function", "the job"]);
        }
        assert_whole(&pool).await;
    });
}

fn told(result: Result<usize, JobError>) -> String {
    match result {
        Ok(n) => n.to_string(),
        Err(JobError::Panicked(panic)) => panic.message().unwrap().into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn only_the_last_task_that_polled_it_is_woken() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let jobs = {
            let gate = gate.clone();
            move |_| gate.passed()
        };
        for mut results in both(&pool, 0..2, jobs) {
            let (first, second) = (Wakes::new(), Wakes::new());
            assert_pending!(first.poll(pin!(results.next())));
            assert_pending!(second.poll(pin!(results.next())));
            gate.let_pass();
            until(|| second.get() > 0).await;
            assert_eq!((first.get(), second.get()), (0, 1));
            assert_ready!(first.poll(pin!(results.next())))
                .unwrap()
                .unwrap();
        }
    });
}

#[test]
fn waiting_for_the_next_result_may_be_given_up() {
    on_both(async || {
        let (pool, gate) = (Pool::new(1), Gate::new());
        let jobs = {
            let gate = gate.clone();
            move |n| {
                let passed = gate.passed();
                async move {
                    passed.await;
                    n
                }
            }
        };
        for mut results in both(&pool, 0..3, jobs) {
            for n in 0..3 {
                for _ in 0..3 {
                    let mut next = task::spawn(results.next());
                    assert_pending!(next.poll());
                }
                gate.let_pass();
                assert_eq!(results.next().await.unwrap().unwrap(), n);
            }
        }
    });
}

#[test]
fn it_may_outlive_the_pool_and_go_to_another_task() {
    on_both(async || {
        let pool = Pool::new(2);
        let streams = both(&pool, 0..10, |n| async move { n });
        drop(pool);
        for results in streams {
            let results = results.map(Result::unwrap).collect::<Vec<_>>();
            assert_eq!(tokio::spawn(results).await.unwrap().len(), 10);
        }
    });
}

#[test]
fn many_streams_share_a_pool() {
    on_both(async || {
        let pool = Pool::new(3);
        let streams = (0..10).map(|_| pool.itermap(0..20, |n| async move { n }));
        let all = select_all(streams);
        let sum = all.map(Result::unwrap).fold(0, async |sum, n| sum + n);
        assert_eq!(sum.await, 10 * (0..20).sum::<i32>());
        assert_whole(&pool).await;
    });
}

#[test]
fn it_may_be_allowed_to_go_further_ahead_while_it_runs() {
    on_both(async || {
        let (pool, pulled) = (Pool::new(2), Count::new());
        let items = {
            let pulled = pulled.clone();
            (0..).inspect(move |_: &u64| pulled.add())
        };
        let mut results = pool.itermap(items, |n| async move { n }).ahead(1);
        results.next().await.unwrap().unwrap();
        pool.join().await;
        assert_eq!(pulled.get(), 2);
        results = results.ahead(4);
        results.next().await.unwrap().unwrap();
        pool.join().await;
        assert_eq!(pulled.get(), 6);
    });
}
