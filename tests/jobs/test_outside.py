"""Jobs that give their slots back while they wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiopool import AioPool, Event, JobTimeout, Rate
from helpers import ready, turns
from virtual_time import now, virtually


def test_others_have_the_slots_of_a_job_that_is_outside() -> None:
    times: list[tuple[str, float]] = []

    async def main() -> None:
        pool = AioPool(1)

        async def waits() -> str:
            times.append(("begins", now()))
            assert await pool.outside(asyncio.sleep(3, "slept")) == "slept"
            times.append(("is back", now()))
            return "waited"

        async def works(name: str) -> None:
            times.append((name, now()))
            await asyncio.sleep(2)

        first = pool.spawn_n(waits())
        others = [pool.spawn_n(works(name)) for name in "abc"]
        await asyncio.sleep(1)
        counts = pool.stats()
        assert (counts.active, counts.outside, counts.waiting) == (1, 1, 2)
        assert (len(pool), pool.n_active, pool.n_waiting) == (4, 1, 2)
        assert await first == "waited"
        await asyncio.gather(*others)
        # It stands behind those that were there before it came back.
        assert times == [("begins", 0), ("a", 0), ("b", 2), ("c", 4), ("is back", 6)]
        assert pool.stats().started == 4

    virtually(main)


def test_what_it_waits_for_may_fail() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise KeyError("outside")

    async def main() -> None:
        pool = AioPool(1)

        async def job() -> str:
            with pytest.raises(KeyError):
                await pool.outside(fails())
            assert pool.n_active == 1
            return "caught"

        assert await pool.exec(job()) == "caught"

    virtually(main)


def test_a_return_pays_the_rate_and_is_no_start() -> None:
    async def main() -> None:
        pool = AioPool(5, rate=Rate(1, per=10.0))

        async def job() -> float:
            await pool.sleep(1)
            return now()

        assert await pool.exec(job()) == 10
        assert pool.stats().started == 1

    virtually(main)


def test_a_key_is_given_back_too() -> None:
    async def main() -> None:
        pool = AioPool(5, per_key=1)
        of_key = pool.options(key="a")

        async def waits() -> float:
            await pool.sleep(1)
            return now()

        first = of_key.spawn_n(waits())
        second = of_key.spawn_n(asyncio.sleep(3))
        assert await first == 3
        assert second.done()

    virtually(main)


def test_a_job_that_is_cancelled_outside_has_its_slots_at_once() -> None:
    async def main() -> None:
        pool = AioPool(1)
        states: list[tuple[int, int, int]] = []

        async def waits() -> None:
            try:
                await pool.outside(asyncio.sleep(100))
            finally:
                counts = pool.stats()
                states.append((counts.active, counts.outside, counts.waiting))
                await asyncio.sleep(1)

        job = pool.spawn_n(waits())
        other = pool.spawn_n(asyncio.sleep(5))
        third = pool.spawn_n(ready(3))
        await asyncio.sleep(2)
        await pool.cancel(job)
        assert (job.cancelled(), now()) == (True, 3)
        # Two are active in one slot, and nobody else starts until they fit.
        assert states == [(2, 0, 1)]
        assert await third == 3
        assert (now(), other.done()) == (5, True)

    virtually(main)


def test_a_job_that_is_cancelled_while_it_comes_back_leaves_the_queue() -> None:
    async def main() -> None:
        pool = AioPool(1)

        async def waits() -> None:
            await pool.sleep(1)

        job = pool.spawn_n(waits())
        other = pool.spawn_n(asyncio.sleep(5))
        await asyncio.sleep(2)
        assert pool.stats().outside == 1
        await pool.cancel(job)
        assert (job.cancelled(), now()) == (True, 2)
        counts = pool.stats()
        assert (counts.outside, counts.active, counts.waiting) == (0, 1, 0)
        await other
        assert await pool.exec(ready(1)) == 1

    virtually(main)


def test_the_time_outside_does_not_count_for_a_timeout() -> None:
    async def main() -> None:
        pool = AioPool(1)
        limited = pool.options(timeout=3)

        async def job(before: float, after: float) -> float:
            await asyncio.sleep(before)
            await pool.sleep(10)
            await asyncio.sleep(after)
            return now()

        assert await limited.exec(job(1, 1.5)) == 12.5
        with pytest.raises(JobTimeout):
            await limited.exec(job(1, 2.5))
        assert now() == 12.5 + 1 + 10 + 2

    virtually(main)


def test_outside_within_outside_is_one() -> None:
    async def main() -> None:
        pool = AioPool(1)

        async def inner() -> str:
            return await pool.outside(asyncio.sleep(1, "inner"))

        async def job() -> str:
            result = await pool.outside(inner())
            assert pool.n_active == 1
            return result

        assert await pool.exec(job()) == "inner"
        assert now() == 1

    virtually(main)


def test_it_is_for_a_job_in_its_own_task() -> None:
    async def main() -> None:
        pool, other = AioPool(1), AioPool(1)
        coroutine = ready(1)
        with pytest.raises(RuntimeError, match="for a job of this pool, in the task of the job"):
            await pool.outside(coroutine)
        with pytest.raises(RuntimeError):
            await other.exec(pool.outside(ready(1)))

        async def in_a_child() -> None:
            with pytest.raises(RuntimeError):
                await asyncio.create_task(_outside(pool))

        await pool.exec(in_a_child())
        # To sleep is to sleep.
        await pool.sleep(2)
        await other.exec(pool.sleep(2))
        assert now() == 4

    virtually(main)


async def _outside(pool: AioPool) -> None:
    await pool.outside(ready(1))


def test_the_callback_may_go_outside_too() -> None:
    async def main() -> None:
        pool = AioPool(1)

        async def callback(result: Any) -> Any:
            await pool.sleep(3)
            return result

        first = pool.spawn_n(ready("first"), callback)
        second = pool.spawn_n(asyncio.sleep(1))
        await second
        assert now() == 1
        assert await first == "first"

    virtually(main)


def test_the_observer_hears_of_it() -> None:
    events: list[Event] = []

    async def main() -> None:
        pool = AioPool(1, observer=events.append)

        async def job() -> None:
            await pool.sleep(1)

        await pool.options(name="job").exec(job())

    virtually(main)
    kinds = [event.kind for event in events]
    assert kinds == ["queued", "started", "outside", "back", "finished"]
    assert {event.name for event in events} == {"job"}


async def test_what_is_no_awaitable_or_no_time_is_refused_and_named() -> None:
    async def job() -> None:
        with pytest.raises(TypeError, match=r"outside\(\) takes an awaitable, .* not 3"):
            await pool.outside(3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"seconds must be a number, .* not 'x'"):
            await pool.sleep("x")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not nan"):
            await pool.sleep(float("nan"))
        assert pool.n_active == 1

    pool = AioPool(1)
    await pool.exec(job())


async def test_sleep_in_a_task_of_a_job_keeps_the_slot() -> None:
    async def job() -> None:
        sleeping = asyncio.create_task(pool.sleep(0))
        await turns()
        assert pool.stats().outside == 0
        await sleeping

    pool = AioPool(1)
    await pool.exec(job())


async def test_join_waits_for_jobs_that_are_outside() -> None:
    pool = AioPool(2)
    gate = asyncio.Event()

    async def job() -> None:
        await pool.outside(gate.wait())

    jobs = [pool.spawn_n(job()) for _ in range(10)]
    joining = asyncio.create_task(pool.join())
    await turns(30)
    assert (pool.stats().outside, pool.n_active, joining.done()) == (10, 0, False)
    assert (pool.is_empty, repr(pool)) == (False, "<AioPool size=2 active=0 waiting=0 outside=10>")
    # Nothing is active, though jobs are on their way.
    assert await pool.join(waiting=False)
    gate.set()
    await joining
    assert all(job.done() for job in jobs)


async def test_cancelling_all_reaches_jobs_that_are_outside() -> None:
    pool = AioPool(2)
    cleaned: list[int] = []

    async def job(n: int) -> None:
        try:
            await pool.outside(asyncio.Event().wait())
        finally:
            cleaned.append(n)

    jobs = [pool.spawn_n(job(n)) for n in range(10)]
    await turns(30)
    stopped, _ = await pool.cancel()
    assert (stopped, sorted(cleaned)) == (10, list(range(10)))
    assert all(job.cancelled() for job in jobs)
    assert (pool.is_empty, pool.stats().outside) == (True, 0)
