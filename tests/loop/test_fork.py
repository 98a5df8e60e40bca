"""A pool in a process that is forked: it stays with the parent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, ready, turns

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


async def in_a_child(run: Callable[[], str]) -> str:
    """What `run` gives in a child of this process."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writable, run().encode())
        finally:
            os._exit(0)
    os.close(writable)
    await asyncio.to_thread(os.waitpid, child, 0)
    try:
        return os.read(readable, 10_000).decode()
    finally:
        os.close(readable)


async def spawn(pool: AioPool) -> None:
    await pool.spawn(ready(1))


async def spawn_n(pool: AioPool) -> None:
    pool.spawn_n(ready(1))


async def exec_(pool: AioPool) -> None:
    await pool.exec(ready(1))


async def map_(pool: AioPool) -> None:
    await pool.map(ready, [1])


async def map_n(pool: AioPool) -> None:
    pool.map_n(ready, [1])


async def itermap(pool: AioPool) -> None:
    async for _ in pool.itermap(ready, [1]):
        pass


async def join(pool: AioPool) -> None:
    await pool.join()


async def cancel(pool: AioPool) -> None:
    await pool.cancel()


async def block(pool: AioPool) -> None:
    async with pool:
        pass


Use = Callable[[AioPool], Awaitable[None]]
WITHOUT_A_LOOP: dict[str, Callable[[AioPool], Any]] = {
    "spawn": lambda pool: pool.spawn(ready(1)).send(None),
    "spawn_n": lambda pool: pool.spawn_n(ready(1)),
    "exec": lambda pool: pool.exec(ready(1)).send(None),
    "map": lambda pool: pool.map(ready, [1]).send(None),
    "map_n": lambda pool: pool.map_n(ready, [1]),
    "itermap": lambda pool: anext(pool.itermap(ready, [1])).__await__().__next__(),
    "cancel": lambda pool: pool.cancel().send(None),
}


async def pool_with_jobs(gate: Gate) -> AioPool:
    pool = AioPool(2)
    pool.map_n(gate.job, range(5))
    await turns()
    return pool


async def assert_untouched(pool: AioPool, gate: Gate) -> None:
    assert len(pool) == 5
    gate.open()
    await pool.join()
    assert sorted(gate.ended) == [*range(5)]


def assert_speaks_of_the_fork(words: str) -> None:
    assert "fork" in words
    assert str(os.getpid()) in words
    assert "in the child" in words
    assert "thread" not in words


@pytest.mark.parametrize("use", [spawn, spawn_n, exec_, map_, map_n, itermap, join, cancel, block])
async def test_use_in_a_loop_of_the_child_is_an_error_that_speaks_of_the_fork(use: Use) -> None:
    def run() -> str:
        try:
            asyncio.run(use(pool))  # type: ignore[arg-type]
        except RuntimeError as error:
            return str(error)
        return "no error"

    gate = Gate()
    pool = await pool_with_jobs(gate)
    assert_speaks_of_the_fork(await in_a_child(run))
    await assert_untouched(pool, gate)


@pytest.mark.parametrize("verb", WITHOUT_A_LOOP)
async def test_use_in_the_child_without_a_loop_is_an_error_that_speaks_of_the_fork(
    verb: str,
) -> None:
    def run() -> str:
        try:
            WITHOUT_A_LOOP[verb](pool)
        except RuntimeError as error:
            return str(error)
        return "no error"

    gate = Gate()
    pool = await pool_with_jobs(gate)
    assert_speaks_of_the_fork(await in_a_child(run))
    await assert_untouched(pool, gate)


async def test_a_pool_that_had_no_loop_can_be_used_in_the_child() -> None:
    pool = AioPool(2)
    words = await in_a_child(lambda: str(asyncio.run(pool.map(add_one, range(3)))))
    assert words == "[1, 2, 3]"
    assert await pool.map(add_one, range(3)) == [1, 2, 3]
