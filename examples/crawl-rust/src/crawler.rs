//! The crawl: one pool fetches the pages, another stores them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aiopool::{Job, JobError, Pool};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use rustls::crypto::ring;
use tokio::select;
use url::Url;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use crate::page::{Page, find_hrefs, resolve};
use crate::report::progress;
use crate::store::Store;
use crate::tally::Tally;

/// How much a crawl may do.
pub(crate) struct Limits {
    /// Requests at a time.
    pub(crate) size: usize,
    /// After which a request is given up.
    pub(crate) timeout: Duration,
    /// URLs to try.
    pub(crate) urls: usize,
}

/// Stores what can be reached from `start`, until that is all or `stop` is ready.
///
/// Tells whether it was stopped.
pub(crate) async fn crawl(
    start: &Url,
    store: Store,
    tally: Arc<Mutex<Tally>>,
    limits: Limits,
    stop: impl Future,
) -> reqwest::Result<bool> {
    let crawler = Arc::new(Crawler {
        client: client(limits.timeout)?,
        fetching: Pool::new(limits.size),
        storing: Pool::new(store.size()),
        store: Arc::new(store),
        tally,
        limit: limits.urls,
        seen: Mutex::default(),
    });
    crawler.follow(resolve(start, &[start.to_string()]));
    select! {
        stopped = crawler.finish(stop) => Ok(stopped),
        never = progress(&crawler.tally, &crawler.fetching) => match never {},
    }
}

struct Crawler {
    client: Client,
    fetching: Pool,
    storing: Pool,
    store: Arc<Store>,
    tally: Arc<Mutex<Tally>>,
    limit: usize,
    seen: Mutex<HashSet<Url>>,
}

impl Crawler {
    fn follow(self: &Arc<Self>, urls: Vec<Url>) {
        for url in self.unseen(urls) {
            let crawler = Arc::clone(self);
            let job = Arc::clone(self).fetch(url);
            let job = job.with_callback(|page| crawler.fetched(page));
            // Nobody waits for it: the callback sees to its page.
            self.fetching.spawn_n(job);
        }
    }

    fn unseen(&self, mut urls: Vec<Url>) -> Vec<Url> {
        let mut seen = self.seen.lock().expect("nothing panics under this lock");
        urls.retain(|url| seen.len() < self.limit && seen.insert(url.clone()));
        urls
    }

    async fn fetch(self: Arc<Self>, url: Url) -> anyhow::Result<Page> {
        let started = Instant::now();
        let request = self.client.get(url.clone());
        let response = request.send().await?.error_for_status()?;
        let mut hrefs = locations(response.headers());
        let is_html = is_html(response.headers());
        let body = response.bytes().await?;
        let duration = started.elapsed();
        if is_html {
            hrefs.extend(find_hrefs(&body));
        }
        let links = resolve(&url, &hrefs);
        self.follow(links.clone());
        Ok(Page {
            url,
            bytes: body.len(),
            duration,
            links,
        })
    }

    async fn fetched(self: Arc<Self>, page: Result<anyhow::Result<Page>, JobError>) {
        match flatten(page) {
            Ok(page) => {
                self.tally().add(&page);
                let crawler = Arc::clone(&self);
                let job = Arc::clone(&self.store).save(page);
                let job = job.with_callback(async move |saved| crawler.stored(saved));
                // Waits for a slot there, so a slow database slows the fetching down.
                self.storing.spawn(job).await;
            }
            Err(error) => self.tally().note(kind(&error)),
        }
    }

    fn stored(&self, saved: Result<anyhow::Result<()>, JobError>) {
        if let Err(error) = flatten(saved) {
            self.tally().note(kind(&error));
        }
    }

    async fn finish(&self, stop: impl Future) -> bool {
        let stopped = select! {
            () = self.fetching.join() => false,
            _ = stop => {
                self.fetching.cancel_all().await;
                true
            }
        };
        // What the one has fetched, the other still stores.
        self.storing.join().await;
        stopped
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("nothing panics under this lock")
    }
}

fn client(timeout: Duration) -> reqwest::Result<Client> {
    // The provider that needs nothing but a C compiler to be built.
    let _ = ring::default_provider().install_default();
    // A machine need not have certificates of its own to crawl its loopback.
    let roots = TLS_SERVER_ROOT_CERTS.iter();
    Client::builder()
        .user_agent(env!("CARGO_PKG_NAME"))
        .tls_certs_merge(roots.filter_map(|root| Certificate::from_der(root).ok()))
        .no_proxy()
        // A redirect may lead to any host, so it is taken for a link instead.
        .redirect(Policy::none())
        .timeout(timeout)
        .build()
}

fn locations(headers: &HeaderMap) -> Vec<String> {
    let locations = headers.get_all(LOCATION).iter();
    locations
        .map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned())
        .collect()
}

fn is_html(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

fn flatten<T>(result: Result<anyhow::Result<T>, JobError>) -> anyhow::Result<T> {
    result?
}

fn kind(error: &anyhow::Error) -> String {
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return match error.status() {
            Some(status) => status.as_u16().to_string(),
            None if error.is_timeout() => "timeout".to_owned(),
            None => "connection".to_owned(),
        };
    }
    let kind = match error.downcast_ref() {
        Some(JobError::Cancelled) => "cancelled",
        Some(JobError::Panicked(_)) => "panic",
        _ if error.is::<rusqlite::Error>() => "database",
        _ => "other",
    };
    kind.to_owned()
}
