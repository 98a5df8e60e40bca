"""How long a job may hold its slots."""

from __future__ import annotations

import asyncio
import traceback
from fractions import Fraction
from typing import Any

import pytest

from aiopool import AioPool, Event, JobTimeout, getres
from helpers import ready, turns
from virtual_time import VirtualLoop, now, virtually


async def sleeps(seconds: float, result: Any = None) -> Any:
    await asyncio.sleep(seconds)
    return result


def test_a_job_that_holds_its_slots_for_too_long_is_cancelled_and_ends_with_the_error() -> None:
    async def main() -> None:
        pool = AioPool(1)
        limited = pool.options(timeout=2.5, name="slow")
        with pytest.raises(JobTimeout, match=r"the job has held its slots for 2\.5 s") as raised:
            await limited.exec(sleeps(10))
        assert now() == 2.5
        assert isinstance(raised.value, TimeoutError)
        # Where the job was is seen.
        assert isinstance(raised.value.__cause__, asyncio.CancelledError)
        assert "in sleeps" in "".join(traceback.format_exception(raised.value))
        assert await limited.exec(sleeps(2.4, "in time")) == "in time"
        counts = pool.stats()
        assert (counts.timed_out, counts.failed, counts.cancelled) == (1, 0, 0)
        assert (counts.succeeded, counts.started, counts.active) == (1, 2, 0)

    virtually(main)


def test_the_time_in_the_queue_does_not_count() -> None:
    async def main() -> None:
        pool = AioPool(1)
        limited = pool.options(timeout=1.5)
        futures = [limited.spawn_n(sleeps(1, n)) for n in range(4)]
        assert await asyncio.gather(*futures) == [0, 1, 2, 3]

    virtually(main)


def test_the_slots_come_back_when_the_job_has_really_ended() -> None:
    async def cleans_up() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(3)

    async def main() -> None:
        pool = AioPool(1)
        first = pool.options(timeout=1).spawn_n(cleans_up())
        second = pool.spawn_n(sleeps(0))
        await asyncio.sleep(2)
        assert (first.done(), pool.n_active, pool.n_waiting) == (False, 1, 1)
        await second
        assert now() == 4
        assert isinstance(first.exception(), JobTimeout)

    virtually(main)


def test_what_a_job_returns_that_swallows_the_cancellation_stands() -> None:
    async def swallows() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "swallowed"
        return "too late"

    async def main() -> None:
        pool = AioPool(1)
        assert await pool.options(timeout=1).exec(swallows()) == "swallowed"
        # Its task is cancelled no longer for those that come.
        assert await pool.exec(sleeps(1, "next")) == "next"
        assert pool.stats().timed_out == 0

    virtually(main)


def test_an_error_of_the_clean_up_is_the_error_of_the_job() -> None:
    async def fails() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            raise KeyError("clean-up")

    async def main() -> None:
        pool = AioPool(1)
        with pytest.raises(KeyError, match="clean-up"):
            await pool.options(timeout=1).exec(fails())
        assert (pool.stats().timed_out, pool.stats().failed) == (0, 1)

    virtually(main)


def test_a_time_limit_of_the_job_itself_stays_its_own() -> None:
    async def limits_itself() -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(10)

    async def main() -> None:
        pool = AioPool(1)
        with pytest.raises(TimeoutError) as raised:
            await pool.options(timeout=2).exec(limits_itself())
        assert type(raised.value) is TimeoutError
        assert (pool.stats().timed_out, pool.stats().failed) == (0, 1)

    virtually(main)


def test_time_limits_inside_of_each_other_are_told_apart() -> None:
    async def limits_itself() -> str:
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(10)
        except TimeoutError:
            return "its own"
        return "none"

    async def main() -> None:
        pool = AioPool(1)
        with pytest.raises(JobTimeout):
            await pool.options(timeout=1).exec(limits_itself())
        assert await pool.options(timeout=3).exec(limits_itself()) == "its own"

    virtually(main)


def test_a_job_that_fails_with_the_timeout_of_another_has_failed() -> None:
    async def main() -> None:
        inner, outer = AioPool(1), AioPool(1)
        with pytest.raises(JobTimeout):
            await outer.exec(inner.options(timeout=1).exec(sleeps(2)))
        assert (inner.stats().timed_out, outer.stats().timed_out) == (1, 0)
        assert outer.stats().failed == 1

    virtually(main)


def test_a_job_that_is_cancelled_in_its_time_is_cancelled() -> None:
    async def slowly() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(5)

    async def main() -> None:
        pool = AioPool(2)
        before = pool.options(timeout=2).spawn_n(slowly())
        after = pool.options(timeout=0.5).spawn_n(slowly())
        await asyncio.sleep(1)
        # The second one has had its time, and is cancelled now while it cleans up.
        await pool.cancel(before, after)
        assert (before.cancelled(), after.cancelled()) == (True, True)
        assert pool.stats().cancelled == 2

    virtually(main)


