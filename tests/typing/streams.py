"""What `itermap` and `iterwait` yield."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import assert_type

from asyncio_pool import AioPool, getres, iterwait
from jobs import Pair, encode, name, weight


def itermap(pool: AioPool) -> None:
    assert_type(pool.itermap(name, [1]), AsyncGenerator[str | BaseException, None])
    assert_type(pool.itermap(name, [1], flat=True), AsyncGenerator[str | BaseException, None])
    assert_type(
        pool.itermap(name, [1], timeout=0.5, yield_when=asyncio.FIRST_COMPLETED),
        AsyncGenerator[str | BaseException, None],
    )
    assert_type(
        pool.itermap(name, [1], get_result=getres.flat), AsyncGenerator[str | BaseException, None]
    )
    assert_type(pool.itermap(name, [1], get_result=getres.pair), AsyncGenerator[Pair, None])
    assert_type(
        pool.itermap(name, [1], get_result=getres.dont), AsyncGenerator[asyncio.Future[str], None]
    )
    assert_type(pool.itermap(name, [1], get_result=weight), AsyncGenerator[float, None])


def itermap_with_a_callback(pool: AioPool) -> None:
    assert_type(pool.itermap(name, [1], encode, "ctx"), AsyncGenerator[bytes | BaseException, None])
    assert_type(
        pool.itermap(name, [1], encode, get_result=getres.dont),
        AsyncGenerator[asyncio.Future[bytes], None],
    )
    assert_type(pool.itermap(name, [1], encode, get_result=weight), AsyncGenerator[float, None])


def itermap_in_batches(pool: AioPool) -> None:
    assert_type(
        pool.itermap(name, [1], flat=False), AsyncGenerator[list[str | BaseException], None]
    )
    assert_type(
        pool.itermap(name, [1], flat=False, get_result=getres.pair),
        AsyncGenerator[list[Pair], None],
    )
    assert_type(
        pool.itermap(name, [1], flat=False, get_result=weight), AsyncGenerator[list[float], None]
    )
    assert_type(
        pool.itermap(name, [1], encode, "ctx", flat=False),
        AsyncGenerator[list[bytes | BaseException], None],
    )
    assert_type(
        pool.itermap(name, [1], encode, flat=False, get_result=getres.dont),
        AsyncGenerator[list[asyncio.Future[bytes]], None],
    )


def iterwait_(futures: list[asyncio.Future[str]]) -> None:
    assert_type(iterwait(futures), AsyncGenerator[str | BaseException, None])
    assert_type(iterwait(futures, flat=True), AsyncGenerator[str | BaseException, None])
    assert_type(
        iterwait(futures, timeout=1, yield_when=asyncio.FIRST_EXCEPTION),
        AsyncGenerator[str | BaseException, None],
    )
    assert_type(
        iterwait(futures, get_result=getres.flat), AsyncGenerator[str | BaseException, None]
    )
    assert_type(iterwait(futures, get_result=getres.pair), AsyncGenerator[Pair, None])
    assert_type(
        iterwait(futures, get_result=getres.dont), AsyncGenerator[asyncio.Future[str], None]
    )
    assert_type(iterwait(futures, get_result=weight), AsyncGenerator[float, None])


def iterwait_in_batches(futures: list[asyncio.Future[str]]) -> None:
    assert_type(iterwait(futures, flat=False), AsyncGenerator[list[str | BaseException], None])
    assert_type(
        iterwait(futures, flat=False, get_result=getres.pair), AsyncGenerator[list[Pair], None]
    )
    assert_type(iterwait(futures, flat=False, get_result=weight), AsyncGenerator[list[float], None])


def iterables_of_futures(
    unique: set[asyncio.Future[str]],
    lazy: Iterator[asyncio.Future[str]],
    tasks: tuple[asyncio.Task[str], ...],
    mixed: list[asyncio.Future[str] | asyncio.Task[str]],
) -> None:
    assert_type(iterwait(unique), AsyncGenerator[str | BaseException, None])
    assert_type(iterwait(lazy), AsyncGenerator[str | BaseException, None])
    assert_type(iterwait(tasks), AsyncGenerator[str | BaseException, None])
    assert_type(iterwait(mixed), AsyncGenerator[str | BaseException, None])


def futures_of_different_results(futures: list[asyncio.Future[str] | asyncio.Future[int]]) -> None:
    assert_type(iterwait(futures, get_result=weight), AsyncGenerator[float, None])


async def loops(pool: AioPool) -> None:
    async for result in pool.itermap(name, [1]):
        assert_type(result, str | BaseException)
    async for value, error in pool.itermap(name, [1], get_result=getres.pair):
        assert_type(value, str | None)
        assert_type(error, BaseException | None)
    assert_type(
        [batch async for batch in pool.itermap(name, [1], flat=False)],
        list[list[str | BaseException]],
    )
