"""What is counted during a crawl."""

from collections import Counter
from dataclasses import dataclass, field

from page import Page


@dataclass(slots=True)
class Counts:
    """How much of a site was fetched, or is stored."""

    pages: int = 0
    links: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Tally:
    """What the crawl has met so far."""

    fetched: Counts = field(default_factory=Counts)
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, page: Page) -> None:
        """Count a fetched page in."""
        self.fetched.pages += 1
        self.fetched.links += len(page.links)
        self.fetched.bytes += page.bytes
        self.latencies.append(page.seconds)
