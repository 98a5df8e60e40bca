"""itermap: results in batches, as asyncio.wait would give them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from itertools import chain
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import Gate, add_one, assert_usable, ready, turns, until


async def one_over(value: int) -> float:
    await asyncio.sleep(0)
    return 1 / value


async def collect(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


async def test_every_result_is_given_once() -> None:
    pool = AioPool(3)
    assert sorted(await collect(pool.itermap(add_one, range(20)))) == list(range(1, 21))
    await assert_usable(pool)


async def test_it_is_an_async_iterator() -> None:
    pool = AioPool(1)
    results = pool.itermap(ready, [1])
    assert isinstance(results, AsyncIterator)
    assert aiter(results) is results
    assert await anext(results) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    assert await anext(results, "the end") == "the end"
    await pool.join()


async def test_nothing_is_pulled_and_nothing_runs_before_the_first_step() -> None:
    pulled = []

    def items() -> Iterator[int]:
        for item in range(5):
            pulled.append(item)
            yield item

    pool, gate = AioPool(2), Gate()
    results = pool.itermap(gate.job, items())
    await turns()
    assert (pulled, gate.started, len(pool)) == ([], [], 0)
    gate.open()
    assert sorted(await collect(results)) == list(range(5))
    await pool.join()


async def test_an_itermap_that_is_never_stepped_leaves_nothing_behind() -> None:
    pool, gate = AioPool(2), Gate()
    pool.itermap(gate.job, range(5))
    await turns()
    assert gate.started == []
    await assert_usable(pool)


async def test_the_first_step_pulls_the_whole_iterable() -> None:
    pool, gate = AioPool(2), Gate()
    results = pool.itermap(gate.job, range(10), yield_when=asyncio.FIRST_COMPLETED)
    gate.let(0)
    assert await anext(results) == 0
    assert len(pool) >= 9
    gate.open()
    assert sorted(await collect(results)) == list(range(1, 10))
    await pool.join()


async def test_the_items_wait_in_line_and_cancel_takes_them() -> None:
    pool, gate = AioPool(2), Gate()
    consumer = asyncio.create_task(collect(pool.itermap(gate.job, range(5))))
    await until(lambda: gate.active == 2)
    assert len(pool) == 5
    cancelled, _ = await pool.cancel()
    assert cancelled == 5
    results = await consumer
    assert len(results) == 5
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert gate.started == [0, 1]
    await assert_usable(pool)


async def test_fn_is_called_only_when_a_slot_is_at_hand() -> None:
    called = []

    def fn(item: int) -> Coroutine[Any, Any, int]:
        called.append(item)
        return gate.job(item)

    pool, gate = AioPool(2), Gate()
    consumer = asyncio.create_task(collect(pool.itermap(fn, range(5))))
    await turns()
    assert called == [0, 1]
    gate.let(1)
    await until(lambda: 2 in called)
    await turns()
    assert called == [0, 1, 2]
    gate.open()
    assert sorted(await consumer) == list(range(5))
    await pool.join()


async def test_fn_is_never_called_for_an_item_that_is_cancelled_while_it_waits() -> None:
    called = []

    def fn(item: int) -> Coroutine[Any, Any, int]:
        called.append(item)
        return gate.job(item)

    pool, gate = AioPool(1), Gate()
    consumer = asyncio.create_task(collect(pool.itermap(fn, range(5))))
    await turns()
    await pool.cancel()
    assert len(await consumer) == 5
    assert called == [0]
    await assert_usable(pool)


async def test_results_of_a_batch_come_in_the_order_in_which_the_jobs_ended() -> None:
    pool, gate = AioPool(3), Gate()
    consumer = asyncio.create_task(collect(pool.itermap(gate.job, "abc")))
    await until(lambda: gate.active == 3)
    for name in "cab":
        gate.let(name)
        await until(lambda name=name: name in gate.ended)
    assert await consumer == ["c", "a", "b"]
    await pool.join()


async def test_all_completed_gives_one_batch() -> None:
    pool = AioPool(2)
    [batch] = await collect(pool.itermap(add_one, range(5), flat=False))
    assert sorted(batch) == [1, 2, 3, 4, 5]
    await pool.join()


async def test_all_completed_gives_nothing_before_the_last_job_has_ended() -> None:
    pool, gate = AioPool(2), Gate()
    step = asyncio.ensure_future(anext(pool.itermap(gate.job, range(2))))
    gate.let(0)
    await until(lambda: gate.ended == [0])
    await turns()
    assert not step.done()
    gate.open()
    assert await step == 0
    await pool.join()


async def test_first_completed_gives_a_result_while_others_are_active() -> None:
    pool, gate = AioPool(3), Gate()
    results = pool.itermap(gate.job, range(3), flat=False, yield_when=asyncio.FIRST_COMPLETED)
    for name in (1, 0, 2):
        gate.let(name)
        assert await anext(results) == [name]
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    await pool.join()


async def test_first_exception_gives_what_is_done_at_the_first_error() -> None:
    async def job(name: str) -> str:
        await gate.job(name)
        if name == "error":
            raise LookupError
        return name

    pool, gate = AioPool(3), Gate()
    results = pool.itermap(
        job, ["early", "error", "late"], flat=False, yield_when=asyncio.FIRST_EXCEPTION
    )
    step = asyncio.ensure_future(anext(results))
    gate.let("early")
    await until(lambda: gate.ended == ["early"])
    await turns()
    assert not step.done()
    gate.let("error")
    early, error = await step
    assert early == "early"
    assert isinstance(error, LookupError)
    gate.open()
    assert await collect(results) == [["late"]]
    await pool.join()


async def test_a_timeout_with_nothing_done_gives_an_empty_batch() -> None:
    pool, gate = AioPool(2), Gate()
    results = pool.itermap(gate.job, range(2), flat=False, timeout=0)
    assert await anext(results) == []
    assert await anext(results) == []
    gate.open()
    batches = await collect(results)
    assert sorted(chain(*batches)) == [0, 1]
    await pool.join()


async def test_a_timeout_gives_what_is_done_so_far() -> None:
    pool, gate = AioPool(2), Gate()
    results = pool.itermap(gate.job, range(2), flat=False, timeout=0)
    assert await anext(results) == []
    gate.let(1)
    await until(lambda: gate.ended == [1])
    assert await anext(results) == [1]
    gate.open()
    assert list(chain(*await collect(results))) == [0]
    await pool.join()


async def test_a_timeout_with_nothing_done_gives_no_result_if_flat() -> None:
    pool, gate = AioPool(1), Gate()
    step = asyncio.ensure_future(anext(pool.itermap(gate.job, ["result"], timeout=0)))
    await turns(20)
    assert not step.done()
    gate.open()
    assert await step == "result"
    await pool.join()


async def test_errors_are_given_as_results() -> None:
    pool = AioPool(1)
    error, result = await collect(pool.itermap(one_over, [0, 1]))
    assert isinstance(error, ZeroDivisionError)
    assert result == 1
    await pool.join()


async def test_get_result_pair_gives_result_and_exception() -> None:
    pool = AioPool(1)
    [(missing, error), (result, nothing)] = await collect(
        pool.itermap(one_over, [0, 1], get_result=getres.pair)
    )
    assert missing is None
    assert isinstance(error, ZeroDivisionError)
    assert (result, nothing) == (1, None)
    await pool.join()


async def test_get_result_dont_gives_the_settled_futures() -> None:
    pool = AioPool(2)
    futures = await collect(pool.itermap(ready, range(2), get_result=getres.dont))
    assert all(isinstance(future, asyncio.Future) for future in futures)
    assert [future.result() for future in futures] == [0, 1]
    await pool.join()


async def test_the_arguments_can_be_named() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        return res + ctx

    pool = AioPool(1)
    results = pool.itermap(
        fn=ready,
        iterable=(1, 2),
        cb=callback,
        ctx=10,
        flat=False,
        get_result=getres.pair,
        timeout=None,
        yield_when=asyncio.ALL_COMPLETED,
    )
    assert await collect(results) == [[(11, None), (12, None)]]
    await pool.join()


async def test_an_error_of_the_iterable_is_raised_at_the_first_step() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise error

    pool, gate, error = AioPool(1), Gate(), LookupError("no more")
    results = pool.itermap(gate.job, items())
    with pytest.raises(LookupError) as raised:
        await anext(results)
    assert raised.value is error
    assert len(pool) == 0
    await turns()
    assert gate.started == []
    await assert_usable(pool)


async def test_breaking_out_leaves_the_jobs_running_and_the_pool_joins_them() -> None:
    pool, gate = AioPool(2), Gate()
    gate.let(0)
    async for result in pool.itermap(gate.job, range(5), yield_when=asyncio.FIRST_COMPLETED):
        assert result == 0
        break
    assert len(pool) >= 4
    joined = asyncio.create_task(pool.join())
    await turns()
    assert not joined.done()
    gate.open()
    assert await joined is True
    assert sorted(gate.ended) == list(range(5))
    assert gate.cancelled == []
    await assert_usable(pool)


async def test_it_can_be_closed_like_an_async_generator() -> None:
    pool, gate = AioPool(2), Gate()
    gate.let(0)
    results = pool.itermap(gate.job, range(3), yield_when=asyncio.FIRST_COMPLETED)
    async with contextlib.aclosing(results):  # type: ignore[type-var]
        assert await anext(results) == 0
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    gate.open()
    await pool.join()
    assert sorted(gate.ended) == [0, 1, 2]
    await assert_usable(pool)


async def test_callbacks_of_the_items_have_ended_when_their_results_are_given() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        await turns()
        return res * ctx

    pool = AioPool(2)
    assert sorted(await collect(pool.itermap(ready, range(4), callback, 3))) == [0, 3, 6, 9]
    await pool.join()


async def test_cancelling_the_consumer_leaves_the_jobs_running() -> None:
    pool, gate = AioPool(2), Gate()
    consumer = asyncio.create_task(collect(pool.itermap(gate.job, range(5))))
    await until(lambda: gate.active == 2)
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert len(pool) == 5
    gate.open()
    await pool.join()
    assert sorted(gate.ended) == list(range(5))
    assert gate.cancelled == []
    await assert_usable(pool)
