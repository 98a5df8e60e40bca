//! The concurrent streams of `futures-concurrency`.

use std::future::ready;
use std::num::NonZeroUsize;

use futures_concurrency::prelude::*;
use futures_util::stream;

use super::tally::Tally;
use crate::subject::Subject;
use crate::workloads::Work;

/// With `for_each`: `collect` does not heed the limit.
pub(crate) struct Limit;

impl Subject for Limit {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let tally = Tally::default();
        let results = tally.clone();
        stream::iter(0..jobs)
            .co()
            .map(move |n| work.job(n))
            .limit(NonZeroUsize::new(slots))
            .for_each(move |result| {
                results.add(result);
                ready(())
            })
            .await;
        tally.sum()
    }
}
