"""join, and the end of an ``async with`` block."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, at_once, fails, ready, turns, until


async def test_join_of_an_empty_pool_returns_true_at_once() -> None:
    assert at_once(AioPool(1).join()) is True


async def test_join_returns_true_when_nobody_waits_and_nothing_is_active() -> None:
    pool, gate = AioPool(1), Gate()
    futures = pool.map_n(gate.job, range(3))
    joined = asyncio.create_task(pool.join())
    for name in range(3):
        await turns()
        assert not joined.done()
        gate.let(name)
    assert await joined is True
    assert pool.is_empty
    assert all(future.done() for future in futures)


async def test_all_results_can_be_read_when_join_returns() -> None:
    async def callback(res: int) -> int:
        await turns()
        return res

    pool = AioPool(3)
    futures = [*pool.map_n(add_one, range(10)), *pool.map_n(add_one, range(10), callback)]
    futures += [await pool.spawn(add_one(n), callback) for n in range(10)]
    await pool.join()
    assert [future.result() for future in futures] == 3 * list(range(1, 11))


async def test_any_number_of_tasks_can_join() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(3))
    joiners = [asyncio.create_task(pool.join()) for _ in range(10)]
    await turns()
    assert not any(joiner.done() for joiner in joiners)
    gate.open()
    assert await asyncio.gather(*joiners) == [True] * 10


async def test_a_cancelled_joiner_disturbs_neither_jobs_nor_other_joiners() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("result"))
    first, second = (asyncio.create_task(pool.join()) for _ in range(2))
    await turns()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not second.done()
    gate.open()
    assert await second is True
    assert future.result() == "result"


async def test_joiners_leave_in_any_order_and_the_others_stay() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job())
    joiners = [asyncio.create_task(pool.join()) for _ in range(100)]
    await turns()
    for n in [*range(0, 100, 3), *reversed(range(1, 100, 3))]:
        joiners[n].cancel()
    await turns()
    gate.open()
    await asyncio.wait(joiners)
    assert [joiner.cancelled() for joiner in joiners] == [n % 3 < 2 for n in range(100)]


async def test_join_waits_for_jobs_handed_in_meanwhile() -> None:
    async def job(left: int) -> None:
        ended.append(left)
        if left:
            pool.spawn_n(job(left - 1))

    pool, ended = AioPool(1), []
    pool.spawn_n(job(5))
    assert await pool.join() is True
    assert ended == [5, 4, 3, 2, 1, 0]


async def test_join_waits_for_the_callbacks() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    pool.spawn_n(ready(1), callback)
    joined = asyncio.create_task(pool.join())
    await until(lambda: gate.active)
    await turns()
    assert not joined.done()
    gate.open()
    assert await joined is True


async def test_join_waits_for_a_blocked_spawn_and_its_job() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    blocked = asyncio.create_task(pool.spawn(gate.job("blocked")))
    await turns()
    joined = asyncio.create_task(pool.join())
    gate.let("active")
    await until(lambda: "blocked" in gate.started)
    await turns()
    assert not joined.done()
    gate.open()
    assert await joined is True
    assert await (await blocked) == "blocked"


async def test_join_waits_for_a_running_map() -> None:
    pool, gate = AioPool(2), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, range(10)))
    await until(lambda: gate.active == 2)
    joined = asyncio.create_task(pool.join())
    for name in range(9):
        gate.let(name)
        await turns()
        assert not joined.done()
    gate.open()
    assert await joined is True
    assert sorted(gate.ended) == list(range(10))
    assert await mapping == list(range(10))


async def test_join_returns_when_the_last_job_was_cancelled() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(3))
    await turns()
    joined = asyncio.create_task(pool.join())
    await turns()
    await pool.cancel()
    assert await joined is True


async def test_join_returns_when_the_last_waiting_future_was_cancelled() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.map_n(gate.job, range(2))
    await turns()
    joined = asyncio.create_task(pool.join())
    gate.let(0)
    waiting.cancel()
    assert await joined is True
    assert active.result() == 0
    assert gate.started == [0]


async def test_a_pool_can_be_joined_again_and_again() -> None:
    pool = AioPool(2)
    for round_ in range(3):
        futures = pool.map_n(add_one, range(round_, round_ + 5))
        assert await pool.join() is True
        assert all(future.done() for future in futures)
    await assert_usable(pool)


@pytest.mark.parametrize("waiting", [True, False])
async def test_join_inside_a_job_of_the_pool_is_refused(waiting: bool) -> None:
    async def job() -> None:
        await pool.join(waiting=waiting)

    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="would wait for that job itself"):
        await pool.exec(job())
    await assert_usable(pool)


async def test_join_inside_a_callback_is_refused_too() -> None:
    async def callback(res: object) -> None:
        await pool.join()

    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="would wait for that job itself"):
        await pool.exec(ready(1), callback)
    await assert_usable(pool)


async def test_a_job_may_join_another_pool() -> None:
    async def job() -> bool:
        other.spawn_n(ready(1))
        return await other.join()

    pool, other = AioPool(1), AioPool(1)
    assert await pool.exec(job()) is True
    await pool.join()


async def test_a_task_that_a_job_started_may_join_the_pool() -> None:
    async def job() -> None:
        joiners.append(asyncio.create_task(pool.join()))

    pool, joiners = AioPool(1), []
    pool.spawn_n(job())
    await pool.join()
    assert await joiners[0] is True


async def test_async_with_gives_the_pool_and_joins_it_at_the_exit() -> None:
    pool = AioPool(2)
    async with pool as entered:
        assert entered is pool
        futures = pool.map_n(add_one, range(5))
    assert [future.result() for future in futures] == [1, 2, 3, 4, 5]
    await assert_usable(pool)


async def test_async_with_joins_also_when_the_block_raises() -> None:
    with pytest.raises(LookupError):
        async with AioPool(2) as pool:
            futures = pool.map_n(add_one, range(5))
            raise LookupError
    assert [future.result() for future in futures] == [1, 2, 3, 4, 5]
    await assert_usable(pool)


async def test_a_failed_job_does_not_fail_the_async_with_block() -> None:
    async with AioPool(2) as pool:
        future = pool.spawn_n(fails(LookupError()))
    assert isinstance(future.exception(), LookupError)


async def test_async_with_waits_for_the_map_that_another_task_awaits() -> None:
    async with AioPool(2) as pool:
        mapping = asyncio.create_task(pool.map(add_one, range(10)))
        await turns(1)
    assert await mapping == list(range(1, 11))


async def test_a_cancelled_async_with_block_cancels_the_jobs_and_waits_for_them() -> None:
    async def job(name: int) -> None:
        try:
            await gate.job(name)
        finally:
            await gate.job("cleaning up")

    async def block() -> None:
        async with AioPool(2) as pool:
            pools.append(pool)
            pool.map_n(job, range(5))
            await asyncio.Event().wait()

    gate, pools = Gate(), []
    task = asyncio.create_task(block())
    await until(lambda: gate.active == 2)
    task.cancel()
    await until(lambda: gate.started.count("cleaning up") == 2)
    await turns()
    assert not task.done()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.started == [0, 1, "cleaning up", "cleaning up"]
    assert gate.cancelled == [0, 1]
    await assert_usable(pools[0])


async def test_a_cancelled_async_with_block_ends_the_maps_of_other_tasks_too() -> None:
    async def block() -> None:
        async with AioPool(2) as pool:
            mapping.append(asyncio.create_task(pool.map(gate.job, itertools.count())))
            await asyncio.Event().wait()

    gate, mapping = Gate(), []
    task = asyncio.create_task(block())
    await until(lambda: gate.active == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(asyncio.CancelledError):
        await mapping[0]
    assert gate.started == gate.cancelled == [0, 1]


async def test_what_is_handed_in_while_a_cancelled_block_ends_never_starts() -> None:
    async def again(_res: object) -> None:
        futures.append(pool.spawn_n(gate.job("again"), again))

    async def block() -> None:
        async with pool:
            pool.map_n(gate.job, range(3), again)
            await asyncio.Event().wait()

    pool, gate, futures = AioPool(2), Gate(), []
    task = asyncio.create_task(block())
    await until(lambda: gate.active == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.is_empty
    assert gate.started == [0, 1]
    assert [future.cancelled() for future in futures] == [True, True]
    gate.open()
    assert await pool.exec(gate.job("after the block")) == "after the block"
    await assert_usable(pool)


async def test_an_async_with_block_that_is_cancelled_while_it_joins_cancels_the_jobs() -> None:
    async def block() -> None:
        async with AioPool(2) as pool:
            pools.append(pool)
            pool.map_n(gate.job, range(5))

    gate, pools = Gate(), []
    task = asyncio.create_task(block())
    await until(lambda: gate.active == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.cancelled == gate.started == [0, 1]
    await assert_usable(pools[0])


async def test_an_async_with_block_that_times_out_cancels_the_jobs() -> None:
    gate = Gate()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), AioPool(2) as pool:
            pool.map_n(gate.job, range(5))
            await asyncio.Event().wait()
    assert gate.active == 0
    await assert_usable(pool)


async def test_an_async_with_block_that_catches_a_cancellation_inside_goes_on() -> None:
    async with AioPool(2) as pool:
        future = pool.spawn_n(ready(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
    assert future.result() == 1


async def test_a_block_that_awaits_a_cancelled_future_does_not_cancel_its_pool() -> None:
    gate = Gate()
    asyncio.get_running_loop().call_later(0.01, gate.open)
    with pytest.raises(asyncio.CancelledError):
        async with AioPool(1) as pool:
            kept, given_up = pool.map_n(gate.job, range(2))
            given_up.cancel()
            await given_up
    assert kept.result() == 0


async def raises_while_it_cleans_up() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise LookupError


async def has_a_group_that_raises_while_it_cleans_up() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(raises_while_it_cleans_up())
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    "inside", [raises_while_it_cleans_up, has_a_group_that_raises_while_it_cleans_up]
)
async def test_a_cancelled_block_that_raises_another_error_cancels_its_jobs(
    inside: Callable[[], Awaitable[None]],
) -> None:
    async def block() -> None:
        async with pool:
            pool.map_n(gate.job, range(5))
            await inside()

    pool, gate = AioPool(2), Gate()
    task = asyncio.create_task(block())
    await until(lambda: gate.active == 2)
    await turns()
    task.cancel()
    await turns(10)
    gate.open()
    with suppress(LookupError, ExceptionGroup, asyncio.CancelledError):
        await task
    assert gate.started == gate.cancelled == [0, 1]
    await assert_usable(pool)


async def test_a_block_in_the_clean_up_of_a_cancelled_task_joins_when_it_raises() -> None:
    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            async with pool:
                futures.extend(pool.map_n(add_one, range(5)))
                raise LookupError

    pool, futures = AioPool(2), list[asyncio.Future[int]]()
    task = asyncio.create_task(clean_up())
    await turns()
    task.cancel()
    with pytest.raises(LookupError):
        await task
    assert [future.result() for future in futures] == [1, 2, 3, 4, 5]
    await assert_usable(pool)
