"""A line that tells how a pool is: python examples/limits/dashboard.py.

`stats()` is one snapshot of plain numbers, cheap enough to be taken at any time. The seconds are
counted for pools that have an observer, which is told of each event.
"""

import asyncio
from collections import Counter

from aiopool import AioPool, Event, Rate, Stats


def line(now: Stats) -> str:
    waits = (now.wait_seconds or 0.0) / (now.started or 1)
    held_by = f", held by {now.held_by}" if now.held_by else ""
    return (
        f"{now.active}/{now.size} active, {now.waiting:2} waiting ({now.parked} parked), "
        f"{now.succeeded:2} succeeded, {now.failed} failed, {waits:.2f} s a wait{held_by}"
    )


async def query(number: int) -> int:
    await asyncio.sleep(0.05)
    if number % 10 == 7:
        raise ValueError(f"query {number} is no good")
    return number


async def main() -> tuple[Stats, Counter[str]]:
    failed = Counter[str]()

    def observe(event: Event) -> None:
        if event.kind == "finished" and event.outcome == "failed":
            failed[f"table {event.key}"] += 1

    pool = AioPool(8, rate=Rate(20, per=1.0), per_key=2, observer=observe)
    by_table = pool.options(key=lambda number: number % 3, name=lambda number: f"query {number}")

    async def show() -> None:
        while True:
            print(line(pool.stats()))
            await asyncio.sleep(0.1)

    async with pool:
        showing = asyncio.create_task(show())
        queries = by_table.map_n(query, range(30))
        await asyncio.wait(queries)
        showing.cancel()
    for future in queries:
        future.exception()  # read, so that nobody reports it
    print(line(pool.stats()))
    print("failed by table:", dict(failed))
    return pool.stats(), failed


if __name__ == "__main__":
    asyncio.run(main())
