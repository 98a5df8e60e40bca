"""Our pool with its own limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiopool
from aiopool import Event
from asyncio_pool import AioPool
from subjects.limited import HandIn, Limited, Rate
from subjects.subject import Job


@asynccontextmanager
async def opened(
    slots: int, rate: Rate | None, started: Any, *, bucket: bool = False, **how: Any
) -> AsyncIterator[HandIn]:
    def observe(event: Event) -> None:
        if event.kind == "started":
            started()

    burst = rate.limit if rate and bucket else None
    limit = aiopool.Rate(rate.limit, rate.per, burst=burst) if rate else None
    async with AioPool(slots, rate=limit, observer=observe if started else None, **how) as pool:
        yield lambda job, item: pool.spawn_n(job(item))


async def spawn_n(job: Job, items: range, slots: int, keys: int | None) -> None:
    """A view with the key for each job."""
    async with _pool(slots, keys) as pool:
        if keys is None:
            for item in items:
                pool.spawn_n(job(item))
        else:
            for item in items:
                pool.options(key=item % keys).spawn_n(job(item))


async def map_n(job: Job, items: range, slots: int, keys: int | None) -> None:
    async with _pool(slots, keys) as pool:
        _verbs(pool, keys).map_n(job, items)


async def map_(job: Job, items: range, slots: int, keys: int | None) -> None:
    async with _pool(slots, keys) as pool:
        await _verbs(pool, keys).map(job, items)


async def flood(levels: int, most: int) -> list[int]:
    started: list[int] = []
    ended = False
    gate = asyncio.Event()
    async with AioPool(1) as pool:
        views = [pool.options(priority=level - 100) for level in range(levels)]

        async def job(level: int) -> None:
            nonlocal ended
            if not ended:
                started.append(level)
                ended = level == 0 or len(started) == most
                views[level].spawn_n(job(level))

        # It holds the slot until all others wait.
        pool.spawn_n(gate.wait())
        views[0].spawn_n(job(0))
        for level in range(1, levels):
            for _ in range(2):
                views[level].spawn_n(job(level))
        gate.set()
    return started


def _pool(slots: int, keys: int | None) -> AioPool:
    return AioPool(slots, per_key=None if keys is None else 1)


def _verbs(pool: AioPool, keys: int | None) -> Any:
    return pool if keys is None else pool.options(key=lambda item: item % keys)


SUBJECTS = {
    "window": Limited(opened),
    "bucket": Limited(partial(opened, bucket=True)),
    "reused_window": Limited(partial(opened, reuse_tasks=True)),
    "spawn_n": Limited(keyed=spawn_n),
    "map_n": Limited(keyed=map_n),
    "map": Limited(keyed=map_),
    "priorities": Limited(flood=flood),
}
