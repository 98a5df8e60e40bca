//! A library that retries, and sleeps outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use aiopool::Pool;
use backon::{ConstantBuilder, Retryable};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_its_next_try_gives_its_slot_to_others() {
    let (pool, tries) = (Pool::new(1), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let retried = {
        let (pool, tries) = (pool.clone(), tries.clone());
        async move {
            let page = || async {
                match tries.fetch_add(1, SeqCst) {
                    0 | 1 => Err("not yet"),
                    _ => Ok("page"),
                }
            };
            page.retry(ConstantBuilder::default().with_delay(PAUSE))
                .sleep(move |time| pool.outside(sleep(time)))
                .await
        }
    };
    let retried = pool.spawn_n(retried);
    let other = pool.spawn_n(sleep(PAUSE / 2));
    other.await.expect("it has the slot meanwhile");
    assert_eq!((begun.elapsed(), tries.load(SeqCst)), (PAUSE / 2, 1));
    assert_eq!(pool.stats().outside, 1);
    assert_eq!(retried.await.expect("it ends"), Ok("page"));
    assert_eq!((begun.elapsed(), tries.load(SeqCst)), (2 * PAUSE, 3));
}

const PAUSE: Duration = Duration::from_secs(1);
