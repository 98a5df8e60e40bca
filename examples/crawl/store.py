"""The SQLite file that keeps the pages and their links."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import aiosqlite

from page import Page
from tally import Counts

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE page (url TEXT PRIMARY KEY, bytes INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE TABLE link (source TEXT NOT NULL REFERENCES page, target TEXT NOT NULL);
"""


def create(path: Path) -> None:
    """Create the tables in the file at `path`."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)


def count(path: Path) -> Counts:
    """Read back how much is stored in the file at `path`."""
    with closing(sqlite3.connect(path)) as connection:
        pages, size = connection.execute("SELECT count(*), total(bytes) FROM page").fetchone()
        (links,) = connection.execute("SELECT count(*) FROM link").fetchone()
    return Counts(pages, links, int(size))


class Store:
    """Saves pages, `size` at a time at most: each needs a connection of its own meanwhile."""

    def __init__(self, connections: list[aiosqlite.Connection]) -> None:
        self.size = len(connections)
        self._idle = connections

    async def save(self, page: Page) -> None:
        """Store a page with its links, wholly or not at all."""
        connection = self._idle.pop()
        try:
            await connection.execute(
                "INSERT INTO page VALUES (?, ?, ?)", (page.url, page.bytes, page.seconds)
            )
            await connection.executemany(
                "INSERT INTO link VALUES (?, ?)", [(page.url, target) for target in page.links]
            )
            await connection.commit()
        except BaseException:
            await connection.rollback()
            raise
        finally:
            self._idle.append(connection)


@asynccontextmanager
async def open_store(path: Path, size: int) -> AsyncIterator[Store]:
    """Open the file at `path` to save `size` pages at a time."""
    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(size):
            connection = await stack.enter_async_context(aiosqlite.connect(path))
            await connection.execute("PRAGMA synchronous = NORMAL")
            connections.append(connection)
        yield Store(connections)
