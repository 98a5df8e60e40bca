//! A tower service behind the pool.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use aiopool::Pool;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_sheds_load_sheds_none_behind_the_pool() {
    const SLOTS: usize = 4;
    let (now, highest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = highest.clone();
    let service = service_fn(move |n: usize| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, SeqCst);
            Ok::<_, Infallible>(2 * n)
        }
    });
    // It has room for one more: who has answered may not be counted off yet when the next one asks.
    let service = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(SLOTS + 1)
        .service(service);
    let pool = Pool::new(SLOTS);
    let results = pool.map(0..2_000, move |n| {
        let mut service = service.clone();
        async move { service.ready().await?.call(n).await }
    });
    for (n, result) in results.await.into_iter().enumerate() {
        let doubled = result
            .expect("no job panics")
            .expect("the service has room");
        assert_eq!(doubled, 2 * n);
    }
    assert!(highest.load(SeqCst) <= SLOTS);
}
