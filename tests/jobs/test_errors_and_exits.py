"""KeyboardInterrupt, SystemExit and their like, raised in a job."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import (
    Gate,
    HandIn,
    assert_usable,
    every_verb,
    every_way,
    fails,
    ready,
    run,
    turns,
    until,
)

every_exit = pytest.mark.parametrize("exit_", [KeyboardInterrupt, SystemExit])


def interrupted(
    runner: asyncio.Runner,
    exit_: type[BaseException],
    hand_in: Callable[[AioPool], Awaitable[Any]],
) -> AioPool:
    """Assert that the loop raises what the job raised, then run it again to the end."""

    async def main() -> None:
        pools.append(AioPool(1))
        await hand_in(pools[0])
        await asyncio.Event().wait()

    loop, pools = runner.get_loop(), list[AioPool]()
    with pytest.raises(exit_):
        run(loop, main())
    run(loop, pools[0].join())
    run(loop, assert_usable(pools[0]))
    return pools[0]


@every_exit
def test_an_exit_is_stored_and_raised_through_the_loop_and_the_slot_is_given_back(
    runner: asyncio.Runner, exit_: type[BaseException]
) -> None:
    async def hand_in(pool: AioPool) -> None:
        futures.append(pool.spawn_n(fails(error)))
        futures.append(pool.spawn_n(ready("behind")))

    error, futures = exit_(), list[asyncio.Future[Any]]()
    interrupted(runner, exit_, hand_in)
    assert futures[0].exception() is error
    assert futures[1].result() == "behind"


@every_exit
def test_an_exit_after_a_suspension_is_raised_through_the_loop_too(
    runner: asyncio.Runner, exit_: type[BaseException]
) -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        raise exit_

    async def hand_in(pool: AioPool) -> None:
        futures.append(await pool.spawn(job()))

    futures: list[asyncio.Future[Any]] = []
    interrupted(runner, exit_, hand_in)
    assert isinstance(futures[0].exception(), exit_)


@every_exit
def test_nobody_goes_on_between_an_exit_and_its_way_through_the_loop(
    exit_: type[BaseException],
) -> None:
    async def hand_in(pool: AioPool) -> None:
        future = pool.spawn_n(fails(exit_()))
        future.add_done_callback(lambda _: went_on.append("a done callback"))
        await pool.join()
        went_on.append("the joiner")
        assert isinstance(future.exception(), exit_)

    async def main() -> None:
        await hand_in(AioPool(1))

    # Not on uvloop, which turns once more before it raises, for tasks of its own too.
    went_on: list[str] = []
    with asyncio.Runner() as runner:
        with pytest.raises(exit_):
            run(runner.get_loop(), main())
        assert went_on == []
        run(runner.get_loop(), until(lambda: len(went_on) == 2))


@every_exit
def test_no_callback_runs_after_an_exit(runner: asyncio.Runner, exit_: type[BaseException]) -> None:
    async def callback(res: object) -> None:
        called.append(res)

    async def hand_in(pool: AioPool) -> None:
        futures.append(pool.spawn_n(fails(exit_()), callback))

    called: list[object] = []
    futures: list[asyncio.Future[Any]] = []
    interrupted(runner, exit_, hand_in)
    assert called == []
    assert isinstance(futures[0].exception(), exit_)


@every_exit
def test_an_exit_in_a_callback_is_stored_and_raised_through_the_loop(
    runner: asyncio.Runner, exit_: type[BaseException]
) -> None:
    async def callback(res: object) -> None:
        raise exit_

    async def hand_in(pool: AioPool) -> None:
        futures.append(pool.spawn_n(ready(1), callback))

    futures: list[asyncio.Future[Any]] = []
    interrupted(runner, exit_, hand_in)
    assert isinstance(futures[0].exception(), exit_)


@every_exit
def test_a_map_goes_on_after_an_exit_in_one_of_its_jobs(
    runner: asyncio.Runner, exit_: type[BaseException]
) -> None:
    async def job(item: int) -> int:
        if item == 1:
            raise exit_
        return item

    async def hand_in(pool: AioPool) -> None:
        mappings.append(asyncio.ensure_future(pool.map(job, range(4))))

    mappings: list[asyncio.Future[list[Any]]] = []
    interrupted(runner, exit_, hand_in)
    results = run(runner.get_loop(), mappings[0])
    assert isinstance(results[1], exit_)
    assert [results[0], *results[2:]] == [0, 2, 3]


class Unusual(BaseException):
    pass


@every_way
async def test_any_other_base_exception_is_only_stored(hand_in: HandIn) -> None:
    pool, error = AioPool(1), Unusual()
    with pytest.raises(Unusual) as raised:
        await hand_in(pool, lambda: fails(error))
    assert raised.value is error
    await pool.join()
    await assert_usable(pool)


async def test_a_generator_exit_is_stored_like_any_other_error() -> None:
    pool, error = AioPool(1), GeneratorExit()
    future = pool.spawn_n(fails(error))
    await pool.join()
    assert future.exception() is error
    assert await pool.map(fails, [error]) == [error]
    await assert_usable(pool)


async def error_of(awaitable: Awaitable[Any]) -> BaseException | None:
    """What it raises, which would not be caught here but close this very coroutine."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.wait([task])
    return task.exception()


