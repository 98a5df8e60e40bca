"""What many tests need: jobs under control, turns of the loop, and a look at the slots."""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from asyncio_pool import AioPool, getres

SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING = 120

T = TypeVar("T")
Job = Callable[[], Any]


class Gate:
    """Jobs that stay active until they are let go, and what became of them."""

    def __init__(self) -> None:
        self._let = defaultdict[object, asyncio.Event](asyncio.Event)
        self._is_open = False
        self.started: list[Any] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.active = 0
        self.highest = 0

    async def job(self, name: T = None) -> T:  # type: ignore[assignment]
        self.started.append(name)
        self.active += 1
        self.highest = max(self.highest, self.active)
        try:
            if not self._is_open:
                await self._let[name].wait()
            return name
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.active -= 1
            self.ended.append(name)

    def let(self, name: object) -> None:
        """Let one job go on."""
        self._let[name].set()

    def open(self) -> None:
        """Let all jobs go on, those still to come too."""
        self._is_open = True
        for event in self._let.values():
            event.set()


async def ready(value: T) -> T:
    """A job that never suspends."""
    return value


async def fails(error: BaseException) -> None:
    """A job that raises at once."""
    raise error


async def add_one(value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


async def turns(count: int = 3) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def be_watched() -> None:
    """Sets the timer that all pools of a loop share while jobs wait: that reads the clock."""
    await asyncio.gather(*AioPool(1).map_n(ready, range(2)))


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds."""
    while not condition():
        await turns(1)


def run(loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> T:
    """Run the loop until the work is done; for tests that need more than one run of a loop."""

    async def bounded() -> T:
        async with asyncio.timeout(SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING):
            return await work

    return loop.run_until_complete(bounded())


def at_once(coro: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, if it does so without suspending."""
    try:
        coro.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coro.close()
    raise AssertionError("it suspended")


def is_closed(coro: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED


async def assert_usable(pool: AioPool) -> None:
    """Assert that the pool is empty, and that all its slots can be taken but no more."""
    assert pool.is_empty
    assert pool.n_active == 0
    gate = Gate()
    futures = pool.map_n(gate.job, range(pool.size + 1))
    await until(lambda: gate.active >= pool.size)
    await turns()
    assert gate.active == pool.n_active == pool.size
    gate.open()
    assert await pool.join() is True
    assert [future.result() for future in futures] == list(range(pool.size + 1))
    assert gate.highest == pool.size


async def by_spawn(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    return await (await pool.spawn(job(), cb, ctx))


async def by_spawn_n(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    return await pool.spawn_n(job(), cb, ctx)


async def by_exec(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    return await pool.exec(job(), cb, ctx)


async def by_map(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    [future] = await pool.map(lambda _: job(), [0], cb, ctx, get_result=getres.dont)
    return future.result()


async def by_map_n(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    [future] = pool.map_n(lambda _: job(), [0], cb, ctx)
    return await future


async def by_itermap(pool: AioPool, job: Job, cb: Any = None, ctx: Any = None) -> Any:
    results = pool.itermap(lambda _: job(), [0], cb, ctx, get_result=getres.dont)
    [future] = [future async for future in results]
    return future.result()


async def by_enqueue(pool: AioPool, job: Job) -> Any:
    return await pool.enqueue(job)


async def by_submit(pool: AioPool, job: Job) -> Any:
    await pool.join()  # a pool that has no loop yet takes no call
    return await asyncio.wrap_future(pool.submit(job))


HandIn = Callable[..., Awaitable[Any]]

#: Parametrizes ``hand_in(pool, job, cb=None, ctx=None)``, which gives what the job settled with.
every_verb = pytest.mark.parametrize(
    "hand_in",
    [by_spawn, by_spawn_n, by_exec, by_map, by_map_n, by_itermap],
    ids=["spawn", "spawn_n", "exec", "map", "map_n", "itermap"],
)
#: The same without callbacks, and so with the verbs that have none.
every_way = pytest.mark.parametrize(
    "hand_in",
    [by_spawn, by_spawn_n, by_exec, by_map, by_map_n, by_itermap, by_enqueue, by_submit],
    ids=["spawn", "spawn_n", "exec", "map", "map_n", "itermap", "enqueue", "submit"],
)