def test_the_callback_runs_after_it_and_has_all_the_time() -> None:
    seen: list[Any] = []

    async def callback(result: Any, error: Any, ctx: Any) -> str:
        await asyncio.sleep(5)
        seen.append((result, type(error[0]), "in sleeps" in error[1], ctx))
        return "called back"

    async def main() -> None:
        pool = AioPool(1)
        limited = pool.options(timeout=1)
        assert await limited.exec(sleeps(10), callback, "ctx") == "called back"
        assert now() == 6
        assert seen == [(None, JobTimeout, True, "ctx")]
        # Also if the job itself was in time.
        assert await limited.exec(sleeps(0.9), lambda res: sleeps(5, "late")) == "late"
        assert await pool.exec(sleeps(1, "next")) == "next"

    virtually(main)


def test_a_callback_that_waits_outside_has_all_the_time_after_that_too() -> None:
    async def callback(_result: Any) -> str:
        await pool.exec(sleeps(0.1))
        await sleeps(5)
        await pool.sleep(1)
        return await sleeps(5, "called back")

    async def main() -> None:
        assert await pool.options(timeout=1).exec(sleeps(0.5), callback) == "called back"
        assert now() == pytest.approx(11.6)

    pool = AioPool(1)
    virtually(main)


def test_items_have_times_of_their_own() -> None:
    async def main() -> None:
        pool = AioPool(3)
        limited = pool.options(timeout=lambda item: None if item == 3 else item)
        results = await limited.map(lambda item: sleeps(2, item), [1, 3, 2.5, 1.5])
        assert [getattr(result, "args", result) for result in results] == [
            ("the job has held its slots for 1 s",),
            3,
            2.5,
            ("the job has held its slots for 1.5 s",),
        ]
        results = [r async for r in limited.itermap(lambda item: sleeps(2, item), [1, 3])]
        assert [type(result) for result in results] == [JobTimeout, int]
        futures = limited.map_n(lambda item: sleeps(2, item), [1, 3])
        await asyncio.wait(futures)
        assert isinstance(futures[0].exception(), JobTimeout)
        assert getres.pair(futures[1]) == (3, None)
        assert pool.stats().timed_out == 4

    virtually(main)


def test_the_observer_hears_of_it() -> None:
    events: list[Event] = []

    async def main() -> None:
        pool = AioPool(1, observer=events.append)
        with pytest.raises(JobTimeout):
            await pool.options(timeout=1, name="slow").exec(sleeps(2))

    virtually(main)
    ended = events[-1]
    assert (ended.kind, ended.name) == ("finished", "slow")
    assert (ended.outcome, ended.run) == ("timed_out", 1)


def test_one_timer_serves_all_jobs_and_none_is_left() -> None:
    async def main() -> None:
        pool = AioPool(128)
        limited = pool.options(timeout=lambda item: 1 + item / 128)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        jobs = limited.map_n(lambda _: asyncio.Event().wait(), range(128))
        await turns(3)
        ours = [timer for timer in loop.timers if "Fires" in repr(timer)]
        assert len(ours) == 1
        await asyncio.wait(jobs)
        assert now() == 1 + 127 / 128
        assert {type(job.exception()) for job in jobs} == {JobTimeout}
        assert [timer for timer in loop.timers if "Fires" in repr(timer)] == []

    virtually(main)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("-inf"), -(10**400)])
async def test_a_time_that_is_none_is_refused(timeout: float) -> None:
    pool = AioPool(1)
    with pytest.raises(ValueError, match=r"timeout must be a number of seconds above 0"):
        pool.options(timeout=timeout)
    results = await pool.options(timeout=lambda _: timeout).map(ready, [1])
    assert isinstance(results[0], ValueError)


@pytest.mark.parametrize("timeout", ["1", True, [], 1j])
async def test_what_is_no_number_is_refused(timeout: Any) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=r"timeout must be a number, such as 1\.5, or None, not"):
        pool.options(timeout=timeout)


async def test_a_function_is_for_items_only() -> None:
    pool = AioPool(1)
    coroutine = ready(1)
    with pytest.raises(TypeError, match="timeout must be a value here"):
        await pool.options(timeout=lambda _: 1).exec(coroutine)


@pytest.mark.parametrize("timeout", [float("inf"), 10**400, 10**15, Fraction(1, 3), 1e-12, None])
def test_all_other_numbers_are_times(timeout: Any) -> None:
    async def main() -> None:
        pool = AioPool(1)
        limited = pool.options(timeout=timeout)
        if timeout is not None and timeout < 1:
            with pytest.raises(JobTimeout):
                await limited.exec(sleeps(1))
        else:
            assert await limited.exec(sleeps(1, "done")) == "done"

    virtually(main)


def test_a_job_that_catches_every_cancellation_runs_on() -> None:
    async def stubborn() -> int:
        caught = 0
        for _ in range(3):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                caught += 1
        return caught

    async def main() -> None:
        pool = AioPool(1)
        # It is told once.
        assert await pool.options(timeout=1).exec(stubborn()) == 1
        assert now() == 21

    virtually(main)


def test_a_block_waits_for_jobs_that_are_out_of_time() -> None:
    async def main() -> None:
        results: list[Any] = []
        async with AioPool(2) as pool:
            futures = [pool.options(timeout=1).spawn_n(sleeps(3)) for _ in range(3)]
        results = [type(future.exception()) for future in futures]
        assert results == [JobTimeout] * 3
        assert now() == 2

    virtually(main)
