"""map_n: a list of futures, one for each item."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, is_closed, ready, turns


async def test_futures_come_at_once_in_the_order_of_the_iterable() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(10))
    assert isinstance(futures, list)
    assert not any(future.done() for future in futures)
    assert gate.started == []
    gate.open()
    assert [await future for future in futures] == list(range(10))
    await assert_usable(pool)


async def test_the_items_wait_and_count_from_the_start() -> None:
    pool, gate = AioPool(2), Gate()
    pool.map_n(gate.job, range(10))
    assert len(pool) == 10
    await turns()
    assert (len(pool), pool.n_active) == (10, 2)
    gate.open()
    await pool.join()


async def test_items_start_in_the_order_of_the_iterable() -> None:
    pool, gate = AioPool(2), Gate()
    gate.open()
    pool.map_n(gate.job, range(10))
    await pool.join()
    assert gate.started == list(range(10))


async def test_fn_is_called_for_every_item_at_the_call() -> None:
    called = []

    def fn(item: int) -> Coroutine[Any, Any, int]:
        called.append(item)
        return ready(item)

    pool = AioPool(2)
    pool.map_n(fn, range(10))
    assert called == list(range(10))
    await pool.join()


async def test_the_arguments_can_be_named() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        return res + ctx

    pool = AioPool(2)
    futures = pool.map_n(fn=add_one, iterable=(1, 2), cb=callback, ctx=10)
    assert await asyncio.gather(*futures) == [12, 13]
    await pool.join()


async def test_an_error_of_the_iterable_is_raised_before_any_job_is_queued() -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise error

    def fn(item: int) -> Coroutine[Any, Any, int]:
        made.append(gate.job(item))
        return made[-1]

    pool, gate, made, error = AioPool(1), Gate(), [], LookupError("no more")
    with pytest.raises(LookupError) as raised:
        pool.map_n(fn, items())
    assert raised.value is error
    assert len(pool) == 0
    assert all(is_closed(coro) for coro in made)
    await turns()
    assert gate.started == []
    await assert_usable(pool)


async def test_callbacks_are_called_with_the_context() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        return res * ctx

    pool = AioPool(2)
    futures = pool.map_n(ready, range(4), callback, 3)
    assert await asyncio.gather(*futures) == [0, 3, 6, 9]
    await pool.join()


async def test_cancel_takes_the_waiting_items() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(5))
    await turns()
    cancelled, _ = await pool.cancel()
    assert cancelled == 5
    assert all(future.cancelled() for future in futures)
    assert gate.started == [0, 1]
    await assert_usable(pool)
