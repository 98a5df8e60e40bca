"""What a subject of the group "limits" can do, and what its peers have in common."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

from asyncio_pool import AioPool
from subjects.subject import Job

#: Hands in a job for an item, at once.
HandIn = Callable[[Job, int], object]


class Rate(NamedTuple):
    """At most `limit` starts in any `per` seconds."""

    limit: int
    per: float


#: Opens a way of running jobs: so many slots, a rate or none, and what is called at each start if
#: the subject tells of them. Leaving it waits for all jobs.
Open = Callable[
    [int, Rate | None, Callable[[], object] | None], AbstractAsyncContextManager[HandIn]
]


class Limited(NamedTuple):
    """What it cannot do is None."""

    open: Open | None = None
    #: Runs a job for each item, with so many slots. The key of an item is its remainder by that
    #: many keys, and one job of each key may be active; without keys, if that is None.
    keyed: Callable[[Job, range, int, int | None], Awaitable[object]] | None = None
    #: One slot, a flood on each of so many levels but the lowest, which is 0, and one job there:
    #: gives the levels of all starts up to that of this job, at most so many.
    flood: Callable[[int, int], Awaitable[list[int]]] | None = None


#: Runs the job of an item when a limiter allows it.
Run = Callable[[Job, int], Coroutine[Any, Any, int]]


def in_pool(limiter: Callable[[Rate], Run]) -> Limited:
    """A peer whose limiter is asked in each job of our pool, which has no rate."""

    @asynccontextmanager
    async def opened(slots: int, rate: Rate | None, _: object) -> AsyncIterator[HandIn]:
        async with AioPool(slots) as pool:
            if rate is None:
                yield lambda job, item: pool.spawn_n(job(item))
            else:
                run = limiter(rate)
                yield lambda job, item: pool.spawn_n(run(job, item))

    return Limited(opened)


def in_task_group(limiter: Callable[[Rate], Run]) -> Limited:
    """The same in tasks that take a Semaphore first."""

    @asynccontextmanager
    async def opened(slots: int, rate: Rate | None, _: object) -> AsyncIterator[HandIn]:
        run = limiter(rate) if rate else _at_once
        semaphore = asyncio.Semaphore(slots)

        async def one(job: Job, item: int) -> None:
            async with semaphore:
                await run(job, item)

        async with asyncio.TaskGroup() as group:
            yield lambda job, item: group.create_task(one(job, item))

    return Limited(opened)


async def _at_once(job: Job, item: int) -> int:
    return await job(item)
