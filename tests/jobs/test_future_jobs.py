"""A future may be a job: the job waits for it in its slot."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from typing import Any

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, turns, until


def new_future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def test_the_job_gives_the_result_of_the_future() -> None:
    pool, inner = AioPool(1), new_future()
    future = pool.spawn_n(inner)
    await turns()
    assert not future.done()
    assert pool.n_active == 1
    inner.set_result(5)
    assert await future == 5
    await pool.join()


async def test_the_job_gives_the_error_of_the_future() -> None:
    pool, inner, error = AioPool(1), new_future(), LookupError()
    future = pool.spawn_n(inner)
    await turns()
    inner.set_exception(error)
    await pool.join()
    assert future.exception() is error
    await assert_usable(pool)


async def test_a_task_can_be_a_job() -> None:
    pool = AioPool(1)
    assert await pool.exec(asyncio.create_task(add_one(1))) == 2
    await pool.join()


async def test_a_future_that_is_done_already_can_be_a_job() -> None:
    pool, inner = AioPool(1), new_future()
    inner.set_result(5)
    assert await pool.exec(inner) == 5
    assert await (await pool.spawn(inner)) == 5
    await pool.join()


async def test_the_job_holds_a_slot_while_it_waits_for_the_future() -> None:
    pool, gate, inner = AioPool(1), Gate(), new_future()
    pool.spawn_n(inner)
    waiting = pool.spawn_n(gate.job())
    gate.open()
    await turns()
    assert gate.started == []
    inner.set_result(None)
    await waiting
    await pool.join()


async def test_the_future_of_one_pool_can_be_a_job_of_another() -> None:
    first, second = AioPool(1), AioPool(1)
    assert await second.exec(first.spawn_n(add_one(1)), add_one) == 3
    await first.join()
    await second.join()


async def test_cancelling_the_active_job_cancels_the_future() -> None:
    pool, inner = AioPool(1), new_future()
    future = pool.spawn_n(inner)
    await turns()
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    assert inner.cancelled()
    await assert_usable(pool)


async def test_cancelling_the_waiting_job_cancels_the_future() -> None:
    pool, gate, inner = AioPool(1), Gate(), new_future()
    pool.spawn_n(gate.job())
    future = pool.spawn_n(inner)
    await turns()
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    assert inner.cancelled()
    gate.open()
    await pool.join()
    await assert_usable(pool)


async def test_a_gather_that_is_taken_out_of_the_queue_ends_without_a_report() -> None:
    pool, gate = AioPool(1), Gate()
    active = pool.spawn_n(gate.job("active"))
    waiting = pool.spawn_n(asyncio.gather(gate.job("first"), gate.job("second")))
    await turns()
    await pool.cancel(waiting)
    given_up = pool.spawn_n(asyncio.gather(gate.job("third")))
    await turns()
    assert given_up.cancel()
    del waiting, given_up
    await turns()
    gc.collect()
    gate.open()
    await active
    await pool.join()


async def test_an_error_of_a_task_that_is_taken_out_of_the_queue_is_reported(
    loop_errors: list[dict[str, Any]],
) -> None:
    async def fails_to_end() -> None:
        try:
            await gate.job("inner")
        finally:
            raise error

    pool, gate, error = AioPool(1), Gate(), LookupError()
    active = pool.spawn_n(gate.job("active"))
    pool.spawn_n(asyncio.create_task(fails_to_end()))
    await until(lambda: len(gate.started) == 2)
    await pool.cancel()
    await turns()
    gc.collect()
    assert active.cancelled()
    [context] = loop_errors
    assert context["exception"] is error
    loop_errors.clear()


async def test_a_future_that_is_cancelled_cancels_its_job() -> None:
    pool, inner = AioPool(1), new_future()
    future = pool.spawn_n(inner)
    await turns()
    inner.cancel()
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_map_takes_futures_from_fn() -> None:
    pool = AioPool(2)
    results = await pool.map(lambda n: asyncio.ensure_future(add_one(n)), range(5))
    assert results == [1, 2, 3, 4, 5]
    await pool.join()


async def test_the_close_method_of_what_is_not_a_coroutine_is_not_called() -> None:
    class Client:
        closed = False

        def __await__(self) -> Generator[Any, Any, None]:
            return asyncio.sleep(0).__await__()

        def close(self) -> None:
            self.closed = True

    pool, gate, client = AioPool(1), Gate(), Client()
    pool.spawn_n(gate.job())
    pool.spawn_n(client).cancel()
    assert not client.closed
    gate.open()
    await pool.join()
