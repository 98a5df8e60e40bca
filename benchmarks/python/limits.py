"""The workloads of the group "limits". Each checks that every job has run, once."""

import asyncio
import ctypes
import gc
import random
import time
from contextlib import suppress
from statistics import median
from typing import Any

from meter import Meter
from subjects.limited import Limited, Rate

Cost = dict[str, float]


async def rate(subject: Limited, items: range, slots: int) -> Cost:
    """Jobs that yield once, with a rate for which none waits, by turns with as many without it."""
    assert subject.open
    opened, job = subject.open, _Yields()

    async def run(limit: Rate | None) -> None:
        async with opened(slots, limit, None) as hand_in:
            for item in items:
                hand_in(job, item)

    return await _by_turns(
        job, items, lambda limited: run(Rate(NEVER_REACHED, 1) if limited else None)
    )


async def keys(subject: Limited, items: range, slots: int) -> Cost:
    """Jobs that yield once, with 10,000 keys of one place each, by turns with as many without."""
    assert subject.keyed
    keyed, job = subject.keyed, _Yields()
    return await _by_turns(
        job, items, lambda limited: keyed(job, items, slots, KEYS if limited else None)
    )


async def waiting_keyed(subject: Limited, items: range, slots: int) -> Cost:
    """Jobs of 10,000 keys that wait while none comes to its end; then all of them run."""
    return await _wait(subject, items, slots, KEYS)


async def waiting_keyless(subject: Limited, items: range, slots: int) -> Cost:
    """The same without keys."""
    return await _wait(subject, items, slots, None)


async def strictness(subject: Limited, items: range, slots: int) -> Cost:
    """Jobs of random length that come in bursts, 40 a second, beside code that holds up the loop.

    Gives the most starts in any second, to be compared with 40: as the events tell, if the subject
    has events, and by the first line of each job. That comes later, when the loop gets to it.
    """
    assert subject.open
    chance = random.Random(items.stop)  # noqa: S311 (the same for all)
    told: list[float] = []
    begun: list[float] = []

    async def job(item: int) -> int:
        begun.append(time.monotonic())
        if item % 4 == 0:
            end = time.monotonic() + chance.uniform(0, 0.003)
            while time.monotonic() < end:
                pass
        await asyncio.sleep(chance.uniform(0, 0.05))
        return item

    meter = Meter()
    limit = Rate(STRICT, 1)
    async with subject.open(slots, limit, lambda: told.append(time.monotonic())) as hand_in:
        left = list(items)
        while left:
            burst = chance.randint(1, 2 * STRICT)
            for item in left[:burst]:
                hand_in(job, item)
            del left[:burst]
            # As long as they take, give or take half: at times the limiter has had a rest.
            await asyncio.sleep(burst / STRICT * chance.uniform(0.5, 1.5))
    cost = meter.stop(len(items))
    _check(len(begun), len(items))
    if told:
        _check(len(told), len(items))
    by_line = _most_in_a_second(begun)
    return cost | {
        "most_starts": _most_in_a_second(told) if told else by_line,
        "most_lines": by_line,
    }


async def levels(subject: Limited, items: range, slots: int) -> Cost:
    """A flood on all levels but the lowest, on which one job waits. The items are the levels."""
    assert subject.flood
    assert slots == 1
    meter = Meter()
    started = await subject.flood(len(items), MOST_PASSING)
    cost = meter.stop(len(items))
    highest = started.count(len(items) - 1) / len(started)
    return cost | {"starts": len(started), "highest": highest}


WORKLOADS = {
    function.__name__: function
    for function in (rate, keys, waiting_keyed, waiting_keyless, strictness, levels)
}

#: Starts in a second.
NEVER_REACHED = 10**7
STRICT = 40
KEYS = 10_000
#: Starts after which a job has starved.
MOST_PASSING = 20_000
#: How many jobs run in each of the two ways, all together, and how often at least.
COMPARED = 120_000
PAIRS = 4


class _Yields:
    """Jobs that let the loop turn once."""

    def __init__(self) -> None:
        self.sum = 0

    async def __call__(self, item: int) -> int:
        await asyncio.sleep(0)
        self.sum += item
        return item


async def _by_turns(job: _Yields, items: range, run: Any) -> Cost:
    """Runs all items with the limit and without, again and again, and compares neighbours.

    Each pair begins with the other of the two, and one of each goes before all.
    """
    found: dict[bool, list[Cost]] = {True: [], False: []}
    for number in range(max(PAIRS, COMPARED // len(items)) + 1):
        for limited in (True, False) if number % 2 else (False, True):
            job.sum = 0
            meter = Meter()
            await run(limited)
            cost = meter.stop(len(items))
            _check(job.sum, sum(items))
            if number:
                found[limited].append(cost)
    pairs = [(a["cpu"], b["cpu"]) for a, b in zip(found[True], found[False], strict=True)]
    return {name: median(cost[name] for cost in found[True]) for name in found[True][0]} | {
        "added": median(a - b for a, b in pairs),
        "times": median(a / b for a, b in pairs),
    }


async def _wait(subject: Limited, items: range, slots: int, number: int | None) -> Cost:
    assert subject.keyed
    gate = asyncio.get_running_loop().create_future()
    starts: list[float] = []
    drains = False
    late = 0.0
    last = 0.0
    done = 0

    async def job(item: int) -> int:
        nonlocal done, late, last
        if drains:
            # The clock of the thread stands still while another process has the core.
            now = time.thread_time()
            late = max(late, now - last)
            last = now
            await asyncio.sleep(0)
        else:
            starts.append(0)
            await gate
        done += item
        return item

    meter = Meter()
    running = asyncio.ensure_future(subject.keyed(job, items, slots, number))
    turns = 0
    while turns < TURNS:
        await asyncio.sleep(0)
        turns = turns + 1 if len(starts) >= slots else 0
    cost = meter.stop(len(items))
    # What the collector does in between would be taken for a slow start, and so would the allocator
    # when it gives the memory of all those jobs back to the system, in one piece.
    gc.disable()
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, NEVER)
    drains = True
    last = time.thread_time()
    gate.set_result(None)
    drain = time.process_time()
    await running
    drain = time.process_time() - drain
    _check(done, sum(items))
    return cost | {"drain": drain / len(items), "slowest_start": late}


TURNS = 20
M_TRIM_THRESHOLD = -1
NEVER = 2**31 - 1


def _most_in_a_second(times: list[float]) -> int:
    times.sort()
    first = most = 0
    for last, now in enumerate(times):
        while now - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _check(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"the jobs make {found} and not {expected}")
