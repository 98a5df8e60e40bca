//! What a user hands in.

use std::panic::AssertUnwindSafe;

use aiopool::{Job, JobHandle, Pool};
use futures_util::FutureExt;
use tokio_test::task::spawn;

use crate::callers::{Answer, Caller};
use crate::model::{JobId, Name, Part, SourceId};
use crate::program::{Item, Items, Plan, Verb};
use crate::sources::{Order, Source};
use crate::work::{Iter, Output, Uncalled, Work, dropped, message, told};
use crate::world::{Held, Stream, World};

/// Evaluates `$hand_in` with `$work` being the job of a plan, with its callback or without.
macro_rules! with_work {
    ($world:expr, $job:expr, $plan:expr, |$work:ident| $hand_in:expr) => {{
        let (plan, job): (&Plan, JobId) = ($plan, $job);
        let $work = Work::new($world, Name(job, Part::Job), plan.future.clone());
        if let Some(callback) = &plan.callback {
            let uncalled = Uncalled::new($world, job, callback.clone());
            let $work = $work.with_callback(move |result| uncalled.call(result));
            $hand_in
        } else {
            $hand_in
        }
    }};
}

/// Evaluates `$hand_in` with `$iter` and `$function` being the arguments of a map or a stream.
macro_rules! with_items {
    ($world:expr, $source:expr, $items:expr, |$iter:ident, $function:ident| $hand_in:expr) => {{
        let (world, source, items): (World, SourceId, &Items) = ($world.clone(), $source, $items);
        let $iter = Iter::new(&world, source, items);
        if items.called_back {
            let $function = move |item: Item| {
                let plan = item.plan(true);
                let job = world.made_of(source, &plan, item.panics);
                let work = Work::new(&world, Name(job, Part::Job), plan.future);
                let uncalled = Uncalled::new(&world, job, item.callback);
                work.with_callback(move |result| uncalled.call(result))
            };
            $hand_in
        } else {
            let $function = move |item: Item| {
                let plan = item.plan(false);
                let job = world.made_of(source, &plan, item.panics);
                Work::new(&world, Name(job, Part::Job), plan.future)
            };
            $hand_in
        }
    }};
}

impl World {
    pub(crate) fn spawn_n(&self, pool: &Pool, plan: &Plan) {
        let job = self.make(plan);
        with_work!(self, job, plan, |work| {
            self.lock().model.hand_in(job);
            self.hold(job, pool.spawn_n(work));
        });
    }

    pub(crate) fn map_n(&self, pool: &Pool, items: &Items) {
        // A function that panics makes jobs that nobody sees.
        let items_with_jobs = items.list.iter().filter(|item| !item.panics);
        let plans = items_with_jobs.map(|item| item.plan(items.called_back));
        let jobs: Vec<_> = plans.map(|plan| (self.make(&plan), plan)).collect();
        for (job, _) in &jobs {
            self.lock().model.hand_in(*job);
        }
        let ids: Vec<_> = jobs.iter().map(|(job, _)| *job).collect();
        let work =
            |job: JobId, plan: &Plan| Work::new(self, Name(job, Part::Job), plan.future.clone());
        let handles = if items.called_back {
            pool.map_n(jobs, |(job, plan)| {
                let work = work(job, &plan);
                let callback = plan.callback.expect("all have one");
                let uncalled = Uncalled::new(self, job, callback);
                work.with_callback(move |result| uncalled.call(result))
            })
        } else {
            pool.map_n(jobs, |(job, plan)| work(job, &plan))
        };
        for (job, handle) in ids.into_iter().zip(handles) {
            self.hold(job, handle);
        }
    }

    pub(crate) fn spawn(&self, pool: &Pool, plan: &Plan) {
        let job = self.make(plan);
        with_work!(self, job, plan, |work| {
            let (world, spawn) = (self.clone(), pool.spawn(work));
            self.enter(Caller::Spawn(job), async move {
                let handle = spawn.await;
                world.hold(job, handle);
                Answer::Nothing
            });
        });
    }

    pub(crate) fn exec(&self, pool: &Pool, plan: &Plan) {
        let job = self.make(plan);
        with_work!(self, job, plan, |work| {
            let exec = pool.exec(work);
            self.enter(Caller::Exec(job), async move {
                Answer::Result(told(exec.await))
            });
        });
    }

    pub(crate) fn map(&self, pool: &Pool, items: &Items) {
        let source = Source::new(Order::Whole, usize::MAX);
        let source = self.lock().model.make_source(source);
        with_items!(self, source, items, |iter, function| {
            let map = AssertUnwindSafe(pool.map(iter, function)).catch_unwind();
            self.enter(Caller::Map(source), async move {
                match map.await {
                    Ok(results) => Answer::Results(results.into_iter().map(told).collect()),
                    Err(payload) => Answer::Panic(message(payload)),
                }
            });
        });
    }

    pub(crate) fn stream(
        &self,
        pool: &Pool,
        items: &Items,
        ordered: bool,
        ahead: Option<usize>,
    ) -> Stream {
        let order = if ordered {
            Order::Items
        } else {
            Order::Completion
        };
        let source = Source::new(order, ahead.unwrap_or(pool.size()));
        let source = self.lock().model.make_source(source);
        let stream = with_items!(self, source, items, |iter, function| if ordered {
            pool.itermap_ordered(iter, function)
        } else {
            pool.itermap(iter, function)
        });
        let stream = match ahead {
            Some(ahead) => stream.ahead(ahead),
            None => stream,
        };
        Stream {
            source,
            results: spawn(stream),
            awaited: false,
        }
    }

    pub(crate) fn drop_unpolled(&self, pool: &Pool, verb: Verb, items: &Items) {
        match (verb, items.list.first()) {
            (Verb::Spawn, Some(item)) => {
                let plan = item.plan(items.called_back);
                let job = self.make(&plan);
                with_work!(self, job, &plan, |work| dropped(pool.spawn(work)));
            }
            (Verb::Exec, Some(item)) => {
                let plan = item.plan(items.called_back);
                let job = self.make(&plan);
                with_work!(self, job, &plan, |work| dropped(pool.exec(work)));
            }
            (Verb::Map, _) => {
                let source = Source::new(Order::Whole, usize::MAX);
                let source = self.lock().model.make_source(source);
                with_items!(self, source, items, |iter, function| {
                    let map = pool.map(iter, function);
                    self.lock().model.abandon(source);
                    drop(map);
                });
            }
            (Verb::Stream, _) => {
                let stream = self.stream(pool, items, items.panics, None);
                self.lock().model.abandon(stream.source);
                drop(stream);
            }
            (Verb::Join, _) => drop(pool.join()),
            (Verb::CancelAll, _) => drop(pool.cancel_all()),
            (Verb::Spawn | Verb::Exec, None) => {}
        }
    }

    fn make(&self, plan: &Plan) -> JobId {
        self.lock().model.make(plan)
    }

    fn hold(&self, job: JobId, handle: JobHandle<Output>) {
        let handle = spawn(handle);
        let awaited = false;
        self.lock().handles.push(Held {
            job,
            handle,
            awaited,
        });
    }

    /// What the function of a map or a stream does with an item.
    fn made_of(&self, source: SourceId, plan: &Plan, panics: bool) -> JobId {
        // Its job is not the user's, who cannot see when it is run; with one slot, at once.
        let panics = panics && self.lock().model.size == 1;
        let panic = panics.then(|| format!("the function of source {source} is called"));
        let job = self.lock().model.made_item(source, plan, panic.as_ref());
        self.panic(panic);
        job
    }
}
