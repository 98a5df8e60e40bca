"""What a call does for its own jobs, not for others: counted in calls of Python, without a clock.

This sees the half of the package that is Python, and the calls that the extension makes to it. What
the extension does by itself is counted in instructions: see `make bench-instructions`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import turns, until

FEW, MANY = 50, 200


class Count:
    calls = 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


@contextmanager
def counted() -> Iterator[Count]:
    count, former = Count(), sys.getprofile()
    # In its debug mode the loop reports a slow turn, and that takes calls.
    asyncio.get_running_loop().slow_callback_duration = 3600
    gc.collect()
    gc.disable()  # others may have asked to be called at each collection
    sys.setprofile(count)
    try:
        yield count
    finally:
        sys.setprofile(former)
        gc.enable()


@asynccontextmanager
async def active(many: int) -> AsyncIterator[tuple[AioPool, list[asyncio.Future[Any]]]]:
    """A pool with so many active jobs, which end when the block does and not before."""

    async def job(number: int) -> None:
        nonlocal begun
        begun += 1
        try:
            await gate.wait()
        finally:
            await gate.wait()

    pool, gate, begun = AioPool(many), asyncio.Event(), 0
    futures = pool.map_n(job, range(many))
    await until(lambda: begun == many)
    yield pool, futures
    gate.set()
    await pool.join()


Futures = list[asyncio.Future[Any]]
Work = Callable[[AioPool, Futures], Awaitable[None]]


async def calls_of(work: Work) -> list[int]:
    """Beside few jobs and beside many."""
    calls = []
    # Once before, for what is made at the first use.
    for many in FEW, FEW, MANY:
        async with active(many) as (pool, futures):
            with counted() as count:
                await work(pool, futures)
            calls.append(count.calls)
        await asyncio.wait(callers)
        callers.clear()
    return calls[1:]


async def begin(*calls: Awaitable[Any]) -> None:
    """The calls end after what is counted."""
    callers.extend(map(asyncio.ensure_future, calls))
    await turns()


callers: Futures = []


async def join(pool: AioPool, futures: Futures) -> None:
    await begin(*(pool.join() for _ in futures))


async def join_and_leave(pool: AioPool, futures: Futures) -> None:
    await begin(*(pool.join() for _ in futures))
    for joiner in reversed(callers):
        joiner.cancel()
    await turns()


async def cancel_all(pool: AioPool, futures: Futures) -> None:
    await begin(pool.cancel())


async def cancel_each(pool: AioPool, futures: Futures) -> None:
    await begin(*(pool.cancel(future) for future in futures))


async def hand_in(pool: AioPool, futures: Futures) -> None:
    await begin(*(pool.spawn(asyncio.sleep(0)) for _ in futures))


async def hand_in_and_give_up(pool: AioPool, futures: Futures) -> None:
    callers.extend(pool.spawn_n(asyncio.sleep(0)) for _ in futures)
    for future in reversed(callers):
        future.cancel()


@pytest.mark.parametrize(
    "work", [join, join_and_leave, cancel_all, cancel_each, hand_in, hand_in_and_give_up]
)
async def test_what_is_done_for_each_of_many_does_not_grow_with_their_number(work: Work) -> None:
    few, many = await calls_of(work)
    assert many <= few * (MANY // FEW)


async def join_once(pool: AioPool, futures: Futures) -> None:
    await begin(pool.join())


async def cancel_one(pool: AioPool, futures: Futures) -> None:
    await begin(pool.cancel(futures[0]))


async def hand_in_one(pool: AioPool, futures: Futures) -> None:
    await begin(pool.spawn(asyncio.sleep(0)))


@pytest.mark.parametrize("work", [join_once, cancel_one, hand_in_one])
async def test_what_is_done_for_one_does_not_grow_with_the_others(work: Work) -> None:
    few, many = await calls_of(work)
    assert many == few


async def by_cancel(pool: AioPool) -> None:
    await pool.cancel()


async def by_block(pool: AioPool) -> None:
    async with pool:
        await asyncio.Event().wait()


@pytest.mark.parametrize("owner", [by_cancel, by_block])
async def test_to_wait_again_costs_nothing_for_each_job(
    owner: Callable[[AioPool], Awaitable[None]],
) -> None:
    calls = []
    for number in FEW, FEW, MANY:
        async with active(number) as (pool, _):
            caller = asyncio.ensure_future(owner(pool))
            await turns()
            caller.cancel()
            await turns()
            with counted() as count:
                caller.cancel()
                await turns()
            calls.append(count.calls)
        await asyncio.wait([caller])
    _, few, many = calls
    assert many == few
