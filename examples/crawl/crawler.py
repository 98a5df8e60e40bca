"""The crawl: one pool fetches the pages, another stores them."""

import asyncio
import sqlite3
from dataclasses import dataclass, field
from time import perf_counter

import aiohttp

from aiopool import AioPool
from page import Page, find_hrefs, resolve
from report import progress
from store import Store
from tally import Tally

JobError = tuple[BaseException, str]


async def crawl(
    start: str, store: Store, tally: Tally, *, size: int, seconds: float, limit: int
) -> None:
    """Store what can be reached from `start`, trying `limit` URLs at most.

    `size` requests are made at a time; each is given up after so many `seconds`.
    """
    fetching, storing = AioPool(size), AioPool(store.size)
    async with (
        aiohttp.ClientSession(
            # No limit of its own: the pool alone is to bound the requests.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as session,
        progress(tally, fetching),
        # Joined from the last to the first: what the one has fetched, the other still stores.
        storing,
        fetching,
    ):
        crawler = _Crawler(session, store, fetching, storing, tally, limit)
        crawler.follow(resolve(start, [start]))


@dataclass
class _Crawler:
    session: aiohttp.ClientSession
    store: Store
    fetching: AioPool
    storing: AioPool
    tally: Tally
    limit: int
    seen: set[str] = field(default_factory=set)

    def follow(self, urls: list[str]) -> None:
        for url in urls:
            if url not in self.seen and len(self.seen) < self.limit:
                self.seen.add(url)
                self.fetching.spawn_n(self._fetch(url), cb=self._fetched)

    async def _fetch(self, url: str) -> Page:
        started = perf_counter()
        # The session would follow a redirect to any host, so it is taken for a link instead.
        async with self.session.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            body = await response.read()
            seconds = perf_counter() - started
            hrefs = response.headers.getall("Location", [])
            if response.content_type == "text/html":
                hrefs += find_hrefs(await response.text(errors="replace"))
        page = Page(url, len(body), seconds, resolve(url, hrefs))
        self.follow(page.links)
        return page

    async def _fetched(self, page: Page | None, error: JobError | None) -> None:
        self._note(error)
        if page:
            self.tally.add(page)
            # Waits for a slot there, so a slow database slows the fetching down.
            await self.storing.spawn(self.store.save(page), cb=self._stored)

    async def _stored(self, _: None, error: JobError | None) -> None:
        self._note(error)

    def _note(self, error: JobError | None) -> None:
        if error:
            self.tally.errors[_kind(error[0])] += 1


def _kind(error: BaseException) -> str:
    match error:
        case aiohttp.ClientResponseError():
            return str(error.status)
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectionError():
            return "connection"
        case sqlite3.Error():
            return "database"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return type(error).__name__
