//! What the example `crawl` does: the crawl of `examples/crawl`, with the Tokio face.
//!
//! One pool fetches the pages, another stores them. `command.rs` puts the parts together.

mod chance;
mod command;
mod crawler;
mod options;
mod page;
mod report;
mod store;
mod tally;
mod website;

pub use command::run;
pub use website::Website;

/// The Rust in a page of the documentation, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/limits.md")]
struct Limits;
