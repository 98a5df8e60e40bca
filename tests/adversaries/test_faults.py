"""Faults from outside: what happens around a pool must neither lose a job nor a slot.

`test_reentry.py` has the foreign code that calls the pool back, `test_end_of_loop.py` the programs
that end in the midst of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings

from aiopool import Rate
from asyncio_pool import AioPool, getres
from helpers import (
    SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING,
    add_one,
    assert_usable,
    at_once,
    is_closed,
    turns,
)
from loops import NewLoop
from play import holds_what_is_promised
from programs import Program, examples, hasty_programs

Disturbance = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def a_collection_for_each_object() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


@contextlib.contextmanager
def collections_at_random() -> Iterator[None]:
    random_ = random.Random(1)

    def trace(frame: Any, event: str, argument: object) -> Any:
        if not random_.randrange(500):
            gc.collect(random_.randrange(3))
        return trace

    with traced_by(trace):
        yield


@contextlib.contextmanager
def everything_frozen() -> Iterator[None]:
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # as conftest.py has it


@contextlib.contextmanager
def a_debugger_and_a_profiler() -> Iterator[None]:
    def look(frame: Any, event: str, argument: object) -> Any:
        for value in frame.f_locals.values():
            if isinstance(value, (AioPool, asyncio.Task)):
                with contextlib.suppress(AttributeError):  # It may not be built yet.
                    repr(value)
        return look

    profiler = sys.getprofile()
    sys.setprofile(look)
    try:
        with traced_by(look):
            yield
    finally:
        sys.setprofile(profiler)


@contextlib.contextmanager
def traced_by(trace: Any) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "disturbance",
    [
        a_collection_for_each_object,
        collections_at_random,
        everything_frozen,
        a_debugger_and_a_profiler,
    ],
)
@pytest.mark.also_eager
@settings(examples, max_examples=20)
@given(program=hasty_programs())
def test_any_program_finds_what_is_promised_under(
    disturbance: Disturbance, new_loop: NewLoop, program: Program
) -> None:
    with disturbance():
        holds_what_is_promised(program, AioPool, new_loop)


# The loop.


def test_callbacks_that_stop_their_loop_and_try_to_close_it_lose_nothing(new_loop: NewLoop) -> None:
    async def stop(result: int) -> int:
        loop.stop()
        return result

    async def close(result: int) -> None:
        loop.close()

    async def use_up() -> None:
        assert await pool.join() is True
        await assert_usable(pool)

    loop = new_loop()
    pool = AioPool(2, loop=loop)
    futures = [pool.spawn_n(add_one(number), stop) for number in range(7)]
    refused = [pool.spawn_n(add_one(number), close) for number in range(3)]
    used = loop.create_task(use_up())
    used.add_done_callback(lambda _: loop.stop())
    runs = 0
    while not used.done():
        loop.run_forever()
        runs += 1
    loop.close()
    used.result()
    assert runs > 2
    assert [future.result() for future in futures] == list(range(1, 8))
    assert all(isinstance(future.exception(), RuntimeError) for future in refused)


# The stack.


async def test_a_stack_that_is_nearly_full_loses_nothing(
    loop_errors: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # That of pytest needs more stack than there is.
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    pool = AioPool(2)
    coros: list[Any] = []
    futures: list[asyncio.Future[int]] = []

    def dig() -> None:
        """Hands in a job at each of the last depths that there are."""
        try:
            dig()
        except RecursionError:
            if len(coros) == 30:
                raise
            coros.append(add_one(len(coros)))
            with contextlib.suppress(RecursionError):
                futures.append(pool.spawn_n(coros[-1]))
            raise

    with pytest.raises(RecursionError):
        dig()
    assert await pool.join() is True
    for coro in coros:
        coro.close()  # Those that the interpreter refused before the pool had them.
    assert futures
    results = [future.exception() or future.result() for future in futures]
    assert all(isinstance(result, (int, RecursionError)) for result in results)
    await assert_usable(pool)
    # asyncio complains of tasks that it had no stack to make: whether they are destroyed, or are in
    # the loop already and find that their coroutine is closed.
    futures.clear()
    del results
    gc.collect()
    for error in loop_errors:
        is_destroyed = error["message"] == "Task was destroyed but it is pending!"
        assert is_destroyed or "cannot reuse already awaited" in str(error["exception"])
    loop_errors.clear()


# Objects that are not to be compared.


class Touchy:
    """Cannot be compared, hashed, printed or asked whether it is true."""

    def refuse(self, *_: object) -> Any:
        raise LookupError("nobody may ask")

    __eq__ = __lt__ = __hash__ = __repr__ = __bool__ = __len__ = refuse  # type: ignore[assignment]


async def test_items_results_and_contexts_are_never_looked_into() -> None:
    async def job(item: Touchy) -> Touchy:
        await asyncio.sleep(0)
        return item

    async def call_back(result: Touchy, error: None, ctx: Touchy) -> Touchy:
        assert ctx is touchy
        return result

    touchy = Touchy()
    pool = AioPool(2)
    for result in await pool.map(job, [touchy] * 5, call_back, touchy):
        assert result is touchy
    async for result in pool.itermap(job, [touchy] * 5, call_back, touchy):
        assert result is touchy
    for future in pool.map_n(job, [touchy] * 5, call_back, touchy):
        assert await future is touchy
    assert await pool.exec(job(touchy), call_back, touchy) is touchy


# Memory.


class Shortage:
    """While it lasts, one allocation fails: the one with this number."""

    def __init__(self, number: int) -> None:
        self._testcapi = pytest.importorskip(
            "_testcapi", reason="only this module of CPython makes allocations fail"
        )
        self._number = number
        self.was_felt = False

    def begin(self) -> None:
        self._testcapi.set_nomemory(self._number, self._number + 1)

    def end(self) -> None:
        self._testcapi.remove_mem_hooks()

    def during(self, work: Callable[[], Any]) -> Any:
        """What the work gives, or the MemoryError that it raises."""
        self.begin()
        try:
            return work()
        except BaseException as error:
            # The extension panics if there is no memory for its imports, at the first use of all.
            if not isinstance(error, SHORT_OF_MEMORY) and type(error).__name__ != "PanicException":
                raise
            self.was_felt = True
            return MemoryError(error)
        finally:
            self.end()


async def give_back(result: Any, error: Any, ctx: Any) -> Any:
    if error is not None:
        raise error[0]
    return result


#: The results of some jobs, and what they would be if nothing had failed: each one of several,
#: where the call that makes the difference may fail.
Results = tuple[list[Any], list[Any]]
Situation = Callable[[AioPool, Shortage], Awaitable[Results]]


async def a_job_is_started(pool: AioPool, shortage: Shortage) -> Results:
    return await hand_in_one_more(pool, shortage, 0)


async def a_job_has_to_wait(pool: AioPool, shortage: Shortage) -> Results:
    return await hand_in_one_more(pool, shortage, 3)


async def hand_in_one_more(pool: AioPool, shortage: Shortage, others: int) -> Results:
    futures = pool.map_n(add_one, range(others))
    coro = add_one(others)
    one_more = shortage.during(lambda: pool.spawn_n(coro, give_back))
    if isinstance(one_more, MemoryError):
        coro.close()  # It was not always the pool that had no memory.
    return await results_of(pool, [*futures, one_more]), [(n + 1,) for n in range(others + 1)]


async def a_call_is_started(pool: AioPool, shortage: Shortage) -> Results:
    return await enqueue_one_more(pool, shortage, 0)


async def a_call_has_to_wait(pool: AioPool, shortage: Shortage) -> Results:
    return await enqueue_one_more(pool, shortage, 3)


async def enqueue_one_more(pool: AioPool, shortage: Shortage, others: int) -> Results:
    jobs: list[Any] = [pool.enqueue(add_one, n) for n in range(others)]
    jobs.append(shortage.during(lambda: pool.enqueue(add_one, others)))
    return await results_of(pool, jobs), [(n + 1,) for n in range(others + 1)]


async def enqueued_jobs_are_cancelled(pool: AioPool, shortage: Shortage) -> Results:
    jobs = [pool.enqueue(add_one, n) for n in range(4)]
    told = list[object]()
    for job in jobs:
        job.add_done_callback(told.append)
    await turns(1)
    shortage.during(lambda: pool._core.stop([jobs[0], jobs[3]]))
    results = await results_of(pool, jobs)
    await turns()
    assert set(told) == set(jobs)
    cancelled = asyncio.CancelledError
    return results, [(1, cancelled), (2,), (3,), (4, cancelled)]


async def a_map_begins(pool: AioPool, shortage: Shortage) -> Results:
    mapped = pool.map(add_one, range(3), give_back)
    begun = shortage.during(lambda: mapped.send(None))
    await pool.join()
    if isinstance(begun, MemoryError):
        return [], []
    try:
        return at_once(mapped), [(1,), (2,), (3,)]
    except MemoryError:
        return [], []


async def a_job_with_options_is_handed_in(_: AioPool, shortage: Shortage) -> Results:
    pool = limited_pool()
    view = pool.options(priority=3, key="k", weight=2, name="n")
    # One of these waits, so the pool has its watch for the end of the loop: CPython 3.13.0 crashes
    # if it has no memory for a function that is made in there.
    futures: list[Any] = [view.spawn_n(add_one(n)) for n in range(2)]
    coro = add_one(2)
    one_more = shortage.during(lambda: view.spawn_n(coro, give_back))
    if isinstance(one_more, MemoryError):
        coro.close()
    results = await results_of(pool, [*futures, one_more])
    await assert_usable(pool)
    return results, [(1,), (2,), (3,)]


async def a_map_with_options_begins(_: AioPool, shortage: Shortage) -> Results:
    pool = limited_pool()
    view = pool.options(priority=lambda n: n, key=lambda n: n % 2, name=str)
    mapped = view.map(add_one, range(3), give_back)
    begun = shortage.during(lambda: mapped.send(None))
    await pool.join()
    await assert_usable(pool)
    if isinstance(begun, MemoryError):
        return [], []
    try:
        return at_once(mapped), [(1,), (2,), (3,)]
    except MemoryError:
        return [], []


async def limits_change(_: AioPool, shortage: Shortage) -> Results:
    def change() -> None:
        pool.pause(0.001)
        pool.pause(key="k")
        pool.rate = [Rate(5, per=0.001), Rate(7, per=0.01)]
        pool.size = 3
        pool.resume(key="k")

    pool = limited_pool()
    futures = pool.options(key="k").map_n(add_one, range(4))
    shortage.during(change)
    with contextlib.suppress(RuntimeError):
        pool.resume(key="k")
    results = await results_of(pool, futures)
    await assert_usable(pool)
    return results, [(1,), (2,), (3,), (4,)]


def limited_pool() -> AioPool:
    return AioPool(2, rate=Rate(1_000, per=0.001), per_key=1, observer=lambda _: None)


async def jobs_are_cancelled(pool: AioPool, shortage: Shortage) -> Results:
    futures = pool.map_n(add_one, range(5))
    await turns(1)
    # What `cancel` does before it waits for the tasks: to wait is up to asyncio.
    shortage.during(lambda: pool._core.stop([futures[0], futures[4]]))
    results = await results_of(pool, futures)
    cancelled = asyncio.CancelledError
    return results, [(1, cancelled), (2,), (3,), (4,), (5, cancelled)]


async def a_future_is_cancelled(pool: AioPool, shortage: Shortage) -> Results:
    futures = pool.map_n(add_one, range(5))
    futures[4].add_done_callback(lambda future: None)
    shortage.during(futures[4].cancel)
    results = await results_of(pool, futures)
    return results, [(1,), (2,), (3,), (4,), (5, asyncio.CancelledError)]


async def a_job_ends(pool: AioPool, shortage: Shortage) -> Results:
    async def begin_shortage() -> int:
        await turns(1)
        shortage.begin()
        return 0

    return await ends_before_others(pool, shortage, begin_shortage()), [(0,), (1,), (2,), (3,)]


async def a_call_ends(pool: AioPool, shortage: Shortage) -> Results:
    return await calls_end(pool, shortage, None), [(0,), (1,), (2,), (3,)]


async def a_call_fails(pool: AioPool, shortage: Shortage) -> Results:
    return await calls_end(pool, shortage, LookupError()), [(LookupError,), (1,), (2,), (3,)]


async def calls_end(pool: AioPool, shortage: Shortage, error: BaseException | None) -> list[Any]:
    async def begin_shortage() -> int:
        await turns(1)
        shortage.begin()
        if error is not None:
            raise error
        return 0

    async def end_shortage(item: int) -> int:
        shortage.end()
        return await add_one(item)

    told = list[object]()
    jobs = [pool.enqueue(begin_shortage), *(pool.enqueue(end_shortage, n) for n in range(3))]
    jobs[0].add_done_callback(told.append)
    results = await results_of(pool, list(jobs))
    await turns()
    assert told == jobs[:1]
    return results


async def a_callback_raises(pool: AioPool, shortage: Shortage) -> Results:
    async def begin_shortage(result: int) -> int:
        await turns(1)
        shortage.begin()
        raise LookupError

    results = await ends_before_others(pool, shortage, add_one(0), begin_shortage)
    return results, [(LookupError,), (1,), (2,), (3,)]


async def ends_before_others(
    pool: AioPool, shortage: Shortage, coro: Any, callback: Any = None
) -> list[Any]:
    async def end_shortage(item: int) -> int:
        shortage.end()
        return await add_one(item)

    futures = [pool.spawn_n(coro, callback), *pool.map_n(end_shortage, range(3), give_back)]
    return await results_of(pool, futures)


async def results_of(pool: AioPool, futures: list[Any]) -> list[Any]:
    await pool.join()
    results = []
    for future in futures:
        assert isinstance(future, MemoryError) or future.done()
        results.append(future if isinstance(future, MemoryError) else getres.flat(future))
    return results


# asyncio itself loses tasks and wake-ups where it has no memory, and in debug mode its tasks crash
# the interpreter. So a shortage lasts for one call of ours, in a plain loop; or from the end of a
# job to the beginning of the next, which is one step of a worker.
@pytest.mark.parametrize(
    "situation",
    [
        a_job_is_started,
        a_job_has_to_wait,
        a_call_is_started,
        a_call_has_to_wait,
        enqueued_jobs_are_cancelled,
        a_map_begins,
        a_job_with_options_is_handed_in,
        a_map_with_options_begins,
        limits_change,
        jobs_are_cancelled,
        a_future_is_cancelled,
    ],
)
# Not in an eager pool: a task that asyncio cannot finish making after its first step is left among
# all tasks, and the end of the loop waits for it for ever.
def test_an_allocation_that_fails_in_a_call_loses_neither_a_job_nor_a_slot(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    lets_each_allocation_fail(situation, 2, monkeypatch)


@pytest.mark.reuse_tasks
@pytest.mark.parametrize("situation", [a_job_ends, a_callback_raises, a_call_ends, a_call_fails])
def test_an_allocation_that_fails_between_two_jobs_loses_neither_a_job_nor_a_slot(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    lets_each_allocation_fail(situation, 1, monkeypatch)


def lets_each_allocation_fail(
    situation: Situation, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(number: int) -> bool:
        pool, shortage = AioPool(size), Shortage(number)

        def feel(*_: object) -> None:
            shortage.was_felt = True

        monkeypatch.setattr(sys, "unraisablehook", feel)
        asyncio.get_running_loop().set_exception_handler(feel)
        async with asyncio.timeout(SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING):
            results, expected = await situation(pool, shortage)
            await turns()
            await assert_usable(pool)
        felt = [isinstance(result, SHORT_OF_MEMORY) for result in results]
        for result, others in zip(results, expected, strict=True):
            if not isinstance(result, SHORT_OF_MEMORY):
                assert result in others or type(result) in others, (number, results)
        return shortage.was_felt or any(felt)

    were_felt = [asyncio.run(run(number)) for number in range(MORE_THAN_ARE_NEEDED)]
    assert any(were_felt)


#: Some instructions of the interpreter say nothing but that they failed.
SHORT_OF_MEMORY = (MemoryError, SystemError)
#: As many allocations as one call, and what it starts, may make.
MORE_THAN_ARE_NEEDED = 40


# Threads and processes.


async def test_threads_that_poke_a_pool_change_nothing() -> None:
    pool = AioPool(3)
    over = threading.Event()

    def poke() -> int:
        refused = 0
        while not over.is_set():
            assert 0 <= pool.n_active <= 3
            assert len(pool) >= 0
            assert pool.n_executed >= 0
            repr(pool)
            gc.collect(0)
            coro = add_one(0)
            try:
                pool.spawn_n(coro)
            except RuntimeError:
                refused += 1
                assert is_closed(coro)
            with pytest.raises(RuntimeError):
                at_once(pool.cancel())
        return refused

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            pokes = [threads.submit(poke) for _ in range(4)]
            try:
                for start in range(0, 2_000, 100):
                    items = range(start, start + 100)
                    assert await pool.map(add_one, items) == [item + 1 for item in items]
                    futures = pool.map_n(add_one, items)
                    assert futures[-1].cancel()
                    assert await pool.join() is True
            finally:
                over.set()
            assert all(poke.result() > 0 for poke in pokes)
    finally:
        sys.setswitchinterval(interval)
    assert pool.n_executed == 2_000 + 20 * 99
    await assert_usable(pool)


def test_each_of_several_threads_has_a_pool_of_its_own() -> None:
    async def work(seed: int) -> int:
        random_ = random.Random(seed)
        async with AioPool(random_.randrange(1, 5)) as pool:
            futures = pool.map_n(add_one, range(500))
            count = 0
            async for result in pool.itermap(add_one, range(500)):
                count += isinstance(result, int)
                if not random_.randrange(50):
                    await turns(1)
        return count + sum(future.result() > 0 for future in futures)

    with ThreadPoolExecutor(8) as threads:
        runs = [threads.submit(lambda seed=seed: asyncio.run(work(seed))) for seed in range(16)]  # type: ignore[misc]
        assert [run.result() for run in runs] == [1_000] * 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_child_of_a_fork_can_leave_the_pool_alone_and_make_its_own() -> None:
    pool = AioPool(2)
    gate = asyncio.Event()
    futures = [pool.spawn_n(gate.wait()) for _ in range(5)]
    await turns()
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            # asyncio knows that the loop that runs here is that of the parent.
            with pytest.raises(RuntimeError):
                pool.spawn_n(add_one(1))
            code = asyncio.run(own_pool())
        os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    gate.set()
    assert await pool.join() is True
    assert all(future.result() for future in futures)


async def own_pool() -> int:
    return 0 if await AioPool(2).map(add_one, range(5)) == [1, 2, 3, 4, 5] else 2
