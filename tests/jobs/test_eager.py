"""Pools that start their jobs eagerly: the first step of a job is made at its start."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from aiopool import Event, JobTimeout
from asyncio_pool import AioPool, getres
from helpers import Gate, HandIn, add_one, assert_usable, every_verb, fails, ready, run, turns
from loops import NewLoop

pytestmark = [
    pytest.mark.task_per_job("each test makes an eager pool itself"),
    pytest.mark.plain_tasks("on a loop with tasks of its own, no job begins at its start"),
    pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12"),
]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture
def pool() -> AioPool:
    return eager(2)


def eager(size: int, **arguments: Any) -> AioPool:
    return AioPool(size, eager=True, **arguments)


async def current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


# The argument.


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_the_choice_is_true_or_false(value: Any) -> None:
    with pytest.raises(TypeError, match="eager must be True or False"):
        AioPool(eager=value)


def test_a_pool_does_not_reuse_tasks_as_well() -> None:
    with pytest.raises(ValueError, match="eager and reuse_tasks exclude each other"):
        AioPool(eager=True, reuse_tasks=True)


# Where a job begins.


async def test_a_job_makes_its_first_step_inside_spawn_n(pool: AioPool) -> None:
    gate = Gate()
    future = pool.spawn_n(gate.job(1))
    assert gate.started == [1]
    assert pool.n_active == 1
    gate.open()
    assert await future == 1
    await assert_usable(pool)


async def test_a_job_that_ends_in_its_first_step_is_never_scheduled(pool: AioPool) -> None:
    before = asyncio.all_tasks()
    future = pool.spawn_n(ready(1))
    assert future.result() == 1
    assert asyncio.all_tasks() == before
    assert pool.is_empty
    assert pool.n_executed == 1


@every_verb
async def test_each_verb_gives_what_the_job_returns(pool: AioPool, hand_in: HandIn) -> None:
    async def callback(res: int) -> int:
        return res * 10

    assert await hand_in(pool, lambda: ready(1)) == 1
    assert await hand_in(pool, lambda: add_one(1)) == 2
    assert await hand_in(pool, lambda: ready(1), callback) == 10
    assert await hand_in(pool, lambda: add_one(1), callback) == 20
    with pytest.raises(LookupError):
        await hand_in(pool, lambda: fails(LookupError()))
    await assert_usable(pool)


async def test_a_job_that_waits_begins_in_the_step_in_which_another_one_ends() -> None:
    pool, gate = eager(1), Gate()
    first, second = pool.spawn_n(gate.job(1)), pool.spawn_n(gate.job(2))
    assert gate.started == [1]
    gate.let(1)
    await turns(1)
    assert first.done()
    assert gate.started == [1, 2]
    gate.let(2)
    await second
    await pool.join()


async def test_jobs_begin_in_the_order_in_which_they_are_handed_in() -> None:
    pool, order = eager(3), list[int]()

    async def job(number: int) -> None:
        order.append(number)
        for _ in range(number % 3):
            await asyncio.sleep(0)

    for number in range(100):
        pool.spawn_n(job(number))
    await pool.join()
    assert order == [*range(100)]


async def test_a_turn_runs_no_more_jobs_than_there_are_slots() -> None:
    pool, ran = eager(3), list[int]()

    async def job(number: int) -> None:
        ran.append(number)

    for number in range(7):
        pool.spawn_n(job(number))
    counts = [len(ran)]
    while not pool.is_empty:
        await turns(1)
        counts.append(len(ran))
    assert counts == [3, 6, 7]


async def test_what_a_job_hands_in_begins_after_its_own_step() -> None:
    async def parent() -> None:
        pool.spawn_n(child())
        order.append("parent")

    async def child() -> None:
        order.append("child")

    pool, order = eager(2), list[str]()
    pool.spawn_n(parent())
    assert order == ["parent", "child"]


async def test_jobs_that_hand_in_jobs_do_not_pile_up_on_the_stack() -> None:
    async def job(left: int) -> None:
        if left:
            pools[left % 2].spawn_n(job(left - 1))
        else:
            ended.set()

    pools, ended = [eager(100), eager(100)], asyncio.Event()
    pools[0].spawn_n(job(20_000))
    await ended.wait()
    for pool in pools:
        await pool.join()


async def test_the_caller_keeps_its_task_and_its_context(pool: AioPool) -> None:
    async def job() -> str:
        seen = variable.get()
        variable.set("the job's")
        return seen

    variable.set("the caller's")
    task = asyncio.current_task()
    futures = [pool.spawn_n(job()) for _ in range(2)]
    assert asyncio.current_task() is task
    assert variable.get() == "the caller's"
    assert [await future for future in futures] == ["the caller's"] * 2


async def test_a_job_goes_on_in_the_task_and_context_of_its_first_step(pool: AioPool) -> None:
    async def job(name: str) -> tuple[asyncio.Task[Any], str]:
        variable.set(name)
        task = await current_task()
        await asyncio.sleep(0)
        assert await current_task() is task
        assert variable.get() == name
        return task, task.get_name()

    results = await pool.map(job, "abc")
    assert len({task for task, _ in results}) == 3
    assert all(name.endswith(".<locals>.job") for _, name in results)


async def test_jobs_that_end_in_their_first_step_share_a_task() -> None:
    pool = eager(10)
    tasks = [await future for future in pool.map_n(lambda _: current_task(), range(10))]
    assert len({*tasks}) == 10
    assert len({*await pool.map(lambda _: current_task(), range(100))}) < 20


async def test_each_has_the_name_of_its_own_while_it_runs(pool: AioPool) -> None:
    async def name() -> str:
        return (await current_task()).get_name()

    named = pool.options(name=lambda item: f"item {item}")
    assert await named.map(lambda _: name(), range(5)) == [f"item {item}" for item in range(5)]


# Where none begins.


async def test_while_the_caller_handles_an_error_a_job_begins_in_the_next_turn(
    pool: AioPool,
) -> None:
    error = LookupError()
    try:
        raise ValueError
    except ValueError:
        future = pool.spawn_n(fails(error))
        assert not future.done()
    await asyncio.wait([future])
    assert future.exception() is error
    assert error.__context__ is None


async def test_on_a_loop_with_a_task_factory_a_job_begins_in_the_next_turn(pool: AioPool) -> None:
    def factory(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **arguments: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **arguments)
        made.append(task)
        return task

    made, loop = list[asyncio.Task[Any]](), asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        future = pool.spawn_n(current_task())
        assert not future.done()
        assert await future in made
        await pool.join()
    finally:
        loop.set_task_factory(None)


def test_a_pool_may_be_filled_before_its_loop_runs(new_loop: NewLoop) -> None:
    loop = new_loop()
    pool = eager(2, loop=loop)
    futures = pool.map_n(add_one, range(5))
    assert not any(future.done() for future in futures)
    run(loop, pool.join())
    assert [future.result() for future in futures] == [1, 2, 3, 4, 5]
    loop.close()


# Ends of all kinds.


async def test_an_error_can_be_read_at_once_and_stands_in_no_cycle(pool: AioPool) -> None:
    class Failure(Exception):
        pass

    async def job(_: int) -> None:
        raise Failure

    async def hand_in() -> list[weakref.ref[Failure]]:
        # These frames have the futures, and so the errors.
        futures = [pool.spawn_n(job(n)) for n in range(2)]
        results = await pool.map(job, range(5))
        errors = [*(future.exception() for future in futures), *results]
        return [weakref.ref(error) for error in errors if isinstance(error, Failure)]

    gc.collect()
    gc.disable()
    try:
        errors = await hand_in()
        await pool.join()
        assert len(errors) == 7
        assert [error() for error in errors] == [None] * 7
    finally:
        gc.enable()


async def test_a_job_that_is_cancelled_in_its_first_wait_cancels_what_it_waits_for(
    pool: AioPool,
) -> None:
    async def job() -> None:
        await child

    child = asyncio.create_task(asyncio.sleep(1000))
    future = pool.spawn_n(job())
    assert (await pool.cancel(future))[0] == 1
    assert child.cancelled()
    assert future.cancelled()
    await assert_usable(pool)


async def test_a_job_that_cancels_its_task_and_returns_ends_only_itself() -> None:
    async def job() -> None:
        (await current_task()).cancel()

    pool = eager(10)
    futures = [pool.spawn_n(job()), *pool.map_n(add_one, range(3)), pool.spawn_n(job())]
    await pool.join()
    assert [getres.flat(future) for future in futures] == [None, 1, 2, 3, None]
    results = await pool.map(lambda n: add_one(n) if n % 2 else job(), range(4))
    assert results == [None, 2, None, 4]


async def test_a_job_may_stop_all_others_in_its_first_step(pool: AioPool) -> None:
    async def job() -> int:
        return (await pool.cancel())[0]

    gate = Gate()
    other = pool.spawn_n(gate.job())
    assert await pool.spawn_n(job()) == 1
    assert other.cancelled()
    await assert_usable(pool)


async def test_a_job_may_wait_for_jobs_of_its_pool_in_its_first_step() -> None:
    async def parent(depth: int) -> int:
        return 1 + await pool.exec(parent(depth - 1)) if depth else 0

    pool = eager(1)
    assert await pool.map(parent, range(5)) == [0, 1, 2, 3, 4]
    await assert_usable(pool)


async def test_timeouts_and_task_groups_may_be_entered_in_the_first_step(pool: AioPool) -> None:
    async def times_out() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(1000)
        except TimeoutError:
            return "timed out"
        return "slept"

    async def groups() -> int:
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(add_one(n)) for n in range(3)]
        return sum(child.result() for child in children)

    assert await pool.exec(times_out()) == "timed out"
    assert await pool.exec(groups()) == 6


async def test_a_job_has_the_timeout_of_its_options_from_its_first_step_on(pool: AioPool) -> None:
    future = pool.options(timeout=0.001).spawn_n(asyncio.sleep(1000))
    with pytest.raises(JobTimeout):
        await future


async def test_a_job_may_go_outside_in_its_first_step() -> None:
    async def job() -> str:
        await pool.outside(gate.wait())
        return "back"

    pool, gate = eager(1), asyncio.Event()
    future = pool.spawn_n(job())
    assert pool.n_active == 0
    assert pool.spawn_n(ready(1)).result() == 1
    gate.set()
    assert await future == "back"
    await assert_usable(pool)


async def test_the_observer_is_told_in_order() -> None:
    events = list[Event]()
    pool = eager(1, observer=events.append)
    await pool.exec(ready(1))
    await pool.map(add_one, range(2))
    kinds = [event.kind for event in events]
    started = [kinds.index("queued"), kinds.index("started"), kinds.index("finished")]
    assert started == [0, 1, 2]
    assert kinds.count("started") == kinds.count("finished") == 3


@pytest.mark.parametrize("exit_", [KeyboardInterrupt, SystemExit])
def test_an_exit_goes_through_the_loop_before_any_other_job_begins(
    exit_: type[BaseException],
) -> None:
    async def main() -> None:
        futures.append(pool.spawn_n(fails(exit_())))
        futures.append(pool.spawn_n(gate.job()))
        await pool.join()
        went_on.append("the joiner")

    pool, gate = eager(2), Gate()
    futures, went_on = list[asyncio.Future[Any]](), list[str]()
    # Not on uvloop, which turns once more before it raises.
    with asyncio.Runner() as runner:
        with pytest.raises(exit_):
            runner.run(main())
        assert went_on == []
        assert isinstance(futures[0].exception(), exit_)
        assert gate.started == []
