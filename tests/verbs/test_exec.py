"""exec: hand in a job and wait for its end."""

from __future__ import annotations

import asyncio

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, fails, is_closed, ready, turns, until


async def test_exec_returns_what_the_job_returned() -> None:
    pool = AioPool(1)
    assert await pool.exec(add_one(1)) == 2
    await assert_usable(pool)


async def test_exec_raises_what_the_job_raised() -> None:
    pool, error = AioPool(1), LookupError("nothing there")
    with pytest.raises(LookupError) as raised:
        await pool.exec(fails(error))
    assert raised.value is error
    await pool.join()
    await assert_usable(pool)


async def test_exec_waits_for_a_slot() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    caller = asyncio.create_task(pool.exec(gate.job("waiting")))
    await turns()
    assert gate.started == ["active"]
    gate.open()
    assert await caller == "waiting"
    await pool.join()


async def test_exec_returns_what_the_callback_returned() -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        await asyncio.sleep(0)
        return res * ctx

    pool = AioPool(1)
    assert await pool.exec(ready(3), callback, 5) == 15
    assert await pool.exec(coro=ready(4), cb=callback, ctx=5) == 20
    await pool.join()


async def test_exec_raises_what_the_callback_raised() -> None:
    async def callback(res: int) -> None:
        raise LookupError(res)

    pool = AioPool(1)
    with pytest.raises(LookupError, match="7"):
        await pool.exec(ready(7), callback)
    await pool.join()
    await assert_usable(pool)


async def test_exec_raises_the_cancellation_of_a_job_that_the_pool_cancelled() -> None:
    pool, gate = AioPool(1), Gate()
    active = asyncio.create_task(pool.exec(gate.job("active")))
    waiting = asyncio.create_task(pool.exec(gate.job("waiting")))
    await turns()
    assert (await pool.cancel())[0] == 2
    for caller in (active, waiting):
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert gate.started == ["active"]
    await assert_usable(pool)


async def test_cancelling_the_caller_of_exec_cancels_its_job_and_waits_for_it() -> None:
    cleaned_up = asyncio.Event()

    async def job() -> None:
        try:
            await gate.job("before")
        finally:
            await gate.job("cleaning up")
            cleaned_up.set()

    pool, gate = AioPool(1), Gate()
    caller = asyncio.create_task(pool.exec(job()))
    await until(lambda: gate.started)
    caller.cancel()
    await until(lambda: "cleaning up" in gate.started)
    await turns()
    assert not caller.done()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert cleaned_up.is_set()
    assert gate.cancelled == ["before"]
    await pool.join()
    await assert_usable(pool)


async def test_a_cancelled_caller_of_exec_is_cancelled_even_if_its_job_returns_all_the_same() -> (
    None
):
    async def job() -> str:
        try:
            return await gate.job("a result")
        except asyncio.CancelledError:
            return "another result"

    pool, gate = AioPool(1), Gate()
    caller = asyncio.create_task(pool.exec(job()))
    await until(lambda: gate.started)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await pool.join()
    await assert_usable(pool)


async def test_cancelling_the_caller_of_exec_while_it_waits_closes_its_coroutine() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    coro = gate.job("waiting")
    caller = asyncio.create_task(pool.exec(coro))
    await turns()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert is_closed(coro)
    gate.open()
    await pool.join()
    assert gate.started == ["active"]
    await assert_usable(pool)


async def test_cancelling_the_caller_of_exec_in_the_callback_cancels_the_callback() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    caller = asyncio.create_task(pool.exec(ready(1), callback))
    await until(lambda: gate.started)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert gate.cancelled == ["callback"]
    await pool.join()
    await assert_usable(pool)


async def test_an_exec_that_times_out_cancels_its_job() -> None:
    pool, gate = AioPool(1), Gate()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await pool.exec(gate.job())
    assert pool.is_empty
    assert gate.active == 0
    await assert_usable(pool)


async def test_a_caller_of_exec_can_be_cancelled_twice_and_nothing_is_lost() -> None:
    async def job() -> None:
        try:
            await gate.job("before")
        finally:
            await gate.job("cleaning up")

    pool, gate = AioPool(1), Gate()
    caller = asyncio.create_task(pool.exec(job()))
    await until(lambda: gate.started)
    caller.cancel()
    await until(lambda: "cleaning up" in gate.started)
    caller.cancel()
    await turns()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await pool.join()
    await assert_usable(pool)


async def test_a_task_group_that_fails_cancels_the_jobs_its_tasks_await() -> None:
    pool, gate, error = AioPool(2), Gate(), LookupError()
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(pool.exec(gate.job(n)))
            await until(lambda: gate.active == 2)
            group.create_task(fails(error))
    assert sorted(gate.cancelled) == gate.started == [0, 1]
    assert pool.is_empty
    await assert_usable(pool)


async def test_an_exec_cancelled_as_its_job_gets_a_slot_leaves_nothing_behind() -> None:
    pool, gate = AioPool(1), Gate()
    active = await pool.spawn(gate.job("active"))
    caller = asyncio.create_task(pool.exec(gate.job("withdrawn")))
    await turns()
    active.add_done_callback(lambda _: caller.cancel())
    gate.let("active")
    with pytest.raises(asyncio.CancelledError):
        await caller
    await pool.join()
    assert gate.started.count("withdrawn") == gate.cancelled.count("withdrawn")
    await assert_usable(pool)


@pytest.mark.parametrize("thrown", [GeneratorExit, KeyboardInterrupt, LookupError])
@pytest.mark.parametrize("verb", ["exec", "map"])
async def test_an_error_thrown_into_the_caller_cancels_its_jobs(
    verb: str, thrown: type[BaseException]
) -> None:
    async def job(_: object = None) -> None:
        try:
            await gate.job()
        finally:
            raise LookupError  # nobody has the future, so nobody is told

    async def call() -> None:
        await (pool.exec(job()) if verb == "exec" else pool.map(job, range(1)))

    pool, gate = AioPool(1), Gate()
    caller = call()
    caller.send(None)
    await until(lambda: gate.active)
    with pytest.raises(thrown):
        caller.throw(thrown)
    await turns()
    gate.open()
    await pool.join()
    assert gate.cancelled == [None]
    await assert_usable(pool)


async def test_a_closed_exec_takes_its_waiting_job_out_of_the_queue() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job("active"))
    coro = gate.job("waiting")
    caller = pool.exec(coro)
    caller.send(None)
    await turns()
    caller.close()
    assert is_closed(coro)
    gate.open()
    await pool.join()
    assert gate.started == ["active"]
