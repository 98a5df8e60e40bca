"""Pools that run many jobs in one task: what each job has of its own, and what it does not."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from asyncio_pool import AioPool, getres
from helpers import Gate, add_one, assert_usable, ready, turns, until

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture
def pool() -> AioPool:
    """A pool of one slot, so that all jobs follow one another, in the mode of the test."""
    return AioPool(1)


async def current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


@pytest.mark.reuse_tasks
async def test_jobs_that_follow_one_another_share_a_task() -> None:
    pool = AioPool(2, reuse_tasks=True)
    tasks = await pool.map(lambda _: current_task(), range(20))
    assert len(set(tasks)) <= 2
    assert all(isinstance(task, asyncio.Task) for task in tasks)


@pytest.mark.reuse_tasks
async def test_the_task_ends_soon_after_the_last_job(pool: AioPool) -> None:
    task = await pool.exec(current_task())
    await turns(2)
    assert task.done()
    assert await pool.exec(current_task()) is not task


@pytest.mark.reuse_tasks
async def test_a_task_waits_a_turn_for_the_job_of_whoever_is_told_of_the_end(pool: AioPool) -> None:
    tasks = {await pool.exec(current_task()) for _ in range(5)}
    assert len(tasks) == 1


@pytest.mark.task_per_job("it is the default that is tested")
async def test_by_default_each_job_has_a_task_of_its_own() -> None:
    assert len({*await AioPool(1).map(lambda _: current_task(), range(5))}) == 5


@pytest.mark.task_per_job("the argument is the test's own")
@pytest.mark.parametrize("value", [1, None, "yes"])
def test_the_choice_is_true_or_false(value: Any) -> None:
    with pytest.raises(TypeError, match="reuse_tasks must be True or False"):
        AioPool(reuse_tasks=value)


async def test_what_a_job_sets_is_not_seen_by_the_next(pool: AioPool) -> None:
    async def job(name: str) -> str:
        seen = variable.get()
        variable.set(name)
        await asyncio.sleep(0)
        assert variable.get() == name
        return seen

    async def callback(seen: str) -> tuple[str, str]:
        return seen, variable.get()

    variable.set("the caller's")
    results = await pool.map(job, "abc", callback)
    assert results == [("the caller's", name) for name in "abc"]
    assert variable.get() == "the caller's"


async def test_cancelling_a_job_that_has_just_ended_does_not_reach_the_next(pool: AioPool) -> None:
    gate = Gate()
    first, second = pool.spawn_n(ready(1)), pool.spawn_n(gate.job(2))
    await until(lambda: gate.active)
    assert first.done()
    assert await pool.cancel(first) == (0, [])
    assert not first.cancel()
    gate.open()
    assert await second == 2


async def test_a_job_that_is_cancelled_as_it_ends_takes_the_cancellation_with_it(
    pool: AioPool,
) -> None:
    async def cancels_itself() -> str:
        canceller = pool.cancel(first)
        # As code that is in no job. Waits for the end of this one.
        contextvars.Context().run(canceller.send, None)
        cancellers.append(canceller)
        return "returned"

    cancellers: list[Any] = []
    first, second = pool.spawn_n(cancels_itself()), pool.spawn_n(add_one(1))
    assert await second == 2
    assert await first == "returned"
    cancellers[0].close()
    await pool.join()


async def test_a_job_that_cancels_its_task_and_returns_ends_only_itself(pool: AioPool) -> None:
    async def job() -> asyncio.Task[Any]:
        task = await current_task()
        task.cancel()
        return task

    first, second, third = pool.spawn_n(job()), pool.spawn_n(add_one(1)), pool.spawn_n(job())
    assert await second == 2
    assert first.result() is not await third
    await pool.join()


async def test_a_task_that_is_left_cancelled_is_not_reused(pool: AioPool) -> None:
    async def catches() -> asyncio.Task[Any]:
        task = await current_task()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        return task

    async def counts() -> tuple[asyncio.Task[Any], int]:
        task = await current_task()
        await asyncio.sleep(0)
        return task, task.cancelling()

    first, second = pool.spawn_n(catches()), pool.spawn_n(counts())
    task, requests = await second
    assert first.result() is not task
    assert requests == 0


async def test_a_cancellation_that_is_taken_back_at_once_does_not_reach_the_next(
    pool: AioPool,
) -> None:
    async def job() -> None:
        task = await current_task()
        task.cancel()
        task.uncancel()

    _, second = pool.spawn_n(job()), pool.spawn_n(add_one(1))
    assert await second == 2


async def test_cancel_returns_though_others_wait_for_the_slot(pool: AioPool) -> None:
    async def cleans_up() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await turns(3)
            cleaned.append(True)

    cleaned: list[bool] = []
    gate = Gate()
    first, second = pool.spawn_n(cleans_up()), pool.spawn_n(gate.job("second"))
    await turns()
    async with asyncio.timeout(10):
        stopped, _ = await pool.cancel(first)
    assert stopped == 1
    assert cleaned == [True]
    assert not second.done()
    gate.open()
    assert await second == "second"


async def test_cancel_returns_when_the_callback_has_ended_though_others_wait(
    pool: AioPool,
) -> None:
    async def callback(res: Any) -> str:
        await turns(3)
        called.append(True)
        return "called back"

    called: list[bool] = []
    gate = Gate()
    first = pool.spawn_n(gate.job("first"), callback)
    second = pool.spawn_n(gate.job("second"))
    await turns()
    async with asyncio.timeout(10):
        assert await pool.cancel(first) == (1, ["called back"])
    assert called == [True]
    gate.open()
    assert await second == "second"


async def test_a_timeout_ends_its_own_job_alone(pool: AioPool) -> None:
    async def job(seconds: float) -> str:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(seconds)
        return "in time"

    results = await pool.map(job, [3600, 0, 3600, 0])
    assert [type(result) for result in results] == [TimeoutError, str, TimeoutError, str]
    await assert_usable(pool)


async def test_a_task_group_fails_in_its_own_job_alone(pool: AioPool) -> None:
    async def job(fails: bool) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600) if fails else asyncio.sleep(0))
            if fails:
                group.create_task(raises())
        return "whole"

    async def raises() -> None:
        raise LookupError

    results = await pool.map(job, [True, False, True, False])
    assert [type(result) for result in results] == [ExceptionGroup, str, ExceptionGroup, str]
    await assert_usable(pool)


async def test_cancel_scopes_of_anyio_end_what_is_inside_of_them(pool: AioPool) -> None:
    async def job(seconds: float) -> bool:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(seconds)
        await asyncio.sleep(0)
        return scope.cancelled_caught

    async def group(seconds: float) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, seconds)
            tasks.cancel_scope.cancel()
        return "went on"

    assert await pool.map(job, [3600, 0, 3600, 0]) == [True, False, True, False]
    assert await pool.map(group, [3600, 3600]) == ["went on", "went on"]
    await assert_usable(pool)


async def test_jobs_that_are_no_coroutines_are_awaited(pool: AioPool) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return "awaitable"

    @types.coroutine
    def generator() -> Generator[Any, None, str]:
        yield
        return "generator"

    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "future")
    jobs = [Awaitable(), generator(), future]
    assert await pool.map(lambda job: job, jobs) == ["awaitable", "generator", "future"]


async def test_a_coroutine_that_somebody_awaits_is_not_stepped(pool: AioPool) -> None:
    gate = Gate()
    coro = gate.job("somebody's")
    awaiting = asyncio.ensure_future(coro)
    await turns(1)
    [error] = await pool.map(lambda _: coro, [0])
    assert isinstance(error, RuntimeError)
    gate.open()
    assert await awaiting == "somebody's"


async def turns_of_a_hundred(pool: AioPool) -> int:
    """How many turns of the loop it takes a hundred jobs that suspend once."""
    futures = pool.map_n(add_one, range(100))
    count = 0
    while not futures[-1].done():
        await asyncio.sleep(0)
        count += 1
    assert [future.result() for future in futures] == [*range(1, 101)]
    return count


@pytest.mark.reuse_tasks
async def test_a_job_begins_in_the_turn_in_which_the_one_before_it_ended(pool: AioPool) -> None:
    assert await turns_of_a_hundred(pool) <= 105


async def test_a_job_that_never_suspends_has_the_turn_of_its_task_for_itself(
    pool: AioPool,
) -> None:
    futures = pool.map_n(ready, range(100))
    await turns(1)
    for n in range(100):
        assert sum(future.done() for future in futures) <= n + 1
        await turns(1)
    await pool.join()


@pytest.mark.reuse_tasks
async def test_jobs_that_never_began_are_not_waited_for(pool: AioPool) -> None:
    def factory(*_: Any, **__: Any) -> Any:
        raise LookupError

    stopped, _ = await pool.cancel(pool.spawn_n(ready(1)))
    assert stopped == 1
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        future = pool.spawn_n(ready(2))
    finally:
        loop.set_task_factory(None)
    assert isinstance(future.exception(), LookupError)
    assert await turns_of_a_hundred(pool) <= 105


async def test_jobs_that_never_suspend_begin_in_the_order_of_the_queue() -> None:
    async def job(number: int) -> None:
        begun.append(number)

    begun: list[int] = []
    await AioPool(2).map(job, range(20))
    assert begun == [*range(20)]


async def test_the_pool_is_found_whole_after_all_of_it(pool: AioPool) -> None:
    async def job(number: int) -> int:
        task = await current_task()
        if number % 3 == 0:
            task.cancel()
        if number % 5 == 0:
            raise LookupError(number)
        await asyncio.sleep(0)
        return number

    results = await pool.map(job, range(30), get_result=getres.pair)
    for number, (result, error) in enumerate(results):
        if number % 5 == 0:
            assert isinstance(error, LookupError)
        elif number % 3 == 0:
            assert isinstance(error, asyncio.CancelledError)
        else:
            assert (result, error) == (number, None)
    await assert_usable(pool)


@pytest.mark.reuse_tasks
async def test_a_task_that_is_cancelled_while_it_waits_for_a_job_is_given_none(
    pool: AioPool,
) -> None:
    task = await pool.exec(current_task())
    assert not task.done()
    task.cancel()
    assert await pool.exec(add_one(1)) == 2
    assert task.done()


async def sleeps() -> None:
    await asyncio.sleep(3600)


async def swallows() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)


async def takes_back() -> None:
    await swallows()
    (await current_task()).uncancel()


async def swallows_in_a_timeout() -> None:
    async with asyncio.timeout(3600):
        await swallows()


@pytest.mark.parametrize("job", [sleeps, swallows, takes_back, swallows_in_a_timeout])
@pytest.mark.parametrize("calls_back", [False, True], ids=["job", "callback"])
async def test_a_task_that_was_cancelled_ends_with_its_job_though_others_wait(
    pool: AioPool, job: Any, calls_back: bool
) -> None:
    async def callback(res: Any) -> None:
        await turns()
        called.append(True)

    called: list[bool] = []
    gate = Gate()
    before = asyncio.all_tasks()
    pool.spawn_n(job(), callback if calls_back else None)
    await turns()
    [task] = asyncio.all_tasks() - before
    second = pool.spawn_n(gate.job("second"))
    task.cancel()
    await asyncio.wait([task])
    assert called == [True] * calls_back
    assert not second.done()
    gate.open()
    assert await second == "second"
    await pool.join()


async def test_a_task_whose_callback_was_cancelled_ends_with_it_though_others_wait(
    pool: AioPool,
) -> None:
    async def callback(res: Any) -> None:
        called.append(await current_task())
        await takes_back()

    called: list[asyncio.Task[Any]] = []
    gate = Gate()
    pool.spawn_n(ready(1), callback)
    second = pool.spawn_n(gate.job("second"))
    await until(lambda: called)
    called[0].cancel()
    await asyncio.wait(called)
    assert not second.done()
    gate.open()
    assert await second == "second"
    await pool.join()


async def test_a_job_that_cancels_its_task_as_it_ends_shares_it_with_its_callback_alone(
    pool: AioPool,
) -> None:
    async def job() -> asyncio.Task[Any]:
        task = await current_task()
        task.cancel()
        return task

    async def callback(task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        assert task is await current_task()
        return task

    first, second = pool.spawn_n(job(), callback), pool.spawn_n(current_task())
    assert await first is not await second
    await pool.join()


@pytest.mark.reuse_tasks
@pytest.mark.parametrize("tells", ["cancelling", "nothing"])
async def test_tasks_that_do_not_tell_of_their_cancellation_are_not_reused(
    pool: AioPool, tells: str
) -> None:
    class Made(asyncio.Future[Any]):
        """A task of somebody's own kind, around one of asyncio."""

        def __init__(self, loop: asyncio.AbstractEventLoop, coro: Any) -> None:
            super().__init__(loop=loop)
            self.task = asyncio.Task(coro, loop=loop)
            self.task.add_done_callback(lambda task: self.set_result(task.result()))
            made.append(self)

        def cancel(self, msg: Any = None) -> bool:
            return self.task.cancel(msg)

        def set_name(self, name: object) -> None:
            """What the loop calls from 3.12 on."""

    class Telling(Made):
        def cancelling(self) -> int:
            return self.task.cancelling()

    made: list[Made] = []
    kind = Telling if tells == "cancelling" else Made
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, coro, **_: kind(loop, coro))  # type: ignore[arg-type]
    try:
        assert await pool.map(add_one, range(5)) == [1, 2, 3, 4, 5]
        assert len(made) == 5
        await turns()
        assert all(task.done() for task in made)
    finally:
        loop.set_task_factory(None)
