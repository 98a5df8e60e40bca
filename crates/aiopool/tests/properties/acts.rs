//! What a user does, act by act.

use std::collections::BTreeSet;

use aiopool::Pool;

use crate::callers::{Answer, Caller, CallerId};
use crate::model::{JobId, Name};
use crate::program::Act;
use crate::world::{Inside, World};

impl World {
    /// `myself` is the job that does it, if one does.
    pub(crate) fn act(&self, act: &Act, myself: Option<JobId>) {
        let pool = self.lock().pool.clone();
        if let Some(pool) = pool {
            self.act_on_pool(&pool, act);
        }
        self.act_on_what_is_held(act, myself);
        self.compare_at_once();
    }

    fn act_on_pool(&self, pool: &Pool, act: &Act) {
        match act {
            Act::SpawnN(plan) => self.spawn_n(pool, plan),
            Act::MapN(items) => self.map_n(pool, items),
            Act::Spawn(plan) => self.spawn(pool, plan),
            Act::Exec(plan) => self.exec(pool, plan),
            Act::Map(items) => self.map(pool, items),
            Act::Stream {
                items,
                ordered,
                ahead,
            } => {
                let stream = self.stream(pool, items, *ordered, *ahead);
                let mut inside = self.lock();
                inside.streams.push(stream);
                let last = inside.streams.len() - 1;
                drop(inside);
                self.read_stream(last);
            }
            Act::Join => {
                let join = pool.join();
                self.enter(Caller::Join { told: false }, async move {
                    join.await;
                    Answer::Nothing
                });
            }
            Act::Cancel { which } => self.cancel(pool.clone(), *which),
            Act::CancelAll => {
                let (active, stopped) = (BTreeSet::new(), 0);
                let cancel_all = pool.cancel_all();
                self.enter(Caller::CancelAll { active, stopped }, async move {
                    Answer::Count(cancel_all.await)
                });
            }
            Act::DropUnpolled(verb, items) => self.drop_unpolled(pool, *verb, items),
            Act::DropPool => drop(self.lock().pool.take()),
            _ => {}
        }
    }

    fn act_on_what_is_held(&self, act: &Act, myself: Option<JobId>) {
        match *act {
            Act::CancelHandle(which) => self.with_handle(which, Self::cancel_handle),
            Act::CancelMyself => {
                let inside = self.lock();
                let mut handles = inside.handles.iter();
                let mine = handles.position(|held| Some(held.job) == myself);
                drop(inside);
                if let Some(index) = mine {
                    self.cancel_handle(index);
                }
            }
            Act::AwaitHandle(which) => self.with_handle(which, Self::await_handle),
            Act::DropHandle(which) => self.with_handle(which, Self::drop_handle),
            Act::ReadStream(which) => self.with_stream(which, Self::read_stream),
            Act::DropStream(which) => self.with_stream(which, Self::drop_stream),
            Act::DropCaller(which) => self.with_caller(which, Self::drop_caller),
            Act::PollForNothing(which) => self.with_caller(which, Self::poll_caller),
            Act::OpenGate(which) => self.with_gate(which, Self::open_gate),
            Act::WakeForNothing(which) => self.with_gate(which, Self::wake_for_nothing),
            _ => {}
        }
    }

    fn with_handle(&self, which: usize, act: impl FnOnce(&Self, usize)) {
        if let Some(index) = self.pick(which, |inside| inside.handles.len()) {
            act(self, index);
        }
    }

    fn with_stream(&self, which: usize, act: impl FnOnce(&Self, usize)) {
        if let Some(index) = self.pick(which, |inside| inside.streams.len()) {
            act(self, index);
        }
    }

    fn with_caller(&self, which: usize, act: impl FnOnce(&Self, CallerId)) {
        if let Some(index) = self.pick(which, |inside| inside.callers.len()) {
            let id = self.lock().callers.keys().nth(index).copied();
            act(self, id.expect("it is there"));
        }
    }

    fn with_gate(&self, which: usize, act: impl FnOnce(&Self, Name)) {
        if let Some(index) = self.pick(which, |inside| inside.gates.waiting().len()) {
            let name = self.lock().gates.waiting()[index];
            act(self, name);
        }
    }

    fn pick(&self, which: usize, count: impl FnOnce(&Inside) -> usize) -> Option<usize> {
        which.checked_rem(count(&self.lock()))
    }

    pub(crate) fn open_gate(&self, name: Name) {
        let waker = self.lock().gates.open(name);
        waker.wake();
    }

    fn wake_for_nothing(&self, name: Name) {
        let waker = self.lock().gates.waker(name);
        waker.wake();
    }
}
