"""What the user sees: a line that follows the crawl, and the table at its end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tqdm import tqdm

from aiopool import AioPool
from tally import Counts, Tally


@asynccontextmanager
async def progress(tally: Tally, fetching: AioPool) -> AsyncIterator[None]:
    """Show how far the crawl is: in one live line on a terminal, else in a line now and then."""
    show = _show_live if sys.stderr.isatty() else _print_lines
    task = asyncio.create_task(show(tally, fetching))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _show_live(tally: Tally, fetching: AioPool) -> None:
    with tqdm(bar_format="{desc}  [{elapsed}]", leave=False) as line:
        while True:
            line.set_description_str(_line(tally, fetching))
            await asyncio.sleep(0.1)


async def _print_lines(tally: Tally, fetching: AioPool) -> None:
    while True:
        await asyncio.sleep(2)
        print(_line(tally, fetching), file=sys.stderr)


def _line(tally: Tally, fetching: AioPool) -> str:
    active = fetching.n_active
    return (
        f"fetched {tally.fetched.pages:,}  waiting {len(fetching) - active:,}"
        f"  active {active}  errors {tally.errors.total()}"
    )


def print_table(tally: Tally, stored: Counts, seconds: float, in_flight: str | None) -> None:
    """Print the results; `in_flight` is what the server counted, if the server is ours."""
    rows = {
        "pages": f"{tally.fetched.pages:,}",
        "links": f"{tally.fetched.links:,}",
        "bytes": f"{tally.fetched.bytes:,}",
    }
    rows |= {f"errors: {kind}": f"{tally.errors[kind]:,}" for kind in sorted(tally.errors)}
    rows |= {
        "seconds": f"{seconds:.1f}",
        "pages per second": f"{tally.fetched.pages / seconds:.0f}",
        "latency p50": _percentile(tally.latencies, 0.50),
        "latency p95": _percentile(tally.latencies, 0.95),
    }
    if in_flight:
        rows["most requests in flight, counted by the server"] = in_flight
    rows |= {
        "pages read back from SQLite": f"{stored.pages:,}",
        "links read back from SQLite": f"{stored.links:,}",
        "bytes read back from SQLite": f"{stored.bytes:,}",
    }
    for label, value in rows.items():
        print(f"{label:<46}  {value:>10}")


def _percentile(latencies: list[float], share: float) -> str:
    if not latencies:
        return "-"
    return f"{1000 * sorted(latencies)[int(share * len(latencies))]:.0f} ms"
