"""One asyncio.Task for each active job, and what a job may do with it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import (
    Gate,
    HandIn,
    add_one,
    assert_usable,
    every_verb,
    every_way,
    is_closed,
    ready,
    turns,
    until,
)

needs_eager_tasks = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="eager tasks came with Python 3.12"
)


@contextmanager
def task_factory(factory: Callable[..., asyncio.Task[Any]]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(None)


def eager(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    """As asyncio.eager_task_factory, which refuses what uvloop gives it on Python 3.13.0."""
    return asyncio.Task(coro, loop=loop, **{**kwargs, "eager_start": True})


async def current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def frames_of(task: asyncio.Task[Any]) -> list[types.FrameType]:
    """What a debugger finds that goes from await to await."""
    frames, awaited = [], task.get_coro()
    while hasattr(awaited, "cr_await"):
        frames.append(awaited.cr_frame)
        awaited = awaited.cr_await
    return frames


@pytest.mark.task_per_job("that is the mode")
@every_way
async def test_every_job_has_a_task_of_its_own(hand_in: HandIn) -> None:
    pool = AioPool(1)
    tasks = {await hand_in(pool, current_task) for _ in range(5)}
    assert len(tasks) == 5
    assert asyncio.current_task() not in tasks
    assert all(isinstance(task, asyncio.Task) for task in tasks)
    await pool.join()


async def test_active_jobs_are_among_all_tasks_of_the_loop() -> None:
    async def job() -> None:
        tasks.append(await current_task())
        await gate.job()

    pool, gate, tasks = AioPool(3), Gate(), []
    pool.map_n(lambda _: job(), range(3))
    await until(lambda: gate.active == 3)
    assert set(tasks) <= asyncio.all_tasks()
    gate.open()
    await pool.join()


async def test_waiting_jobs_cost_no_task() -> None:
    pool, gate = AioPool(3), Gate()
    before = len(asyncio.all_tasks())
    pool.map_n(gate.job, range(1_000))
    await turns()
    loop_end = 1
    assert len(asyncio.all_tasks()) - before <= 3 + loop_end
    gate.open()
    await pool.join()


def test_waiting_jobs_cost_no_handle_and_no_timer() -> None:
    class Counting(asyncio.SelectorEventLoop):
        handles = 0

        def call_soon(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
            self.handles += 1
            return super().call_soon(*args, **kwargs)

        def call_at(self, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            self.handles += 1
            return super().call_at(*args, **kwargs)

    async def main() -> None:
        pool, gate = AioPool(2), Gate()
        pool.map_n(gate.job, range(2))
        await turns()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        before = loop.handles
        pool.map_n(gate.job, range(1_000))
        assert loop.handles - before <= 2
        gate.open()
        await pool.join()

    with asyncio.Runner(loop_factory=Counting) as runner:
        runner.run(main())


async def test_the_task_of_a_job_runs_a_genuine_coroutine() -> None:
    pool = AioPool(1)
    task = await pool.exec(current_task())
    assert inspect.iscoroutine(task.get_coro())
    await pool.join()


async def test_the_coroutine_of_the_user_is_found_from_the_task() -> None:
    pool, gate = AioPool(1), Gate()
    coro = gate.job(1)
    pool.spawn_n(coro)
    await until(lambda: gate.active)
    [task] = [task for task in asyncio.all_tasks() if coro.cr_frame in frames_of(task)]
    assert task is not asyncio.current_task()
    assert len(frames_of(task)) == len(set(frames_of(task)))
    gate.open()
    await pool.join()


async def names() -> tuple[str, str]:
    """What the task of a job and its coroutine are called."""
    task = await current_task()
    coro: Any = task.get_coro()
    assert coro.__qualname__ in repr(task)
    return task.get_name(), coro.__qualname__


@every_verb
async def test_the_task_of_a_job_and_its_coroutine_are_called_as_the_job(hand_in: HandIn) -> None:
    async def local() -> tuple[str, str]:
        (await current_task()).set_name("a name of its own")
        await asyncio.sleep(0)
        return await names()

    async def callback(res: object) -> tuple[str, str]:
        return await names()

    pool = AioPool(1)
    for _ in range(2):
        assert await hand_in(pool, names) == ("names", "names")
        assert await hand_in(pool, local) == ("a name of its own", local.__qualname__)
        assert await hand_in(pool, local) == ("a name of its own", local.__qualname__)
        assert await hand_in(pool, names, callback) == ("names", "names")
    await pool.join()


async def test_a_job_that_is_no_coroutine_is_called_as_its_class() -> None:
    class Awaitable:
        def __await__(self) -> Iterator[Any]:
            return names().__await__()

    class Misnamed(Awaitable):
        __qualname__: Any

        def __getattr__(self, name: str) -> Any:
            raise LookupError

    named: Any = Awaitable()
    named.__qualname__ = "a name of its own"
    pool = AioPool(1)
    assert await pool.exec(Awaitable()) == (Awaitable.__qualname__,) * 2
    assert await pool.exec(Misnamed()) == (Misnamed.__qualname__,) * 2
    assert await pool.exec(named) == ("a name of its own",) * 2
    await pool.join()


async def test_a_task_factory_sees_the_name_of_the_job() -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        seen.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    pool, seen = AioPool(1), []
    with task_factory(factory):
        assert await pool.exec(names()) == ("names", "names")
    assert seen == ["names"]
    await pool.join()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with Python 3.14")
@pytest.mark.parametrize("calls_back", [False, True], ids=["job", "callback"])
async def test_a_call_graph_shows_the_job(calls_back: bool) -> None:
    async def waits(res: object = None) -> None:
        await inner()

    async def inner() -> None:
        graphs.append(format_call_graph())
        await awaited

    def count(graph: str) -> list[int]:
        """How often it has the frames of both: each has a line of its own."""
        return [graph.count(f"line {f.__code__.co_firstlineno + 1}, in") for f in (waits, inner)]

    format_call_graph: Any = asyncio.format_call_graph  # type: ignore[attr-defined]
    pool, graphs = AioPool(1), list[str]()
    awaited = asyncio.get_running_loop().create_future()
    before = asyncio.all_tasks()
    pool.spawn_n(ready(1) if calls_back else waits(), waits if calls_back else None)
    [task] = asyncio.all_tasks() - before
    graphs_before = format_call_graph(task)
    await turns()
    assert count(graphs_before) == [0, 0]
    assert count(graphs[0])[0] == 1
    assert count(format_call_graph(task))[0] == 1
    assert "inner" in format_call_graph(task)
    assert count(format_call_graph(awaited))[0] == 1
    awaited.set_result(None)
    await pool.join()


async def test_a_job_that_only_itself_holds_is_not_collected() -> None:
    async def job() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waits_for.append(weakref.ref(future))
        return await future

    pool: AioPool = AioPool(1)
    waits_for: list[weakref.ref[asyncio.Future[str]]] = []
    future = pool.spawn_n(job())
    await until(lambda: waits_for)
    gc.collect()
    inner = waits_for[0]()
    assert inner is not None
    inner.set_result("alive")
    del inner
    assert await future == "alive"
    await pool.join()


async def test_jobs_run_on_when_nobody_holds_the_pool() -> None:
    gate = Gate()
    futures = AioPool(1).map_n(gate.job, range(3))
    await turns()
    gc.collect()
    gate.open()
    assert await asyncio.gather(*futures) == [0, 1, 2]


async def test_jobs_run_on_when_nobody_holds_the_pool_or_the_futures() -> None:
    gate = Gate()
    AioPool(1).map_n(gate.job, range(3))
    await turns()
    gc.collect()
    gate.open()
    await until(lambda: len(gate.ended) == 3)
    assert gate.ended == [0, 1, 2]


@every_way
async def test_the_task_factory_of_the_loop_makes_the_tasks(hand_in: HandIn) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **kwargs)
        made.append(task)
        return task

    pool, made = AioPool(1), []
    with task_factory(factory):
        task = await hand_in(pool, current_task)
    assert made.count(task) == 1
    await pool.join()


@pytest.mark.task_per_job("a reused task is there already")
async def test_a_task_factory_that_is_set_later_makes_the_tasks_of_waiting_jobs() -> None:
    class MyTask(asyncio.Task[Any]):
        pass

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        return MyTask(coro, loop=loop, **kwargs)

    pool, gate = AioPool(1), Gate()
    pool.spawn_n(gate.job())
    waiting = pool.spawn_n(current_task())
    await turns()
    with task_factory(factory):
        gate.open()
        assert isinstance(await waiting, MyTask)
    await pool.join()


async def test_a_task_factory_may_wrap_the_coroutine() -> None:
    async def wrap(coro: Any) -> Any:
        return await coro

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        return asyncio.Task(wrap(coro), loop=loop, **kwargs)

    pool, gate = AioPool(2), Gate()
    with task_factory(factory):
        assert await pool.map(add_one, range(5)) == [1, 2, 3, 4, 5]
        futures = pool.map_n(gate.job, range(3))
        await turns()
        assert (await pool.cancel())[0] == 3
        assert all(future.cancelled() for future in futures)
        await assert_usable(pool)


def awaiting(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    async def outer() -> Any:
        return await inner

    inner = asyncio.Task(coro, loop=loop, **kwargs)
    return asyncio.Task(outer(), loop=loop)


def shielding(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    async def outer() -> Any:
        return await asyncio.shield(inner)

    inner = asyncio.Task(coro, loop=loop, **kwargs)
    return asyncio.Task(outer(), loop=loop)


def wrapping(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    async def wrap() -> Any:
        return await coro

    return awaiting(loop, wrap(), **kwargs)


def gathering(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
    gathered: Any = asyncio.gather(asyncio.Task(coro, loop=loop, **kwargs))
    gathered.set_name = lambda name: None  # what some loops call
    gathered.add_done_callback(lambda gathered: gathered.cancelled() or gathered.exception())
    return gathered


@pytest.mark.parametrize("factory", [awaiting, shielding, wrapping, gathering])
@pytest.mark.parametrize("begun", [False, True], ids=["unbegun", "begun"])
@pytest.mark.parametrize("calls_back", [False, True], ids=["job", "callback"])
async def test_a_job_that_a_factory_runs_in_a_second_task_can_be_cancelled(
    factory: Any, begun: bool, calls_back: bool
) -> None:
    async def callback(res: object) -> None:
        called.append(res)
        await gate.job("callback")

    async def main() -> None:
        for number in range(3):
            future = pool.spawn_n(gate.job(number), callback if calls_back else None)
            waiting = pool.spawn_n(ready(number))
            await turns(3 * begun)
            gate.let("callback")
            assert (await pool.cancel(future))[0] == 1
            assert future.done()
            assert future.cancelled() is not (begun and calls_back)
            assert await waiting == number
        assert await pool.map(add_one, range(5)) == [1, 2, 3, 4, 5]
        await assert_usable(pool)

    pool, gate, called = AioPool(1), Gate(), []
    test = asyncio.ensure_future(main())
    with task_factory(factory):
        await test
    await turns()
    assert gate.started == gate.ended
    assert gate.cancelled == [0, 1, 2] * begun
    assert called == [None] * 3 * (begun and calls_back)


@pytest.mark.parametrize("factory", [awaiting, shielding, wrapping, gathering])
async def test_a_job_that_a_factory_runs_in_a_second_task_is_known_by_that(factory: Any) -> None:
    async def job() -> None:
        with pytest.raises(RuntimeError, match="inside a job"):
            await pool.join()

    pool = AioPool(1)
    with task_factory(factory):
        future = pool.spawn_n(job())
    await future
    await pool.join()


async def test_a_task_factory_that_fails_loses_no_slot_and_leaves_no_coroutine() -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        raise LookupError("no task today")

    pool, gate = AioPool(1), Gate()
    coro = gate.job()
    with task_factory(factory), pytest.raises(LookupError):
        await pool.spawn_n(coro)
    assert is_closed(coro)
    assert gate.started == []
    await pool.join()
    await assert_usable(pool)


@needs_eager_tasks
async def test_nothing_of_a_job_runs_inside_spawn_and_spawn_n_with_eager_tasks() -> None:
    pool, gate = AioPool(2), Gate()
    gate.open()
    with task_factory(eager):
        futures = [pool.spawn_n(gate.job(0)), await pool.spawn(gate.job(1))]
        futures += pool.map_n(gate.job, range(2, 5))
        assert gate.started == []
        assert await asyncio.gather(*futures) == [0, 1, 2, 3, 4]
        await pool.join()
    await assert_usable(pool)


@needs_eager_tasks
@every_verb
async def test_every_verb_works_with_eager_tasks(hand_in: HandIn) -> None:
    async def job() -> int:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        return 1

    async def callback(res: int) -> int:
        return res + 1

    pool, seen = AioPool(1), []
    with task_factory(eager):
        assert await hand_in(pool, job, callback) == 2
        assert await hand_in(pool, lambda: ready(1), callback) == 2
        await pool.join()
    assert seen[0] is not asyncio.current_task()
    await assert_usable(pool)


@needs_eager_tasks
async def test_many_jobs_that_never_suspend_do_not_nest_with_eager_tasks() -> None:
    pool = AioPool(1)
    with task_factory(eager):
        futures = pool.map_n(ready, range(5_000))
        await pool.join()
        assert [future.result() for future in futures] == list(range(5_000))
        assert await pool.map(ready, range(5_000)) == list(range(5_000))
    await assert_usable(pool)


async def test_asyncio_timeout_works_inside_a_job() -> None:
    async def job() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    pool = AioPool(1)
    assert await pool.map(lambda _: job(), range(3)) == ["timed out"] * 3
    await assert_usable(pool)


async def test_a_task_group_works_inside_a_job() -> None:
    async def child() -> None:
        raise LookupError

    async def job() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(add_one(n)) for n in range(3)]
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await asyncio.Event().wait()
        assert raised.group_contains(LookupError)
        return sum(task.result() for task in tasks)

    pool = AioPool(1)
    assert await pool.exec(job()) == 6
    await pool.join()


async def test_cancelling_a_job_cancels_the_tasks_of_its_group() -> None:
    async def job() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(gate.job(n))

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active == 3)
    assert (await pool.cancel(future))[0] == 1
    assert sorted(gate.cancelled) == [0, 1, 2]
    assert future.cancelled()


async def test_a_cancellation_passes_through_asyncio_timeout_in_a_job() -> None:
    async def job() -> None:
        async with asyncio.timeout(3600):
            await gate.job()

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job())
    await until(lambda: gate.active)
    await pool.cancel(future)
    assert future.cancelled()


async def test_a_job_that_is_not_cancelled_sees_no_cancellation_of_its_task() -> None:
    async def cancelling() -> int:
        return (await current_task()).cancelling()

    pool, gate = AioPool(1), Gate()
    cancelled = pool.spawn_n(gate.job())
    await turns()
    await pool.cancel(cancelled)
    assert await pool.exec(cancelling()) == 0
    await pool.join()


@pytest.mark.parametrize("cancelled", [False, True], ids=["after a return", "after a cancellation"])
async def test_asyncio_timeout_works_inside_a_callback(cancelled: bool) -> None:
    async def callback(res: object) -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job(), callback)
    await until(lambda: gate.active)
    if cancelled:
        await pool.cancel(future)
    gate.open()
    assert await future == "timed out"
    await pool.join()


@pytest.mark.parametrize("cancelled", [False, True], ids=["after a return", "after a cancellation"])
async def test_a_task_group_works_inside_a_callback(cancelled: bool) -> None:
    async def child() -> None:
        raise LookupError

    async def callback(res: object) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await asyncio.Event().wait()
        except ExceptionGroup:
            await asyncio.sleep(0)
            return "the child failed"
        return "never"

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job(), callback)
    await until(lambda: gate.active)
    if cancelled:
        await pool.cancel(future)
    gate.open()
    assert await future == "the child failed"
    await pool.join()


async def test_a_callback_after_a_cancellation_sees_no_cancellation_of_its_task() -> None:
    async def callback(res: object) -> int:
        return (await current_task()).cancelling()

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(gate.job(), callback)
    await until(lambda: gate.active)
    assert await pool.cancel(future) == (1, [0])


async def test_a_job_may_cancel_its_own_task() -> None:
    async def job() -> None:
        (await current_task()).cancel()
        await asyncio.sleep(0)
        raise AssertionError("never reached")

    pool = AioPool(1)
    future = pool.spawn_n(job())
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_a_job_that_cancels_its_own_task_and_returns_gives_its_result() -> None:
    async def job() -> str:
        (await current_task()).cancel()
        return "result"

    pool = AioPool(1)
    future = pool.spawn_n(job())
    await pool.join()
    assert future.cancelled() or future.result() == "result"
    await assert_usable(pool)


async def test_a_task_factory_of_two_parameters_works(runner: asyncio.Runner) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=loop)

    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        return  # It passes `context` to every factory.
    pool = AioPool(1)
    loop.set_task_factory(factory)
    try:
        assert await pool.map(ready, range(3)) == [0, 1, 2]
    finally:
        loop.set_task_factory(None)
    await pool.join()
