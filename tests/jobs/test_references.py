"""Nothing is left of a job that has settled, nor of a pool that nobody holds."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from asyncio_pool import AioPool, _core
from helpers import Gate, add_one, fails, turns, until
from test_memory import measured, on_linux

T = TypeVar("T")
Job = Callable[[int], Any]
Callback = Callable[..., Any] | None

JOBS = 10_000
#: More objects of one type are a leak; fewer may be made once, by whatever runs first.
FEW = 1_000


class Thing:
    """A result, a ctx, the value of a context variable."""


class Failure(Exception):
    """What a job or a callback raises."""


class Watch:
    """Sees what is left of the objects it was shown, and of all others."""

    def __init__(self) -> None:
        self.shown = defaultdict[type, list[weakref.ref[Any]]](list)
        self.counts = counts()

    def __call__(self, thing: T) -> T:
        self.shown[type(thing)].append(weakref.ref(thing))
        return thing

    def assert_nothing_is_left(self) -> None:
        while self.shown:
            kind, references = self.shown.popitem()
            left = [thing for reference in references if (thing := reference()) is not None]
            assert not left, f"{len(left)} of {len(references)} {kind}, held by {holders(left[0])}"
        del references
        more = {kind: count for kind, count in (counts() - self.counts).items() if count > FEW}
        assert not more


def counts() -> Counter[type]:
    return Counter(map(type, gc.get_objects()))


def holders(thing: object) -> list[str]:
    return [repr(holder)[:200] for holder in gc.get_referrers(thing)]


variable = contextvars.ContextVar[Thing]("variable")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """With the collector of cycles at rest: reference counts must do."""
    gc.collect()
    gc.disable()
    yield Watch()
    gc.enable()


# How jobs are handed in: each of these waits for their ends, and keeps nothing.


class HandIn:
    def __init__(self, watch: Watch, pool: AioPool, job: Job, cb: Callback) -> None:
        self.watch = watch
        self.pool = pool
        self.job = job
        self.cb = cb

    def made(self, item: int) -> Any:
        return self.watch(self.job(item))

    def arguments(self, item: int) -> tuple[Any, Any, Thing]:
        variable.set(self.watch(Thing()))
        return self.made(item), self.cb, self.watch(Thing())

    async def read(self, future: asyncio.Future[Any]) -> None:
        await asyncio.wait([self.watch(future)])
        if not future.cancelled():
            future.exception()

    async def spawn(self) -> None:
        async def caller(item: int) -> None:
            await self.read(await self.pool.spawn(*self.arguments(item)))

        await asyncio.gather(*map(caller, range(JOBS)))

    async def spawn_n(self) -> None:
        futures = [self.pool.spawn_n(*self.arguments(item)) for item in range(JOBS)]
        for future in futures:
            await self.read(future)

    async def exec(self) -> None:
        async def caller(item: int) -> None:
            with suppress(Failure, asyncio.CancelledError):
                await self.pool.exec(*self.arguments(item))

        await asyncio.gather(*map(caller, range(JOBS)))

    async def map(self) -> None:
        variable.set(self.watch(Thing()))
        await self.pool.map(self.made, range(JOBS), self.cb, self.watch(Thing()))

    async def map_n(self) -> None:
        variable.set(self.watch(Thing()))
        for future in self.pool.map_n(self.made, range(JOBS), self.cb, self.watch(Thing())):
            await self.read(future)

    async def itermap(self) -> None:
        variable.set(self.watch(Thing()))
        async for _ in self.pool.itermap(self.made, range(JOBS), self.cb, self.watch(Thing())):
            pass


VERBS = ["spawn", "spawn_n", "exec", "map", "map_n", "itermap"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("calls_back", [False, True], ids=["job", "callback"])
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_nothing_is_left_of_jobs_that_return_or_raise(
    watch: Watch, verb: str, raises: bool, calls_back: bool
) -> None:
    async def job(item: int) -> Thing:
        watch(asyncio.current_task())
        await asyncio.sleep(0)
        if raises:
            raise watch(Failure(item))
        return watch(Thing())

    async def callback(res: object, err: object, ctx: object) -> Thing:
        await asyncio.sleep(0)
        if raises:
            raise watch(Failure())
        return watch(Thing())

    async def main() -> None:
        pool = AioPool(100)
        hand_in = HandIn(watch, pool, job, callback if calls_back else None)
        await asyncio.create_task(getattr(hand_in, verb)())
        await pool.join()
        await turns()
        watch.assert_nothing_is_left()

    asyncio.run(main())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("active", "calls_back"),
    [(1, False), (JOBS, False), (JOBS, True)],
    ids=["waiting", "active", "active-callback"],
)
def test_nothing_is_left_of_jobs_that_are_cancelled(
    watch: Watch, verb: str, active: int, calls_back: bool
) -> None:
    begun = 0

    async def job(item: int) -> None:
        nonlocal begun
        begun += 1
        watch(asyncio.current_task())
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            watch(error)
            raise

    async def callback(res: object, err: object, ctx: object) -> Thing:
        await asyncio.sleep(0)
        return watch(Thing())

    async def main() -> None:
        pool = AioPool(active)
        hand_in = HandIn(watch, pool, job, callback if calls_back else None)
        caller = asyncio.create_task(getattr(hand_in, verb)())
        await until(lambda: begun == active and (verb == "map" or len(pool) == JOBS))
        if verb == "map":
            caller.cancel()
            await asyncio.wait([caller])
        else:
            await pool.cancel()
            await caller
        del caller
        await pool.join()
        await turns()
        watch.assert_nothing_is_left()

    asyncio.run(main())


async def never(pool: AioPool) -> None:
    pass


async def for_jobs_that_waited(pool: AioPool) -> None:
    for result in await pool.map(add_one, range(10)), pool.map_n(add_one, range(10)):
        assert len(result) == 10
    await pool.join()


async def for_a_future_that_is_still_held(pool: AioPool) -> None:
    held.append(pool.spawn_n(add_one(1)))
    await pool.join()


async def for_an_error_that_is_still_held(pool: AioPool) -> None:
    held.extend(await pool.map(fails, [Failure()]))


async def for_jobs_that_were_cancelled(pool: AioPool) -> None:
    pool.map_n(Gate().job, range(10))
    await turns()
    await pool.cancel()


async def for_an_itermap_that_was_broken_off(pool: AioPool) -> None:
    async for _ in pool.itermap(add_one, range(10)):
        break
    await pool.join()


held: list[Any] = []


@pytest.mark.parametrize(
    "use",
    [
        never,
        for_jobs_that_waited,
        for_a_future_that_is_still_held,
        for_an_error_that_is_still_held,
        for_jobs_that_were_cancelled,
        for_an_itermap_that_was_broken_off,
    ],
)
def test_a_pool_that_is_dropped_while_idle_is_freed_by_reference_counts(
    watch: Watch, use: Callable[[AioPool], Any]
) -> None:
    async def main() -> None:
        pool = AioPool(2)
        await use(watch(pool))
        await turns()
        assert pool.is_empty
        del pool
        watch.assert_nothing_is_left()
        assert counts()[_core.Pool] == watch.counts[_core.Pool]

    asyncio.run(main())
    held.clear()


@on_linux
def test_the_memory_of_a_process_does_not_grow_with_the_jobs_it_has_run() -> None:
    """Over a million jobs, a third of them by each of the ways to hand in many."""
    growth = measured(
        """
        async def main():
            pool = AioPool(100)
            batch = range(JOBS // 60)
            for round in range(20):
                for item in batch:
                    pool.spawn_n(job(item))
                await pool.join()
                await pool.map(job, batch)
                async for _ in pool.itermap(job, batch):
                    pass
                if round == 2:
                    early = memory("VmRSS")
            print(memory("VmRSS") - early)

        asyncio.run(main())
        """
    )
    assert growth <= 5_000_000
