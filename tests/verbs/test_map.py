"""map: results in the order of an iterable that is pulled lazily."""

from __future__ import annotations

import asyncio
import gc
import itertools
import traceback
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import Gate, add_one, assert_usable, fails, ready, turns, until


async def one_over(value: int) -> float:
    await asyncio.sleep(0)
    return 1 / value


async def test_results_come_in_the_order_of_the_iterable() -> None:
    pool, gate = AioPool(3), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, "abc"))
    await until(lambda: gate.active == 3)
    for name in "cab":
        gate.let(name)
        await until(lambda name=name: name in gate.ended)
    assert await mapping == ["a", "b", "c"]
    assert gate.ended == ["c", "a", "b"]
    await assert_usable(pool)


async def test_an_error_takes_the_place_of_its_item_and_stops_nothing() -> None:
    pool = AioPool(2)
    results = await pool.map(one_over, [1, 0, 2, 0])
    assert [results[0], results[2]] == [1, 0.5]
    assert isinstance(results[1], ZeroDivisionError)
    assert isinstance(results[3], ZeroDivisionError)
    await assert_usable(pool)


async def test_the_arguments_can_be_named() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        return res + ctx

    pool = AioPool(2)
    results = await pool.map(
        fn=add_one, iterable=(1, 2), cb=callback, ctx=10, get_result=getres.pair
    )
    assert results == [(12, None), (13, None)]
    await pool.join()


async def test_get_result_pair_gives_result_and_exception() -> None:
    pool = AioPool(2)
    [(result, nothing), (missing, error)] = await pool.map(one_over, [1, 0], get_result=getres.pair)
    assert (result, nothing) == (1, None)
    assert missing is None
    assert isinstance(error, ZeroDivisionError)
    await pool.join()


async def test_get_result_dont_gives_the_settled_futures() -> None:
    pool = AioPool(2)
    futures = await pool.map(one_over, [1, 0], get_result=getres.dont)
    assert all(isinstance(future, asyncio.Future) for future in futures)
    assert all(future.done() for future in futures)
    assert futures[0].result() == 1
    assert isinstance(futures[1].exception(), ZeroDivisionError)
    await pool.join()


async def test_get_result_may_be_any_function_of_a_future() -> None:
    pool = AioPool(2)
    errors = await pool.map(one_over, [1, 0], get_result=lambda future: future.exception())
    assert errors[0] is None
    assert isinstance(errors[1], ZeroDivisionError)
    await pool.join()


async def test_an_error_of_get_result_is_raised_to_the_caller() -> None:
    pool = AioPool(2)
    with pytest.raises(ZeroDivisionError):
        await pool.map(one_over, [1, 0], get_result=lambda future: future.result())
    await pool.join()
    await assert_usable(pool)


async def test_fn_is_called_only_when_a_slot_is_at_hand() -> None:
    pool, gate, called = AioPool(2), Gate(), []

    def fn(item: int) -> Coroutine[Any, Any, int]:
        called.append(item)
        return gate.job(item)

    mapping = asyncio.create_task(pool.map(fn, range(10)))
    await turns()
    assert called == [0, 1]
    gate.let(0)
    await until(lambda: 2 in called)
    await turns()
    assert called == [0, 1, 2]
    gate.open()
    assert await mapping == list(range(10))
    await pool.join()


async def test_the_iterable_is_pulled_no_further_than_one_item_ahead_of_the_slots() -> None:
    pool, gate, pulled = AioPool(2), Gate(), []

    def items() -> Iterator[int]:
        for item in range(10):
            pulled.append(item)
            yield item

    mapping = asyncio.create_task(pool.map(gate.job, items()))
    await turns()
    assert gate.started == [0, 1]
    assert len(pulled) <= 3
    gate.let(1)
    await until(lambda: 2 in gate.started)
    await turns()
    assert len(pulled) <= 4
    gate.open()
    assert await mapping == list(range(10))
    await pool.join()


async def test_a_map_keeps_all_slots_active_and_no_more() -> None:
    pool, gate = AioPool(3), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, range(10)))
    for ended in range(7):
        await until(lambda ended=ended: len(gate.started) == ended + 3)
        await turns()
        assert gate.active == pool.n_active == 3
        gate.let(ended)
    gate.open()
    assert await mapping == list(range(10))
    assert gate.highest == 3
    await pool.join()


async def test_the_frames_of_an_error_of_fn_begin_with_its_own() -> None:
    def fn(item: int) -> Any:
        raise LookupError(item)

    pool = AioPool(1)
    by_map = await pool.map(fn, range(3))
    by_itermap = [error async for error in pool.itermap(fn, range(3))]
    for error in by_map + by_itermap:
        assert isinstance(error, LookupError)
        frames = traceback.extract_tb(error.__traceback__)
        assert [frame.name for frame in frames] == ["fn"]
    await pool.join()