async def awaits(future: asyncio.Future[Any]) -> None:
    await future


async def ignores(future: asyncio.Future[Any]) -> None:
    with suppress(GeneratorExit):
        await future
    await asyncio.sleep(0)


@every_verb
async def test_the_callback_runs_after_a_generator_exit_of_the_job(hand_in: HandIn) -> None:
    async def callback(res: object, err: Any) -> Any:
        await asyncio.sleep(0)
        return err[0]

    async def job() -> None:
        await asyncio.sleep(0)
        raise error

    pool, error = AioPool(1), GeneratorExit()
    assert await hand_in(pool, job, callback) is error
    assert await hand_in(pool, lambda: fails(error), callback) is error
    await pool.join()
    await assert_usable(pool)


def failing_soon(error: BaseException) -> asyncio.Future[Any]:
    loop = asyncio.get_running_loop()
    awaited = loop.create_future()
    loop.call_later(0.001, awaited.set_exception, error)
    return awaited


@every_way
@pytest.mark.parametrize("is_job", [False, True], ids=["coroutine", "future"])
async def test_a_generator_exit_of_what_a_job_awaits_is_stored_alone(
    hand_in: HandIn, is_job: bool
) -> None:
    pool, awaited = AioPool(1), failing_soon(GeneratorExit())
    job = awaited if is_job else awaits(awaited)
    assert isinstance(await error_of(hand_in(pool, lambda: job)), GeneratorExit)
    await pool.join()
    await assert_usable(pool)


@every_verb
@pytest.mark.parametrize("is_job", [False, True], ids=["coroutine", "future"])
async def test_the_callback_runs_after_a_generator_exit_of_what_the_job_awaits(
    hand_in: HandIn, is_job: bool
) -> None:
    async def callback(res: object, err: Any) -> Any:
        await asyncio.sleep(0)
        return err[0]

    pool, awaited = AioPool(1), failing_soon(GeneratorExit())
    job = awaited if is_job else awaits(awaited)
    assert isinstance(await hand_in(pool, lambda: job, callback), GeneratorExit)
    await pool.join()
    await assert_usable(pool)


@every_verb
async def test_a_callback_after_a_generator_exit_may_end_with_another(hand_in: HandIn) -> None:
    async def callback(res: object) -> None:
        await failing_soon(GeneratorExit())

    pool, awaited = AioPool(1), failing_soon(GeneratorExit())
    error = await error_of(hand_in(pool, lambda: awaits(awaited), callback))
    assert isinstance(error, GeneratorExit)
    await pool.join()
    await assert_usable(pool)


