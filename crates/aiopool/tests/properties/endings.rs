//! How a program ends: nothing is left.

use std::mem;

use crate::program::Plan;
use crate::world::World;

impl World {
    /// Opens all gates and reads all results, until there is nothing left.
    pub(crate) async fn drain(&self) {
        for _ in 0..ROUNDS {
            let waiting = self.lock().gates.waiting();
            for name in waiting {
                self.open_gate(name);
            }
            self.settle().await;
            self.read_all();
            self.settle().await;
            if self.is_drained() {
                break;
            }
        }
        self.compare_rest();
    }

    fn is_drained(&self) -> bool {
        let inside = self.lock();
        let mut streams = inside.streams.iter();
        let is_read = streams.all(|held| !inside.model.sources[held.source].has_result());
        is_read && inside.handles.is_empty() && inside.gates.waiting().is_empty()
    }

    /// Drops all that the user holds but the pool.
    pub(crate) fn abandon(&self) {
        let callers: Vec<_> = self.lock().callers.keys().copied().collect();
        for id in callers {
            self.drop_caller(id);
        }
        while !self.lock().handles.is_empty() {
            self.drop_handle(0);
        }
        while !self.lock().streams.is_empty() {
            self.drop_stream(0);
        }
    }

    /// All slots can be used.
    pub(crate) async fn fill(&self) {
        let Some(pool) = self.lock().pool.clone() else {
            return;
        };
        for _ in 0..pool.size() {
            self.spawn_n(&pool, &Plan::gated());
        }
        self.settle().await;
        let waiting = self.lock().gates.waiting();
        assert_eq!(waiting.len(), pool.size(), "slots are lost");
        self.drain().await;
    }

    /// Everything has been dropped by the runtime; whatever is held tells of it.
    pub(crate) fn compare_after_shut_down(&self) {
        self.poll_woken();
        self.compare();
        self.read_all();
        self.compare();
        self.compare_rest();
    }

    fn read_all(&self) {
        let streams = self.lock().streams.len();
        for index in 0..streams {
            while self.has_result(index) {
                self.read_stream(index);
            }
        }
        let handles = self.lock().handles.len();
        for index in (0..handles).rev() {
            self.await_handle(index);
        }
    }

    fn has_result(&self, index: usize) -> bool {
        let inside = self.lock();
        let source = &inside.model.sources[inside.streams[index].source];
        source.has_result()
    }

    /// Compares what is left with nothing.
    fn compare_rest(&self) {
        let mut inside = self.lock();
        let callers = format!("{:?}", inside.model.callers);
        let is_nobody_left = inside.callers.is_empty();
        inside.expect(is_nobody_left, || format!("these wait for ever: {callers}"));
        let are_settled = inside.handles.is_empty();
        inside.expect(are_settled, || "some jobs have not settled".to_owned());
        let streams = mem::take(&mut inside.streams);
        for held in &streams {
            inside.model.abandon(held.source);
        }
        drop(inside);
        drop(streams);
        self.compare();
        let inside = self.lock();
        let are_left = [
            inside.futures.len(),
            inside.outputs.len(),
            inside.callbacks.len(),
            inside.iterators.len(),
        ];
        drop(inside);
        assert_eq!(are_left, [0; 4], "user's values are left");
    }
}

/// A program that has not come to its end by then never does.
const ROUNDS: usize = 1000;
