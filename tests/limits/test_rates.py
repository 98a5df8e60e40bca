"""How many jobs may start in a time."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import sys
import time
import weakref
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest

from aiopool import AioPool, Event, Rate
from helpers import Gate, ready, turns, until
from virtual_time import VirtualLoop, now, virtually


class Starts:
    """When the jobs of a pool have started, in virtual time."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "started":
            self.times.append(round(now(), 6))

    async def job(self, seconds: float = 0.0) -> None:
        if seconds:
            await asyncio.sleep(seconds)


def most_in_a_window(times: Iterable[float], per: float) -> int:
    """The most starts in any half-open window."""
    ordered = sorted(times)
    return max(
        sum(first <= other < first + per for other in ordered[index:])
        for index, first in enumerate(ordered)
    )


def test_a_strict_rate_lets_so_many_start_in_any_window() -> None:
    async def main() -> list[float]:
        starts = Starts()
        async with AioPool(100, rate=Rate(3, per=1.0), observer=starts) as pool:
            for _ in range(8):
                pool.spawn_n(starts.job())
            await asyncio.sleep(2.5)
            for _ in range(3):
                pool.spawn_n(starts.job())
        return starts.times

    assert virtually(main) == [0, 0, 0, 1, 1, 1, 2, 2, 2.5, 3, 3]


def test_a_bucket_lets_a_burst_start_and_then_so_many_in_each_time_evenly() -> None:
    async def main() -> list[float]:
        starts = Starts()
        async with AioPool(100, rate=Rate(2, per=1.0, burst=4), observer=starts) as pool:
            for _ in range(7):
                pool.spawn_n(starts.job())
        return starts.times

    assert virtually(main) == [0, 0, 0, 0, 0.5, 1, 1.5]


def test_several_rates_must_all_agree() -> None:
    async def main() -> list[float]:
        starts = Starts()
        rates = [Rate(2, per=1.0), Rate(5, per=10.0)]
        async with AioPool(100, rate=rates, observer=starts) as pool:
            for _ in range(7):
                pool.spawn_n(starts.job())
        return starts.times

    assert virtually(main) == [0, 0, 1, 1, 2, 10, 10]


@pytest.mark.parametrize("start", [0.0, 0.1, 1e5 + 1 / 3, 1e6 + 0.7])
def test_times_are_exact_whatever_the_clock_of_the_loop_shows(start: float) -> None:
    async def main() -> list[float]:
        begun, times = now(), list[float]()

        def observe(event: Event) -> None:
            if event.kind == "started":
                times.append(round(now() - begun, 5))

        async with AioPool(9, rate=Rate(1, per=0.1), observer=observe) as pool:
            await pool.map(ready, range(50))
        return times

    assert virtually(main, start=start) == [round(n / 10, 5) for n in range(50)]


@pytest.mark.parametrize("seed", range(20))
def test_no_window_has_more_starts_whatever_the_jobs_and_the_verbs(seed: int) -> None:
    chance = random.Random(seed)
    limit, per = chance.randint(1, 6), chance.choice([0.1, 0.7, 1.0])

    async def main() -> tuple[list[float], int]:
        starts = Starts()
        pool = AioPool(chance.randint(1, 9), rate=Rate(limit, per=per), observer=starts)

        async def job(_: object = None) -> None:
            await asyncio.sleep(chance.choice([0.0, 0.01, 0.3, chance.random()]))

        async def hand_in() -> None:
            await asyncio.sleep(chance.random() * 3)
            match chance.randrange(6):
                case 0:
                    pool.spawn_n(job())
                case 1:
                    await pool.spawn(job())
                case 2:
                    await pool.exec(job())
                case 3:
                    await pool.map(job, range(chance.randrange(9)))
                case 4:
                    [_ async for _ in pool.itermap(job, range(chance.randrange(9)))]
                case _:
                    pool.map_n(job, range(chance.randrange(9)))

        await asyncio.gather(*(hand_in() for _ in range(25)))
        await pool.join()
        return starts.times, pool.stats().started

    times, started = virtually(main)
    assert started == len(times) > 0
    assert most_in_a_window(times, per - 1e-6) <= limit


async def test_a_turn_of_the_loop_that_takes_long_starts_no_more_than_the_rate_allows() -> None:
    # Some loops tell the time at which their turn began.
    times: list[float] = []

    async def job() -> None:
        times.append(time.monotonic())
        time.sleep(0.03)  # noqa: ASYNC251 (blocks on purpose)

    pool = AioPool(4, rate=Rate(2, per=0.1))
    for _ in range(9):
        pool.spawn_n(job())
        time.sleep(0.02)  # noqa: ASYNC251 (blocks on purpose)
        await asyncio.sleep(0)
    await pool.join()
    assert len(times) == 9
    # Of two starts in one turn the second is counted before the first has run its first step.
    assert most_in_a_window(times, 0.1 - 0.035) <= 2


