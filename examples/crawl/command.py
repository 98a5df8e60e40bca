"""The command: runs the crawl, prints the table and decides on the exit code."""

import argparse
import asyncio
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from crawler import crawl
from options import parse_options
from report import print_table
from store import count, create, open_store
from tally import Counts, Tally
from website import Website

STORE_SIZE = 4


def main() -> int:
    """Crawl as the command line says and return the exit code."""
    # Ctrl-C is held back until there is a crawl to stop: cancelled while they still open a
    # socket or a file, the libraries would leave it behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    options = parse_options()
    with TemporaryDirectory() as folder:
        return _run(options, options.db or Path(folder, "crawl.db"))


def _run(options: argparse.Namespace, path: Path) -> int:
    create(path)
    website = None if options.url else Website(options.pages, options.seed)
    tally = Tally()
    started = perf_counter()
    try:
        asyncio.run(_crawl(options, path, website, tally))
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    seconds = perf_counter() - started
    stored = count(path)
    in_flight = f"{website.most_in_flight} of {options.size}" if website else None
    print_table(tally, stored, seconds, in_flight)
    if interrupted:
        return 130
    failures = _failures(options.size, website, tally.fetched, stored)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


async def _crawl(
    options: argparse.Namespace, path: Path, website: Website | None, tally: Tally
) -> None:
    async with (
        website.serve() if website else nullcontext(options.url) as start,
        open_store(path, STORE_SIZE) as store,
    ):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        limit = sys.maxsize if website else options.pages
        await crawl(start, store, tally, size=options.size, seconds=options.timeout, limit=limit)


def _failures(size: int, website: Website | None, fetched: Counts, stored: Counts) -> list[str]:
    failures = []
    if website and website.most_in_flight > size:
        failures.append(f"{website.most_in_flight} requests were in flight in a pool of {size}")
    if stored != fetched:
        failures.append(f"fetched {fetched}, but stored {stored}")
    if not fetched.pages:
        failures.append("no page could be fetched")
    return failures
