"""Nothing is left of a job that has settled, nor of a pool that nobody holds."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pytest

import aiopool
from aiopool import AioPool, _core, getres, iterwait
from helpers import Gate, add_one, fails, turns, until
from memory import measured, on_linux

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

    async def enqueue(self) -> None:
        def enqueued(item: int) -> aiopool.Job[Any]:
            variable.set(self.watch(Thing()))
            return self.pool.enqueue(lambda item, thing: self.made(item), item, self.watch(Thing()))

        jobs = [enqueued(item) for item in range(JOBS)]
        for job in jobs:
            await asyncio.wait([asyncio.ensure_future(self.watch(job))])
            if not job.cancelled():
                job.exception()

    async def submit(self) -> None:
        def submitted(item: int) -> Future[Any]:
            variable.set(self.watch(Thing()))
            return self.pool.submit(lambda item, thing: self.made(item), item, self.watch(Thing()))

        await self.pool.join()  # a pool that has no loop yet takes no call
        futures = [submitted(item) for item in range(JOBS)]
        for future in futures:
            await self.read(asyncio.wrap_future(self.watch(future)))

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
#: Those whose jobs have no callbacks.
CALLS = ["enqueue", "submit"]


@pytest.mark.parametrize(
    ("verb", "calls_back"),
    [
        *((verb, calls_back) for verb in VERBS for calls_back in (False, True)),
        *((verb, False) for verb in CALLS),
    ],
)
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
@pytest.mark.also_eager
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


@pytest.mark.parametrize(
    ("verb", "active", "calls_back"),
    [
        *((verb, 1, False) for verb in VERBS + CALLS),
        *((verb, JOBS, False) for verb in VERBS + CALLS),
        *((verb, JOBS, True) for verb in VERBS),
    ],
)
@pytest.mark.also_eager
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


# Callers that keep what they are given in a variable, as long as they run. The frames of an error
# that is raised below them lead up to theirs.


class Raising:
    """What can be raised in a call, each time with things in the frame that raises."""

    def __init__(self, watch: Watch, pool: AioPool) -> None:
        self.watch = watch
        self.pool = pool

    def fn(self, thing: Thing) -> Any:
        raise self.watch(Failure())

    async def job(self, thing: Thing) -> None:
        raise self.watch(Failure())

    def callback(self, res: object, err: object) -> Any:
        del err  # of the job, whose frames are not those of the callback
        self.fn(self.watch(Thing()))

    def things(self) -> Iterator[Thing]:
        for _ in range(5):
            yield self.watch(Thing())

    def breaks(self) -> Iterator[Thing]:
        yield from self.things()
        raise self.watch(Failure())

    async def map(self) -> None:
        results = await self.pool.map(self.fn, self.things())
        assert [type(result) for result in results] == [Failure] * 5

    async def map_pair(self) -> None:
        results = await self.pool.map(self.fn, self.things(), get_result=getres.pair)
        assert [type(error) for _, error in results] == [Failure] * 5

    async def map_dont(self) -> None:
        futures = await self.pool.map(self.fn, self.things(), get_result=getres.dont)
        assert [type(future.exception()) for future in futures] == [Failure] * 5

    async def map_again(self) -> None:
        with suppress(Failure):
            await self.pool.map(self.fn, self.things(), get_result=asyncio.Future.result)

    async def map_source(self) -> None:
        with suppress(Failure):
            await self.pool.map(self.job, self.breaks())

    async def map_callback(self) -> None:
        results = await self.pool.map(self.job, self.things(), self.callback)
        assert [type(result) for result in results] == [Failure] * 5

    async def map_n(self) -> None:
        futures = self.pool.map_n(self.fn, self.things())
        assert [type(future.exception()) for future in futures] == [Failure] * 5

    @contextmanager
    def no_tasks(self) -> Iterator[None]:
        def factory(loop: object, coro: Any, **keywords: object) -> Any:
            raise self.watch(Failure())

        asyncio.get_running_loop().set_task_factory(factory)
        yield
        asyncio.get_running_loop().set_task_factory(None)

    async def map_factory(self) -> None:
        with self.no_tasks():
            results = await self.pool.map(self.job, self.things())
        assert [type(result) for result in results] == [Failure] * 5

    async def map_n_factory(self) -> None:
        with self.no_tasks():
            futures = self.pool.map_n(self.job, self.things())
        assert [type(future.exception()) for future in futures] == [Failure] * 5

    async def spawn_n_factory(self) -> None:
        with self.no_tasks():
            future = self.pool.spawn_n(self.job(self.watch(Thing())))
        assert type(future.exception()) is Failure

    async def spawn_n_patched(self) -> None:
        def create_task(coro: Any, *, context: object = None) -> Any:
            raise self.watch(Failure())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "create_task", create_task)
            future = self.pool.spawn_n(self.job(self.watch(Thing())))
        assert type(future.exception()) is Failure

    async def spawn_factory(self) -> None:
        with self.no_tasks():
            future = await self.pool.spawn(self.job(self.watch(Thing())))
        assert type(future.exception()) is Failure

    async def itermap(self) -> None:
        results = [result async for result in self.pool.itermap(self.fn, self.things())]
        assert [type(result) for result in results] == [Failure] * 5

    async def itermap_again(self) -> None:
        results = self.pool.itermap(self.fn, self.things(), get_result=asyncio.Future.result)
        with suppress(Failure):
            await anext(results)

    async def itermap_source(self) -> None:
        results = self.pool.itermap(self.job, self.breaks())
        with suppress(Failure):
            await anext(results)

    async def exec(self) -> None:
        with suppress(Failure):
            await self.pool.exec(self.job(self.watch(Thing())))

    async def exec_callback(self) -> None:
        with suppress(Failure):
            await self.pool.exec(self.job(self.watch(Thing())), self.callback)

    async def spawn(self) -> None:
        with suppress(Failure):
            await (await self.pool.spawn(self.job(self.watch(Thing()))))

    async def cancel_again(self) -> None:
        async def cleans_up() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.fn(self.watch(Thing()))

        self.pool.spawn_n(cleans_up())
        await turns()
        with suppress(Failure):
            await self.pool.cancel(get_result=asyncio.Future.result)

    async def iterwait_again(self) -> None:
        futures = iterwait(
            [self.pool.spawn_n(self.job(self.watch(Thing())))], get_result=asyncio.Future.result
        )
        with suppress(Failure):
            await anext(futures)


CALLS = [name for name, call in vars(Raising).items() if inspect.iscoroutinefunction(call)]
CALLS.remove("job")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.also_eager
def test_an_error_is_freed_with_its_frames_though_callers_have_kept_it(
    watch: Watch, call: str
) -> None:
    async def main() -> None:
        pool = AioPool(2)
        await asyncio.create_task(getattr(Raising(watch, pool), call)())
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


@pytest.mark.parametrize("suspended", ["job", "callback", "nothing"])
async def test_a_pool_that_is_collected_with_its_active_jobs_runs_nothing_of_them_in_the_collection(
    suspended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def job(thing: Thing) -> None:
        if suspended == "job":
            await asyncio.Event().wait()

    async def callback(res: object, err: object) -> None:
        called.append(err)
        if suspended == "callback":
            await asyncio.Event().wait()

    def hand_in() -> weakref.ref[Thing]:
        thing = Thing()
        AioPool(1).spawn_n(job(thing), callback)
        return weakref.ref(thing)

    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    called: list[object] = []
    things = [hand_in() for _ in range(10)]
    await turns()
    gc.collect()
    await turns()
    gc.collect()
    assert [thing() for thing in things] == [None] * 10
    assert called == [None] * 10 * (suspended != "job")
    assert not complaints


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