def test_a_map_ends_with_its_last_item_and_not_when_the_rate_would_allow_another() -> None:
    async def main() -> float:
        pool = AioPool(3, rate=Rate(2, per=60.0))
        assert await pool.map(ready, iter("ab")) == ["a", "b"]
        return now()

    assert virtually(main) == 0


def test_a_map_pulls_one_item_ahead_of_the_rate() -> None:
    async def main() -> list[tuple[float, int]]:
        pulled: list[tuple[float, int]] = []

        def items() -> Iterable[int]:
            for n in range(4):
                pulled.append((now(), n))
                yield n

        await AioPool(9, rate=Rate(1, per=1.0)).map(ready, items())
        return pulled

    assert virtually(main) == [(0, 0), (0, 1), (1, 2), (2, 3)]


def test_an_item_starts_when_it_is_there_however_long_the_source_takes() -> None:
    async def main() -> list[float]:
        starts, loop = Starts(), asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        def items() -> Iterable[int]:
            for n in range(4):
                loop.now += 0.75  # a read from a file, say, in which the loop stands still
                yield n

        await AioPool(9, rate=Rate(1, per=1.0), observer=starts).map(ready, items())
        return starts.times

    times = virtually(main)
    assert most_in_a_window(times, 1.0) == 1


def test_a_source_that_pauses_its_pool_or_sets_a_rate_is_heeded_for_the_item_that_it_gives() -> (
    None
):
    async def main() -> list[float]:
        starts = Starts()

        def items() -> Iterable[int]:
            pool.pause(2.0)
            yield 0
            pool.pause(3.0, key="k")
            yield 1

        pool = AioPool(9, observer=starts, rate=Rate(1, per=0.5))
        await pool.options(key="k").map(ready, items())
        return starts.times

    assert virtually(main) == [2, 5]


def test_an_item_whose_options_raise_has_not_started_and_the_rate_does_not_count_it() -> None:
    async def main() -> tuple[list[float], int]:
        starts = Starts()
        pool = AioPool(9, rate=Rate(1, per=1.0), observer=starts)
        view = pool.options(weight=lambda n: 1 if n % 2 else 0)
        results = await view.map(ready, range(6))
        assert [type(result).__name__ for result in results] == ["ValueError", "int"] * 3
        assert pool.stats().failed == 3
        return starts.times, pool.stats().started

    assert virtually(main) == ([0, 1, 2], 3)


def test_rates_may_be_given_by_an_iterator() -> None:
    async def main() -> list[float]:
        starts = Starts()
        pool = AioPool(9, per_key_rate=iter([Rate(1, per=1.0)]), observer=starts)
        await pool.options(key=lambda n: n % 2).map(ready, range(4))
        pool.rate = iter([Rate(1, per=2.0)])
        await pool.map(ready, range(2))
        return starts.times

    assert virtually(main) == [0, 0, 1, 1, 1, 3]


def test_an_item_that_waits_for_the_rate_keeps_its_turn() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def job(name: str) -> None:
            order.append(name)

        pool = AioPool(9, rate=Rate(1, per=1.0))
        mapping = asyncio.create_task(pool.map(job, ["map 1", "map 2", "map 3"]))
        await asyncio.sleep(0.5)
        pool.spawn_n(job("spawn_n 1"))
        pool.spawn_n(job("spawn_n 2"))
        await mapping
        await pool.join()
        return order

    assert virtually(main) == ["map 1", "map 2", "spawn_n 1", "spawn_n 2", "map 3"]


def test_a_map_that_is_cancelled_while_its_item_waits_for_the_rate_leaves_nothing() -> None:
    async def main() -> tuple[int, float]:
        pool = AioPool(2, rate=Rate(1, per=9.0))
        mapping = asyncio.create_task(pool.map(ready, range(100)))
        await asyncio.sleep(1)
        mapping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mapping
        await pool.join()
        return len(pool), now()

    assert virtually(main) == (0, 1)


def test_cancel_takes_the_item_that_waits_for_the_rate_and_the_map_goes_on() -> None:
    async def main() -> tuple[int, list[Any]]:
        pool = AioPool(2, rate=Rate(1, per=1.0))
        mapping = asyncio.create_task(pool.map(ready, range(3)))
        await asyncio.sleep(0.5)
        stopped, _ = await pool.cancel()
        return stopped, [type(result).__name__ for result in await mapping]

    assert virtually(main) == (1, ["int", "CancelledError", "int"])


