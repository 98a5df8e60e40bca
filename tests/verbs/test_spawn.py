"""spawn and spawn_n: how a job is handed in."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, at_once, is_closed, ready, turns, until


async def test_spawn_with_a_free_slot_does_not_suspend() -> None:
    pool = AioPool(1)
    future = at_once(pool.spawn(ready(1)))
    assert await future == 1
    await pool.join()


async def test_nothing_of_a_job_runs_inside_spawn() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job())
    assert gate.started == []
    gate.open()
    await pool.join()


async def test_a_spawned_job_starts_on_the_next_turn_of_the_loop() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job(1))
    await asyncio.sleep(0)
    assert gate.started == [1]
    gate.open()
    await pool.join()


async def test_spawn_holds_a_slot_when_it_returns() -> None:
    pool, gate = AioPool(2), Gate()
    await pool.spawn(gate.job())
    assert pool.n_active == 1
    gate.open()
    await pool.join()


async def test_spawn_returns_the_future_of_a_job_that_has_not_ended() -> None:
    pool, gate = AioPool(1), Gate()
    future = await pool.spawn(gate.job("result"))
    await turns()
    assert not future.done()
    gate.open()
    assert await future == "result"
    await pool.join()


async def test_spawn_waits_for_a_slot() -> None:
    pool, gate = AioPool(2), Gate()
    await pool.spawn(gate.job(0))
    await pool.spawn(gate.job(1))
    blocked = asyncio.create_task(pool.spawn(gate.job(2)))
    await turns()
    assert not blocked.done()
    assert gate.started == [0, 1]
    gate.let(1)
    future = await blocked
    await turns()
    assert gate.started == [0, 1, 2]
    gate.open()
    assert await future == 2
    await pool.join()


async def test_callers_of_spawn_get_their_slots_in_the_order_they_came() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("first"))
    blocked = [asyncio.create_task(pool.spawn(gate.job(n))) for n in range(10)]
    await turns()
    gate.open()
    futures = await asyncio.gather(*blocked)
    assert await asyncio.gather(*futures) == list(range(10))
    assert gate.started == ["first", *range(10)]
    await pool.join()


async def test_spawn_n_returns_futures_at_once_however_full_the_pool_is() -> None:
    pool, gate = AioPool(2), Gate()
    futures = [pool.spawn_n(gate.job(n)) for n in range(100)]
    assert not any(future.done() for future in futures)
    await turns()
    assert gate.started == [0, 1]
    gate.open()
    assert await asyncio.gather(*futures) == list(range(100))
    await pool.join()


async def test_nothing_of_a_job_runs_inside_spawn_n() -> None:
    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job())
    assert gate.started == []
    assert len(pool) == 1
    gate.open()
    await future
    await pool.join()


async def test_a_job_of_spawn_n_starts_on_the_next_turn_if_a_slot_is_free() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job(1))
    await asyncio.sleep(0)
    assert gate.started == [1]
    gate.open()
    await pool.join()


async def test_an_error_of_a_job_is_the_error_of_its_future() -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        raise error

    pool, error = AioPool(1), LookupError("nothing there")
    future = pool.spawn_n(job())
    await pool.join()
    assert future.exception() is error
    await assert_usable(pool)


async def test_the_arguments_can_be_named() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        return res + ctx

    pool = AioPool(size=1)
    future = await pool.spawn(coro=ready(1), cb=callback, ctx=10)
    assert await future == 11
    assert await pool.spawn_n(coro=ready(2), cb=callback, ctx=10) == 12
    await pool.join()


async def test_cancelling_the_caller_of_a_blocked_spawn_reaches_it_and_closes_the_coroutine() -> (
    None
):
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    coro = gate.job("withdrawn")
    blocked = asyncio.create_task(pool.spawn(coro))
    await turns()
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    assert is_closed(coro)
    assert len(pool) == 1
    gate.open()
    await pool.join()
    assert gate.started == ["active"]
    await assert_usable(pool)


async def test_a_spawn_cancelled_as_it_gets_its_slot_leaves_no_job_and_no_slot_behind() -> None:
    pool, gate = AioPool(1), Gate()
    active = await pool.spawn(gate.job("active"))
    blocked = asyncio.create_task(pool.spawn(gate.job("withdrawn")))
    await turns()
    active.add_done_callback(lambda _: blocked.cancel())
    gate.let("active")
    with pytest.raises(asyncio.CancelledError):
        await blocked
    await pool.join()
    assert gate.started.count("withdrawn") == gate.cancelled.count("withdrawn")
    await assert_usable(pool)


@pytest.mark.parametrize("after", range(4))
async def test_nothing_of_a_job_runs_after_its_cancelled_spawn_has_raised(after: int) -> None:
    async def job() -> None:
        steps.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await turns()
            steps.append("cleaned up")
            raise LookupError  # nobody has the future, so nobody is told

    pool, gate, steps = AioPool(1), Gate(), list[str]()
    pool.spawn_n(gate.job("active"))
    blocked = asyncio.create_task(pool.spawn(job()))
    await turns()
    gate.let("active")
    await turns(after)
    blocked.cancel()
    await asyncio.wait([blocked])
    if blocked.cancelled():
        assert steps in ([], ["begun", "cleaned up"])
        assert pool.is_empty
    else:
        await pool.cancel(blocked.result())
        assert blocked.result().exception() or blocked.result().cancelled()
    await assert_usable(pool)


async def test_the_line_behind_a_cancelled_spawn_moves_up() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    blocked = asyncio.create_task(pool.spawn(gate.job("withdrawn")))
    await turns()
    behind = pool.spawn_n(gate.job("behind"))
    blocked.cancel()
    gate.let("active")
    await until(lambda: "behind" in gate.started)
    gate.open()
    await behind
    assert gate.started == ["active", "behind"]
    assert blocked.cancelled()
    await pool.join()


async def test_a_spawn_that_times_out_withdraws_its_job() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    coro = gate.job("withdrawn")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await pool.spawn(coro)
    assert is_closed(coro)
    gate.open()
    await pool.join()
    await assert_usable(pool)


async def test_an_object_with_an_await_method_can_be_a_job() -> None:
    class Answer:
        def __await__(self) -> Generator[Any, None, int]:
            yield from asyncio.sleep(0).__await__()
            return 42

    pool = AioPool(1)
    assert await pool.spawn_n(Answer()) == 42
    assert await pool.exec(Answer()) == 42
    await pool.join()


async def test_a_generator_based_coroutine_can_be_a_job() -> None:
    @types.coroutine
    def answer() -> Generator[None, None, int]:
        yield
        return 42

    pool = AioPool(1)
    assert await pool.spawn_n(answer()) == 42
    await pool.join()


async def test_jobs_can_hand_in_jobs() -> None:
    async def outer(value: int) -> asyncio.Future[int]:
        return pool.spawn_n(add_one(value))

    pool = AioPool(1)
    inner = await pool.exec(outer(1))
    assert await inner == 2
    await pool.join()
    await assert_usable(pool)


async def test_an_await_method_that_fails_settles_its_job() -> None:
    class Job:
        def __init__(self, given: object) -> None:
            self.given = given

        def __await__(self) -> Any:
            if isinstance(self.given, Exception):
                raise self.given
            return self.given

    def jobs() -> list[Job]:
        return [Job(LookupError()), Job(StopIteration()), Job("no iterator"), Job(iter("?"))]

    pool = AioPool(1)
    futures = [pool.spawn_n(job) for job in jobs()]
    await pool.join()
    errors = [future.exception() for future in futures]
    assert isinstance(errors[0], LookupError)
    assert all(isinstance(error, Exception) for error in errors)
    results = await pool.map(lambda job: job, jobs())
    assert isinstance(results[0], LookupError)
    assert all(isinstance(result, Exception) for result in results)
    await assert_usable(pool)


async def test_jobs_can_be_handed_in_outside_of_any_task() -> None:
    pool = AioPool(1)
    futures: list[asyncio.Future[int]] = []
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: futures.append(pool.spawn_n(ready(1))))
    loop.call_soon(lambda: futures.extend(pool.map_n(ready, [2, 3])))
    await until(lambda: len(futures) == 3)
    assert await asyncio.gather(*futures) == [1, 2, 3]
    await pool.join()


async def test_a_spawn_whose_caller_and_job_are_cancelled_together_leaves_nothing_behind() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    coro = gate.job("blocked")
    blocked = asyncio.create_task(pool.spawn(coro))
    await turns()
    cancelling = asyncio.create_task(pool.cancel())
    blocked.cancel()
    await asyncio.wait([cancelling, blocked])
    assert blocked.cancelled() or blocked.result().cancelled()
    assert is_closed(coro)
    assert gate.started == ["active"]
    await assert_usable(pool)


async def test_spawn_suspends_while_items_that_gave_no_job_have_the_slots() -> None:
    def fn(_: int) -> Any:
        raise LookupError

    pool = AioPool(5)
    results = pool.itermap(fn, range(9))
    task = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)
    assert len(pool) > 0
    spawning = pool.spawn(ready(1))
    assert asyncio.isfuture(spawning.send(None))
    spawning.close()
    await pool.join()
    await task
    await results.aclose()
