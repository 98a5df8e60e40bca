//! An axum server and reqwest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use aiopool::Pool;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

const SIZE: usize = 20;
const PAGES: usize = 2_000;

/// How many requests are in flight, and how many have been at most.
#[derive(Default)]
struct Site {
    in_flight: AtomicUsize,
    highest: AtomicUsize,
}

struct InFlight(Arc<Site>);

impl InFlight {
    fn new(site: Arc<Site>) -> Self {
        let in_flight = site.in_flight.fetch_add(1, SeqCst) + 1;
        site.highest.fetch_max(in_flight, SeqCst);
        Self(site)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

async fn serve() -> anyhow::Result<(Arc<Site>, String)> {
    let site = Arc::<Site>::default();
    let page = |State(site): State<Arc<Site>>, Path(page): Path<usize>| async move {
        let _in_flight = InFlight::new(site);
        sleep(Duration::from_millis(1)).await;
        page.to_string()
    };
    let never = |State(site): State<Arc<Site>>| async move {
        let _in_flight = InFlight::new(site);
        std::future::pending::<()>().await;
    };
    let routes = Router::new().route("/page/{page}", get(page));
    let routes = routes.route("/never", get(never)).with_state(site.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((site, url))
}

async fn fetch(client: reqwest::Client, url: String) -> reqwest::Result<String> {
    client
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .text()
        .await
}

fn client() -> anyhow::Result<reqwest::Client> {
    // reqwest wants to know how to encrypt before it is asked to. Both tests may say so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_requests_are_in_flight_than_there_are_slots() -> anyhow::Result<()> {
    let (site, url) = serve().await?;
    let (pool, client) = (Pool::new(SIZE), client()?);
    let pages = pool.itermap(0..PAGES, move |page| {
        fetch(client.clone(), format!("{url}/page/{page}"))
    });
    let mut found = Vec::new();
    for page in pages.collect::<Vec<_>>().await {
        found.push(page??.parse::<usize>()?);
    }
    found.sort_unstable();
    assert!(found.into_iter().eq(0..PAGES));
    assert!(site.highest.load(SeqCst) <= SIZE);
    Ok(())
}

#[tokio::test]
async fn requests_that_are_cancelled_end_on_both_sides() -> anyhow::Result<()> {
    let (site, url) = serve().await?;
    let (pool, client) = (Pool::new(SIZE), client()?);
    let handles = pool.map_n(0..2 * SIZE, move |_| {
        fetch(client.clone(), format!("{url}/never"))
    });
    until(|| site.in_flight.load(SeqCst) == SIZE).await;
    assert_eq!(pool.cancel_all().await, 2 * SIZE);
    until(|| site.in_flight.load(SeqCst) == 0).await;
    for handle in handles {
        assert!(handle.await.is_err_and(|error| error.is_cancelled()));
    }
    Ok(())
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(10)).await;
    }
}
