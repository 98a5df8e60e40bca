//! The options of the command line, checked.

use std::fs::File;
use std::path::PathBuf;
use std::process::exit;
use std::time::Duration;

use clap::Parser;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind::DisplayHelp;
use url::Url;

use crate::page::is_web;

/// What the user asks for.
#[derive(Parser)]
#[command(name = "crawl", about = ABOUT, after_help = EXIT_CODES)]
#[command(allow_negative_numbers = true, args_override_self = true)]
pub(crate) struct Options {
    /// Pages of the generated site, broken ones not counted; with --url, the number of URLs to
    /// stop at
    #[arg(long, value_name = "N", default_value = "3000", value_parser = whole(1, 1_000_000))]
    pub(crate) pages: usize,

    /// Any whole number; the same one gives the same site
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: i128,

    /// Size of the pool that fetches: requests at a time, 1 to 400
    #[arg(long, value_name = "N", default_value = "20", value_parser = whole(1, 400))]
    pub(crate) size: usize,

    /// Time after which a request is given up
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Http or https page to start at; only links to its host are followed [default: the first
    /// page of the generated site]
    #[arg(long, value_parser = web_url)]
    pub(crate) url: Option<Url>,

    #[arg(long, value_name = "PATH", help = DB)]
    pub(crate) db: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; a bad option ends the program with one line and exit code 2.
    pub(crate) fn read() -> Self {
        let options = Self::try_parse().unwrap_or_else(|error| {
            if error.kind() == DisplayHelp {
                error.exit();
            }
            // The usage and the hints that follow are in --help.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            fail(line.trim_start_matches("error: "))
        });
        if let Some(path) = &options.db
            && let Err(error) = File::create_new(path)
        {
            let path = path.display();
            fail(&format!("cannot create {path} for --db: {error}"));
        }
        options
    }
}

fn fail(message: &str) -> ! {
    eprintln!("crawl: {message}");
    exit(2)
}

fn whole(least: usize, most: usize) -> impl TypedValueParser<Value = usize> {
    move |text: &str| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("not a whole number, {least} to {most}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        // A time that no clock can hold is as good as none.
        Ok(seconds) if 0.0 < seconds && seconds < f64::INFINITY => {
            Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        }
        _ => Err("not a number of seconds above 0".to_owned()),
    }
}

fn web_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if is_web(&url) => Ok(url),
        _ => Err("not an http or https URL".to_owned()),
    }
}

const ABOUT: &str = "\
Crawl a web site with one pool that fetches pages and one that stores them in SQLite. Without \
--url the site is generated, and served on loopback.";

const DB: &str = "SQLite file to create and keep [default: a temporary one]";

const EXIT_CODES: &str = "\
Exit code: 0 if the server never counted more requests in flight than --size and every fetched \
page is in the database, 1 if not, 2 for a bad option, 130 after Ctrl-C.";
