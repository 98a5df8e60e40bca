"""The uses that the README of asyncio-pool documents: same calls, same expectations."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncio_pool import AioPool, getres
from helpers import Gate, turns, until


async def worker(n: int) -> int:
    """Fails for zero; the higher the number, the sooner the end."""
    await asyncio.sleep(0.01 / n)
    return n


async def test_spawn_n_from_a_block() -> None:
    futures = []
    async with AioPool(size=20) as pool:
        for n in range(1, 200):
            futures.append(pool.spawn_n(worker(n)))
        assert pool.n_executed == 0
    assert sum(future.result() for future in futures) == sum(range(1, 200))


async def test_spawn_from_a_block() -> None:
    futures = []
    async with AioPool(size=2) as pool:
        for n in (1, 2, 3):
            futures.append(await pool.spawn(worker(n)))
    assert sum(future.result() for future in futures) == 6


async def test_map_gives_results_and_exceptions_in_order() -> None:
    pool = AioPool(size=10)
    results = await pool.map(worker, range(100))
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1:] == list(range(1, 100))


async def test_itermap_with_a_timeout() -> None:
    total = 0
    async with AioPool(size=10) as pool:
        async for result in pool.itermap(worker, range(1, 11), timeout=0.5):
            total += result
    assert total == sum(range(1, 11))


async def test_callbacks_that_handle_errors_and_fail_themselves() -> None:
    async def callback(res: int, err: tuple[BaseException, str] | None, ctx: Any) -> Any:
        if err:
            exception, text = err
            assert text
            return exception
        its_pool, n = ctx
        assert its_pool is pool
        await asyncio.sleep(0.01 / (n - 1))
        return res + n

    futures = []
    async with AioPool(size=2) as pool:
        for n in range(5):
            futures.append(pool.spawn_n(worker(n), callback, (pool, n)))
    results = [getres.flat(future) for future in futures]
    assert all(isinstance(error, ZeroDivisionError) for error in results[:2])
    assert results[2:] == [4, 6, 8]


async def test_exec_and_spawn_beside_map_n() -> None:
    async with AioPool(size=4) as pool:
        futures = pool.map_n(worker, range(1, 11))
        assert await pool.exec(worker(2)) == 2
        more = await pool.spawn(worker(10))
    assert sum(future.result() for future in futures) == sum(range(1, 11))
    assert more.result() == 10


async def test_cancel_some_then_all() -> None:
    pool, gate = AioPool(size=2), Gate()
    quick = pool.spawn_n(gate.job("quick"))
    active, waiting = await pool.spawn(gate.job()), pool.spawn_n(gate.job())
    of_map = pool.map_n(gate.job, range(3))
    await turns()

    cancelled, results = await pool.cancel(active, of_map[2])
    assert cancelled == 2
    assert len(results) == 2
    assert all(isinstance(result, asyncio.CancelledError) for result in results)

    gate.let("quick")
    await until(quick.done)
    assert quick.result() == "quick"
    assert not waiting.done()

    cancelled, results = await pool.cancel()
    assert cancelled == 3
    assert len(results) == 3
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert await pool.join()


async def test_futures_can_be_awaited_and_handled_in_batches() -> None:
    todo = range(1, 11)
    pool = AioPool(size=5)
    first = [pool.spawn_n(worker(n)) for n in todo]
    second = pool.map_n(worker, todo)
    assert await first[2] == 3

    total = 0
    pending: Any = [first[1], second[1], second[2]]
    while pending:
        done, pending = await asyncio.wait(pending, timeout=0.5)
        total += sum(future.result() for future in done)
    assert total == 2 + 2 + 3

    await pool.join()
    assert all(future.done() for future in first + second)
    assert sum(future.result() for future in first + second) == 2 * sum(todo)
