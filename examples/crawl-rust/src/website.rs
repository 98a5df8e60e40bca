//! A generated web site, served on loopback, that counts its requests in flight.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::sleep;
use url::Url;

use crate::chance::Chance;

/// A site of linked pages, the same for the same seed, with a few broken links among them.
pub struct Website {
    pages: usize,
    seed: i128,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Website {
    /// The site with `pages` pages that `seed` gives.
    #[must_use]
    pub fn new(pages: usize, seed: i128) -> Self {
        Self {
            pages,
            seed,
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    /// How many requests were in flight at a time, at most.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(SeqCst)
    }

    /// Serves the site on a free port while the runtime lives; gives the URL of its first page.
    pub async fn serve(self: Arc<Self>) -> anyhow::Result<Url> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/page/{number}", get(page))
            .route("/broken/{number}", get(StatusCode::INTERNAL_SERVER_ERROR))
            .route("/hangup/{number}", get(hang_up))
            .route("/silent", get(pending::<()>))
            .layer(from_fn_with_state(Arc::clone(&self), count))
            .with_state(self);
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(Url::parse(&format!("http://{address}/page/0"))?)
    }

    /// How long the answer with page `number` takes, and its HTML.
    pub fn generate(&self, number: usize) -> (Duration, String) {
        let mut chance = Chance::new(format!("{}/{number}", self.seed));
        let slow = chance.share() < 0.02;
        let share = chance.share();
        let seconds = if slow {
            0.4 + 0.6 * share
        } else {
            -0.04 * (1.0 - share).ln()
        };
        let text = (0..50 + chance.below(451))
            .map(|_| WORDS[chance.below(WORDS.len())])
            .collect::<Vec<_>>()
            .join(" ");
        let anchors = self
            .links(number, &mut chance)
            .iter()
            .map(|link| format!(r#"<a href="{link}">{link}</a>"#))
            .collect::<Vec<_>>()
            .join(" ");
        let html = format!("<!doctype html><title>Page {number}</title><p>{text}</p>{anchors}");
        (Duration::from_secs_f64(seconds), html)
    }

    fn links(&self, number: usize, chance: &mut Chance) -> Vec<String> {
        let children = 4 * number + 1..self.pages.min(4 * number + 5);
        let others = (0..6).map(|_| chance.below(self.pages));
        let mut links: Vec<_> = children
            .chain(others)
            .map(|other| format!("/page/{other}"))
            .collect();
        if number == 0 {
            links.push("/silent".to_owned());
        }
        if number.is_multiple_of(60) {
            links.push(format!("/page/{}", self.pages + number));
        }
        if number.is_multiple_of(100) {
            links.push(format!("/broken/{number}"));
        }
        if number.is_multiple_of(400) {
            links.push(format!("/hangup/{number}"));
        }
        links
    }
}

async fn count(State(website): State<Arc<Website>>, request: Request, next: Next) -> Response {
    // Those who left before it arrived are heard of first.
    yield_now().await;
    let _in_flight = InFlight::new(website);
    next.run(request).await
}

async fn page(
    State(website): State<Arc<Website>>,
    Path(number): Path<usize>,
) -> Result<Html<String>, StatusCode> {
    if number >= website.pages {
        return Err(StatusCode::NOT_FOUND);
    }
    let (duration, html) = website.generate(number);
    sleep(duration).await;
    Ok(Html(html))
}

/// Fails before the first byte is sent, which takes the connection down.
async fn hang_up() -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("hung up"))]))
}

/// A request is in flight until its answer is at hand, or its client has left.
struct InFlight(Arc<Website>);

impl InFlight {
    fn new(website: Arc<Website>) -> Self {
        let in_flight = website.in_flight.fetch_add(1, SeqCst) + 1;
        website.most_in_flight.fetch_max(in_flight, SeqCst);
        Self(website)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

const WORDS: [&str; 10] = [
    "bay", "cloud", "dune", "elm", "fern", "gorge", "heath", "isle", "marsh", "oak",
];
