"""A block or a call that owns jobs is not left while they run, however often it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from asyncio_pool import AioPool
from helpers import assert_usable, turns, until

TURNS_OF_CLEAN_UP = 12


class Slow:
    """Jobs that take a while to clean up."""

    def __init__(self) -> None:
        self.begun = 0
        self.active = 0

    async def job(self, _: object = None) -> None:
        self.begun += 1
        self.active += 1
        try:
            await asyncio.Event().wait()
        finally:
            await turns(TURNS_OF_CLEAN_UP)
            self.active -= 1


async def block(pool: AioPool, slow: Slow) -> None:
    async with pool:
        pool.map_n(slow.job, range(5))
        await asyncio.Event().wait()


async def block_that_joins(pool: AioPool, slow: Slow) -> None:
    async with pool:
        pool.map_n(slow.job, range(5))


async def block_with_a_map_elsewhere(pool: AioPool, slow: Slow) -> None:
    async with pool:
        elsewhere = asyncio.create_task(pool.map(slow.job, range(5)))
        elsewhere.add_done_callback(asyncio.Task.cancelled)
        await asyncio.Event().wait()


async def call_of_exec(pool: AioPool, slow: Slow) -> None:
    await pool.exec(slow.job())


async def call_of_exec_in_its_callback(pool: AioPool, slow: Slow) -> None:
    await pool.exec(turns(1), slow.job)


async def call_of_map(pool: AioPool, slow: Slow) -> None:
    await pool.map(slow.job, range(5))


async def call_of_cancel(pool: AioPool, slow: Slow) -> None:
    futures = pool.map_n(slow.job, range(5))
    await until(lambda: slow.active)
    await pool.cancel(*futures)


async def call_of_cancel_of_all(pool: AioPool, slow: Slow) -> None:
    pool.map_n(slow.job, range(5))
    await until(lambda: slow.active)
    await pool.cancel()


async def twice(call: Awaitable[None], slow: Slow) -> None:
    task = asyncio.ensure_future(call)
    await until(lambda: slow.active)
    for _ in range(2):
        task.cancel()
        await turns(2)
    with pytest.raises(asyncio.CancelledError):
        await task


async def in_each_turn(call: Awaitable[None], slow: Slow) -> None:
    task = asyncio.ensure_future(call)
    await until(lambda: slow.active)
    while not task.done():
        task.cancel()
        await turns(1)
    assert task.cancelled()


async def by_a_scope_of_anyio(call: Awaitable[None], slow: Slow) -> None:
    async def in_scope(scope: anyio.CancelScope) -> None:
        with scope:
            await call

    scope = anyio.CancelScope()
    task = asyncio.create_task(in_scope(scope))
    await until(lambda: slow.active)
    scope.cancel()
    await task
    assert scope.cancelled_caught


async def by_nested_timeouts(call: Awaitable[None], slow: Slow) -> None:
    async def in_timeouts() -> None:
        with pytest.raises(TimeoutError):
            async with outer, inner:
                await call

    outer, inner = asyncio.timeout(None), asyncio.timeout(None)
    task = asyncio.create_task(in_timeouts())
    await until(lambda: slow.active)
    now = asyncio.get_running_loop().time()
    inner.reschedule(now)
    await until(inner.expired)
    outer.reschedule(now)
    await task
    assert outer.expired()


async def by_wait_for(call: Awaitable[None], slow: Slow) -> None:
    task = asyncio.create_task(asyncio.wait_for(call, 1000))
    await until(lambda: slow.active)
    for _ in range(2):
        task.cancel()
        await turns(2)
    with suppress(asyncio.CancelledError):
        await task


async def by_a_task_group(call: Awaitable[None], slow: Slow) -> None:
    async def in_group() -> None:
        async def fails() -> None:
            await until(lambda: slow.active)
            raise LookupError

        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await call

    task = asyncio.create_task(in_group())
    await until(lambda: slow.active)
    await turns(3)
    task.cancel()
    with pytest.raises((BaseExceptionGroup, asyncio.CancelledError)):
        await task


CALLS = [
    block,
    block_that_joins,
    block_with_a_map_elsewhere,
    call_of_exec,
    call_of_exec_in_its_callback,
    call_of_map,
    call_of_cancel,
    call_of_cancel_of_all,
]
CANCELLATIONS = [
    twice,
    in_each_turn,
    by_a_scope_of_anyio,
    by_nested_timeouts,
    by_wait_for,
    by_a_task_group,
]


@pytest.mark.parametrize("cancelled", CANCELLATIONS)
@pytest.mark.parametrize("call", CALLS)
async def test_it_is_left_when_its_jobs_have_ended(
    call: Callable[[AioPool, Slow], Awaitable[None]],
    cancelled: Callable[[Awaitable[None], Slow], Awaitable[None]],
) -> None:
    async def noticed() -> None:
        try:
            await call(pool, slow)
        finally:
            left.append(slow.active)

    pool, slow, left = AioPool(2), Slow(), list[int]()
    await cancelled(noticed(), slow)
    await until(lambda: left)  # `wait_for` of 3.11 itself leaves what it waits for
    assert left == [0], "it was left while its jobs ran"
    await pool.join()
    assert slow.begun <= 2, "a job began after the cancellation"
    await assert_usable(pool)
