"""A pool that grows and shrinks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, ready, turns, until


async def test_a_pool_that_grows_starts_as_many_as_fit_in_the_assignment() -> None:
    pool, gate = AioPool(1), Gate()
    futures = [pool.spawn_n(gate.job(n)) for n in range(300)]
    pool.size = 200
    assert (pool.size, pool.n_active, pool.n_waiting) == (200, 200, 100)
    await turns()
    assert gate.started == list(range(200))
    gate.open()
    assert await asyncio.gather(*futures) == list(range(300))


async def test_a_pool_that_shrinks_stops_nobody_and_starts_nobody_until_that_fits() -> None:
    pool, gate = AioPool(4), Gate()
    for n in range(8):
        pool.spawn_n(gate.job(n))
    await turns()
    pool.size = 2
    assert (pool.size, pool.n_active, pool.n_waiting) == (2, 4, 4)
    gate.let(0)
    gate.let(1)
    await turns(10)
    assert (pool.n_active, pool.n_waiting) == (2, 4)
    gate.let(2)
    await until(lambda: 4 in gate.started)
    await turns(10)
    assert (pool.n_active, pool.n_waiting) == (2, 3)
    gate.open()
    await pool.join()
    assert pool.n_executed == 8


async def test_the_size_that_a_pool_has_makes_no_room() -> None:
    pool, gate = AioPool(2), Gate()
    for n in range(5):
        pool.spawn_n(gate.job(n))
    for size in (2, 2, 1, 2):
        pool.size = size
        await turns()
        assert (pool.size, pool.n_active) == (size, 2)
    gate.open()
    await pool.join()


async def test_slots_that_come_in_the_turn_in_which_a_job_ends_are_given_out_at_once() -> None:
    pool, gate = AioPool(1), Gate()

    async def grows() -> None:
        pass

    def grow(_: asyncio.Future[Any]) -> None:
        pool.size = 3
        active.append(pool.n_active)

    active: list[int] = []
    pool.spawn_n(grows()).add_done_callback(grow)
    for n in range(5):
        pool.spawn_n(gate.job(n))
    await until(lambda: bool(active))
    assert active == [3]
    gate.open()
    await pool.join()


async def test_a_size_that_makes_no_room_starts_nobody_in_the_turn_in_which_a_job_ends() -> None:
    async def active_after(size: int | None) -> int:
        pool, gate = AioPool(1), Gate()
        active: list[int] = []

        def look(_: asyncio.Future[Any]) -> None:
            if size is not None:
                pool.size = size
            active.append(pool.n_active)

        pool.spawn_n(ready(1)).add_done_callback(look)
        pool.spawn_n(gate.job())
        await until(lambda: bool(active))
        gate.open()
        await pool.join()
        return active[0]

    assert await active_after(1) == await active_after(None)


@pytest.mark.parametrize("verb", ["map", "itermap"])
async def test_a_map_takes_the_slots_that_come_while_it_runs(verb: str) -> None:
    pool, gate = AioPool(1), Gate()

    async def run() -> list[Any]:
        if verb == "map":
            return await pool.map(gate.job, range(10))
        return [result async for result in pool.itermap(gate.job, range(10))]

    running = asyncio.create_task(run())
    await until(lambda: pool.n_active == 1)
    pool.size = 3
    assert pool.n_active == 3
    gate.open()
    assert sorted(await running) == list(range(10))


async def test_a_blocked_spawn_gets_a_slot_that_comes() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job(1))
    blocked = asyncio.create_task(pool.spawn(gate.job(2)))
    await turns()
    assert not blocked.done()
    pool.size = 2
    await until(blocked.done)
    gate.open()
    await pool.join()


async def test_a_job_may_resize_its_own_pool() -> None:
    pool, gate = AioPool(1), Gate()

    async def grows() -> int:
        pool.size += 2
        return pool.n_active

    grown = pool.spawn_n(grows())
    for n in range(4):
        pool.spawn_n(gate.job(n))
    assert await grown == 3
    gate.open()
    await pool.join()


def test_the_size_may_be_set_before_there_is_a_loop() -> None:
    pool = AioPool(2)
    pool.size = 3
    assert pool.size == 3


@pytest.mark.parametrize(
    ("size", "error"),
    [(0, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError), ("3", TypeError)],
)
async def test_what_is_no_size_is_refused_and_changes_nothing(
    size: Any, error: type[Exception]
) -> None:
    pool = AioPool(2)
    with pytest.raises(error, match="size must be"):
        pool.size = size
    assert pool.size == 2


async def test_another_thread_may_not_resize() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job())
    with pytest.raises(RuntimeError, match="another thread"):
        await asyncio.to_thread(setattr, pool, "size", 5)
    assert pool.size == 1
    gate.open()
    await pool.join()
