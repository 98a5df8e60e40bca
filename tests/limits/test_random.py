"""Random programs over all limits, in virtual time: what has to hold in each of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiopool import AioPool, Event, Rate
from virtual_time import now, virtually

PROGRAMS = 150
KEYS = (None, "a", "b", "c")
LIMITS = {"a": 1, "b": 2, "c": None}
RATES = {"a": None, "b": Rate(2, per=0.5), "c": Rate(1, per=0.3, burst=2)}


class Program:
    """One random program. Its jobs note what they take, and its observer what it is told."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.size = self.chance.randint(1, 5)
        self.sizes = [self.size]
        self.rate = self.chance.choice([None, Rate(3, per=0.4), Rate(4, per=1.0, burst=3)])
        self.pool = AioPool(
            self.size,
            rate=self.rate,
            per_key=LIMITS.get,
            per_key_rate=RATES.get,
            observer=self.observe,
        )
        self.events: list[tuple[float, Event]] = []
        self.held = Counter[str]()
        self.of_key = Counter[str]()
        self.weights: dict[str, int] = {}
        self.names = (f"job {n}" for n in range(10**6))
        self.callers: list[asyncio.Task[Any]] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.errors: list[dict[str, Any]] = []

    def observe(self, event: Event) -> None:
        self.events.append((now(), event))
        assert self.pool.stats().active <= max(self.sizes)
        if event.kind == "started":
            limit = LIMITS.get(str(event.key))
            self.of_key[str(event.key)] += 1
            assert limit is None or self.of_key[str(event.key)] <= limit
            self.held[str(event.name)] = min(self.weights[str(event.name)], self.pool.size)
            # What no longer fits after a shrink goes on, and lets nobody else start.
            assert self.held.total() <= self.pool.size
        elif event.kind == "finished" and str(event.name) in self.held:
            self.of_key[str(event.key)] -= 1
            del self.held[str(event.name)]

    async def job(self, _: object = None) -> None:
        seconds = self.chance.choice([0, 0, 0.01, 0.2, self.chance.random()])
        if seconds or self.chance.random() < 0.5:
            await asyncio.sleep(seconds)
        if self.chance.random() < 0.1:
            raise OSError
        if self.chance.random() < 0.1:
            self.hand_in(nested=True)

    def name(self, weight: int) -> str:
        name = next(self.names)
        self.weights[name] = weight
        return name

    def hand_in(self, *, nested: bool = False) -> None:
        chance, pool = self.chance, self.pool
        weight = chance.choice([1, 1, 1, 2, 7])
        priority = chance.choice([None, None, -3, 0, 9])
        one = pool.options(
            key=chance.choice(KEYS), weight=weight, priority=priority, name=self.name(weight)
        )
        weights = {n: chance.choice([1, 1, 2]) for n in range(9)}
        many = pool.options(
            key=chance.choice([chance.choice(KEYS), lambda n: KEYS[n % 4]]),
            weight=weights.__getitem__,
            priority=chance.choice([priority, lambda n: n % 3]),
            name=lambda n: self.name(weights[n]),
        )
        items = range(chance.randrange(9))
        match chance.randrange(3 if nested else 6):
            case 0 | 1:
                self.futures.append(one.spawn_n(self.job()))
            case 2:
                self.futures += many.map_n(self.job, items)
            case 3:
                self.callers.append(asyncio.create_task(self.call(lambda: one.spawn(self.job()))))
            case 4:
                self.callers.append(asyncio.create_task(self.call(lambda: one.exec(self.job()))))
            case _:
                reads = chance.random() < 0.4
                self.callers.append(
                    asyncio.create_task(
                        self.call(
                            lambda: self.read(many, items) if reads else many.map(self.job, items)
                        )
                    )
                )

    async def read(self, view: Any, items: range) -> None:
        async for _ in view.itermap(self.job, items):
            pass

    async def call(self, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            result = await call()
        except OSError:
            return
        if isinstance(result, asyncio.Future):
            self.futures.append(result)

    def change(self) -> None:
        chance, pool = self.chance, self.pool
        match chance.randrange(8):
            case 0:
                self.sizes.append(chance.randint(1, 6))
                pool.size = self.sizes[-1]
            case 1:
                pool.pause(chance.random(), key=chance.choice(KEYS))
            case 2:
                pool.rate = self.rate
            case 3 if self.futures:
                chance.choice(self.futures).cancel()
            case 4 if self.callers:
                chance.choice(self.callers).cancel()
            case 5 if self.futures:
                some = chance.sample(self.futures, k=min(4, len(self.futures)))
                self.callers.append(asyncio.create_task(self.call(lambda: pool.cancel(*some))))
            case 6 if chance.random() < 0.2:
                self.callers.append(asyncio.create_task(self.call(pool.cancel)))
            case _:
                with contextlib.suppress(RuntimeError):  # it may not be paused
                    pool.resume(key=chance.choice(KEYS))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        for _ in range(self.chance.randint(5, 40)):
            self.hand_in() if self.chance.random() < 0.75 else self.change()
            if self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.choice([0, 0, 0.1, self.chance.random()]))
        await self.pool.join()
        while self.callers:
            await asyncio.wait([self.callers.pop()])
        await self.pool.join()
        await asyncio.sleep(0)
        for future in self.futures:
            future.cancelled() or future.exception()

    def check(self) -> None:
        assert not self.errors, self.errors[:2]
        stats, kinds = self.pool.stats(), Counter(event.kind for _, event in self.events)
        assert len(self.pool) == stats.active == stats.waiting == stats.parked == 0
        assert all(future.done() for future in self.futures)
        assert not self.held
        assert kinds["queued"] == kinds["finished"]
        assert kinds["started"] == stats.started
        ends = Counter(event.outcome for _, event in self.events if event.kind == "finished")
        assert ends == Counter(
            {
                outcome: count
                for outcome, count in [
                    ("succeeded", stats.succeeded),
                    ("failed", stats.failed),
                    ("cancelled", stats.cancelled),
                ]
                if count
            }
        )
        waits = sum(event.wait or 0 for _, event in self.events if event.kind == "started")
        runs = sum(event.run or 0 for _, event in self.events if event.kind == "finished")
        assert stats.wait_seconds == pytest.approx(waits)
        assert stats.run_seconds == pytest.approx(runs)
        order = defaultdict[str | None, list[str]](list)
        for _, event in self.events:
            order[event.name].append(event.kind)
        for kinds_of_job in order.values():
            assert kinds_of_job in (
                ["queued", "started", "finished"],
                ["queued", "finished"],
            ) or kinds_of_job[0] in ("paused", "resumed", "resized")
        self.check_rates()

    def check_rates(self) -> None:
        of_all = [time for time, event in self.events if event.kind == "started"]
        check_rate(self.rate, of_all)
        for key, rate in RATES.items():
            times = [
                time for time, event in self.events if event.kind == "started" and event.key == key
            ]
            check_rate(rate, times)


def check_rate(rate: Rate | None, times: list[float]) -> None:
    if rate is None:
        return
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            count, span = last - first + 1, times[last] - start + 1e-6
            if rate.burst is None:
                assert span >= rate.per or count <= rate.limit
            else:
                assert count <= rate.burst + span * rate.limit / rate.per


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_random_program_keeps_all_limits_and_tells_all_of_it(seed: int) -> None:
    program: list[Program] = []

    async def main() -> None:
        program.append(Program(seed))
        await asyncio.wait_for(program[0].run(), timeout=10_000)

    virtually(main)
    program[0].check()
