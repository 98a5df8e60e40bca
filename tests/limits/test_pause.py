"""A pool, or one of its keys, that starts nothing for a time."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import pytest

from aiopool import AioPool, Event
from helpers import Gate, be_watched, ready, turns, until
from virtual_time import now, virtually


async def test_while_a_pool_is_paused_nothing_starts_and_all_else_goes_on() -> None:
    pool, gate = AioPool(2), Gate()
    active = pool.spawn_n(gate.job("active"))
    await turns()
    pool.pause()
    waiting = [pool.spawn_n(gate.job(n)) for n in range(3)]
    mapping = asyncio.create_task(pool.map(gate.job, ["a", "b"]))
    await turns(10)
    gate.let("active")
    assert await active == "active"
    await turns(10)
    assert (gate.started, pool.n_active, pool.stats().held_by) == (["active"], 0, "pause")
    assert waiting[0].cancel()
    stopped, _ = await pool.cancel(waiting[1])
    assert (stopped, waiting[1].cancelled()) == (1, True)
    pool.resume()
    gate.open()
    assert await mapping == ["a", "b"]
    assert await waiting[2] == 2


def test_a_pause_for_a_time_ends_by_itself() -> None:
    async def main() -> list[float]:
        pool, times = AioPool(2), list[float]()

        async def job() -> None:
            times.append(now())

        pool.pause(2.5)
        pool.map_n(lambda _: job(), range(3))
        await pool.join()
        pool.pause(Fraction(1, 2))  # type: ignore[arg-type]
        await pool.exec(job())
        pool.pause(0)
        await pool.exec(job())
        return times

    assert virtually(main) == [2.5, 2.5, 2.5, 3, 3]


@pytest.mark.parametrize(
    ("pauses", "end"),
    [([1.0, 3.0], 3), ([3.0, 1.0], 3), ([None, 1.0], 5), ([1.0, None], 5), ([float("inf")], 5)],
)
def test_a_second_pause_lasts_until_the_later_end(pauses: list[float | None], end: float) -> None:
    async def main() -> list[float]:
        pool, times = AioPool(9), list[float]()

        async def job() -> None:
            times.append(now())

        for seconds in pauses:
            pool.pause(seconds)
            pool.pause(seconds, key="k")
        pool.options(key="l").spawn_n(job())
        pool.options(key="k").spawn_n(job())
        asyncio.get_running_loop().call_at(
            5, lambda: now() > end or (pool.resume(), pool.resume(key="k"))
        )
        await pool.join()
        return times

    assert virtually(main) == [end, end]


async def test_the_pause_of_a_key_holds_its_jobs_only() -> None:
    pool, gate = AioPool(9), Gate()
    pool.pause(key="a")
    for name in ["a1", "b1", "a2", "b2"]:
        pool.options(key=name[0]).spawn_n(gate.job(name))
    pool.spawn_n(gate.job("plain"))
    await turns()
    assert (gate.started, pool.stats().held_by) == (["b1", "b2", "plain"], "keys")
    pool.resume(key="a")
    await until(lambda: gate.started[3:] == ["a1", "a2"])
    gate.open()
    await pool.join()


def test_a_host_that_asks_for_a_break_gets_it() -> None:
    async def main() -> list[float]:
        pool, started = AioPool(1), list[float]()

        async def job() -> None:
            started.append(now())
            if len(started) == 1:
                pool.pause(3.0, key="host")

        for _ in range(3):
            pool.options(key="host").spawn_n(job())
        await pool.join()
        return started

    assert virtually(main) == [0, 3, 3]


@pytest.mark.parametrize("key", [None, "k"])
async def test_what_is_not_paused_cannot_be_resumed(key: str | None) -> None:
    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="is not paused"):
        pool.resume(key=key)
    pool.pause(key=key)
    pool.resume(key=key)
    with pytest.raises(RuntimeError, match="is not paused"):
        pool.resume(key=key)
    pool.pause(0, key=key)
    with pytest.raises(RuntimeError, match="is not paused"):
        pool.resume(key=key)
    assert await pool.exec(ready(1)) == 1


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)],
)
async def test_a_pause_that_cannot_be_is_refused(seconds: Any, error: type[Exception]) -> None:
    pool = AioPool(1)
    with pytest.raises(error, match="seconds must be a number"):
        pool.pause(seconds)
    with pytest.raises(error, match="seconds must be a number"):
        pool.pause(seconds, key="k")
    assert await pool.exec(ready(1)) == 1


def test_a_pool_without_a_loop_may_be_paused_until_it_is_resumed() -> None:
    pool = AioPool(1)
    pool.pause()
    with pytest.raises(RuntimeError, match="no loop is running"):
        pool.pause(1.0)

    async def main() -> int:
        future = pool.spawn_n(ready(5))
        await turns()
        assert pool.n_waiting == 1
        pool.resume()
        return await future

    assert asyncio.run(main()) == 5


async def test_join_waits_through_a_pause_and_may_wait_for_the_active_jobs_only() -> None:
    pool, gate = AioPool(2), Gate()
    for n in range(4):
        pool.spawn_n(gate.job(n))
    await turns()
    pool.pause()
    joins = [asyncio.create_task(pool.join(waiting=waiting)) for waiting in (True, False, False)]
    await turns(3)
    gate.let(0)
    await turns(10)
    assert not any(join.done() for join in joins)
    joins[2].cancel()
    gate.let(1)
    assert await joins[1] is True
    assert (pool.n_active, pool.n_waiting, joins[0].done()) == (0, 2, False)
    assert await pool.join(waiting=False) is True
    pool.resume()
    gate.open()
    assert await joins[0] is True
    assert joins[2].cancelled()


async def test_a_pool_that_is_never_idle_may_have_nothing_active_now_and_then() -> None:
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job(0))
    await turns()
    join = asyncio.create_task(pool.join(waiting=False))
    await turns()
    pool.pause(key="k")
    pool.options(key="k").spawn_n(gate.job(1))
    gate.let(0)
    await join
    assert pool.n_waiting == 1
    pool.resume(key="k")
    gate.open()
    await pool.join()


async def test_a_pool_that_grows_in_a_pause_starts_nobody_before_its_end() -> None:
    pool, gate = AioPool(1), Gate()
    pool.pause()
    for n in range(3):
        pool.spawn_n(gate.job(n))
    pool.size = 3
    await turns()
    assert gate.started == []
    pool.resume()
    assert pool.n_active == 3
    gate.open()
    await pool.join()


async def test_a_spawn_blocks_while_the_pool_is_paused() -> None:
    pool = AioPool(3)
    pool.pause()
    spawning = asyncio.create_task(pool.spawn(ready(1)))
    await turns()
    assert not spawning.done()
    pool.resume()
    assert await (await spawning) == 1


async def test_the_end_of_a_loop_ends_what_waits_in_a_pause() -> None:
    def main() -> asyncio.Future[None]:
        async def leave() -> asyncio.Future[None]:
            pool = AioPool(2)
            pool.pause()
            return pool.spawn_n(ready(None))

        return asyncio.run(leave())

    assert (await asyncio.to_thread(main)).cancelled()


async def test_a_pause_that_an_observer_begins_when_a_job_is_queued_blocks_its_spawn() -> None:
    def observe(event: Event) -> None:
        if event.kind == "queued":
            pool.pause()

    pool = AioPool(2, observer=observe)
    spawning = asyncio.create_task(pool.spawn(ready(1)))
    await turns()
    assert not spawning.done()
    pool.resume()
    assert await (await spawning) == 1


def test_a_pool_of_another_loop_cannot_be_paused_or_resumed() -> None:
    pool = AioPool(1)

    async def use() -> None:
        await pool.exec(ready(1))
        pool.pause()

    async def use_elsewhere() -> None:
        for use in (pool.pause, pool.resume, lambda: setattr(pool, "rate", None)):
            with pytest.raises(RuntimeError, match="another loop"):
                use()

    asyncio.run(use())
    asyncio.run(use_elsewhere())


async def test_what_holds_the_next_job_back_is_told_also_while_no_slot_is_free() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(2))
    await turns()
    assert pool.stats().held_by == "slots"
    pool.pause()
    assert pool.stats().held_by == "pause"
    pool.resume()
    assert pool.stats().held_by == "slots"
    gate.open()
    await pool.join()


def test_after_a_pause_that_has_ended_no_clock_is_read() -> None:
    async def main() -> int:
        pool, loop, read = AioPool(2), asyncio.get_running_loop(), list[float]()
        pool.pause(1.0)
        await pool.exec(ready(1))
        await be_watched()
        time = loop.time
        loop.time = lambda: read.append(time()) or read[-1]  # type: ignore[method-assign]
        pool.map_n(ready, range(50))
        count = len(read)
        await pool.join()
        return count

    assert virtually(main) == 0


async def test_an_observer_may_pause_its_pool_at_the_start_of_a_job() -> None:
    def observe(event: Event) -> None:
        if event.kind == "started":
            pool.pause()

    pool, gate = AioPool(9, observer=observe), Gate()
    gate.open()
    for n in range(3):
        pool.spawn_n(gate.job(n))
    await turns(5)
    assert gate.ended == [0]
    pool.resume()
    await turns(5)
    assert gate.ended == [0, 1]
    pool.resume()
    await pool.join()
