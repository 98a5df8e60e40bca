"""The verbs that this package and asyncio-pool 0.6.0 have in common."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from subjects.subject import Job, Subject, total

Make = Callable[[int], Any]  # Either package's pool of that size.


def verbs(make: Make) -> dict[str, Subject]:
    """A subject for each verb of the pools that `make` makes."""

    async def spawn(job: Job, items: range, slots: int) -> None:
        async with make(slots) as pool:
            for item in items:
                await pool.spawn(job(item))

    async def spawn_n(job: Job, items: range, slots: int) -> None:
        async with make(slots) as pool:
            for item in items:
                pool.spawn_n(job(item))

    async def enqueue(job: Job, items: range, slots: int) -> None:
        async with make(slots) as pool:
            for item in items:
                pool.enqueue(job, item)

    async def map_(job: Job, items: range, slots: int) -> int:
        async with make(slots) as pool:
            return sum(await pool.map(job, items))

    async def map_n(job: Job, items: range, slots: int) -> int:
        async with make(slots) as pool:
            futures = pool.map_n(job, items)
            await pool.join()
            return sum(future.result() for future in futures)

    async def itermap(job: Job, items: range, slots: int) -> int:
        async with make(slots) as pool:
            return await total(pool.itermap(job, items))

    def first_come(job: Job, items: range, slots: int) -> AsyncIterator[int]:
        results: AsyncIterator[int] = make(slots).itermap(
            job, items, yield_when=asyncio.FIRST_COMPLETED
        )
        return results

    async def hand_in(job: Job, items: range, slots: int) -> Callable[[], Awaitable[object]]:
        pool = make(slots)
        for item in items:
            pool.spawn_n(job(item))
        cancel: Callable[[], Awaitable[object]] = pool.cancel
        return cancel

    return {
        "spawn": Subject(spawn),
        "spawn_n": Subject(spawn_n, hand_in=hand_in),
        "enqueue": Subject(enqueue),
        "map": Subject(map_),
        "map_n": Subject(map_n),
        "itermap": Subject(itermap, stream=first_come),
    }
