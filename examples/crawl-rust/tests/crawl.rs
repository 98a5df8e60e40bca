//! The example, run small, as its users run it.

#![cfg(unix)] // Ctrl-C is sent with `kill`.
#![expect(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::BTreeMap;
use std::env::current_exe;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header::LOCATION};
use axum::response::Html;
use axum::routing::get;
use rusqlite::Connection;
use tempfile::tempdir;
use tokio::task::spawn_blocking;

#[test]
fn the_table_agrees_with_the_database() {
    let folder = tempdir().unwrap();
    let db = &folder.path().join("crawl.db");
    let ended = run(crawl(["--pages=60", "--size=5", "--timeout=2"])
        .arg("--db")
        .arg(db));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let table = table(&ended.output);
    assert_eq!(fetched(&table), read_back(&table));
    assert_eq!(fetched(&table), stored(db));
    assert_ne!(table["pages"], "0");
    for kind in ["404", "500", "connection", "timeout"] {
        assert!(table.contains_key(&format!("errors: {kind}")), "{table:?}");
    }
    let in_flight = &table["most requests in flight, counted by the server"];
    assert!((1..=5).any(|most| *in_flight == format!("{most} of 5")));
}

#[test]
fn ctrl_c_keeps_what_is_stored() {
    let folder = tempdir().unwrap();
    let db = &folder.path().join("crawl.db");
    let mut process = start(crawl(["--pages=20000", "--db"]).arg(db));
    let mut progress = BufReader::new(process.stderr.as_mut().unwrap());
    progress.read_line(&mut String::new()).unwrap();
    let ended = interrupt(process);
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(read_back(&table(&ended.output)), stored(db));
    assert_ne!(stored(db)[0], 0);
}

#[test]
fn ctrl_c_at_the_very_start() {
    let folder = tempdir().unwrap();
    let db = &folder.path().join("crawl.db");
    let process = start(crawl(["--pages=20000", "--db"]).arg(db));
    while !db.exists() {
        sleep(Duration::from_millis(1));
    }
    let ended = interrupt(process);
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(read_back(&table(&ended.output)), stored(db));
}

#[tokio::test]
async fn another_site_is_crawled_on_its_host_only() {
    let first = "<a href=a>a</a> <a href=/b#top>b</a> <a href=mailto:x>x</a>";
    let second = "<a href=b>b</a> <a href=http://elsewhere.invalid/>elsewhere</a>";
    let third = "<a href='http://['>broken</a> <a href=moved>moved</a>";
    let app = Router::new()
        .route("/", get(Html(first)))
        .route("/a", get(Html(second)))
        .route("/b", get(Html(third)))
        .route("/moved", get((StatusCode::FOUND, [(LOCATION, "/a")])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());

    let ended = spawn_blocking(move || run(&mut crawl(["--url", &url])));
    let ended = ended.await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let table = table(&ended.output);
    assert_eq!(fetched(&table)[..2], [4, 5]);
    assert!(!ended.output.contains("errors"), "{table:?}");
}

#[test]
fn a_site_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let ended = run(&mut crawl(["--url", &url]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(table(&ended.output)["errors: connection"], "1");
    assert_eq!(ended.errors, "FAILED: no page could be fetched\n");
}

#[test]
fn a_file_that_exists_is_left_as_it_is() {
    let folder = tempdir().unwrap();
    let db = &folder.path().join("crawl.db");
    fs::write(db, "mine").unwrap();
    assert_eq!(run(crawl(["--db"]).arg(db)).code, Some(2));
    assert_eq!(fs::read(db).unwrap(), b"mine");
}

#[test]
fn a_bad_option_is_told_in_one_line() {
    for options in [
        &["--size", "0"],
        &["--size", "many"],
        &["--pages", "-1"],
        &["--seed", "x"],
        &["--timeout", "0"],
        &["--timeout", "nan"],
        &["--url", "ftp://127.0.0.1/"],
        &["--url", "http://127.0.0.1:99999/"],
        &["--url", "127.0.0.1"],
        &["--db", "no/such/folder/crawl.db"],
        &["--db", "."],
        &["--unknown"][..],
    ] {
        let ended = run(&mut crawl(options.iter().copied()));
        assert_eq!(ended.code, Some(2), "{options:?}");
        assert_eq!(ended.output, "");
        assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
        assert!(ended.errors.starts_with("crawl: "), "{}", ended.errors);
        assert!(ended.errors.contains(options[0]), "{}", ended.errors);
    }
}

struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// The example, which `cargo test` builds unless it is asked for certain targets only.
fn crawl<'a>(options: impl IntoIterator<Item = &'a str>) -> Command {
    let test = current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/crawl");
    let mut command = Command::new(example);
    command
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start(command: &mut Command) -> Child {
    let process = command.spawn();
    process.expect("`cargo build -p aiopool-crawl --example crawl` makes it")
}

fn run(command: &mut Command) -> Ended {
    wait(start(command))
}

fn interrupt(process: Child) -> Ended {
    let mut kill = Command::new("kill");
    let sent = kill.args(["-INT", &process.id().to_string()]).status();
    assert!(sent.unwrap().success());
    wait(process)
}

fn wait(process: Child) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = process.wait_with_output().unwrap();
    Ended {
        code: status.code(),
        output: String::from_utf8(stdout).unwrap(),
        errors: String::from_utf8(stderr).unwrap(),
    }
}

fn table(output: &str) -> BTreeMap<String, String> {
    let rows = output.lines().map(|line| line.split_once("  ").unwrap());
    rows.map(|(label, value)| (label.to_owned(), value.trim().replace(',', "")))
        .collect()
}

fn fetched(table: &BTreeMap<String, String>) -> [u64; 3] {
    ["pages", "links", "bytes"].map(|label| table[label].parse().unwrap())
}

fn read_back(table: &BTreeMap<String, String>) -> [u64; 3] {
    ["pages", "links", "bytes"].map(|name| {
        table[&format!("{name} read back from SQLite")]
            .parse()
            .unwrap()
    })
}

fn stored(db: &Path) -> [u64; 3] {
    let connection = Connection::open(db).unwrap();
    let count = |query| connection.query_one(query, [], |row| row.get(0)).unwrap();
    [
        count("SELECT count(*) FROM page"),
        count("SELECT count(*) FROM link"),
        count("SELECT coalesce(sum(bytes), 0) FROM page"),
    ]
}
