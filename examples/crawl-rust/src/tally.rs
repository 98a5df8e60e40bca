//! What is counted during a crawl.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::page::Page;

/// How much of a site was fetched, or is stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pages: u64,
    pub(crate) links: u64,
    pub(crate) bytes: u64,
}

/// What the crawl has met so far.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) fetched: Counts,
    pub(crate) durations: Vec<Duration>,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a fetched page in.
    pub(crate) fn add(&mut self, page: &Page) {
        self.fetched.pages += 1;
        self.fetched.links += page.links.len() as u64;
        self.fetched.bytes += page.bytes as u64;
        self.durations.push(page.duration);
    }

    /// Counts an error of this kind in.
    pub(crate) fn note(&mut self, kind: String) {
        *self.errors.entry(kind).or_default() += 1;
    }
}
