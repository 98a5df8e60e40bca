"""A page as the crawl keeps it, and the links in its HTML."""

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page; `seconds` is how long its answer took, to the last byte."""

    url: str
    bytes: int
    seconds: float
    links: list[str]


def is_web(url: str) -> bool:
    """Tell whether `url` is a complete http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def find_hrefs(html: str) -> list[str]:
    """Return the targets of the links in `html`, as they are written there."""
    parser = _LinkParser()
    parser.feed(html)
    return parser.hrefs


def resolve(url: str, hrefs: list[str]) -> list[str]:
    """Return the web pages, each once, that `hrefs` at `url` point to on its host."""
    targets = []
    for href in hrefs:
        try:
            target = urlsplit(urljoin(url, href))
        except ValueError:
            continue
        if is_web(target.geturl()) and target.hostname == urlsplit(url).hostname:
            targets.append(target._replace(path=target.path or "/", fragment="").geturl())
    return list(dict.fromkeys(targets))


class _LinkParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.hrefs.append(href)
