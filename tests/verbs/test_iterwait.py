"""iterwait: batches of results over any iterable of futures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import chain
from typing import Any

import pytest

from asyncio_pool import AioPool, getres, iterwait
from helpers import Gate, add_one, fails, ready, turns, until


async def collect(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


@pytest.mark.parametrize("kind", [list, tuple, set, iter, frozenset])
async def test_it_takes_any_iterable_of_futures(
    kind: Callable[[list[Any]], Iterable[Any]],
) -> None:
    pool = AioPool(2)
    futures = kind(pool.map_n(add_one, range(5)))
    assert sorted(await collect(iterwait(futures))) == [1, 2, 3, 4, 5]
    await pool.join()


async def test_it_takes_a_generator_of_futures() -> None:
    pool = AioPool(2)
    futures = pool.map_n(add_one, range(5))
    assert sorted(await collect(iterwait(f for f in futures))) == [1, 2, 3, 4, 5]
    await pool.join()


async def test_no_futures_give_nothing() -> None:
    assert await collect(iterwait([])) == []
    assert await collect(iterwait([], flat=False)) == []


async def test_it_takes_futures_that_no_pool_made() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    task = asyncio.create_task(ready(2))
    assert sorted(await collect(iterwait([future, task]))) == [1, 2]


async def test_it_is_an_async_iterator() -> None:
    pool = AioPool(1)
    results = iterwait([pool.spawn_n(ready(1))])
    assert isinstance(results, AsyncIterator)
    assert await anext(results) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    await pool.join()


async def test_the_list_of_futures_stays_as_it_was() -> None:
    pool = AioPool(1)
    futures = pool.map_n(ready, range(3))
    before = list(futures)
    await collect(iterwait(futures))
    assert futures == before
    await pool.join()


async def test_batches_are_lists_if_not_flat() -> None:
    pool = AioPool(2)
    futures = pool.map_n(add_one, range(5))
    [batch] = await collect(iterwait(futures, flat=False))
    assert isinstance(batch, list)
    assert sorted(batch) == [1, 2, 3, 4, 5]
    await pool.join()


async def test_first_completed_gives_a_result_while_others_are_active() -> None:
    pool, gate = AioPool(3), Gate()
    futures = pool.map_n(gate.job, range(3))
    results = iterwait(futures, flat=False, yield_when=asyncio.FIRST_COMPLETED)
    for name in (2, 0, 1):
        gate.let(name)
        assert await anext(results) == [name]
    await pool.join()


async def test_all_completed_gives_nothing_before_the_last_job_has_ended() -> None:
    pool, gate = AioPool(2), Gate()
    step = asyncio.ensure_future(anext(iterwait(pool.map_n(gate.job, range(2)))))
    gate.let(0)
    await until(lambda: gate.ended == [0])
    await turns()
    assert not step.done()
    gate.open()
    assert await step in (0, 1)
    await pool.join()


async def test_first_exception_gives_what_is_done_at_the_first_error() -> None:
    async def job(name: str) -> str:
        await gate.job(name)
        if name == "error":
            raise LookupError
        return name

    pool, gate = AioPool(3), Gate()
    futures = pool.map_n(job, ["early", "error", "late"])
    results = iterwait(futures, flat=False, yield_when=asyncio.FIRST_EXCEPTION)
    step = asyncio.ensure_future(anext(results))
    gate.let("early")
    await until(futures[0].done)
    await turns()
    assert not step.done()
    gate.let("error")
    batch = await step
    assert "early" in batch
    assert any(isinstance(result, LookupError) for result in batch)
    gate.open()
    assert await collect(results) == [["late"]]
    await pool.join()


async def test_a_future_named_twice_gives_one_result() -> None:
    pool = AioPool(1)
    future = pool.spawn_n(ready(1))
    assert await collect(iterwait([future, future])) == [1]
    await pool.join()


async def test_a_timeout_with_nothing_done_gives_an_empty_batch() -> None:
    pool, gate = AioPool(2), Gate()
    results = iterwait(pool.map_n(gate.job, range(2)), flat=False, timeout=0)
    assert await anext(results) == []
    gate.open()
    assert sorted(chain(*await collect(results))) == [0, 1]
    await pool.join()


async def test_errors_and_cancellations_are_given_as_results() -> None:
    pool, error = AioPool(1), LookupError()
    futures = [pool.spawn_n(fails(error)), pool.spawn_n(ready(1))]
    futures[1].cancel()
    results = await collect(iterwait(futures))
    assert error in results
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
    await pool.join()


async def test_get_result_decides_what_is_given() -> None:
    pool = AioPool(1)
    future = pool.spawn_n(ready(1))
    assert await collect(iterwait([future], get_result=getres.pair)) == [(1, None)]
    assert await collect(iterwait([future], get_result=getres.dont)) == [future]
    await pool.join()


async def test_breaking_out_leaves_the_jobs_running() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(4))
    gate.let(0)
    async for result in iterwait(futures, yield_when=asyncio.FIRST_COMPLETED):
        assert result == 0
        break
    gate.open()
    await pool.join()
    assert [future.result() for future in futures] == [0, 1, 2, 3]


async def test_iterwait_leaves_no_callback_on_futures_it_no_longer_waits_for() -> None:
    class Counting(asyncio.Future[None]):
        callbacks = 0

        def add_done_callback(self, *args: Any, **kwargs: Any) -> None:
            self.callbacks += 1
            super().add_done_callback(*args, **kwargs)

        def remove_done_callback(self, fn: Callable[..., object]) -> int:
            removed = super().remove_done_callback(fn)
            self.callbacks -= removed
            return removed

    future = Counting()
    for _ in range(3):
        results: AsyncIterator[Any] = iterwait([future], flat=False, timeout=0)
        assert await anext(results) == []
        await results.aclose()  # type: ignore[attr-defined]
    assert future.callbacks == 0
