"""What the verbs give, for jobs with and without a callback."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from typing import Any, Literal, assert_type

from aiopool import Job
from asyncio_pool import AioPool, getres
from jobs import Pair, encode, name, weight


async def spawn(pool: AioPool) -> None:
    assert_type(await pool.spawn(name(1)), asyncio.Future[str])
    assert_type(await pool.spawn(name(1), None, "ctx"), asyncio.Future[str])
    assert_type(await pool.spawn(name(1), encode, "ctx"), asyncio.Future[bytes])
    assert_type(await pool.spawn(name(1), cb=encode), asyncio.Future[bytes])


def spawn_n(pool: AioPool) -> None:
    assert_type(pool.spawn_n(name(1)), asyncio.Future[str])
    assert_type(pool.spawn_n(name(1), None, "ctx"), asyncio.Future[str])
    assert_type(pool.spawn_n(name(1), encode, "ctx"), asyncio.Future[bytes])
    assert_type(pool.spawn_n(name(1), cb=encode), asyncio.Future[bytes])


async def enqueue(pool: AioPool) -> None:
    job = pool.enqueue(name, 1)
    assert_type(job, Job[str])
    assert_type(await job, str)
    assert_type(job.result(), str)
    assert_type(job.name, str)
    assert_type(pool.options(priority=1).enqueue(name, number=1), Job[str])
    assert_type(await asyncio.gather(job, job), tuple[str, str])
    assert_type(await asyncio.wait_for(job, 1), str)
    assert_type(await asyncio.shield(job), str)
    assert_type(await pool.cancel(job), tuple[int, list[str | BaseException]])
    job.add_done_callback(lambda done: done.result())


async def submit(pool: AioPool) -> None:
    assert_type(pool.submit(name, 1), concurrent.futures.Future[str])
    assert_type(pool.options(key="k").submit(name, 1).result(), str)


async def exec_(pool: AioPool) -> None:
    assert_type(await pool.exec(name(1)), str)
    assert_type(await pool.exec(name(1), None, "ctx"), str)
    assert_type(await pool.exec(name(1), encode, "ctx"), bytes)
    assert_type(await pool.exec(name(1), cb=encode), bytes)


async def a_callback_that_may_be_missing(
    pool: AioPool, cb: Callable[..., Awaitable[bytes]] | None
) -> None:
    assert_type(await pool.spawn(name(1), cb), asyncio.Future[str] | asyncio.Future[bytes])
    assert_type(await pool.exec(name(1), cb), str | bytes)
    assert_type(
        await pool.map(name, [1], cb), list[str | BaseException] | list[bytes | BaseException]
    )


async def map_(pool: AioPool) -> None:
    assert_type(await pool.map(name, [1]), list[str | BaseException])
    assert_type(await pool.map(name, [1], None, "ctx"), list[str | BaseException])
    assert_type(await pool.map(name, [1], encode, "ctx"), list[bytes | BaseException])
    assert_type(await pool.map(name, [1], cb=encode), list[bytes | BaseException])


async def map_with_get_result(pool: AioPool) -> None:
    assert_type(await pool.map(name, [1], get_result=getres.flat), list[str | BaseException])
    assert_type(await pool.map(name, [1], get_result=getres.pair), list[Pair])
    assert_type(await pool.map(name, [1], get_result=getres.dont), list[asyncio.Future[str]])
    assert_type(await pool.map(name, [1], get_result=weight), list[float])
    assert_type(await pool.map(name, [1], get_result=lambda future: future.result()), list[str])
    assert_type(
        await pool.map(name, [1], encode, get_result=getres.flat), list[bytes | BaseException]
    )
    assert_type(
        await pool.map(name, [1], encode, get_result=getres.pair),
        list[tuple[bytes, None] | tuple[None, BaseException]],
    )
    assert_type(
        await pool.map(name, [1], encode, get_result=getres.dont), list[asyncio.Future[bytes]]
    )
    assert_type(await pool.map(name, [1], encode, get_result=weight), list[float])


def map_n(pool: AioPool) -> None:
    assert_type(pool.map_n(name, [1]), list[asyncio.Future[str]])
    assert_type(pool.map_n(name, [1], None, "ctx"), list[asyncio.Future[str]])
    assert_type(pool.map_n(name, [1], encode, "ctx"), list[asyncio.Future[bytes]])
    assert_type(pool.map_n(name, [1], cb=encode), list[asyncio.Future[bytes]])


async def join(pool: AioPool) -> None:
    assert_type(await pool.join(), Literal[True])


async def cancel(
    pool: AioPool, future: asyncio.Future[str], futures: list[asyncio.Future[str]]
) -> None:
    assert_type(await pool.cancel(future), tuple[int, list[str | BaseException]])
    assert_type(await pool.cancel(*futures), tuple[int, list[str | BaseException]])
    assert_type(
        await pool.cancel(future, get_result=getres.flat), tuple[int, list[str | BaseException]]
    )
    assert_type(await pool.cancel(future, get_result=getres.pair), tuple[int, list[Pair]])
    assert_type(
        await pool.cancel(*futures, get_result=getres.dont),
        tuple[int, list[asyncio.Future[str]]],
    )
    assert_type(await pool.cancel(*futures, get_result=weight), tuple[int, list[float]])


async def cancel_all(pool: AioPool) -> None:
    assert_type(await pool.cancel(), tuple[int, list[Any]])
    assert_type(
        await pool.cancel(get_result=getres.pair),
        tuple[int, list[tuple[Any, None] | tuple[None, BaseException]]],
    )
    assert_type(await pool.cancel(get_result=getres.dont), tuple[int, list[asyncio.Future[Any]]])
    assert_type(await pool.cancel(get_result=weight), tuple[int, list[float]])


async def cancel_futures_of_different_results(
    pool: AioPool, future: asyncio.Future[str], other: asyncio.Future[int]
) -> None:
    stopped, _ = await pool.cancel(future, other)
    assert_type(stopped, int)
    assert_type(await pool.cancel(future, other, get_result=weight), tuple[int, list[float]])
