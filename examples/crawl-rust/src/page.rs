//! A page as the crawl keeps it, and the links in its HTML.

use std::collections::HashSet;
use std::time::Duration;

use html5gum::{Token, Tokenizer};
use url::Url;

/// A fetched page; `duration` is how long its answer took, to the last byte.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) bytes: usize,
    pub(crate) duration: Duration,
    pub(crate) links: Vec<Url>,
}

/// Tells whether this is an http or https URL that a page can be asked of.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.port() != Some(0)
}

/// The targets of the links in `html`, as they are written there.
pub(crate) fn find_hrefs(html: &[u8]) -> Vec<String> {
    Tokenizer::new(html)
        .filter_map(|Ok(token)| match token {
            Token::StartTag(mut tag) if *tag.name == b"a" => tag.attributes.remove(HREF),
            _ => None,
        })
        .map(|href| String::from_utf8_lossy(&href).into_owned())
        .collect()
}

/// The web pages, each once, that `hrefs` at `url` point to on its host.
pub(crate) fn resolve(url: &Url, hrefs: &[String]) -> Vec<Url> {
    let mut seen = HashSet::new();
    hrefs
        .iter()
        .filter(|href| !href.is_empty())
        .filter_map(|href| url.join(href).ok())
        .filter(|target| is_web(target) && target.host() == url.host())
        .map(|mut target| {
            target.set_fragment(None);
            target
        })
        .filter(|target| seen.insert(target.clone()))
        .collect()
}

const HREF: &[u8] = b"href";
