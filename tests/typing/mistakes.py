"""Mistakes that type checkers are to find: each has to be ignored, or the check fails."""

import asyncio
import concurrent.futures

from asyncio_pool import AioPool, getres, iterwait
from jobs import name


def size() -> None:
    AioPool("4")  # type: ignore[arg-type]
    AioPool(2.5)  # type: ignore[arg-type]
    AioPool(None)  # type: ignore[arg-type]


def loop(loop: asyncio.AbstractEventLoop) -> None:
    AioPool(4, loop)  # type: ignore[call-arg]
    AioPool(loop=asyncio.get_running_loop)  # type: ignore[arg-type]


async def a_coroutine_function_as_job(pool: AioPool) -> None:
    await pool.spawn(name)  # type: ignore[call-overload]
    await pool.exec(name)  # type: ignore[call-overload]
    pool.spawn_n(name)  # type: ignore[call-overload]
    pool.spawn_n([name(1)])  # type: ignore[call-overload]


async def a_call(pool: AioPool) -> None:
    pool.enqueue(name(1))  # type: ignore[arg-type]
    pool.enqueue(name, "1")  # type: ignore[arg-type]
    pool.enqueue(name)  # type: ignore[call-arg]
    pool.enqueue(str, 1)  # type: ignore[arg-type]
    pool.submit(name, "1")  # type: ignore[arg-type]
    pool.submit(name(1))  # type: ignore[arg-type]


def callback(pool: AioPool) -> None:
    pool.spawn_n(name(1), 5)  # type: ignore[call-overload]
    pool.spawn_n(name(1), name(2))  # type: ignore[call-overload]
    pool.spawn_n(name(1), print)  # type: ignore[arg-type]
    pool.map_n(name, [1], "ctx")  # type: ignore[call-overload]


async def function_of_an_item(pool: AioPool) -> None:
    await pool.map(name(1), [1])  # type: ignore[call-overload]
    await pool.map(str, [1])  # type: ignore[arg-type]
    await pool.map(name, ["1"])  # type: ignore[arg-type]
    pool.map_n(name, ["1"])  # type: ignore[arg-type]
    pool.itermap(name, ["1"])  # type: ignore[arg-type]


async def iterable(pool: AioPool) -> None:
    await pool.map(name, None)  # type: ignore[call-overload]
    await pool.map(name, 1)  # type: ignore[call-overload]
    pool.map_n(name, None)  # type: ignore[call-overload]
    pool.itermap(name, pool.itermap(name, [1]))  # type: ignore[call-overload]


async def get_result(pool: AioPool, futures: list[asyncio.Future[str]]) -> None:
    def double(future: asyncio.Future[int]) -> int:
        return 2 * future.result()

    await pool.map(name, [1], get_result=double)  # type: ignore[misc]
    await pool.map(name, [1], get_result=len)  # type: ignore[arg-type]
    await pool.map(name, [1], get_result=None)  # type: ignore[call-overload]
    await pool.map(name, [1], None, None, getres.pair)  # type: ignore[call-overload]
    pool.itermap(name, [1], get_result=getres)  # type: ignore[arg-type]
    iterwait(futures, get_result="pair")  # type: ignore[call-overload]
    await pool.cancel(futures[0], get_result=double)  # type: ignore[arg-type]


def waits(pool: AioPool, futures: list[asyncio.Future[str]]) -> None:
    pool.itermap(name, [1], flat=None)  # type: ignore[call-overload]
    pool.itermap(name, [1], timeout="1")  # type: ignore[call-overload]
    iterwait(futures, True)  # type: ignore[call-overload]
    iterwait(futures, yield_when=1)  # type: ignore[call-overload]


async def not_futures(pool: AioPool, foreign: concurrent.futures.Future[int]) -> None:
    iterwait([name(1)])  # type: ignore[arg-type]
    iterwait([foreign])  # type: ignore[arg-type]
    await pool.cancel(name(1))  # type: ignore[call-overload]
    await pool.cancel(pool.map_n(name, [1]))  # type: ignore[call-overload]


async def results(pool: AioPool) -> None:
    len(pool.map(name, [1]))  # type: ignore[arg-type]
    (await pool.map(name, [1]))[0].upper()  # type: ignore[union-attr]
    (await pool.spawn(name(1))).upper()  # type: ignore[attr-defined]
    await pool.itermap(name, [1])  # type: ignore[misc]
    pool.size = "8"  # type: ignore[assignment]
    pool.n_active = 8  # type: ignore[misc]
