"""A pool as an object, and its subclasses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, assert_type

from aiopool import JobInfo, Report
from asyncio_pool import AioPool, BaseAioPool
from jobs import name

R = TypeVar("R")


async def what_it_tells(loop: asyncio.AbstractEventLoop) -> None:
    assert_type(AioPool(), AioPool)
    assert_type(BaseAioPool(8), BaseAioPool)
    async with AioPool(size=8, loop=loop) as pool:
        assert_type(pool, AioPool)
    assert_type(pool.size, int)
    pool.size = 9
    assert_type(pool.loop, asyncio.AbstractEventLoop | None)
    assert_type(pool.n_active, int)
    assert_type(pool.n_waiting, int)
    assert_type(pool.n_executed, int)
    assert_type(pool.is_empty, bool)
    assert_type(pool.is_full, bool)
    assert_type(len(pool), int)


async def how_it_ends(pool: AioPool) -> None:
    report = await pool.close(5, grace=0.5)
    assert_type(report, Report)
    assert_type(report.finished, int)
    assert_type(report.running, tuple[JobInfo, ...])
    assert_type(report.sources, tuple[str, ...])
    await pool.close("5")  # type: ignore[arg-type]
    await pool.close(5, 1)  # type: ignore[call-arg]


class Polite(AioPool):
    def __init__(self, delay: float) -> None:
        super().__init__(size=2)
        self.delay = delay

    def spawn_n(
        self, coro: Awaitable[Any], cb: Callable[..., Awaitable[Any]] | None = None, ctx: Any = None
    ) -> asyncio.Future[Any]:
        return super().spawn_n(self.delayed(coro), cb, ctx)

    async def delayed(self, coro: Awaitable[R]) -> R:
        await asyncio.sleep(self.delay)
        return await coro


class Old(BaseAioPool):
    pass


async def subclasses() -> None:
    async with Polite(0.5) as pool:
        assert_type(pool, Polite)
        assert_type(pool.delay, float)
        assert_type(await pool.map(name, [1]), list[str | BaseException])
    async with Old() as old:
        assert_type(old, Old)
        assert_type(await old.exec(name(1)), str)
