"""The numbers that a pool shows."""

from __future__ import annotations

import asyncio

from asyncio_pool import AioPool
from helpers import Gate, at_once, fails, ready, turns, until


async def test_a_new_pool_is_empty() -> None:
    pool = AioPool(2)
    assert (len(pool), pool.n_active, pool.n_executed, pool.size) == (0, 0, 0, 2)
    assert pool.is_empty is True
    assert pool.is_full is False


async def test_an_empty_pool_is_false_like_any_empty_container() -> None:
    pool, gate = AioPool(1), Gate()
    assert not pool
    pool.spawn_n(gate.job())
    assert pool
    gate.open()
    await pool.join()
    assert not pool


async def test_len_counts_waiting_and_active_jobs() -> None:
    pool, gate = AioPool(2), Gate()
    for count in range(1, 6):
        pool.spawn_n(gate.job(count))
        assert len(pool) == count
    await turns()
    assert (len(pool), pool.n_active, pool.n_waiting) == (5, 2, 3)
    gate.let(1)
    await until(lambda: 3 in gate.started)
    assert (len(pool), pool.n_active) == (4, 2)
    gate.open()
    await pool.join()
    assert (len(pool), pool.n_active) == (0, 0)


async def test_len_counts_the_blocked_callers_of_spawn_and_exec() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job())
    callers = [
        asyncio.create_task(pool.spawn(gate.job())),
        asyncio.create_task(pool.exec(gate.job())),
    ]
    await turns()
    assert (len(pool), pool.n_active) == (3, 1)
    gate.open()
    await asyncio.gather(*callers)
    await pool.join()


async def test_a_pool_is_full_as_soon_as_as_many_jobs_as_slots_were_handed_in() -> None:
    pool, gate = AioPool(2), Gate()
    at_once(pool.spawn(gate.job()))
    assert pool.is_full is False
    pool.spawn_n(gate.job())
    assert pool.is_full is True
    pool.spawn_n(gate.job())
    assert pool.is_full is True
    gate.open()
    await pool.join()
    assert pool.is_full is False


async def test_a_pool_with_a_job_is_not_empty_before_the_job_has_begun() -> None:
    pool, gate = AioPool(2), Gate()
    gate.open()
    pool.spawn_n(gate.job())
    assert gate.started == []
    assert pool.is_empty is False
    await pool.join()
    assert pool.is_empty is True


async def test_a_job_counts_as_active_in_its_callback() -> None:
    async def callback(res: object) -> tuple[int, int]:
        await asyncio.sleep(0)
        return pool.n_active, len(pool)

    pool = AioPool(2)
    assert await pool.exec(ready(1), callback) == (1, 1)
    await pool.join()


async def test_a_job_counts_as_active_while_it_runs() -> None:
    async def job() -> int:
        await asyncio.sleep(0)
        return pool.n_active

    pool = AioPool(2)
    assert await pool.exec(job()) == 1
    await pool.join()


async def test_n_executed_counts_jobs_and_callbacks_that_ran_to_their_end() -> None:
    async def callback(res: object) -> None:
        pass

    pool = AioPool(2)
    await pool.exec(ready(1))
    await pool.join()
    assert pool.n_executed == 1
    await pool.exec(ready(1), callback)
    await pool.join()
    assert pool.n_executed == 3
    await pool.map(ready, range(5), callback)
    await pool.join()
    assert pool.n_executed == 13


async def test_n_executed_counts_jobs_that_failed_or_were_cancelled_while_active() -> None:
    pool, gate = AioPool(2), Gate()
    failed = pool.spawn_n(fails(LookupError()))
    await pool.join()
    assert isinstance(failed.exception(), LookupError)
    assert pool.n_executed == 1
    pool.spawn_n(gate.job())
    await turns()
    await pool.cancel()
    assert pool.n_executed == 2


async def test_n_executed_does_not_count_jobs_that_never_began() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(5))
    await turns()
    await pool.cancel()
    assert pool.n_executed == 1
    at_once(pool.spawn(gate.job()))
    await pool.cancel()
    assert pool.n_executed == 1


async def test_executed_of_asyncio_pool_reads_the_same_count() -> None:
    pool = AioPool(1)
    await pool.map(ready, range(5))
    await pool.join()
    assert pool._executed == pool.n_executed == 5


async def test_a_waiting_future_that_is_cancelled_is_counted_no_more() -> None:
    pool, gate = AioPool(1), Gate()
    futures = pool.map_n(gate.job, range(5))
    await turns()
    futures[2].cancel()
    await turns()
    assert (len(pool), pool.n_active) == (4, 1)
    gate.open()
    await pool.join()


async def test_the_default_size_is_four() -> None:
    pool, gate = AioPool(), Gate()
    assert pool.size == 4
    pool.map_n(gate.job, range(10))
    await until(lambda: gate.active >= 4)
    await turns()
    assert gate.active == 4
    gate.open()
    await pool.join()


async def test_a_huge_size_costs_nothing() -> None:
    pool = AioPool(2**31 - 1)
    assert pool.size == 2**31 - 1
    gate = Gate()
    pool.map_n(gate.job, range(100))
    await until(lambda: gate.active == 100)
    assert not pool.is_full
    gate.open()
    await pool.join()
