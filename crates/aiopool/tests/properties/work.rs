//! The user's own code: what the pool polls, calls, asks and drops. It tells the world of each.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use aiopool::JobError;

use crate::model::{JobId, Name, Part, SourceId, Told};
use crate::program::{Callback, Item, Items, Move, Script};
use crate::sources::End;
use crate::world::World;

/// The future of a job, or of a callback.
pub(crate) struct Work {
    world: World,
    name: Name,
    script: Script,
    done: usize,
}

/// What a future gives.
pub(crate) struct Output {
    world: World,
    name: Name,
    panics_when_dropped: bool,
}

/// A callback before it is called.
pub(crate) struct Uncalled {
    world: World,
    job: JobId,
    callback: Option<Callback>,
}

/// The iterator of a map or a stream.
pub(crate) struct Iter {
    world: World,
    source: SourceId,
    items: std::vec::IntoIter<Item>,
    panics: bool,
}

impl Work {
    pub(crate) fn new(world: &World, name: Name, script: Script) -> Self {
        world.lock().futures.insert(name);
        Self {
            world: world.clone(),
            name,
            script,
            done: 0,
        }
    }
}

impl Future for Work {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let (world, name) = (self.world.clone(), self.name);
        world.lock().model.polled(name);
        let moves = self.script.moves.clone();
        while let Some(next) = moves.get(self.done) {
            match next {
                Move::Gate if world.lock().gates.pass(name, cx) => {}
                Move::Gate => return Poll::Pending,
                // Here the job would wait outside: the model knows no such jobs.
                Move::Act(act) if act.waits() => {
                    let (world, act) = (world.clone(), act.clone());
                    tokio::spawn(async move { world.act(&act, Some(name.0)) });
                }
                Move::Act(act) => world.act(act, Some(name.0)),
            }
            self.done += 1;
        }
        if self.script.panics {
            let message = format!("{name:?} is polled");
            world.lock().model.ended(name, Told::Panic(message.clone()));
            resume_unwind(Box::new(message));
        }
        world.lock().model.ended(name, Told::Output(name));
        let panics_when_dropped = self.script.output_panics_when_dropped;
        Poll::Ready(Output::new(&world, name, panics_when_dropped))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut inside = self.world.lock();
        let was_there = inside.futures.remove(&self.name);
        inside.expect(was_there, || format!("{:?} is dropped twice", self.name));
        inside.gates.close(self.name);
        let panic = inside.model.dropped(self.name);
        drop(inside);
        self.world.panic(panic);
    }
}

impl Output {
    fn new(world: &World, name: Name, panics_when_dropped: bool) -> Self {
        world.lock().outputs.insert(name);
        Self {
            world: world.clone(),
            name,
            panics_when_dropped,
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut inside = self.world.lock();
        let was_there = inside.outputs.remove(&self.name);
        inside.expect(was_there, || {
            format!("the output of {:?} is dropped twice", self.name)
        });
        drop(inside);
        let panic = self
            .panics_when_dropped
            .then(|| format!("the output of {:?} is dropped", self.name));
        self.world.panic(panic);
    }
}

impl Uncalled {
    pub(crate) fn new(world: &World, job: JobId, callback: Callback) -> Self {
        world.lock().callbacks.insert(job);
        Self {
            world: world.clone(),
            job,
            callback: Some(callback),
        }
    }

    pub(crate) fn call(mut self, result: Result<Output, JobError>) -> Work {
        let told = told(result);
        let panic = self.world.lock().model.called_back(self.job, &told);
        let callback = self.callback.take().expect("it is called once");
        self.world.panic(panic);
        Work::new(&self.world, Name(self.job, Part::Callback), callback.future)
    }
}

impl Drop for Uncalled {
    fn drop(&mut self) {
        let mut inside = self.world.lock();
        let was_there = inside.callbacks.remove(&self.job);
        inside.expect(was_there, || {
            format!("the callback of {} is dropped twice", self.job)
        });
    }
}

impl Iter {
    pub(crate) fn new(world: &World, source: SourceId, items: &Items) -> Self {
        world.lock().iterators.insert(source);
        Self {
            world: world.clone(),
            source,
            items: items.list.clone().into_iter(),
            panics: items.panics,
        }
    }
}

impl Iterator for Iter {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.world.lock().model.pulled(self.source);
        if let Some(item) = self.items.next() {
            for act in &item.acts {
                self.world.act(act, None);
            }
            return Some(item);
        }
        let panic = self
            .panics
            .then(|| format!("the iterator of source {} is asked", self.source));
        let end = panic.clone().map_or(End::Exhausted, End::Panic);
        let mut inside = self.world.lock();
        inside.model.found_nothing(self.source, end);
        drop(inside);
        self.world.panic(panic);
        None
    }
}

impl Drop for Iter {
    fn drop(&mut self) {
        let mut inside = self.world.lock();
        let was_there = inside.iterators.remove(&self.source);
        inside.expect(was_there, || {
            format!("the iterator of source {} is dropped twice", self.source)
        });
        inside.model.dropped_source(self.source);
    }
}

/// What a result tells. An output is dropped, and a panic of that is the world's own.
pub(crate) fn told(result: Result<Output, JobError>) -> Told {
    match result {
        Ok(output) => {
            let name = output.name;
            dropped(output);
            Told::Output(name)
        }
        Err(JobError::Panicked(panic)) => {
            Told::Panic(panic.message().unwrap_or("without a message").to_owned())
        }
        Err(JobError::Cancelled) => Told::Cancelled,
        Err(error) => Told::Panic(format!("an unknown error: {error}")),
    }
}

/// Drops a value of the user's, and gives what that panics with.
pub(crate) fn dropped<T>(value: T) -> Option<String> {
    caught(|| drop(value)).err()
}

/// Gives what `f` panics with.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    result.map_err(message)
}

pub(crate) fn message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(_) => "a panic that is not the user's".to_owned(),
    }
}