@every_verb
async def test_a_generator_exit_of_what_a_callback_awaits_is_stored_alone(hand_in: HandIn) -> None:
    async def callback(res: object) -> None:
        await awaited

    pool, awaited = AioPool(1), failing_soon(GeneratorExit())
    error = await error_of(hand_in(pool, lambda: ready(1), callback))
    assert isinstance(error, GeneratorExit)
    await pool.join()
    await assert_usable(pool)


async def test_a_job_that_ignores_a_generator_exit_fails_and_loses_no_slot() -> None:
    pool, awaited = AioPool(1), asyncio.get_running_loop().create_future()
    future = pool.spawn_n(ignores(awaited))
    waiting = pool.spawn_n(ready(1))
    await turns()
    awaited.set_exception(GeneratorExit())
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        await future
    assert await waiting == 1
    await pool.join()
    await assert_usable(pool)


async def test_the_callback_runs_after_any_other_base_exception() -> None:
    async def callback(res: object, err: Any) -> Any:
        return err[0]

    pool, error = AioPool(1), Unusual()
    assert await pool.exec(fails(error), callback) is error
    await pool.join()


async def test_getres_gives_any_base_exception_as_a_result() -> None:
    pool, error = AioPool(1), Unusual()
    assert await pool.map(fails, [error], get_result=getres.pair) == [(None, error)]
    await pool.join()


async def test_an_error_nobody_reads_is_reported_as_asyncio_reports_it(
    loop_errors: list[dict[str, Any]],
) -> None:
    pool, error = AioPool(1), LookupError("nobody reads it")
    pool.spawn_n(fails(error))
    await pool.join()
    await until(lambda: loop_errors)
    [context] = loop_errors
    assert context["exception"] is error
    assert "never retrieved" in context["message"]
    loop_errors.clear()


async def by_spawn_and_nothing_else(pool: AioPool, coro: Any) -> None:
    await pool.spawn(coro)


async def by_spawn_n_and_nothing_else(pool: AioPool, coro: Any) -> None:
    pool.spawn_n(coro)


async def by_map_n_and_nothing_else(pool: AioPool, coro: Any) -> None:
    pool.map_n(lambda _: coro, [0])


async def by_map_and_nothing_else(pool: AioPool, coro: Any) -> None:
    await pool.map(lambda _: coro, [0], get_result=getres.dont)


async def by_itermap_and_nothing_else(pool: AioPool, coro: Any) -> None:
    async for _ in pool.itermap(lambda _: coro, [0], get_result=getres.dont):
        pass


@pytest.mark.parametrize(
    "hand_in",
    [
        by_spawn_and_nothing_else,
        by_spawn_n_and_nothing_else,
        by_map_n_and_nothing_else,
        by_map_and_nothing_else,
        by_itermap_and_nothing_else,
    ],
)
async def test_the_report_of_an_error_nobody_reads_names_the_job(
    hand_in: Any, loop_errors: list[dict[str, Any]]
) -> None:
    async def a_job_that_fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    pool = AioPool(1)
    await hand_in(pool, a_job_that_fails())
    await pool.join()
    gc.collect()
    [context] = loop_errors
    told = f"<JobFuture finished name={a_job_that_fails.__qualname__!r} exception=LookupError()"
    assert repr(context["future"]).startswith(told)
    loop_errors.clear()


def gives_no_job(item: object) -> Any:
    raise LookupError


async def by_map_of_no_job(pool: AioPool) -> Any:
    return await pool.map(gives_no_job, [0], get_result=getres.dont)


async def by_map_n_of_no_job(pool: AioPool) -> Any:
    return pool.map_n(gives_no_job, [0])


async def by_itermap_of_no_job(pool: AioPool) -> Any:
    return [each async for each in pool.itermap(gives_no_job, [0], get_result=getres.dont)]


