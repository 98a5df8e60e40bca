"""The pool never hogs: other tasks get their turn as beside tasks behind a semaphore."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import assert_usable

pytestmark = pytest.mark.also_eager

Fn = Callable[[Any], Any]
Work = Callable[[AioPool, Fn, int, Any], Awaitable[Any]]


class Ran:
    """Counts the jobs that have run; they never suspend."""

    def __init__(self) -> None:
        self.count = 0

    async def returns(self, _: object) -> None:
        self.count += 1

    async def fails(self, _: object) -> None:
        self.count += 1
        raise LookupError

    def raises(self, _: object) -> Any:
        self.count += 1
        raise LookupError

    def gives_nothing(self, _: object) -> None:
        self.count += 1

    def gives_what_was_awaited(self, _: object) -> Any:
        self.count += 1
        coro = self.returns(0)
        coro.close()
        return coro


async def most_in_a_turn(ran: Ran, work: Awaitable[Any]) -> int:
    """How many of them run at most between two turns of another task."""
    most, before, working = 0, 0, asyncio.ensure_future(work)
    while not working.done():
        await asyncio.sleep(0)
        most, before = max(most, ran.count - before), ran.count
    await working
    return most


async def by_map(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    await pool.map(fn, range(many), cb)


async def by_itermap(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    async for _ in pool.itermap(fn, range(many), cb):
        pass


async def by_map_n(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    await asyncio.gather(*pool.map_n(fn, range(many), cb), return_exceptions=True)


async def by_spawn_n(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    futures = [pool.spawn_n(fn(n), cb) for n in range(many)]
    await asyncio.gather(*futures, return_exceptions=True)


async def by_spawn(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    futures = [await pool.spawn(fn(n), cb) for n in range(many)]
    await asyncio.gather(*futures, return_exceptions=True)


async def by_spawns(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    futures = await asyncio.gather(*(pool.spawn(fn(n), cb) for n in range(many)))
    await asyncio.gather(*futures, return_exceptions=True)


async def by_exec(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    for n in range(many):
        with contextlib.suppress(LookupError):
            await pool.exec(fn(n), cb)


async def by_execs(pool: AioPool, fn: Fn, many: int, cb: Any) -> None:
    execs = [pool.exec(fn(n), cb) for n in range(many)]
    await asyncio.gather(*execs, return_exceptions=True)


async def semaphore_inside(size: int, fn: Fn, many: int) -> None:
    async def one(n: int) -> None:
        async with semaphore:
            with contextlib.suppress(LookupError):
                await fn(n)

    semaphore = asyncio.Semaphore(size)
    async with asyncio.TaskGroup() as tasks:
        for n in range(many):
            tasks.create_task(one(n))


async def semaphore_before(size: int, fn: Fn, many: int) -> None:
    async def one(n: int) -> None:
        with contextlib.suppress(LookupError):
            await fn(n)
        semaphore.release()

    semaphore = asyncio.Semaphore(size)
    async with asyncio.TaskGroup() as tasks:
        for n in range(many):
            await semaphore.acquire()
            tasks.create_task(one(n))


async def callback(_: object) -> None: ...


async def failing_callback(_: object) -> None:
    raise LookupError


every_size = pytest.mark.parametrize("size", [1, 10, 100])
every_work = pytest.mark.parametrize(
    "work",
    [by_map, by_itermap, by_map_n, by_spawn_n, by_spawn, by_spawns, by_exec, by_execs],
)


async def beside_tasks_behind_a_semaphore(size: int, fn: str) -> int:
    shares, many = [], size + 100
    for form in semaphore_inside, semaphore_before:
        ran = Ran()
        shares.append(await most_in_a_turn(ran, form(size, getattr(ran, fn), many)))
        assert ran.count == many
    return min(shares)


async def beside_the_pool(pool: AioPool, work: Work, fn: str, cb: Any = None) -> int:
    ran, many = Ran(), pool.size + 100
    most = await most_in_a_turn(ran, work(pool, getattr(ran, fn), many, cb))
    assert ran.count == many
    await pool.join()
    return most


@every_size
@every_work
async def test_others_get_their_turn_as_soon_as_beside_tasks_behind_a_semaphore(
    size: int, work: Work
) -> None:
    pool, theirs = AioPool(size), await beside_tasks_behind_a_semaphore(size, "returns")
    assert await beside_the_pool(pool, work, "returns") <= theirs
    assert await beside_the_pool(pool, work, "returns", callback) <= theirs
    assert await beside_the_pool(pool, work, "fails") <= theirs
    assert await beside_the_pool(pool, work, "fails", failing_callback) <= theirs


@every_size
@pytest.mark.parametrize("work", [by_map, by_itermap])
async def test_items_for_which_there_is_no_job_let_others_have_their_turn_as_often(
    size: int, work: Work
) -> None:
    pool, theirs = AioPool(size), await beside_tasks_behind_a_semaphore(size, "raises")
    for fn in "raises", "gives_nothing", "gives_what_was_awaited":
        assert await beside_the_pool(pool, work, fn) <= theirs
    await assert_usable(pool)


@every_work
async def test_jobs_that_are_suspended_give_their_turns_to_nobody(work: Work) -> None:
    pool, gate = AioPool(10), asyncio.Event()
    suspended = [pool.spawn_n(gate.wait()) for _ in range(9)]
    await asyncio.sleep(0)
    ran = Ran()
    assert await most_in_a_turn(ran, work(pool, ran.returns, 100, None)) <= 1
    gate.set()
    await asyncio.wait(suspended)
    await pool.join()


async def test_maps_that_wait_with_nothing_to_do_let_others_have_their_turn() -> None:
    class Empty:
        def __iter__(self) -> Empty:
            return self

        def __next__(self) -> None:
            ran.count += 1
            raise StopIteration

    pool, ran, gate = AioPool(1), Ran(), asyncio.Event()
    pool.spawn_n(gate.wait())
    maps = [asyncio.create_task(pool.map(ran.returns, Empty())) for _ in range(1000)]
    await asyncio.sleep(0)
    gate.set()
    assert await most_in_a_turn(ran, asyncio.gather(*maps)) <= 64
    await assert_usable(pool)