async def test_an_error_of_the_iterable_is_raised_after_the_jobs_have_been_cancelled() -> None:
    async def job(item: int) -> None:
        try:
            await gate.job(item)
        finally:
            await turns()
            cleaned_up.append(item)

    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise error

    pool, gate, cleaned_up, error = AioPool(2), Gate(), [], LookupError("no more")
    caller = asyncio.create_task(pool.map(job, items()))
    await turns()
    gate.let(0)
    with pytest.raises(LookupError) as raised:
        await caller
    assert raised.value is error
    assert gate.active == 0
    assert sorted(cleaned_up) == sorted(gate.started)
    assert 1 not in gate.started or gate.cancelled == [1]
    await pool.join()
    await assert_usable(pool)


async def test_jobs_that_an_error_of_the_iterable_has_cancelled_are_not_cancelled_again() -> None:
    async def job(item: int) -> None:
        if item == 0:
            return
        try:
            await asyncio.Event().wait()
        finally:
            await gate.job("cleaning up")

    def items() -> Iterator[int]:
        yield 1
        yield 0
        raise LookupError

    pool, gate = AioPool(2), Gate()
    task = asyncio.create_task(pool.map(job, items()))
    await until(lambda: gate.active)
    task.cancel()
    await turns()
    assert not task.done()
    gate.open()
    await asyncio.wait([task])
    assert gate.cancelled == []
    assert task.cancelled()
    await assert_usable(pool)


async def test_an_error_of_the_iterable_leaves_other_jobs_alone() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise LookupError

    pool, gate = AioPool(3), Gate()
    other = pool.spawn_n(gate.job("other"))
    with pytest.raises(LookupError):
        await pool.map(gate.job, items())
    gate.open()
    assert await other == "other"
    await pool.join()
    await assert_usable(pool)


async def test_an_error_of_an_iterable_without_one_item_is_raised_to_the_caller() -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise LookupError

    pool = AioPool(1)
    with pytest.raises(LookupError):
        await pool.map(ready, Broken())
    await assert_usable(pool)


async def test_cancelling_the_caller_of_map_cancels_its_jobs_and_waits_for_them() -> None:
    async def job(item: int) -> None:
        try:
            await gate.job(item)
        finally:
            await gate.job("cleaning up")
            cleaned_up.append(item)

    pool, gate, cleaned_up = AioPool(2), Gate(), []
    caller = asyncio.create_task(pool.map(job, range(10)))
    await until(lambda: gate.active == 2)
    caller.cancel()
    await until(lambda: gate.started.count("cleaning up") == 2)
    await turns()
    assert not caller.done()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(cleaned_up) == [0, 1]
    await pool.join()
    assert gate.started == [0, 1, "cleaning up", "cleaning up"]
    await assert_usable(pool)


async def test_cancelling_the_caller_of_map_leaves_other_jobs_alone() -> None:
    pool, gate = AioPool(2), Gate()
    other = pool.spawn_n(gate.job("other"))
    caller = asyncio.create_task(pool.map(gate.job, range(10)))
    await until(lambda: gate.active == 2)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert gate.cancelled == [0]
    gate.open()
    assert await other == "other"
    await pool.join()
    await assert_usable(pool)


async def test_each_of_many_maps_stops_its_own_jobs_alone() -> None:
    async def begin() -> asyncio.Task[Any]:
        mapped = asyncio.create_task(pool.map(gate.job, [f"{len(maps)} {n}" for n in range(2)]))
        await turns()
        return mapped

    pool, gate, maps = AioPool(6), Gate(), []
    for _ in range(3):
        maps.append(await begin())
    for n in 1, 3:
        maps[1].cancel()
        await asyncio.wait([maps[1]])
        # The places of the jobs that have ended are those of others now.
        maps.append(await begin())
        assert gate.cancelled[-2:] == [f"{n} 0", f"{n} 1"]
        maps[1] = maps[-1]
    gate.open()
    await pool.join()
    assert sorted(gate.cancelled) == ["1 0", "1 1", "3 0", "3 1"]
    assert [await maps[n] for n in (0, 2, 4)] == [[f"{n} 0", f"{n} 1"] for n in (0, 2, 4)]
    await assert_usable(pool)


async def test_a_map_that_is_cancelled_while_it_waits_for_its_first_slot_starts_nothing() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("other"))
    caller = asyncio.create_task(pool.map(gate.job, range(10)))
    await turns()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.open()
    await pool.join()
    assert gate.started == ["other"]
    await assert_usable(pool)


async def test_cancelling_the_pool_stops_the_items_that_exist_and_the_map_goes_on() -> None:
    pool, gate = AioPool(2), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, range(10)))
    await until(lambda: gate.active == 2)
    cancelled, _ = await pool.cancel()
    gate.open()
    results = await mapping
    stopped = [result for result in results if isinstance(result, asyncio.CancelledError)]
    assert gate.cancelled == [0, 1]
    assert 2 <= len(stopped) <= 3
    assert len(stopped) == cancelled
    assert results[3:] == list(range(3, 10))
    await pool.join()
    await assert_usable(pool)