@pytest.mark.parametrize("hand_in", [by_map_of_no_job, by_map_n_of_no_job, by_itermap_of_no_job])
async def test_an_item_without_a_job_is_called_as_the_function_that_gave_none(hand_in: Any) -> None:
    pool = AioPool(1)
    [future] = await hand_in(pool)
    await pool.join()
    told = f"<JobFuture finished name={gives_no_job.__qualname__!r} exception=LookupError()"
    assert repr(future).startswith(told)
    assert isinstance(future.exception(), LookupError)


async def test_a_job_whose_task_cannot_be_made_has_its_name_all_the_same() -> None:
    def factory(loop: object, coro: Any, **keywords: object) -> Any:
        raise LookupError

    pool = AioPool(1)
    asyncio.get_running_loop().set_task_factory(factory)
    future = pool.spawn_n(fails(ValueError()))
    asyncio.get_running_loop().set_task_factory(None)
    await pool.join()
    assert repr(future).startswith("<JobFuture finished name='fails' exception=LookupError()")
    assert isinstance(future.exception(), LookupError)


async def test_futures_that_have_not_failed_are_shown_as_those_of_asyncio() -> None:
    async def fails_late() -> None:
        await gate.job()
        raise LookupError

    pool, gate = AioPool(2), Gate()
    active, given_up = pool.spawn_n(gate.job(1)), pool.spawn_n(fails_late())
    waiting = pool.spawn_n(ready(2))
    await turns()
    assert repr(active).startswith("<JobFuture pending")
    assert repr(waiting).startswith("<JobFuture pending")
    assert given_up.cancel()
    gate.open()
    await pool.join()
    assert repr(active).startswith("<JobFuture finished result=1")
    assert repr(given_up).startswith("<JobFuture cancelled")


@every_way
async def test_an_error_that_was_read_is_not_reported(hand_in: HandIn) -> None:
    pool = AioPool(1)
    with pytest.raises(LookupError):
        await hand_in(pool, lambda: fails(LookupError()))
    await pool.join()


async def test_results_that_map_took_are_not_reported() -> None:
    pool = AioPool(1)
    assert len(await pool.map(fails, [LookupError(), Unusual()])) == 2
    await pool.join()


async def test_the_traceback_of_an_error_shows_the_frames_of_the_job() -> None:
    async def the_job_that_fails() -> None:
        await gate.job()
        raise LookupError

    pool, gate = AioPool(1), Gate()
    gate.open()
    with pytest.raises(LookupError) as raised:
        await pool.exec(the_job_that_fails())
    assert "the_job_that_fails" in [entry.name for entry in raised.traceback]
    await pool.join()


@every_exit
def test_an_exit_out_of_fn_is_raised_through_the_loop_and_loses_no_slot(
    runner: asyncio.Runner, exit_: type[BaseException]
) -> None:
    def fn(item: int) -> Any:
        if item == 1:
            raise exit_
        return ready(item)

    async def hand_in(pool: AioPool) -> None:
        mappings.append(asyncio.ensure_future(pool.map(fn, range(3))))

    mappings: list[asyncio.Future[list[Any]]] = []
    interrupted(runner, exit_, hand_in)
    results = run(runner.get_loop(), mappings[0])
    assert isinstance(results[1], exit_)
    assert [results[0], results[2]] == [0, 2]


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that refuses attributes, its traceback included."""

    code: int


@every_verb
async def test_an_exception_that_refuses_attributes_settles_its_job(hand_in: HandIn) -> None:
    async def callback(res: object) -> None:
        raise Frozen(2)

    pool = AioPool(1)
    with pytest.raises(Frozen, match="1"):
        await hand_in(pool, lambda: fails(Frozen(1)))
    with pytest.raises(Frozen, match="2"):
        await hand_in(pool, lambda: ready(1), callback)
    await assert_usable(pool)
