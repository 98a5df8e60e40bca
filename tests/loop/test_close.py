"""Closing a pool: what it refuses, what it waits for, and what it tells of that."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from aiopool import AioPool, Event, JobInfo, Rate, Report
from helpers import Gate, ready, turns, until
from virtual_time import now, virtually

CLOSED = "the pool is closed"


def report(finished: int = 0, **lists: tuple[Any, ...]) -> Report:
    empty: dict[str, Any] = dict.fromkeys(("cancelled", "unstarted", "running", "sources"), ())
    return Report(finished, **(empty | lists))


def infos(*names: str, key: Any = None) -> tuple[JobInfo, ...]:
    return tuple(JobInfo(name, key, None) for name in names)


async def nap(seconds: float = 5.0) -> str:
    await asyncio.sleep(seconds)
    return "slept"


async def stubborn(seconds: float) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(seconds)
    return "ended"


async def test_a_closed_pool_refuses_what_is_handed_in() -> None:
    pool = AioPool(1)
    assert await pool.close() == report()
    for call in (pool.spawn, pool.exec, pool.options(weight=2).exec):
        with pytest.raises(RuntimeError, match=CLOSED):
            await call(ready(1))
    with pytest.raises(RuntimeError, match=CLOSED):
        pool.spawn_n(ready(1))
    with pytest.raises(RuntimeError, match=CLOSED):
        await pool.map(ready, [1])
    with pytest.raises(RuntimeError, match=CLOSED):
        _ = [result async for result in pool.itermap(ready, [1])]
    for values in ([], [1]):
        with pytest.raises(RuntimeError, match=CLOSED):
            pool.map_n(ready, values)
    assert (len(pool), await pool.join()) == (0, True)
    assert await pool.close(5.0) == report()


def test_without_a_timeout_all_that_is_there_comes_to_its_end() -> None:
    async def main() -> None:
        pool = AioPool(1)
        futures = [pool.spawn_n(nap()) for _ in range(3)]
        executed = asyncio.create_task(pool.exec(nap()))
        await turns()
        assert await pool.close() == report(4)
        assert now() == 20
        assert [await future for future in futures] == ["slept"] * 3
        assert await executed == "slept"

    virtually(main)


def test_before_the_end_of_the_timeout_those_are_stopped_that_are_left() -> None:
    async def main() -> None:
        pool = AioPool(2, per_key=1)
        keyed = pool.options(key="host", name="keyed")
        futures = [
            pool.spawn_n(nap(1)),
            keyed.spawn_n(nap(60)),
            pool.options(name="outside").spawn_n(pool.sleep(60)),
            keyed.spawn_n(nap(60)),
            pool.spawn_n(stubborn(0.5)),
            pool.options(name="waits").spawn_n(nap(60)),
        ]
        found = await pool.close(10, grace=2)
        assert now() == 8.5
        assert found.finished == 1
        assert sorted(info.name for info in found.cancelled) == ["keyed", "outside", "stubborn"]
        assert {info.key for info in found.cancelled} == {"host", None}
        assert found.unstarted == (
            JobInfo("waits", None, None),
            JobInfo("keyed", "host", None),
        )
        assert (found.running, found.sources) == ((), ())
        assert await futures[4] == "ended"
        assert [future.cancelled() for future in futures] == [False, *[True] * 3, False, True]

    virtually(main)


def test_it_never_returns_after_its_timeout() -> None:
    async def main() -> None:
        pool = AioPool(2)
        future = pool.spawn_n(stubborn(60))
        pool.spawn_n(nap(60))
        found = await pool.close(3)
        assert now() == 3
        assert found == report(cancelled=infos("nap"), running=infos("stubborn"))
        assert await pool.close() == found
        assert not future.done()
        await pool.join()
        assert await pool.close() == found

    virtually(main)


def test_a_grace_of_the_whole_timeout_stops_at_once() -> None:
    async def main() -> None:
        pool = AioPool(1)
        pool.spawn_n(stubborn(3))
        assert (await pool.close(5, grace=5)).cancelled == infos("stubborn")
        assert now() == 3

    virtually(main)


def test_a_timeout_below_the_grace_stops_at_once() -> None:
    async def main() -> None:
        pool = AioPool(1)
        pool.map_n(nap, [60, 60])
        found = await pool.close(0)
        assert (now(), found) == (0, report(cancelled=infos("nap"), unstarted=infos("nap")))

    virtually(main)


async def test_a_caller_that_waits_for_a_slot_is_told_and_one_that_waits_for_an_end_is_not() -> (
    None
):
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job())
    spawning = asyncio.create_task(pool.spawn(ready(1)))
    executing = asyncio.create_task(pool.exec(ready(2)))
    await turns()
    closing = asyncio.create_task(pool.close())
    with pytest.raises(RuntimeError, match=CLOSED):
        await spawning
    gate.open()
    assert await executing == 2
    assert await closing == report(2, unstarted=infos("ready"))


async def test_running_maps_pull_no_more_and_raise_when_their_jobs_have_ended() -> None:
    pulled = list[int]()

    def source() -> Any:
        for n in range(100):
            pulled.append(n)
            yield n

    pool, gate = AioPool(2), Gate()
    mapping = asyncio.create_task(pool.map(gate.job, source()))
    results = pool.itermap(gate.job, "ab")
    iterating = asyncio.create_task(anext(results))
    await until(lambda: gate.active == 2)
    closing = asyncio.create_task(pool.close())
    await turns()
    assert not mapping.done()
    gate.open()
    with pytest.raises(RuntimeError, match=CLOSED):
        await mapping
    # All items of an itermap are jobs that are there.
    assert [await iterating, await anext(results)] == ["a", "b"]
    found = await closing
    assert found == report(4, sources=("map(Gate.job)",))
    assert pulled == [0, 1]


async def test_a_map_whose_items_close_the_pool_pulls_no_more() -> None:
    def source() -> Any:
        closing.append(pool.close())
        closing[0].send(None)  # as a task would that makes its first step here
        for n in range(3):
            pulled.append(n)
            yield n

    pool, closing, pulled = AioPool(2), list[Any](), list[int]()
    with pytest.raises(RuntimeError, match=CLOSED):
        await pool.map(ready, source())
    assert pulled == [0]
    closing[0].close()
    assert (await pool.close()).finished == 1


async def test_jobs_that_have_begun_may_go_on_with_calls_that_they_wait_for() -> None:
    async def parent() -> list[Any]:
        await until(lambda: pool._core.is_closed)
        with pytest.raises(RuntimeError, match=CLOSED):
            pool.spawn_n(ready(1))
        first = await pool.exec(ready(1))
        future = await pool.spawn(ready(2))
        return [first, await future, *await pool.map(ready, [3, 4])]

    pool, closing = AioPool(2), list[asyncio.Task[Report]]()
    future = pool.spawn_n(parent())
    await turns()
    closing.append(asyncio.create_task(pool.close()))
    assert (await closing[0]).finished == 5
    assert await future == [1, 2, 3, 4]


async def test_tasks_of_jobs_may_go_on_with_calls_that_they_wait_for() -> None:
    async def parent() -> int:
        await until(lambda: pool._core.is_closed)
        async with asyncio.TaskGroup() as group:
            executed = group.create_task(pool.exec(ready(1)))
            mapped = group.create_task(pool.map(ready, [2, 3]))
        return sum([executed.result(), *mapped.result()])

    pool = AioPool(2)
    future = pool.spawn_n(parent())
    await turns()
    assert (await pool.close()).finished == 4
    assert await future == 6


def test_the_report_names_the_maps_of_jobs_that_are_cut_off() -> None:
    async def main() -> None:
        async def parent() -> None:
            await pool.map(nap, [5] * 100)

        pool = AioPool(2)
        pool.spawn_n(parent())
        await turns()
        found = await pool.close(3)
        assert found.sources == ("map(nap)",)
        assert sorted(info.name for info in found.cancelled) == ["nap", "nap", parent.__qualname__]

    virtually(main)


@pytest.mark.parametrize("key", [None, "key"])
def test_a_pool_that_closes_ends_its_pauses_and_takes_no_others(key: Any) -> None:
    async def main() -> None:
        async def parent() -> str:
            await asyncio.sleep(1)
            with pytest.raises(RuntimeError, match=CLOSED):
                pool.pause(key=key)
            return await options.exec(nap(1))

        pool = AioPool(2)
        options = pool.options(key=key)
        future = options.spawn_n(parent())
        await turns()
        pool.pause(key=key)
        await pool.close()
        assert (now(), await future) == (2, "slept")

    virtually(main)


async def test_a_close_that_meets_submits_from_eight_threads_loses_none() -> None:
    def submits() -> list[Any]:
        futures = list[Any]()
        with pytest.raises(RuntimeError, match=CLOSED):
            while True:
                futures.append(pool.submit(ready, 1))
                time.sleep(0.0001)
        return futures

    def errors(futures: list[Any]) -> list[BaseException | None]:
        return [future.exception(timeout=5) for future in futures]

    pool = AioPool(4)
    await pool.exec(ready(0))
    submitting = [asyncio.create_task(asyncio.to_thread(submits)) for _ in range(8)]
    await until(lambda: pool.stats().succeeded > 8)
    found = await pool.close()
    futures = [future for thread in await asyncio.gather(*submitting) for future in thread]
    told = await asyncio.to_thread(errors, futures)
    assert all(error is None or str(error) == CLOSED for error in told)
    assert told.count(None) == pool.stats().succeeded - 1 >= found.finished


def test_what_jobs_wait_for_is_refused_from_the_grace_on() -> None:
    async def main() -> None:
        async def parent() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                with pytest.raises(RuntimeError, match=CLOSED):
                    await pool.exec(ready(1))

        pool = AioPool(1)
        pool.spawn_n(parent())
        assert (await pool.close(2)).finished == 0

    virtually(main)


@pytest.mark.parametrize("key", [None, "key"])
def test_what_waits_for_the_end_of_a_pause_ends_at_once(key: Any) -> None:
    async def main() -> None:
        pool = AioPool(3)
        outside = pool.options(key=key, name="outside").spawn_n(pool.sleep(60))
        await turns()
        pool.pause(key=key)
        waiting = pool.options(key=key, name="waits").spawn_n(nap())
        other = pool.spawn_n(nap())
        found = await pool.close()
        assert (waiting.cancelled(), outside.cancelled()) == (True, True)
        assert found.cancelled == infos("outside", key=key)
        if key is None:
            assert (now(), other.cancelled()) == (0, True)
            assert found.unstarted == infos("waits", "nap")
        else:
            assert found.unstarted == infos("waits", key="key")
            assert await other == "slept"

    virtually(main)


def test_a_cancelled_close_can_be_called_again() -> None:
    async def main() -> None:
        pool = AioPool(1)
        pool.map_n(nap, [5, 5])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await pool.close()
        with pytest.raises(RuntimeError, match=CLOSED):
            pool.spawn_n(ready(1))
        reports = await asyncio.gather(pool.close(), pool.close())
        assert reports == [report(2)] * 2

    virtually(main)


@pytest.mark.parametrize("timeouts", [(10, 3), (3, 10), (None, 3)])
def test_of_calls_that_overlap_the_first_to_come_to_its_end_stops_the_jobs(timeouts: Any) -> None:
    async def main() -> None:
        pool = AioPool(1)
        pool.spawn_n(nap(60))
        reports = await asyncio.gather(*map(pool.close, timeouts))
        assert (now(), reports) == (2, [report(cancelled=infos("nap"))] * 2)

    virtually(main)


def test_two_calls_of_close_cancel_each_job_once() -> None:
    async def main() -> None:
        async def job() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.8)
                cleaned.append(now())

        pool, cleaned = AioPool(1), list[float]()
        pool.spawn_n(job())
        first = asyncio.create_task(pool.close(5))
        await asyncio.sleep(0.5)
        assert await pool.close(5) == await first
        assert cleaned == [4.8]

    virtually(main)


def test_with_an_observer_the_report_tells_ages_and_the_observer_hears_of_the_end() -> None:
    async def main() -> None:
        events: list[Event] = []
        pool = AioPool(1, observer=events.append)
        pool.spawn_n(nap(60))
        await asyncio.sleep(3)
        pool.spawn_n(nap(60))
        found = await pool.close(5)
        assert found.cancelled == (JobInfo("nap", None, 7.0),)
        assert found.unstarted == (JobInfo("nap", None, 4.0),)
        assert [event.kind for event in events].count("closed") == 1

    virtually(main)


async def test_close_in_a_job_of_the_pool_is_refused() -> None:
    pool = AioPool(1)

    async def job() -> None:
        await pool.close()

    with pytest.raises(RuntimeError, match="would wait for that job itself"):
        await pool.exec(job())
    assert await pool.exec(ready(1)) == 1


@pytest.mark.parametrize("bad", [-1, float("nan"), -0.5])
async def test_a_time_that_is_none_is_refused_and_closes_nothing(bad: float) -> None:
    pool = AioPool(1)
    with pytest.raises(ValueError, match="must be a number of seconds, 0 or more"):
        await pool.close(bad)
    with pytest.raises(ValueError, match="must be a number of seconds, 0 or more"):
        await pool.close(1, grace=bad)
    with pytest.raises(TypeError, match="must be a number"):
        await pool.close("soon")  # type: ignore[arg-type]
    assert await pool.exec(ready(1)) == 1


def test_a_close_waits_for_the_rate() -> None:
    async def main() -> None:
        pool = AioPool(5, rate=Rate(1, per=1.0))
        pool.map_n(ready, range(4))
        assert await pool.close() == report(4)
        assert now() == 3

    virtually(main)


async def test_a_closed_pool_cannot_be_entered_and_is_printed_as_closed() -> None:
    pool = AioPool(3)
    assert repr(pool) == "<AioPool size=3 active=0 waiting=0>"
    await pool.close()
    assert repr(pool) == "<AioPool size=3 active=0 waiting=0 closed>"
    with pytest.raises(RuntimeError, match=CLOSED):
        async with pool:
            raise AssertionError("entered")


async def test_a_block_may_close_its_pool() -> None:
    async with AioPool(1) as pool:
        pool.spawn_n(ready(1))
        assert (await pool.close()).finished == 1


PROGRAM = """
    import asyncio, os, signal, sys
    from aiopool import AioPool

    async def work(seconds):
        await asyncio.sleep(seconds)

    async def stuck():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    async def main():
        pool = AioPool(6, reuse_tasks=bool(os.environ["REUSE_TASKS"]))
        ends = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
        pool.options(name="stuck").spawn_n(stuck())
        pool.options(name="outside").spawn_n(pool.sleep(60))
        pool.options(name="active").spawn_n(work(60))
        callers = [
            asyncio.create_task(pool.map(work, [60] * 100)),
            asyncio.create_task(anext(pool.itermap(work, [60] * 4))),
        ]
        await asyncio.sleep(0.1)
        pool.options(name="waits", weight=6).spawn_n(work(1))
        print("ready", flush=True)
        await ends.wait()
        report = await pool.close(0.6, grace=0.3)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers, timeout=0.1)
        print(*(job.name for job in report.running), report.sources)
        print("waits" in [job.name for job in report.unstarted], len(report.cancelled) > 2)
        os._exit(0 if report.finished == 0 else 1)

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_program_that_is_told_to_end_closes_its_pool_in_time() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=20)
    assert (out, err) == ("stuck ('map(work)',)\nTrue True\n", "")
    assert program.returncode == 0