async def test_map_waits_for_callbacks_and_gives_what_they_return() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        await turns()
        return res * ctx

    pool = AioPool(2)
    assert await pool.map(ready, range(5), callback, 3) == [0, 3, 6, 9, 12]
    await assert_usable(pool)


async def test_callbacks_are_called_for_items_that_fail() -> None:
    async def callback(res: Any, err: tuple[BaseException, str] | None) -> Any:
        return res if err is None else type(err[0]).__name__

    pool = AioPool(2)
    assert await pool.map(one_over, [1, 0], callback) == [1, "ZeroDivisionError"]
    await pool.join()


async def test_two_maps_in_one_pool_do_not_mix_their_results() -> None:
    pool = AioPool(3)
    first, second = await asyncio.gather(
        pool.map(add_one, range(20)), pool.map(add_one, range(100, 120))
    )
    assert first == list(range(1, 21))
    assert second == list(range(101, 121))
    await assert_usable(pool)


async def test_items_whose_jobs_fail_leave_every_slot_free() -> None:
    pool = AioPool(2)
    errors = [LookupError(n) for n in range(10)]
    assert await pool.map(fails, errors) == errors
    await assert_usable(pool)


async def test_an_endless_iterable_can_be_mapped_until_the_caller_is_cancelled() -> None:
    pool, gate = AioPool(2), Gate()
    caller = asyncio.create_task(pool.map(gate.job, itertools.count()))
    for n in range(100):
        gate.let(n)
    await until(lambda: gate.started[-1:] == [101])
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(gate.cancelled) == [100, 101]
    await pool.join()
    await assert_usable(pool)


async def test_fn_may_give_the_same_future_for_every_item() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    pool = AioPool(2)
    mapping = asyncio.create_task(pool.map(lambda _: future, range(5)))
    await turns()
    future.set_result(7)
    assert await mapping == [7] * 5
    await pool.join()


async def test_a_job_may_map_over_its_own_pool_while_a_slot_is_left() -> None:
    async def job() -> list[Any]:
        return await pool.map(add_one, range(5))

    pool = AioPool(2)
    assert await pool.exec(job()) == [1, 2, 3, 4, 5]
    await pool.join()
    await assert_usable(pool)


async def test_a_map_can_be_cancelled_twice_and_nothing_is_lost() -> None:
    async def job(item: int) -> None:
        try:
            await gate.job(item)
        finally:
            await gate.job("cleaning up")

    pool, gate = AioPool(2), Gate()
    caller = asyncio.create_task(pool.map(job, range(10)))
    await until(lambda: gate.active == 2)
    caller.cancel()
    await until(lambda: gate.started.count("cleaning up") == 2)
    caller.cancel()
    await turns()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await pool.join()
    assert gate.started == [0, 1, "cleaning up", "cleaning up"]
    await assert_usable(pool)


async def test_items_that_settle_at_once_take_a_bounded_share_of_each_turn() -> None:
    def fn(_: object) -> Any:
        called.append(None)
        raise LookupError

    called: list[None] = []
    pool = AioPool(1)
    task = asyncio.ensure_future(pool.map(fn, iter(int, 1)))
    shares = []
    for _ in range(60):
        before = len(called)
        pool.spawn_n(ready(None))
        await asyncio.sleep(0)
        shares.append(len(called) - before)
    # One slot, so one in a turn: as many as if each had a task to find out that it has no job.
    assert max(shares) == 1
    assert sum(shares) >= 5
    task.cancel()
    await asyncio.wait([task])
    await pool.join()


async def test_an_error_of_fn_has_nothing_to_do_with_the_job_before() -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        raise ValueError

    def fn(item: int) -> Any:
        if item:
            raise LookupError
        return job()

    pool = AioPool(1)
    [_, error] = await pool.map(fn, range(2))
    assert isinstance(error, LookupError)
    assert error.__context__ is None
    await pool.join()


async def test_errors_of_items_are_not_reported_beside_the_results_of_their_map() -> None:
    async def job(item: int) -> None:
        try:
            await gate.job()
        except asyncio.CancelledError:
            await turns()
            raise LookupError(item) from None

    pool, gate = AioPool(2), Gate()
    mapping = asyncio.ensure_future(pool.map(job, range(2)))
    await turns()
    cancelling = asyncio.ensure_future(pool.cancel())
    await asyncio.sleep(0)
    cancelling.cancel()
    assert [type(result) for result in await mapping] == [LookupError] * 2
    await asyncio.wait([cancelling])
    gc.collect()
    await pool.join()


async def test_results_that_a_cancelled_map_no_longer_gives_are_not_reported() -> None:
    async def job(item: int) -> None:
        if item == 0:
            raise LookupError
        await gate.job()

    pool, gate = AioPool(1), Gate()
    mapping = asyncio.ensure_future(pool.map(job, range(2), get_result=getres.dont))
    await turns(5)
    mapping.cancel()
    await asyncio.wait([mapping])
    del mapping
    gc.collect()
    await pool.join()
