"""cancel: stop jobs, waiting and active, and wait until they have ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import Gate, add_one, assert_usable, at_once, fails, is_closed, ready, turns, until


def assert_all_cancelled(results: list[Any], count: int) -> None:
    assert len(results) == count
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_without_futures_every_job_is_stopped() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(5))
    await turns()
    cancelled, results = await pool.cancel()
    assert cancelled == 5
    assert_all_cancelled(results, 5)
    assert all(future.cancelled() for future in futures)
    assert gate.started == gate.cancelled == [0, 1]
    await assert_usable(pool)


async def test_waiting_jobs_are_found_beside_items_and_when_the_queue_fills_again() -> None:
    async def collect() -> list[Any]:
        return [name async for name in pool.itermap(gate.job, range(3))]

    pool, gate = AioPool(1), Gate()
    gate.open()
    for _ in range(3):
        active = pool.spawn_n(gate.job("active"))
        collected = asyncio.create_task(collect())
        await asyncio.sleep(0)
        for _ in range(3):
            cancelled, kept = pool.spawn_n(gate.job("cancelled")), pool.spawn_n(gate.job("kept"))
            assert cancelled.cancel()
            assert await pool.cancel(cancelled) == (0, [])
            assert (await pool.cancel(kept))[0] == 1
        last = pool.spawn_n(gate.job("last"))
        assert await collected == [0, 1, 2]
        assert (await active, await last) == ("active", "last")
        await pool.join()
    assert gate.started == ["active", 0, 1, 2, "last"] * 3
    await assert_usable(pool)


async def test_with_futures_only_their_jobs_are_stopped() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(5))
    await turns()
    cancelled, results = await pool.cancel(futures[0], futures[3])
    assert cancelled == 2
    assert_all_cancelled(results, 2)
    assert [future.cancelled() for future in futures] == [True, False, False, True, False]
    gate.open()
    await pool.join()
    assert gate.started == [0, 1, 2, 4]
    assert [futures[n].result() for n in (1, 2, 4)] == [1, 2, 4]
    await assert_usable(pool)


async def test_cancel_of_an_empty_pool_stops_nothing() -> None:
    pool = AioPool(1)
    assert await pool.cancel() == (0, [])
    await assert_usable(pool)


async def test_a_cancelled_waiting_job_never_starts_and_its_callback_is_not_called() -> None:
    async def callback(res: object, err: object) -> None:
        called.append(err)

    pool, gate, called = AioPool(1), Gate(), []
    pool.spawn_n(gate.job("active"))
    coro = gate.job("waiting")
    future = pool.spawn_n(coro, callback)
    await turns()
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    assert is_closed(coro)
    gate.open()
    await pool.join()
    assert gate.started == ["active"]
    assert called == []


async def test_a_job_that_holds_a_slot_but_has_not_begun_never_begins() -> None:
    pool, gate = AioPool(1), Gate()
    coro = gate.job()
    future = at_once(pool.spawn(coro))
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    assert gate.started == []
    assert is_closed(coro)
    await assert_usable(pool)


async def test_cancel_returns_when_the_jobs_have_cleaned_up() -> None:
    async def job(name: object) -> None:
        try:
            await gate.job(name)
        finally:
            await gate.job("cleaning up")

    pool, gate = AioPool(2), Gate()
    pool.map_n(job, range(2))
    await until(lambda: gate.active == 2)
    cancelling = asyncio.create_task(pool.cancel())
    await until(lambda: gate.started.count("cleaning up") == 2)
    await turns()
    assert not cancelling.done()
    gate.open()
    cancelled, _ = await cancelling
    assert cancelled == 2
    assert gate.active == 0
    assert pool.is_empty
    await assert_usable(pool)


async def test_a_job_keeps_its_slot_while_it_cleans_up() -> None:
    async def job() -> None:
        try:
            await gate.job("before")
        finally:
            await gate.job("cleaning up")

    pool, gate = AioPool(1), Gate()
    active = pool.spawn_n(job())
    waiting = pool.spawn_n(gate.job("waiting"))
    await turns()
    cancelling = asyncio.create_task(pool.cancel(active))
    await until(lambda: "cleaning up" in gate.started)
    await turns()
    assert "waiting" not in gate.started
    gate.open()
    await cancelling
    assert await waiting == "waiting"
    assert gate.highest == 1
    await assert_usable(pool)


async def test_nothing_of_a_job_runs_after_cancel_has_returned() -> None:
    async def job(name: int) -> None:
        try:
            await gate.job(name)
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
                steps.append(name)

    pool, gate, steps = AioPool(2), Gate(), []
    pool.map_n(job, range(4))
    await until(lambda: gate.active == 2)
    await pool.cancel()
    seen = list(steps)
    await turns(10)
    assert steps == seen
    assert sorted(steps) == [0] * 5 + [1] * 5


async def test_a_job_that_returns_after_a_cancellation_counts_and_keeps_its_result() -> None:
    async def job() -> str:
        try:
            return await gate.job("a result")
        except asyncio.CancelledError:
            return "another result"

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    assert await pool.cancel(future) == (1, ["another result"])
    assert not future.cancelled()
    assert future.result() == "another result"
    await assert_usable(pool)


async def test_a_job_that_fails_after_a_cancellation_counts_and_keeps_its_error() -> None:
    async def job() -> None:
        try:
            await gate.job()
        except asyncio.CancelledError:
            raise LookupError("while cleaning up") from None

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    cancelled, [error] = await pool.cancel()
    assert cancelled == 1
    assert isinstance(error, LookupError)
    assert future.exception() is error
    await assert_usable(pool)


async def test_a_job_that_raises_cancelled_error_by_itself_is_cancelled() -> None:
    pool = AioPool(1)
    future = pool.spawn_n(fails(asyncio.CancelledError()))
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_the_callback_runs_after_a_cancellation_and_settles_the_future() -> None:
    async def callback(res: object, err: Any, ctx: object) -> str:
        seen.append((res, err, ctx))
        await turns()
        return "from the callback"

    pool, gate, seen = AioPool(1), Gate(), []
    future = pool.spawn_n(gate.job(), callback, "ctx")
    await until(lambda: gate.active)
    assert await pool.cancel(future) == (1, ["from the callback"])
    assert future.result() == "from the callback"
    [(res, (error, text), ctx)] = seen
    assert (res, ctx) == (None, "ctx")
    assert isinstance(error, asyncio.CancelledError)
    assert text.startswith("Traceback (most recent call last)")
    await assert_usable(pool)


async def test_cancel_returns_when_the_callbacks_have_ended() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("job"), callback)
    await until(lambda: gate.active)
    cancelling = asyncio.create_task(pool.cancel(future))
    await until(lambda: "callback" in gate.started)
    await turns()
    assert not cancelling.done()
    gate.open()
    assert await cancelling == (1, [None])


async def test_a_job_can_be_cancelled_in_its_callback() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(ready(1), callback)
    await until(lambda: gate.active)
    cancelled, results = await pool.cancel(future)
    assert cancelled == 1
    assert_all_cancelled(results, 1)
    assert future.cancelled()
    assert gate.cancelled == ["callback"]
    await assert_usable(pool)


async def test_a_job_can_be_cancelled_a_second_time_in_its_callback() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job("job"), callback)
    await until(lambda: gate.active)
    first = asyncio.create_task(pool.cancel(future))
    await until(lambda: "callback" in gate.started)
    second = asyncio.create_task(pool.cancel(future))
    await first
    await second
    assert gate.cancelled == ["job", "callback"]
    assert future.cancelled()
    await assert_usable(pool)


async def test_settled_futures_are_ignored() -> None:
    pool, gate = AioPool(2), Gate()
    settled = pool.spawn_n(ready(1))
    active = pool.spawn_n(gate.job())
    await settled
    cancelled, results = await pool.cancel(settled, active)
    assert cancelled == 1
    assert_all_cancelled(results, 1)
    assert await pool.cancel(settled) == (0, [])
    assert settled.result() == 1
    await assert_usable(pool)


async def test_foreign_futures_are_ignored() -> None:
    pool, other, gate = AioPool(1), AioPool(1), Gate()
    mine = pool.spawn_n(gate.job("mine"))
    foreign = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(gate.job("task"))
    of_other_pool = other.spawn_n(gate.job("other"))
    await turns()
    assert await pool.cancel(foreign, task, of_other_pool) == (0, [])
    assert not any(f.done() for f in (mine, foreign, task, of_other_pool))
    gate.open()
    assert [await mine, await task, await of_other_pool] == ["mine", "task", "other"]
    await pool.join()
    await other.join()


async def test_a_future_given_twice_counts_once() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.map_n(gate.job, range(2))
    await turns()
    cancelled, results = await pool.cancel(active, waiting, active, waiting)
    assert cancelled == 2
    assert_all_cancelled(results, 2)
    await assert_usable(pool)


async def test_results_come_in_the_order_of_the_given_futures() -> None:
    async def job(name: int) -> int:
        try:
            return await gate.job(name)
        except asyncio.CancelledError:
            return name

    pool, gate = AioPool(3), Gate()
    futures = pool.map_n(job, range(3))
    await until(lambda: gate.active == 3)
    assert await pool.cancel(futures[2], futures[0], futures[1]) == (3, [2, 0, 1])


async def test_results_of_waiting_jobs_come_before_those_of_active_ones() -> None:
    async def job(name: int) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await gate.job(name)
        return "was active"

    pool, gate = AioPool(2), Gate()
    pool.map_n(job, range(5))
    await until(lambda: gate.active == 2)
    cancelled, results = await pool.cancel()
    assert cancelled == 5
    assert_all_cancelled(results[:3], 3)
    assert results[3:] == ["was active", "was active"]


async def test_get_result_decides_what_is_returned() -> None:
    pool, gate = AioPool(1), Gate()
    futures = pool.map_n(gate.job, range(2))
    await turns()
    cancelled, results = await pool.cancel(*futures, get_result=getres.dont)
    assert (cancelled, results) == (2, futures)
    futures = pool.map_n(gate.job, range(2))
    await turns()
    _, pairs = await pool.cancel(get_result=getres.pair)
    assert [result for result, _ in pairs] == [None, None]
    assert_all_cancelled([error for _, error in pairs], 2)


async def test_cancel_withdraws_a_blocked_spawn_which_returns_its_cancelled_future() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    coro = gate.job("blocked")
    blocked = asyncio.create_task(pool.spawn(coro))
    await turns()
    cancelled, results = await pool.cancel()
    assert cancelled == 2
    assert_all_cancelled(results, 2)
    future = await blocked
    assert future.cancelled()
    assert is_closed(coro)
    assert gate.started == ["active"]
    await assert_usable(pool)


async def test_the_next_job_in_line_takes_the_slot_of_a_cancelled_one() -> None:
    pool, gate = AioPool(1), Gate()
    active, next_, last = pool.map_n(gate.job, range(3))
    await turns()
    await pool.cancel(active)
    await until(lambda: gate.active)
    assert gate.started == [0, 1]
    gate.open()
    assert (await next_, await last) == (1, 2)
    await pool.join()


async def test_a_cancelled_caller_of_cancel_waits_for_the_end_of_the_jobs_all_the_same() -> None:
    async def job() -> str:
        try:
            return await gate.job("before")
        except asyncio.CancelledError:
            return await gate.job("cleaning up")

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    caller = asyncio.create_task(pool.cancel())
    await until(lambda: "cleaning up" in gate.started)
    caller.cancel()
    await turns()
    assert not caller.done()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert future.result() == "cleaning up"
    await assert_usable(pool)


async def test_a_job_can_cancel_the_job_that_waits_for_it() -> None:
    async def parent() -> None:
        await pool.exec(child())

    async def child() -> None:
        # The parent waits for this job, and so this one does not wait for the parent.
        assert await pool.cancel(future) == (1, [])
        try:
            await asyncio.sleep(60)
        finally:
            await turns()
            ended.append("child")

    pool, ended = AioPool(2), list[str]()
    future = pool.spawn_n(parent())
    future.add_done_callback(lambda _: ended.append("parent"))
    await pool.join()
    assert future.cancelled()
    await turns()
    assert ended == ["child", "parent"]
    await assert_usable(pool)


async def test_two_tasks_can_cancel_the_same_jobs() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(5))
    await turns()
    await asyncio.gather(pool.cancel(), pool.cancel(*futures))
    assert all(future.cancelled() for future in futures)
    await assert_usable(pool)


async def test_a_job_that_cancels_the_whole_pool_goes_on_itself() -> None:
    async def job() -> int:
        return (await pool.cancel())[0]

    pool, gate = AioPool(2), Gate()
    others = [pool.spawn_n(gate.job(0))]
    canceller = pool.spawn_n(job())
    others += pool.map_n(gate.job, range(1, 4))
    await pool.join()
    assert canceller.result() == 4
    assert all(future.cancelled() for future in others)
    await assert_usable(pool)


async def test_a_job_can_cancel_another_one() -> None:
    async def job() -> int:
        return (await pool.cancel(victim))[0]

    pool, gate = AioPool(2), Gate()
    victim = pool.spawn_n(gate.job())
    assert await pool.exec(job()) == 1
    assert victim.cancelled()
    await pool.join()
    await assert_usable(pool)


async def test_a_job_whose_task_is_cancelled_from_outside_is_cancelled() -> None:
    async def job() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await gate.job()

    pool, gate, tasks = AioPool(1), Gate(), []
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    tasks[0].cancel()
    await pool.join()
    assert future.cancelled()
    assert gate.active == 0
    await assert_usable(pool)


async def test_when_all_tasks_of_the_loop_are_cancelled_no_waiting_job_starts() -> None:
    pool, gate = AioPool(2), Gate()
    coros = [gate.job(n) for n in range(5)]
    futures = [pool.spawn_n(coro) for coro in coros]
    await turns()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await pool.join()
    assert gate.started == sorted(gate.cancelled) == [0, 1]
    assert all(future.cancelled() for future in futures)
    assert all(is_closed(coro) for coro in coros)
    await assert_usable(pool)


async def test_when_all_tasks_are_cancelled_before_they_began_nothing_of_the_jobs_runs() -> None:
    pool, gate = AioPool(2), Gate()
    coros = [gate.job(n) for n in range(5)]
    futures = [pool.spawn_n(coro) for coro in coros]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await pool.join()
    assert gate.started == []
    assert all(future.cancelled() for future in futures)
    assert all(is_closed(coro) for coro in coros)
    await assert_usable(pool)


async def test_cancel_of_many_waiting_jobs_reaches_each_of_them() -> None:
    pool, gate = AioPool(2), Gate()
    futures = pool.map_n(gate.job, range(5_000))
    await turns()
    cancelled, results = await pool.cancel()
    assert cancelled == 5_000
    assert_all_cancelled(results, 5_000)
    assert all(future.cancelled() for future in futures)
    assert gate.started == [0, 1]
    await assert_usable(pool)


async def test_jobs_that_are_handed_in_while_cancel_waits_are_left_alone() -> None:
    async def job() -> None:
        try:
            await gate.job("before")
        finally:
            late.append(pool.spawn_n(add_one(1)))

    pool, gate, late = AioPool(1), Gate(), []
    pool.spawn_n(job())
    await until(lambda: gate.active)
    assert (await pool.cancel())[0] == 1
    assert await late[0] == 2
    await pool.join()
    await assert_usable(pool)


async def test_an_error_of_get_result_is_raised_after_the_jobs_have_ended() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(3))
    await turns()
    with pytest.raises(asyncio.CancelledError):
        await pool.cancel(get_result=lambda future: future.result())
    assert gate.active == 0
    await assert_usable(pool)


async def test_a_job_that_never_gives_in_to_cancel_is_waited_for() -> None:
    async def job() -> str:
        while True:
            try:
                return await gate.job()
            except asyncio.CancelledError:
                pass

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    cancelling = asyncio.create_task(pool.cancel(future, get_result=getres.dont))
    await until(lambda: len(gate.started) == 2)
    await turns()
    assert not cancelling.done()
    gate.open()
    assert await cancelling == (1, [future])
    assert not future.cancelled()
    await assert_usable(pool)
