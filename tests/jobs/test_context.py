"""contextvars: what a job, its callback and fn see, and who sees what they set."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import closing
from contextvars import Context, ContextVar
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, HandIn, every_verb, every_way, ready, run, turns

var: ContextVar[str] = ContextVar("var", default="unset")


async def read(_: object = None) -> str:
    return var.get()


@every_way
async def test_a_job_sees_the_context_of_the_caller(hand_in: HandIn) -> None:
    var.set("caller")
    pool = AioPool(1)
    assert await hand_in(pool, read) == "caller"
    await pool.join()


@every_way
async def test_what_a_job_sets_stays_its_own(hand_in: HandIn) -> None:
    async def job() -> str:
        before = var.get()
        var.set("job")
        await asyncio.sleep(0)
        assert var.get() == "job"
        return before

    var.set("caller")
    pool = AioPool(1)
    for _ in range(3):
        assert await hand_in(pool, job) == "caller"
    assert var.get() == "caller"
    await pool.join()


@every_verb
async def test_a_callback_sees_the_context_as_its_job_left_it(hand_in: HandIn) -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        var.set("job")

    async def callback(res: object) -> str:
        seen = var.get()
        var.set("callback")
        return seen

    var.set("caller")
    pool = AioPool(1)
    for _ in range(2):
        assert await hand_in(pool, job, callback) == "job"
    assert var.get() == "caller"
    await pool.join()


async def test_a_callback_sees_the_context_as_a_cancelled_job_left_it() -> None:
    async def job() -> None:
        var.set("job")
        try:
            await gate.job()
        finally:
            var.set("cleaned up")

    async def callback(res: object) -> str:
        return var.get()

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job(), callback)
    await turns()
    assert await pool.cancel(future) == (1, ["cleaned up"])


async def test_a_waiting_job_sees_the_context_of_the_call_not_of_its_start() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job())
    futures = []
    for name in ("first", "second", "third"):
        var.set(name)
        futures.append(pool.spawn_n(read()))
    [future] = pool.map_n(read, [0])
    futures.append(future)
    var.set("later")
    gate.open()
    assert await asyncio.gather(*futures) == ["first", "second", "third", "third"]
    await pool.join()


async def test_a_job_does_not_see_the_context_of_the_job_that_gave_it_the_slot() -> None:
    async def job() -> None:
        var.set("other job")
        await gate.job()

    var.set("caller")
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(job())
    waiting = pool.spawn_n(read())
    await turns()
    gate.open()
    assert await waiting == "caller"
    await pool.join()


async def test_a_blocked_spawn_keeps_the_context_of_its_caller() -> None:
    async def caller(name: str) -> str:
        var.set(name)
        return await (await pool.spawn(read()))

    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job())
    callers = [asyncio.create_task(caller(name)) for name in ("first", "second")]
    await turns()
    gate.open()
    assert await asyncio.gather(*callers) == ["first", "second"]
    await pool.join()


async def test_the_items_of_a_map_see_the_context_of_the_call_to_map() -> None:
    def items() -> Iterator[str]:
        for item in "abc":
            var.set(item)
            yield item

    var.set("caller")
    pool = AioPool(1)
    assert await pool.map(read, items()) == ["caller"] * 3
    await pool.join()


async def test_the_items_of_an_itermap_see_the_context_of_the_call_to_itermap() -> None:
    var.set("call")
    pool = AioPool(1)
    results = pool.itermap(read, range(3))
    var.set("first step")
    assert [result async for result in results] == ["call"] * 3
    await pool.join()


async def test_map_and_itermap_call_fn_in_the_context_of_its_job() -> None:
    def fn(item: str) -> Coroutine[Any, Any, str]:
        seen.append(var.get())
        var.set(item)
        return read()

    var.set("caller")
    pool, seen = AioPool(1), []
    assert await pool.map(fn, "abc") == ["a", "b", "c"]
    assert [result async for result in pool.itermap(fn, "abc")] == ["a", "b", "c"]
    assert seen == ["caller"] * 6
    assert var.get() == "caller"
    await pool.join()


async def test_map_n_calls_fn_itself_and_so_in_the_context_of_its_caller() -> None:
    def fn(item: str) -> Coroutine[Any, Any, str]:
        var.set(item)
        return read()

    var.set("caller")
    pool = AioPool(1)
    assert await asyncio.gather(*pool.map_n(fn, "abc")) == ["a", "b", "c"]
    assert var.get() == "c"
    await pool.join()


async def test_the_context_of_the_pool_and_its_joiners_stays_clean() -> None:
    async def job() -> None:
        var.set("job")

    var.set("caller")
    async with AioPool(1) as pool:
        pool.spawn_n(job())
        await (await pool.spawn(ready(1)))
    assert var.get() == "caller"


class SharingLoop(asyncio.SelectorEventLoop):
    """A loop like that of Qt, whose tasks make no copy of the context that they are made in."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = Context()

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        context = self.shared if context is None else context
        return asyncio.Task(coro, loop=self, name=name, context=context)


class OldLoop(asyncio.SelectorEventLoop):
    """A loop from before tasks were given a context."""

    def create_task(self, coro: Any, *, name: Any = None) -> Any:  # type: ignore[override]
        return asyncio.Task(coro, loop=self, name=name)


class EagerLoop(asyncio.SelectorEventLoop):
    """A loop whose tasks make their first step at once."""

    def create_task(self, coro: Any, **kwargs: Any) -> Any:
        return asyncio.Task(coro, loop=self, eager_start=True, **kwargs)  # type: ignore[call-arg]


def patched_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    create_task = loop.create_task
    loop.create_task = lambda *args, **kwargs: create_task(*args, **kwargs)  # type: ignore[method-assign]
    return loop


@every_verb
@pytest.mark.parametrize("make_loop", [SharingLoop, OldLoop, EagerLoop, patched_loop])
def test_jobs_share_no_variables_on_loops_that_make_tasks_their_own_way(
    hand_in: HandIn, make_loop: Any
) -> None:
    if make_loop is EagerLoop and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")

    async def job() -> str:
        seen = var.get()
        var.set("job")
        await asyncio.sleep(0)
        assert var.get() == "job"
        return seen

    async def callback(seen: str) -> tuple[str, str]:
        return seen, var.get()

    async def main() -> None:
        var.set("caller")
        pool = AioPool(1)
        for _ in range(3):
            assert await hand_in(pool, job) == "caller"
            assert await hand_in(pool, job, callback) == ("caller", "job")
        assert var.get() == "caller"
        await pool.join()

    with closing(make_loop()) as loop:
        run(loop, main())
