"""What a subject is given to do. Each checks that every job has run, once."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NoReturn

from meter import Meter
from sleeper import Sleeper
from subjects.subject import Job, Subject

Cost = dict[str, float]
Workload = Callable[[Subject, range, int], Coroutine[Any, Any, Cost]]

SLEEP = 0.2  # seconds: that of asyncio-pool's own load test


async def ready(subject: Subject, items: range, slots: int) -> Cost:
    """Jobs that never suspend."""
    done = 0

    async def job(item: int) -> int:
        nonlocal done
        done += item
        return item

    cost = await _run(subject, job, items, slots)
    _check(done, sum(items))
    return cost


async def nine_of_ten_ready(subject: Subject, items: range, slots: int) -> Cost:
    """Jobs of which every tenth lets the loop turn once."""
    done = 0

    async def job(item: int) -> int:
        nonlocal done
        if item % 10 == 0:
            await asyncio.sleep(0)
        done += item
        return item

    cost = await _run(subject, job, items, slots)
    _check(done, sum(items))
    return cost


async def yield_once(subject: Subject, items: range, slots: int) -> Cost:
    """Jobs that let the loop turn once."""
    done = 0

    async def job(item: int) -> int:
        nonlocal done
        await asyncio.sleep(0)
        done += item
        return item

    cost = await _run(subject, job, items, slots)
    _check(done, sum(items))
    return cost


async def latency(subject: Subject, items: range, slots: int) -> Cost:
    """A sleep of 1 ms, again and again, beside jobs that use 10 us of CPU and never suspend."""
    jobs = _Computing()
    return await _beside_sleeper(subject, jobs, jobs.job, items, slots)


async def latency_yield_once(subject: Subject, items: range, slots: int) -> Cost:
    """The same beside jobs that let the loop turn once."""
    jobs = _Computing()

    async def job(item: int) -> int:
        await asyncio.sleep(0)
        return await jobs.job(item)

    return await _beside_sleeper(subject, jobs, job, items, slots)


async def load_test(subject: Subject, items: range, slots: int) -> Cost:
    """The load test of asyncio-pool: jobs that sleep, so that the ideal time is known."""
    cost = await _run(subject, lambda item: asyncio.sleep(SLEEP, item), items, slots)
    ideal = SLEEP * len(items) / slots
    if cost["wall"] < ideal:
        raise RuntimeError("quicker than possible: not all jobs have run")
    return cost | {"over_ideal": cost["wall"] / ideal - 1}


async def waiting(subject: Subject, items: range, slots: int) -> NoReturn:
    """Jobs that are handed in while none comes to its end, until all wait that may."""
    jobs = _Blocked()
    meter = Meter()
    running = asyncio.ensure_future(subject.run(jobs.job, items, slots))
    await jobs.settle(slots)
    cost = meter.stop(len(items))
    if running.done():
        raise RuntimeError("it has ended, and no job has")
    _leave(cost)


async def first_result(subject: Subject, items: range, slots: int) -> NoReturn:
    """The time until a stream gives its first result."""

    async def job(item: int) -> int:
        await asyncio.sleep(0)
        return item

    if subject.stream is None:
        raise RuntimeError("the subject has no stream")
    meter = Meter()
    result = await anext(subject.stream(job, items, slots))
    cost = meter.stop(len(items))
    if result not in items:
        raise RuntimeError(f"no job gives {result!r}")
    _leave(cost | {"first_result": cost["wall"]})


async def cancel(subject: Subject, items: range, slots: int) -> Cost:
    """Cancelling all jobs; `slots` of them are active, and the others wait."""
    if subject.hand_in is None:
        raise RuntimeError("the subject has nothing to cancel")
    jobs = _Blocked()
    cancel_all = await subject.hand_in(jobs.job, items, slots)
    await jobs.settle(slots)
    meter = Meter()
    await cancel_all()
    cost = meter.stop(len(items))
    _check(jobs.started, slots)
    _check(jobs.ended, slots)
    return cost


async def http(subject: Subject, items: range, slots: int) -> Cost:
    """Requests to a local server, which is a process of its own, so its CPU is not counted."""
    import aiohttp  # noqa: PLC0415 (the other workloads would pay its memory)

    async with AsyncExitStack() as stack:
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("server.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert server.stdin
        assert server.stdout
        stack.push_async_callback(server.wait)
        stack.callback(server.stdin.close)
        url = (await server.stdout.readline()).decode().strip()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )

        async def job(item: int) -> int:
            async with session.get(f"{url}/{item}") as response:
                return int(await response.read())

        await job(0)
        return await _run(subject, job, items, slots)


WORKLOADS: dict[str, Workload] = {
    function.__name__: function
    for function in (
        ready,
        nine_of_ten_ready,
        yield_once,
        latency,
        latency_yield_once,
        load_test,
        waiting,
        first_result,
        cancel,
        http,
    )
}
WORKLOADS["growth"] = yield_once  # The same, compared by the number of jobs.


class _Blocked:
    """Jobs that end only when they are cancelled."""

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0

    async def job(self, item: int) -> int:
        self.started += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended += 1
        return item

    async def settle(self, slots: int) -> None:
        """Returns when all slots are taken and whoever has to take its place in the queue has."""
        turns = 0
        while turns < TURNS:
            await asyncio.sleep(0)
            turns = turns + 1 if self.started >= slots else 0


# More than any subject takes from the first step of its last task to the line.
TURNS = 20


class _Computing:
    """Jobs that use CPU time."""

    def __init__(self) -> None:
        self.done = 0

    async def job(self, item: int) -> int:
        # The clock of the thread stands still while another process has the core.
        end = time.thread_time() + COMPUTED
        while time.thread_time() < end:
            pass
        self.done += 1
        return item


COMPUTED = 10e-6  # seconds


async def _beside_sleeper(
    subject: Subject, jobs: _Computing, job: Job, items: range, slots: int
) -> Cost:
    sleeper = Sleeper(lambda: jobs.done)
    cost = await _run(subject, job, items, slots)
    _check(jobs.done, len(items))
    return cost | await sleeper.stop()


async def _run(subject: Subject, job: Job, items: range, slots: int) -> Cost:
    meter = Meter()
    results = await subject.run(job, items, slots)
    cost = meter.stop(len(items))
    if results is not None:
        _check(results, sum(items))
    return cost


def _check(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"the jobs make {found} and not {expected}")


def _leave(cost: Cost) -> NoReturn:
    """Ends the process: to clean up after a million jobs is no part of what was measured."""
    print(json.dumps(cost), flush=True)
    os._exit(0)
