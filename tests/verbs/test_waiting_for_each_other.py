"""A call that stops a job does not wait for it if the job waits for the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, assert_usable, turns, until

Stop = Callable[[], Awaitable[Any]]


async def in_a_gather(stop: Stop) -> None:
    await asyncio.gather(stop())


async def in_a_group(stop: Stop) -> None:
    async def child() -> None:
        await stop()

    async with asyncio.TaskGroup() as group:
        group.create_task(child())


async def in_a_group_of_a_group(stop: Stop) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_a_group(stop))


async def in_a_timeout(stop: Stop) -> None:
    # From 3.12 on it would run a coroutine in the task of the job itself.
    await asyncio.wait_for(asyncio.ensure_future(stop()), 1000)


async def in_another_pool(stop: Stop) -> None:
    async def job() -> None:
        await stop()

    await AioPool(1).exec(job())


async def in_a_map_of_another_pool(stop: Stop) -> None:
    async def job(_: object) -> None:
        await stop()

    await AioPool(1).map(job, range(1))


async def in_a_pool_of_another_pool(stop: Stop) -> None:
    await AioPool(1).exec(in_another_pool(stop))


async def block(pool: AioPool) -> None:
    async with pool:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await turns()


WAYS = [
    in_a_gather,
    in_a_group,
    in_a_group_of_a_group,
    in_a_timeout,
    in_another_pool,
    in_a_map_of_another_pool,
    in_a_pool_of_another_pool,
]


@pytest.mark.parametrize("stop", [AioPool.cancel, block])
@pytest.mark.parametrize("waits", WAYS)
async def test_what_works_for_a_job_can_stop_the_job(
    waits: Callable[[Stop], Awaitable[None]], stop: Callable[[AioPool], Awaitable[Any]]
) -> None:
    async def job() -> None:
        await waits(lambda: stop(pool))

    pool, gate = AioPool(2), Gate()
    other = pool.spawn_n(gate.job())
    await until(lambda: gate.active)
    future = pool.spawn_n(job())
    await pool.join()
    assert future.cancelled()
    assert other.cancelled()
    await assert_usable(pool)


@pytest.mark.parametrize("waits", [in_a_gather, in_a_group, in_another_pool])
async def test_a_block_in_a_child_of_a_job_ends_with_the_job(
    waits: Callable[[Stop], Awaitable[None]],
) -> None:
    async def use() -> None:
        async with pool:
            await gate.job("block")

    async def job() -> None:
        await waits(use)

    pool, gate = AioPool(2), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    await pool.cancel(future)
    assert future.cancelled()
    assert gate.active == 0
    await assert_usable(pool)


async def by_cancel(pool: AioPool, job: Callable[..., Awaitable[None]]) -> None:
    pool.spawn_n(job())
    await turns()
    await pool.cancel()


async def by_exec(pool: AioPool, job: Callable[..., Awaitable[None]]) -> None:
    await pool.exec(job())


async def by_map(pool: AioPool, job: Callable[..., Awaitable[None]]) -> None:
    await pool.map(job, range(1))


async def by_a_block(pool: AioPool, job: Callable[..., Awaitable[None]]) -> None:
    async with pool:
        pool.spawn_n(job())
        await asyncio.Event().wait()


@pytest.mark.parametrize("owns", [by_cancel, by_exec, by_map, by_a_block])
async def test_a_job_can_wait_for_the_task_that_stops_it(
    owns: Callable[[AioPool, Callable[..., Awaitable[None]]], Awaitable[None]],
) -> None:
    async def job(_: object = None) -> None:
        if owns is not by_cancel:
            task.cancel()
        await task

    pool = AioPool(2)
    task = asyncio.create_task(owns(pool, job))
    await asyncio.wait([task])
    assert task.cancelled()
    await pool.join()
    await assert_usable(pool)