def test_jobs_that_do_not_start_cost_nothing() -> None:
    async def main() -> list[float]:
        starts = Starts()
        pool = AioPool(1, rate=Rate(2, per=1.0), observer=starts)
        first = pool.spawn_n(starts.job(0.5))
        withdrawn = [pool.spawn_n(starts.job()) for _ in range(50)]
        for future in withdrawn[::2]:
            future.cancel()
        await pool.cancel(*withdrawn)
        assert await pool.map(ready, []) == []
        await pool.exec(starts.job())
        await pool.exec(starts.job())
        await first
        return starts.times

    assert virtually(main) == [0, 0.5, 1]


def test_a_new_rate_takes_effect_at_once_and_grants_nothing_twice() -> None:
    async def main() -> list[float]:
        starts = Starts()
        pool = AioPool(100, rate=Rate(3, per=10.0), observer=starts)
        for _ in range(12):
            pool.spawn_n(starts.job())
        await asyncio.sleep(1)
        pool.rate = Rate(5, per=10.0)
        assert len(starts.times) == 5
        await asyncio.sleep(1)
        pool.rate = [Rate(5, per=10.0), Rate(1, per=4.0)]
        await asyncio.sleep(9)
        pool.rate = None
        assert (pool.rate, pool.n_waiting) == (None, 0)
        await pool.join()
        return starts.times

    assert virtually(main) == [0, 0, 0, 1, 1, 10, *[11] * 6]


def test_a_rate_that_is_set_where_none_was_begins_empty() -> None:
    async def main() -> list[float]:
        starts = Starts()
        pool = AioPool(100, observer=starts)
        for _ in range(20):
            pool.spawn_n(starts.job())
        pool.rate = Rate(2, per=1.0)
        for _ in range(3):
            pool.spawn_n(starts.job())
        await pool.join()
        return starts.times

    assert virtually(main) == [0] * 22 + [1]


def test_a_pool_may_get_its_rate_before_it_has_a_loop() -> None:
    starts = Starts()
    pool = AioPool(9, rate=Rate(9, per=1.0), observer=starts)
    pool.rate = Rate(1, per=1.0)

    async def main() -> None:
        for _ in range(2):
            pool.spawn_n(starts.job())
        await pool.join()

    virtually(main, start=5)
    assert starts.times == [5, 6]


def test_a_blocked_spawn_returns_when_its_job_starts() -> None:
    async def main() -> list[float]:
        pool, times = AioPool(9, rate=Rate(1, per=1.0)), list[float]()
        for _ in range(3):
            await pool.spawn(ready(None))
            times.append(now())
        return times

    assert virtually(main) == [0, 1, 2]


def test_a_pool_has_one_timer_and_none_while_nothing_is_timed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        pool, gate = AioPool(3), Gate()
        pool.spawn_n(gate.job())
        await turns()
        before = len(loop.timers)  # the watch for the end of the loop
        pool.rate = Rate(1, per=5.0)
        for _ in range(1_000):
            pool.spawn_n(gate.job())
        await turns()
        assert len(loop.timers) == before + 1
        pool.pause(3.0)
        pool.rate = [Rate(1, per=7.0), Rate(1, per=2.0)]
        await turns()
        assert len(loop.timers) == before + 1
        # No slot is free: a timer would have nothing to start.
        await asyncio.sleep(10)
        assert (pool.n_active, len(loop.timers)) == (3, before)
        gate.open()
        pool.rate = None
        await pool.join()
        await turns()
        assert len(loop.timers) == before

    virtually(main)


def test_the_timer_is_set_anew_when_it_is_needed_earlier_and_cancelled_when_it_is_not() -> None:
    async def main() -> list[float]:
        loop, starts = asyncio.get_running_loop(), Starts()
        assert isinstance(loop, VirtualLoop)
        pool = AioPool(9, rate=Rate(1, per=1.0), observer=starts)
        pool.pause(10.0)
        futures = [pool.spawn_n(starts.job()) for _ in range(3)]
        await turns()
        pool.resume()
        await asyncio.sleep(1.5)
        futures[2].cancel()
        await turns()
        # That which is left watches for the end of the loop.
        assert [timer.when() for timer in loop.timers] == [3600]
        return starts.times

    assert virtually(main) == [0, 1]


def test_a_clock_that_goes_back_grants_nothing() -> None:
    async def main() -> list[float]:
        loop, times = asyncio.get_running_loop(), list[float]()
        assert isinstance(loop, VirtualLoop)
        pool = AioPool(9, rate=Rate(1, per=1.0))
        for _ in range(3):
            await pool.exec(ready(None))
            times.append(loop.now)
            loop.now -= 0.6
        return times

    assert virtually(main) == pytest.approx([0, 1, 2])


