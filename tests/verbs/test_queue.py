"""The queue: who goes next, how many are active, and that others get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, assert_usable, fails, ready, turns, until


async def test_all_verbs_stand_in_one_line_first_come_first_served() -> None:
    async def collect() -> list[str]:
        return [name async for name in pool.itermap(gate.job, ["itermap 1", "itermap 2"])]

    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    tasks: list[asyncio.Task[Any]] = []
    pool.spawn_n(gate.job("spawn_n"))
    tasks.append(asyncio.create_task(pool.spawn(gate.job("spawn"))))
    await turns()
    pool.map_n(gate.job, ["map_n 1", "map_n 2"])
    tasks.append(asyncio.create_task(pool.exec(gate.job("exec"))))
    await turns()
    tasks.append(asyncio.create_task(collect()))
    await turns()
    pool.spawn_n(gate.job("last"))
    gate.open()
    await pool.join()
    await asyncio.gather(*tasks)
    assert gate.started == [
        "active",
        "spawn_n",
        "spawn",
        "map_n 1",
        "map_n 2",
        "exec",
        "itermap 1",
        "itermap 2",
        "last",
    ]


@pytest.mark.task_per_job("a reused task begins the next job before the callback hands in another")
async def test_a_job_that_comes_as_a_slot_comes_free_does_not_overtake_the_line() -> None:
    async def job() -> str:
        await gate.job("active")
        pool.spawn_n(gate.job("late"))
        return "ended"

    pool, gate = AioPool(1), Gate()
    active = pool.spawn_n(job())
    active.add_done_callback(lambda _: pool.spawn_n(gate.job("later")))
    pool.spawn_n(gate.job("waiting"))
    await turns()
    gate.open()
    await pool.join()
    assert gate.started == ["active", "waiting", "late", "later"]


async def test_a_spawn_that_comes_as_a_slot_comes_free_does_not_overtake_the_line() -> None:
    pool, gate = AioPool(1), Gate()
    active = await pool.spawn(gate.job("active"))
    first = asyncio.create_task(pool.spawn(gate.job("first")))
    await turns()
    late: list[asyncio.Task[Any]] = []
    active.add_done_callback(
        lambda _: late.append(asyncio.create_task(pool.spawn(gate.job("late"))))
    )
    gate.open()
    await first
    await until(lambda: late)
    await late[0]
    await pool.join()
    assert gate.started == ["active", "first", "late"]


async def test_an_exec_beside_a_map_waits_for_one_more_item_at_most() -> None:
    pool, gate = AioPool(1), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, range(50)))
    await until(lambda: gate.started == [0])
    beside = asyncio.create_task(pool.exec(gate.job("exec")))
    await turns()
    gate.open()
    assert await beside == "exec"
    assert await mapping == list(range(50))
    assert gate.started.index("exec") <= 2
    await pool.join()


async def test_execs_beside_a_map_take_turns_with_it() -> None:
    async def job(name: object) -> None:
        started.append(name)
        await turns(1)

    async def caller() -> None:
        for n in range(10):
            await pool.exec(job(f"exec {n}"))

    pool, started = AioPool(1), []
    await asyncio.gather(pool.map(job, range(1_000)), caller())
    assert started.index("exec 9") <= 40
    await pool.join()


async def test_two_maps_take_turns() -> None:
    pool, gate = AioPool(1), Gate()
    gate.open()
    await asyncio.gather(
        pool.map(gate.job, ["first"] * 50),
        pool.map(gate.job, ["second"] * 50),
    )
    for position in range(100):
        seen = gate.started[:position]
        assert abs(seen.count("first") - seen.count("second")) <= 2
    await pool.join()


async def test_a_map_stands_in_line_with_one_item_at_a_time() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.spawn(gate.job("active"))
    mapping = asyncio.create_task(pool.map(gate.job, range(3)))
    await turns()
    pool.spawn_n(gate.job("beside"))
    gate.open()
    await mapping
    await pool.join()
    assert gate.started == ["active", 0, "beside", 1, 2]


async def test_never_more_jobs_than_slots_are_active_whatever_ends_them() -> None:
    async def job(name: int) -> None:
        await gate.job(name)
        if name % 3 == 0:
            raise LookupError

    async def callback(res: object) -> None:
        await gate.job("callback")

    async def execs() -> None:
        for name in range(10):
            await pool.exec(gate.job(name))

    async def spawns() -> None:
        for name in range(10):
            await pool.spawn(gate.job(name))

    pool, gate = AioPool(3), Gate()
    gate.open()
    futures = pool.map_n(job, range(20), callback)
    others = asyncio.gather(
        execs(), spawns(), pool.map(job, range(20), callback), pool.map(gate.job, range(20))
    )
    for position, future in enumerate(futures):
        await asyncio.sleep(0)
        if position % 4 == 0:
            await pool.cancel(future)
        elif position % 4 == 1:
            future.cancel()
        assert gate.active <= 3
        assert pool.n_active <= 3
    await others
    await pool.join()
    assert gate.highest <= 3
    await assert_usable(pool)


async def test_while_anybody_waits_a_free_slot_stays_free_for_one_turn_at_most() -> None:
    async def job(steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    def look() -> None:
        if len(pool) > pool.n_active:
            seen.append((pool.size - pool.n_active, pool.n_executed))
        if not pool.is_empty:
            loop.call_soon(look)

    loop = asyncio.get_running_loop()
    pool, seen = AioPool(3), list[tuple[int, int]]()
    pool.map_n(job, [n % 5 for n in range(100)])
    loop.call_soon(look)
    await pool.join()
    assert len(seen) > 50
    # The slots that are free have come free since the turn before.
    for (_, had_ended), (free, have_ended) in pairwise(seen):
        assert free <= have_ended - had_ended


@pytest.mark.task_per_job("a reused task begins it in the same turn")
async def test_the_next_job_begins_two_turns_after_the_end_of_the_one_before() -> None:
    async def first() -> None:
        await gate.job("first")
        loop.call_soon(loop.call_soon, loop.call_soon, look)

    def look() -> None:
        seen.append(list(gate.started))

    loop = asyncio.get_running_loop()
    pool, gate, seen = AioPool(1), Gate(), []
    pool.spawn_n(first())
    pool.spawn_n(gate.job("second"))
    await turns()
    gate.open()
    await pool.join()
    assert seen == [["first", "second"]]


# Invariant: the pool never hogs. Each of these hands in jobs that end without suspending.

MANY = 5_000


def raises(item: int) -> Coroutine[Any, Any, None]:
    raise LookupError(item)


def gives_nothing(item: int) -> Any:
    return None


async def fails_at_once(item: int) -> None:
    raise LookupError(item)


async def by_map(pool: AioPool, fn: Callable[[int], Any]) -> None:
    assert len(await pool.map(fn, range(MANY))) == MANY


async def by_itermap(pool: AioPool, fn: Callable[[int], Any]) -> None:
    assert len([result async for result in pool.itermap(fn, range(MANY))]) == MANY


async def turns_during(work: Awaitable[None]) -> int:
    """How many turns another task gets while the work is done."""

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticks = 0
    ticker = asyncio.create_task(tick())
    await work
    ticker.cancel()
    await asyncio.wait([ticker])
    return ticks


@pytest.mark.parametrize("hand_in", [by_map, by_itermap])
@pytest.mark.parametrize("fn", [ready, fails_at_once, raises, gives_nothing])
async def test_other_tasks_get_their_turn_beside_jobs_that_never_suspend(
    hand_in: Callable[[AioPool, Any], Awaitable[None]], fn: Callable[[int], Any]
) -> None:
    pool = AioPool(4)
    assert await turns_during(hand_in(pool, fn)) >= 10
    await pool.join()
    await assert_usable(pool)


async def by_map_n(pool: AioPool, fn: Callable[[int], Any]) -> None:
    futures = pool.map_n(fn, range(MANY))
    await pool.join()
    await asyncio.gather(*futures, return_exceptions=True)


async def by_spawn(pool: AioPool, fn: Callable[[int], Any]) -> None:
    futures = [await pool.spawn(fn(n)) for n in range(MANY)]
    await asyncio.gather(*futures, return_exceptions=True)


@pytest.mark.task_per_job("a reused task begins its next job in the next turn")
@pytest.mark.parametrize("hand_in", [by_map, by_itermap, by_map_n, by_spawn])
@pytest.mark.parametrize("fn", [ready, fails_at_once])
async def test_every_second_turn_is_free_of_jobs_that_never_suspend(
    hand_in: Callable[[AioPool, Any], Awaitable[None]], fn: Callable[[int], Any]
) -> None:
    # As beside tasks that are made when a semaphore has a permit: those that have ended in one turn
    # are replaced in the next.
    assert await turns_during(hand_in(AioPool(4), fn)) >= 2 * MANY // 4


@pytest.mark.parametrize("fn", [ready, fails_at_once])
async def test_other_tasks_get_their_turn_while_a_long_line_is_joined(
    fn: Callable[[int], Any],
) -> None:
    pool = AioPool(4)
    futures = pool.map_n(fn, range(MANY))
    assert await turns_during(pool.join()) >= 10
    assert all(future.done() for future in futures)
    await asyncio.gather(*futures, return_exceptions=True)


async def test_other_tasks_get_their_turn_beside_a_loop_of_spawns() -> None:
    async def spawns() -> None:
        for n in range(MANY):
            await pool.spawn(ready(n))

    pool = AioPool(4)
    assert await turns_during(spawns()) >= 10
    await pool.join()


async def test_other_tasks_get_their_turn_beside_callbacks_that_never_suspend() -> None:
    async def callback(res: object) -> object:
        return res

    async def work() -> None:
        assert await pool.map(ready, range(MANY), callback) == list(range(MANY))

    pool = AioPool(4)
    assert await turns_during(work()) >= 10
    await pool.join()


async def test_one_job_that_fails_holds_up_nobody() -> None:
    pool, gate = AioPool(1), Gate()
    failed = pool.spawn_n(fails(LookupError()))
    behind = pool.spawn_n(gate.job("behind"))
    gate.open()
    assert await behind == "behind"
    assert isinstance(failed.exception(), LookupError)
    await pool.join()
