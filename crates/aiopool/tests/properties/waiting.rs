//! What a user waits for: `spawn`, `exec`, `map`, `join`, `cancel` and `cancel_all`.

use std::mem;

use aiopool::Pool;
use tokio_test::task::spawn;

use crate::callers::{Answer, Caller, CallerId};
use crate::work::told;
use crate::world::{Held, World};

/// Handles that `cancel` borrows, on their way back.
struct Lent {
    world: World,
    handles: Vec<Held>,
}

impl World {
    pub(crate) fn enter(
        &self,
        caller: Caller,
        future: impl Future<Output = Answer> + Send + 'static,
    ) {
        let mut inside = self.lock();
        let id = inside.next_caller;
        inside.next_caller += 1;
        inside.model.enter(id, caller);
        inside.callers.insert(id, spawn(Box::pin(future)));
        drop(inside);
        self.poll_caller(id);
    }

    pub(crate) fn poll_caller(&self, id: CallerId) {
        let future = self.lock().callers.remove(&id);
        let mut future = future.expect("the id is one of a caller");
        let answer = future.poll();
        let mut inside = self.lock();
        let caller = format!("{:?}", inside.model.callers[&id]);
        // Asked afterwards: jobs that were withdrawn settle inside the call.
        let expected = inside.model.poll(id);
        inside.expect(answer == expected, || {
            format!("{caller} gets {answer:?}, not {expected:?}")
        });
        if answer.is_pending() {
            inside.callers.insert(id, future);
        }
        drop(inside);
        self.drop_read_handles();
    }

    pub(crate) fn drop_caller(&self, id: CallerId) {
        let mut inside = self.lock();
        let future = inside.callers.remove(&id);
        inside.model.leave(id);
        drop(inside);
        self.drop_quietly(future);
        self.drop_read_handles();
    }

    /// `which` has a bit for each handle.
    pub(crate) fn cancel(&self, pool: Pool, which: u8) {
        let mut inside = self.lock();
        let all = mem::take(&mut inside.handles);
        let mut bits = (0..u8::BITS).cycle().map(|bit| which >> bit & 1 == 1);
        let (handles, others): (Vec<_>, _) =
            all.into_iter().partition(|_| bits.next() == Some(true));
        inside.handles = others;
        drop(inside);
        let (world, stopped) = (self.clone(), Vec::new());
        let left = handles.iter().map(|held| held.job).collect();
        let mut borrowed = Lent { world, handles };
        self.enter(Caller::Cancel { left, stopped }, async move {
            let handles = borrowed.handles.iter_mut();
            let cancel = pool.cancel(handles.map(|held| &mut *held.handle));
            let (stopped, results) = cancel.await;
            Answer::Stopped(stopped, results.into_iter().map(told).collect())
        });
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for held in &mut self.handles {
            held.awaited = false;
        }
        self.world.lock().handles.append(&mut self.handles);
    }
}