def test_a_timer_that_no_memory_was_there_for_is_set_in_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> float:
        def call_later(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return set_timer(*arguments)

        loop, failures = asyncio.get_running_loop(), [MemoryError(), MemoryError()]
        pool = AioPool(9, rate=Rate(1, per=1.0))
        await pool.exec(ready(None))
        set_timer = loop.call_later
        monkeypatch.setattr(loop, "call_later", call_later)
        monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
        await pool.exec(ready(None))
        return now()

    assert virtually(main) == 1


async def test_a_pool_that_nobody_uses_any_more_does_not_wait_for_its_timer() -> None:
    key = frozenset(["a key"])
    pool = AioPool(2, per_key_rate=Rate(1, per=3600.0))
    await pool.options(key=key).exec(ready(None))
    gone = weakref.ref(pool._core)
    del pool
    await turns()
    gc.collect()
    assert gone() is None


async def test_what_waits_longer_than_the_timers_of_a_loop_can_is_possible() -> None:
    pool = AioPool(2, rate=Rate(1, per=10**8))
    await pool.exec(ready(None))
    future = pool.spawn_n(ready(1))
    await turns()
    pool.rate = None
    assert await future == 1


async def test_the_end_of_a_loop_ends_jobs_that_wait_for_a_rate() -> None:
    def main() -> asyncio.Future[None]:
        async def leave() -> asyncio.Future[None]:
            pool = AioPool(2, rate=Rate(1, per=3600.0))
            pool.spawn_n(ready(None))
            return pool.spawn_n(ready(None))

        return asyncio.run(leave())

    future = await asyncio.to_thread(main)
    assert future.cancelled()


@pytest.mark.parametrize(
    ("arguments", "burst", "error", "message"),
    [
        ((0, 1), None, ValueError, "limit must be at least 1, not 0"),
        ((-5, 1), None, ValueError, "limit must be at least 1, not -5"),
        ((True, 1), None, TypeError, "limit must be an int"),
        ((1.5, 1), None, TypeError, "limit must be an int"),
        (("3", 1), None, TypeError, "limit must be an int"),
        ((1, 0), None, ValueError, "per must be a number of seconds above 0, not 0"),
        ((1, -1.0), None, ValueError, "per must be a number of seconds above 0"),
        ((1, float("nan")), None, ValueError, "per must be a number of seconds above 0, not nan"),
        ((1, float("inf")), None, ValueError, "per must be a number of seconds above 0, not inf"),
        ((1, "1"), None, TypeError, "per must be a number of seconds"),
        ((1, True), None, TypeError, "per must be a number of seconds"),
        ((1, 1), 0, ValueError, "burst must be at least 1, not 0"),
        ((1, 1), 0.5, TypeError, "burst must be an int"),
        ((1, 1), False, TypeError, "burst must be an int"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(
    arguments: tuple[Any, Any], burst: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Rate(*arguments, burst=burst)


def test_a_rate_may_be_of_any_number_and_is_a_plain_value() -> None:
    rate = Rate(10, per=Fraction(1, 3))  # type: ignore[arg-type]
    assert rate.nanoseconds == 333_333_333
    assert Rate(1, per=1e-12).nanoseconds == 1
    assert Rate(5, 1.0, burst=2) == Rate(5, per=1, burst=2) != Rate(5, per=1)
    assert repr(Rate(5, per=1.0)) == "Rate(limit=5, per=1.0, burst=None)"
    assert len({Rate(5, per=1), Rate(5, per=1.0)}) == 1


@pytest.mark.parametrize("rate", [5, "fast", "", {}, [Rate(1, 1), 5], (10, 1), object()])
async def test_what_is_no_rate_is_refused_and_the_pool_keeps_its_own(rate: Any) -> None:
    own = Rate(3, per=1.0)
    pool = AioPool(1, rate=own)
    with pytest.raises(TypeError, match="rate must be a Rate"):
        pool.rate = rate
    assert pool.rate is own
    shown = tuple(rate) if isinstance(rate, list) else rate
    with pytest.raises(TypeError, match=re.escape(f"or None, not {shown!r}")):
        AioPool(1, rate=rate)


async def test_huge_numbers_are_possible() -> None:
    assert Rate(1, per=1e300).nanoseconds < 2**64
    pool = AioPool(2, rate=[Rate(10**30, per=10**15), Rate(10**30, per=1, burst=10**30)])
    assert await pool.map(ready, range(5)) == list(range(5))


async def test_jobs_that_wait_for_a_rate_start_in_the_real_time_of_each_loop() -> None:
    pool, gate = AioPool(9, rate=Rate(1, per=0.02)), Gate()
    gate.open()
    began = time.monotonic()
    for n in range(4):
        pool.spawn_n(gate.job(n))
    await until(lambda: len(gate.ended) == 4)
    assert gate.started == [0, 1, 2, 3]
    assert time.monotonic() - began >= 0.06 - 0.001
