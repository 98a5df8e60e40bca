//! The site that the crawl generates.

#![expect(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::sync::Arc;

use aiopool_crawl::Website;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use url::Url;

#[test]
fn it_is_the_one_of_the_python_demo() {
    let website = Website::new(500, -7);
    let pages: String = (0..500).map(|number| website.generate(number).1).collect();
    let digest = Sha256::digest(pages).map(|byte| format!("{byte:02x}"));
    assert_eq!(digest.as_slice().concat(), SITE);
}

#[tokio::test]
async fn it_counts_who_is_there_and_nobody_who_has_left() {
    let website = Arc::new(Website::new(1, 0));
    let start = Arc::clone(&website).serve().await.unwrap();
    for _ in 0..3 {
        let silent = [(); 3].map(|()| ask(&start, "/silent"));
        let clients = join_all(silent).await;
        while website.most_in_flight() < clients.len() {
            yield_now().await;
        }
    }
    let mut answer = String::new();
    let mut client = ask(&start, "/page/0").await;
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(website.most_in_flight(), 3);
}

async fn ask(start: &Url, path: &str) -> TcpStream {
    let address = start.socket_addrs(|| None).unwrap()[0];
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

/// What the test of the Python demo, in `tests/package/test_example_crawl.py`, expects as well.
const SITE: &str = "c17086e8526d9ef2b82e17c4f0586ec2c9d91cfe2b245a0d2990e67f97dcfda1";
