//! This project's pool with its own limits.

use std::time::Instant;

use aiopool::{Event, Job, JobHandle, Pool, Rate};

use crate::subject::{Keyed, Leveled, Limit, Rated};

/// As many starts in any window, or as a full bucket holds.
pub(crate) struct WithRate<const BUCKET: bool>(Handles);

/// One job of each key at a time.
pub(crate) struct WithKeys(Handles);

/// Jobs with priorities.
#[derive(Clone)]
pub(crate) struct WithPriorities(Pool);

struct Handles {
    pool: Pool,
    handles: Vec<JobHandle<usize>>,
}

impl<const BUCKET: bool> Rated for WithRate<BUCKET> {
    fn new(slots: usize, limit: Option<Limit>) -> Self {
        let rate = limit.map(rate::<BUCKET>);
        Self(Handles::of(Pool::builder(slots).rate(rate).build()))
    }

    fn observed(
        slots: usize,
        limit: Limit,
        started: impl Fn(Instant) + Send + Sync + 'static,
    ) -> Self {
        let pool = Pool::builder(slots).rate(rate::<BUCKET>(limit));
        let pool = pool.observer(move |event| {
            if let Event::Started { at, .. } = event {
                started(at.into_std());
            }
        });
        Self(Handles::of(pool.build()))
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        self.0.handles.push(self.0.pool.spawn_n(job));
    }

    async fn sum(self) -> usize {
        self.0.sum().await
    }
}

impl Keyed for WithKeys {
    fn new(slots: usize, keys: bool) -> Self {
        let pool = Pool::builder(slots);
        let pool = if keys { pool.per_key(1) } else { pool };
        Self(Handles::of(pool.build()))
    }

    fn queue(&mut self, key: Option<u64>, job: impl Future<Output = usize> + Send + 'static) {
        let handle = match key {
            None => self.0.pool.spawn_n(job),
            Some(key) => self.0.pool.spawn_n(job.key(key)),
        };
        self.0.handles.push(handle);
    }

    async fn sum(self) -> usize {
        self.0.sum().await
    }
}

impl Leveled for WithPriorities {
    fn new() -> Self {
        Self(Pool::new(1))
    }

    fn queue(&self, level: i8, job: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn_n(job.priority(level));
    }

    async fn join(self) {
        self.0.join().await;
    }
}

impl Handles {
    fn of(pool: Pool) -> Self {
        Self {
            pool,
            handles: Vec::new(),
        }
    }

    async fn sum(self) -> usize {
        let mut sum = 0;
        for handle in self.handles {
            // A job that failed is missed in the sum.
            sum += handle.await.unwrap_or(0);
        }
        sum
    }
}

fn rate<const BUCKET: bool>(Limit { starts, per }: Limit) -> Rate {
    let rate = Rate::new(starts.get(), per);
    if BUCKET {
        rate.burst(starts.get())
    } else {
        rate
    }
}
