//! Rates, keys and pauses: a crawler that makes 20 requests at once and then 10 a second, at most 3 at
//! a time to one host. A host that answers 429 gets no request for the seconds that it asks for; the
//! other hosts do.
//!
//! `cargo run --example polite_crawler`

#![expect(clippy::unwrap_used, reason = "what is not expected ends the program")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::{Job, Pool, Rate};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

#[tokio::main]
async fn main() -> io::Result<()> {
    for host in run().await? {
        let (requests, most) = (host.requests.len(), host.most_in_flight);
        println!("{requests} requests to a host, at most {most} at a time");
    }
    Ok(())
}

/// Crawls three hosts, of which the first is busy. Gives what they have seen.
pub(crate) async fn run() -> io::Result<Vec<Host>> {
    let rate = Rate::new(10, Duration::from_secs(1)).burst(20);
    let pool = Pool::builder(20).rate(rate).per_key(3).build();
    let hosts: [Arc<Mutex<Host>>; 3] = Default::default();
    let begun = Instant::now();
    for (number, host) in hosts.iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(serve(listener, host.clone(), number == 0));
        for page in 0..12 {
            visit(&pool, begun, address.clone(), page);
        }
    }
    pool.join().await;
    Ok(hosts.map(|host| host.lock().unwrap().clone()).into())
}

fn visit(pool: &Pool, begun: Instant, host: String, page: u32) {
    let (crawl, key) = (pool.clone(), host.clone());
    let job = async move {
        let answer = get(&host, page).await.unwrap();
        let (seconds, status) = (begun.elapsed().as_secs_f32(), &answer[9..12]);
        println!("{seconds:4.1} s  {status}  {host}/{page}");
        if let Some((_, seconds)) = answer.split_once("retry-after: ") {
            let seconds = seconds.trim().parse().unwrap();
            crawl.pause_key(&host, Some(Duration::from_secs(seconds)));
            visit(&crawl, begun, host, page);
        }
    };
    pool.spawn_n(job.key(key));
}

async fn get(host: &str, page: u32) -> io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET /{page} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// What a host has seen: when requests came, and how many there were at a time.
#[derive(Clone, Default)]
pub(crate) struct Host {
    pub(crate) requests: Vec<Instant>,
    pub(crate) most_in_flight: usize,
    in_flight: usize,
}

/// Answers each request after 100 ms; a busy host answers its fifth with 429.
async fn serve(listener: TcpListener, host: Arc<Mutex<Host>>, is_busy: bool) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let host = host.clone();
        tokio::spawn(async move {
            let mut request = BufReader::new(&mut stream).lines();
            while request
                .next_line()
                .await?
                .is_some_and(|line| !line.is_empty())
            {}
            let number = host.lock().unwrap().arrives();
            sleep(Duration::from_millis(100)).await;
            host.lock().unwrap().in_flight -= 1;
            let answer: &[u8] = match number {
                5 if is_busy => b"HTTP/1.0 429 Too Many Requests\r\nretry-after: 1\r\n\r\n",
                _ => b"HTTP/1.0 200 OK\r\n\r\na page",
            };
            stream.write_all(answer).await
        });
    }
}

impl Host {
    /// Counts a request, and gives its number.
    fn arrives(&mut self) -> usize {
        self.requests.push(Instant::now());
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        self.requests.len()
    }
}
