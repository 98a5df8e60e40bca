"""The futures that the pool gives are asyncio's own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import Gate, add_one, assert_usable, fails, is_closed, ready, turns, until


async def test_they_are_futures_of_the_loop_of_the_pool() -> None:
    pool = AioPool(1)
    futures = [await pool.spawn(ready(0)), pool.spawn_n(ready(1)), *pool.map_n(ready, [2])]
    for future in futures:
        assert isinstance(future, asyncio.Future)
        assert asyncio.isfuture(future)
        assert future.get_loop() is asyncio.get_running_loop()
    await pool.join()


async def test_they_can_be_awaited_more_than_once() -> None:
    pool = AioPool(1)
    future = pool.spawn_n(add_one(1))
    assert [await future, await future] == [2, 2]
    await pool.join()


async def test_wait_takes_them() -> None:
    pool, gate = AioPool(2), Gate()
    first, second = pool.map_n(gate.job, range(2))
    gate.let(1)
    done, pending = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    assert (done, pending) == ({second}, {first})
    gate.open()
    await pool.join()


async def test_gather_takes_them() -> None:
    pool, error = AioPool(2), LookupError()
    futures = [pool.spawn_n(add_one(1)), pool.spawn_n(fails(error))]
    assert await asyncio.gather(*futures, return_exceptions=True) == [2, error]
    await pool.join()


async def test_as_completed_takes_them() -> None:
    pool = AioPool(2)
    futures = pool.map_n(add_one, range(3))
    assert [await next_ for next_ in asyncio.as_completed(futures)] == [1, 2, 3]
    await pool.join()


async def test_shield_protects_them_from_the_cancellation_of_the_waiter() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("result"))
    await turns()
    waiter = asyncio.shield(future)
    waiter.cancel()
    await turns()
    assert not future.done()
    gate.open()
    assert await future == "result"
    await pool.join()


async def test_done_callbacks_are_called() -> None:
    pool, called = AioPool(1), []
    future = pool.spawn_n(ready(1))
    future.add_done_callback(called.append)
    await pool.join()
    await turns()
    assert called == [future]


async def test_a_result_can_be_read_before_the_slot_is_given_back() -> None:
    async def job(position: int) -> None:
        seen.append([future.done() for future in futures[:position]])
        await asyncio.sleep(0)

    pool, seen = AioPool(1), []
    futures = pool.map_n(job, range(5))
    await pool.join()
    assert seen == [[True] * position for position in range(5)]


async def test_the_cancellation_of_a_job_can_be_read_before_its_slot_is_given_back() -> None:
    async def job() -> None:
        seen.append(active.cancelled())

    pool, gate, seen = AioPool(1), Gate(), []
    active = pool.spawn_n(gate.job())
    pool.spawn_n(job())
    await turns()
    await pool.cancel(active)
    await pool.join()
    assert seen == [True]


async def test_cancelling_the_future_of_a_waiting_job_takes_it_out_of_the_queue() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job("active"))
    coro = gate.job("waiting")
    future = pool.spawn_n(coro)
    behind = pool.spawn_n(gate.job("behind"))
    await turns()
    assert future.cancel() is True
    assert future.cancelled()
    await turns()
    assert is_closed(coro)
    assert len(pool) == 2
    gate.open()
    assert await behind == "behind"
    await pool.join()
    assert gate.started == ["active", "behind"]
    await assert_usable(pool)


async def test_jobs_that_come_after_a_cancellation_can_be_cancelled_too() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job("active"))
    earlier = pool.spawn_n(gate.job("earlier"))
    admitted = pool.spawn_n(gate.job("admitted"))
    assert earlier.cancel() is True  # The pool looks for a place in its queue for the first time.
    later = [gate.job(number) for number in range(20)]
    futures = [pool.spawn_n(coro) for coro in later]
    assert futures[3].cancel() is True
    count, _ = await pool.cancel(futures[17])
    assert count == 1
    assert is_closed(later[3])
    assert is_closed(later[17])
    assert len(pool) == 20
    gate.open()
    assert await admitted == "admitted"
    assert await pool.join() is True
    expected = [number for number in range(20) if number not in {3, 17}]
    assert gate.started == ["active", "admitted", *expected]
    await assert_usable(pool)


async def test_a_future_cancelled_as_its_slot_comes_free_loses_no_slot() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting, behind = pool.map_n(gate.job, range(3))
    active.add_done_callback(lambda _: waiting.cancel())
    gate.open()
    await pool.join()
    assert behind.result() == 2
    assert waiting.cancelled() or waiting.result() == 1
    await assert_usable(pool)


async def test_a_future_cancelled_at_once_after_spawn_n_leaves_nothing_behind() -> None:
    pool, gate = AioPool(1), Gate()
    gate.open()
    future = pool.spawn_n(gate.job())
    future.cancel()
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_cancelling_the_future_of_an_active_job_only_gives_up_the_result() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("active"))
    waiting = pool.spawn_n(gate.job("waiting"))
    await until(lambda: gate.active)
    assert future.cancel() is True
    assert future.cancelled()
    await turns()
    assert gate.cancelled == []
    assert gate.started == ["active"]
    assert pool.n_active == 1
    gate.open()
    assert await waiting == "waiting"
    await pool.join()
    assert gate.ended == ["active", "waiting"]
    assert pool.n_executed == 2
    await assert_usable(pool)


async def test_a_job_whose_result_was_given_up_may_fail() -> None:
    async def job() -> None:
        await gate.job()
        raise LookupError

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    future.cancel()
    gate.open()
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_the_callback_of_a_job_whose_result_was_given_up_runs() -> None:
    async def callback(res: str) -> str:
        called.append(res)
        return res

    pool, gate, called = AioPool(1), Gate(), []
    future = pool.spawn_n(gate.job("result"), callback)
    await until(lambda: gate.active)
    future.cancel()
    gate.open()
    await pool.join()
    assert called == ["result"]
    await assert_usable(pool)


async def test_join_waits_for_a_job_whose_result_was_given_up() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job())
    await until(lambda: gate.active)
    future.cancel()
    joined = asyncio.create_task(pool.join())
    await turns()
    assert not joined.done()
    gate.open()
    assert await joined is True


async def test_cancelling_the_pool_reaches_a_job_whose_result_was_given_up() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("active"))
    await until(lambda: gate.active)
    future.cancel()
    await pool.cancel()
    assert gate.cancelled == ["active"]
    await assert_usable(pool)


async def test_wait_for_gives_up_the_result_of_an_active_job_and_the_job_runs_on() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("active"))
    await until(lambda: gate.active)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0)
    await turns()
    assert gate.cancelled == []
    gate.open()
    await pool.join()
    assert gate.ended == ["active"]


async def test_many_waiting_futures_can_be_cancelled_one_by_one() -> None:
    pool, gate = AioPool(1), Gate()
    futures = pool.map_n(gate.job, range(1_000))
    await turns()
    for future in futures[1:-1:2]:
        future.cancel()
    gate.open()
    await pool.join()
    assert gate.started == [0, *range(2, 1_000, 2), 999]
    await assert_usable(pool)


async def test_a_result_that_somebody_else_set_stays_and_no_slot_is_lost() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.map_n(gate.job, range(2))
    await turns()
    active.set_result("from outside")
    waiting.set_result("from outside")
    gate.open()
    await pool.join()
    assert (active.result(), waiting.result()) == ("from outside", "from outside")
    await assert_usable(pool)


async def test_wait_for_takes_a_waiting_job_out_of_the_queue() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job("active"))
    coro = gate.job("waiting")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.spawn_n(coro), 0)
    await turns()
    assert is_closed(coro)
    assert len(pool) == 1
    gate.open()
    await pool.join()
    assert gate.started == ["active"]


async def test_the_message_of_a_cancellation_reaches_who_awaits_the_future() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.map_n(gate.job, range(2))
    await turns()
    for future in (active, waiting):
        future.cancel("given up")
        with pytest.raises(asyncio.CancelledError, match="given up"):
            await future
    gate.open()
    await pool.join()


async def test_a_settled_future_can_not_be_cancelled() -> None:
    pool = AioPool(1)
    future = pool.spawn_n(ready(1))
    await future
    assert future.cancel() is False
    assert future.result() == 1
    await pool.join()


async def boom(number: int) -> None:
    await asyncio.sleep(0)
    raise LookupError(number)


def breaks() -> Iterator[int]:
    yield from range(3)
    raise OSError("the source")


async def map_whose_source_fails(pool: AioPool) -> None:
    with pytest.raises(OSError, match="the source"):
        await pool.map(boom, breaks(), get_result=getres.dont)


async def map_whose_source_fails_before_its_get_result(pool: AioPool) -> None:
    with pytest.raises(OSError, match="the source"):
        await pool.map(boom, breaks(), get_result=asyncio.Future.exception)


async def map_whose_get_result_fails(pool: AioPool) -> None:
    with pytest.raises(LookupError):
        await pool.map(boom, range(3), get_result=asyncio.Future.result)


async def itermap_that_is_left(pool: AioPool) -> None:
    async for future in pool.itermap(boom, range(3), get_result=getres.dont):
        assert isinstance(future.exception(), LookupError)
        break


async def itermap_whose_get_result_fails(pool: AioPool) -> None:
    with pytest.raises(LookupError):
        async for _ in pool.itermap(boom, range(3), get_result=asyncio.Future.result):
            pass


async def itermap_in_batches_whose_get_result_fails(pool: AioPool) -> None:
    with pytest.raises(LookupError):
        async for _ in pool.itermap(boom, range(3), flat=False, get_result=asyncio.Future.result):
            pass


async def itermap_that_is_left_early(pool: AioPool) -> None:
    results = pool.itermap(
        boom, range(3), get_result=getres.dont, yield_when=asyncio.FIRST_COMPLETED
    )
    assert isinstance((await anext(results)).exception(), LookupError)
    await results.aclose()


@pytest.mark.parametrize(
    "call",
    [
        map_whose_source_fails,
        map_whose_source_fails_before_its_get_result,
        map_whose_get_result_fails,
        itermap_that_is_left,
        itermap_whose_get_result_fails,
        itermap_in_batches_whose_get_result_fails,
        itermap_that_is_left_early,
    ],
)
async def test_nobody_hears_of_the_errors_of_futures_that_nobody_was_given(
    call: Callable[[AioPool], Awaitable[None]], loop_errors: list[dict[str, Any]]
) -> None:
    pool = AioPool(2)
    await call(pool)
    await pool.join()
    gc.collect()
    assert loop_errors == []
    await assert_usable(pool)
