"""enqueue: a call that waits to be made, and the job that it gives, which is used as a future."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from aiopool import Job, JobTimeout
from asyncio_pool import AioPool, getres, iterwait
from helpers import Gate, add_one, assert_usable, fails, ready, turns, until

var = contextvars.ContextVar[str]("var")


async def gathered(*args: object, **kwargs: object) -> tuple[tuple[object, ...], dict[str, object]]:
    return args, kwargs


# The call.


async def test_the_call_is_made_when_a_slot_is_at_hand_and_not_in_enqueue() -> None:
    def fn(name: int) -> Awaitable[int]:
        called.append(name)
        return gate.job(name)

    pool, gate, called = AioPool(1), Gate(), list[int]()
    jobs = [pool.enqueue(fn, n) for n in range(3)]
    assert called == []
    await turns()
    assert called == [0]
    assert (len(pool), pool.n_waiting, pool.n_active) == (3, 2, 1)
    gate.open()
    assert await asyncio.gather(*jobs) == [0, 1, 2]
    assert called == [0, 1, 2]
    assert pool.n_executed == 3
    await assert_usable(pool)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1,), {}),
        (((),), {}),
        (((1, 2),), {}),
        ((None,), {}),
        ((1, 2, 3), {}),
        ((), {"fn": 1, "self": 2}),
        (((1,), {}), {"args": 3, "kwargs": 4}),
    ],
)
async def test_fn_gets_the_arguments(args: Any, kwargs: Any) -> None:
    pool = AioPool(1)
    assert await pool.enqueue(gathered, *args, **kwargs) == (args, kwargs)
    assert await pool.options(name="n").enqueue(gathered, *args, **kwargs) == (args, kwargs)
    await pool.join()


async def test_jobs_of_all_verbs_stand_in_one_queue() -> None:
    pool, gate = AioPool(1), Gate()
    pool.enqueue(gate.job, 0)
    pool.spawn_n(gate.job(1))
    pool.enqueue(gate.job, 2)
    pool.options(name="three").enqueue(gate.job, 3)
    pool.map_n(gate.job, [4])
    gate.open()
    await pool.join()
    assert gate.started == [0, 1, 2, 3, 4]


async def test_fn_runs_in_the_task_and_the_context_of_the_job() -> None:
    def fn() -> Awaitable[object]:
        seen.extend([var.get(), asyncio.current_task()])
        var.set("fn")
        return job()

    async def job() -> object:
        return var.get(), asyncio.current_task()

    var.set("caller")
    pool, seen = AioPool(1), list[object]()
    enqueued = pool.enqueue(fn)
    var.set("later")
    name, task = await enqueued  # type: ignore[misc]
    assert seen == ["caller", task]
    assert name == "fn"
    assert task is not asyncio.current_task()
    assert var.get() == "later"
    await pool.join()


async def test_an_error_of_fn_is_that_of_the_job() -> None:
    def fn() -> Awaitable[None]:
        raise error

    pool, error = AioPool(1), LookupError()
    job = pool.enqueue(fn)
    with pytest.raises(LookupError) as raised:
        await job
    assert raised.value is error
    assert raised.traceback[-1].name == "fn"
    assert job.exception() is error
    assert pool.n_executed == 0
    await assert_usable(pool)


async def test_an_error_has_the_same_frames_whenever_it_is_read() -> None:
    async def inner() -> None:
        raise LookupError

    async def reads() -> int:
        with pytest.raises(LookupError) as raised:
            await job
        return len(raised.traceback)

    pool = AioPool(1)
    job = pool.enqueue(inner)
    await pool.join()
    first = await reads()
    assert [await reads() for _ in range(3)] <= [first] * 3
    await pool.join()


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda: 1, "a job is an awaitable, but .* gave int"),
        (lambda: add_one, "let it give add_one"),
        (lambda: None, "gave NoneType"),
    ],
)
async def test_a_call_that_gives_no_awaitable_fails_its_job(fn: Any, said: str) -> None:
    pool = AioPool(1)
    job = pool.enqueue(fn)
    with pytest.raises(TypeError, match=said):
        await job
    await assert_usable(pool)


async def test_a_call_with_wrong_arguments_fails_its_job() -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match="positional argument"):
        await pool.enqueue(add_one)  # type: ignore[call-arg]
    await assert_usable(pool)


async def test_what_cannot_be_called_is_refused_at_once() -> None:
    pool = AioPool(1)
    for wrong in (1, None, add_one(1)):
        with pytest.raises(TypeError, match=r"pool.enqueue takes a function .* pool.enqueue\(fn"):
            pool.enqueue(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timeout must be a value here"):
        pool.options(timeout=lambda _: 1).enqueue(add_one, 1)
    await assert_usable(pool)


async def test_a_call_may_give_any_awaitable() -> None:
    async def soon() -> None:
        future.set_result(3)

    pool, future = AioPool(1), asyncio.get_running_loop().create_future()
    pool.spawn_n(soon())
    assert await pool.enqueue(lambda: future) == 3
    other = pool.enqueue(ready, 4)
    assert await pool.enqueue(lambda: other) == 4
    await pool.join()


async def test_options_hold_for_it() -> None:
    pool, gate = AioPool(1, per_key=1), Gate()
    heavy = pool.options(weight=2, name="heavy").enqueue(gate.job, "heavy")
    low = pool.enqueue(gate.job, "low")
    high = pool.options(priority=1).enqueue(gate.job, "high")
    same = pool.options(key="k").enqueue(gate.job, "first of k")
    second = pool.options(key="k").enqueue(gate.job, "second of k")
    await turns()
    assert gate.started == ["heavy"]
    gate.open()
    await asyncio.gather(heavy, low, high, same, second)
    assert gate.started[:3] == ["heavy", "high", "low"]
    assert [job.name for job in (heavy, low)] == ["heavy", Gate.job.__qualname__]
    slow = pool.options(timeout=0.001).enqueue(asyncio.sleep, 60)
    with pytest.raises(JobTimeout):
        await slow
    assert pool.stats().timed_out == 1
    await assert_usable(pool)


async def test_observers_hear_of_it() -> None:
    told = list[tuple[str, str | None, str | None]]()
    pool = AioPool(1, observer=lambda event: told.append((event.kind, event.name, event.outcome)))
    pool.enqueue(add_one, 1)
    pool.enqueue(add_one, 2).cancel()
    with pytest.raises(LookupError):
        await pool.enqueue(fails, LookupError())
    await pool.join()
    assert sorted(told) == sorted(
        [
            ("queued", "add_one", None),
            ("started", "add_one", None),
            ("queued", "add_one", None),
            ("finished", "add_one", "cancelled"),
            ("queued", "fails", None),
            ("started", "fails", None),
            ("finished", "add_one", "succeeded"),
            ("finished", "fails", "failed"),
        ],
    )
    stats = pool.stats()
    assert (stats.succeeded, stats.failed, stats.cancelled) == (1, 1, 1)


# The job as a future.


async def test_it_is_a_future_of_the_loop_of_the_pool() -> None:
    pool = AioPool(1)
    job = pool.enqueue(add_one, 1)
    assert type(job) is Job
    assert asyncio.isfuture(job)
    assert asyncio.ensure_future(job) is job  # type: ignore[comparison-overlap]
    assert job.get_loop() is asyncio.get_running_loop()
    assert weakref.ref(job)() is job
    assert [job.done(), job.cancelled()] == [False, False]
    assert [await job, await job] == [2, 2]
    assert [job.done(), job.cancelled(), job.result(), job.exception()] == [True, False, 2, None]
    assert str(Job[int]) == "aiopool.Job[int]"
    await pool.join()


async def test_before_its_end_it_has_neither_result_nor_error() -> None:
    pool, gate = AioPool(1), Gate()
    jobs = [pool.enqueue(gate.job, n) for n in range(2)]
    await turns()
    for job in jobs:
        with pytest.raises(asyncio.InvalidStateError, match="Result is not ready"):
            job.result()
        with pytest.raises(asyncio.InvalidStateError, match="Exception is not set"):
            job.exception()
    gate.open()
    await pool.join()


async def test_gather_takes_it() -> None:
    pool, error = AioPool(2), LookupError()
    jobs = [pool.enqueue(add_one, 1), pool.enqueue(fails, error)]
    assert await asyncio.gather(*jobs, return_exceptions=True) == [2, error]
    cancelled = [pool.enqueue(add_one, 1), pool.enqueue(add_one, 2)]
    cancelled[0].cancel("message")
    [gone, other] = await asyncio.gather(*cancelled, return_exceptions=True)
    assert (type(gone), gone.args, other) == (asyncio.CancelledError, ("message",), 3)  # type: ignore[union-attr]
    with pytest.raises(asyncio.CancelledError, match="message"):
        await asyncio.gather(cancelled[0])
    await pool.join()


async def test_cancelling_a_gather_stops_it() -> None:
    pool, gate = AioPool(1), Gate()
    jobs = [pool.enqueue(gate.job, n) for n in range(2)]
    together = asyncio.gather(*jobs)
    await turns()
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert gate.cancelled == [0]
    assert all(job.cancelled() for job in jobs)
    await assert_usable(pool)


async def test_wait_takes_it() -> None:
    pool, gate = AioPool(2), Gate()
    first, second = (pool.enqueue(gate.job, n) for n in range(2))
    gate.let(1)
    done, pending = await asyncio.wait(
        [asyncio.ensure_future(first), asyncio.ensure_future(second)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert (done, pending) == ({second}, {first})
    gate.open()
    await pool.join()


async def test_wait_for_stops_it() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.enqueue(gate.job, 0), pool.enqueue(gate.job, 1)
    await until(lambda: gate.active)
    for job in (waiting, active):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job, 0.001)
        assert job.cancelled()
    assert gate.cancelled == [0]
    assert await asyncio.wait_for(pool.enqueue(add_one, 1), 60) == 2
    await assert_usable(pool)


async def test_shield_protects_it() -> None:
    pool, gate = AioPool(1), Gate()
    job = pool.enqueue(gate.job, "result")
    await turns()
    waiter = asyncio.shield(job)
    waiter.cancel()
    await turns()
    assert not job.done()
    gate.open()
    assert await job == "result"
    assert await asyncio.shield(job) == "result"
    await pool.join()


async def test_as_completed_takes_it() -> None:
    pool = AioPool(2)
    jobs = [pool.enqueue(add_one, n) for n in range(3)]
    assert [await next_ for next_ in asyncio.as_completed(jobs)] == [1, 2, 3]
    await pool.join()


async def test_iterwait_takes_it() -> None:
    pool = AioPool(2)
    jobs = [pool.enqueue(add_one, n) for n in range(3)]
    assert [result async for result in iterwait(jobs)] == [1, 2, 3]
    await pool.join()


async def test_a_task_group_may_await_it() -> None:
    async def waits(job: Job[int]) -> None:
        results.append(await job)

    pool, results = AioPool(2), list[int]()
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(waits(pool.enqueue(add_one, n)))
    assert sorted(results) == [1, 2, 3]
    await pool.join()


def test_the_loop_can_run_until_it_is_done(new_loop: Callable[[], Any]) -> None:
    loop = new_loop()
    pool = AioPool(1, loop=loop)
    assert loop.run_until_complete(pool.enqueue(add_one, 1)) == 2
    loop.close()


@pytest.mark.parametrize("how_many", [1, 2])
async def test_a_task_that_is_cancelled_while_it_awaits_it_stops_it(how_many: int) -> None:
    async def waits(job: Job[Any]) -> None:
        with pytest.raises(asyncio.CancelledError, match="message"):
            await job

    pool, gate = AioPool(1), Gate()
    jobs = [pool.enqueue(gate.job, n) for n in range(2)]
    waiters = [[asyncio.create_task(waits(job)) for _ in range(how_many)] for job in jobs]
    await turns()
    for of_job in reversed(waiters):
        of_job[0].cancel("message")
    await asyncio.gather(*waiters[0], *waiters[1])
    assert gate.cancelled == [0]
    await assert_usable(pool)


async def test_a_cancel_scope_of_anyio_stops_it_and_lets_it_clean_up() -> None:
    async def job() -> None:
        try:
            await gate.job("before")
        finally:
            await turns(10)
            cleaned.append(True)

    pool, gate, cleaned = AioPool(1), Gate(), list[bool]()
    with anyio.CancelScope() as scope:
        enqueued = pool.enqueue(job)
        await until(lambda: gate.active)
        scope.cancel()
        await enqueued
    assert scope.cancelled_caught
    assert cleaned == [True]
    await assert_usable(pool)


async def test_done_callbacks_are_called_by_the_loop_in_their_context() -> None:
    def callback(job: Job[int]) -> None:
        called.append((job, var.get()))

    pool, called = AioPool(1), list[tuple[Job[int], str]]()
    context = contextvars.Context()
    context.run(var.set, "own")
    var.set("first")
    job = pool.enqueue(add_one, 1)
    job.add_done_callback(callback)
    job.add_done_callback(callback, context=context)
    var.set("second")
    await job
    job.add_done_callback(callback)
    assert called == [(job, "first"), (job, "own")]
    await turns()
    assert called[2:] == [(job, "second")]
    await pool.join()


async def test_done_callbacks_can_be_taken_back() -> None:
    class Caller:
        def called(self, job: Job[int]) -> None:
            called.append(self)

    pool, called, one, two = AioPool(1), list[Caller](), Caller(), Caller()
    job = pool.enqueue(add_one, 1)
    for caller in (one, two, one):
        job.add_done_callback(caller.called)
    assert job.remove_done_callback(one.called) == 2
    assert job.remove_done_callback(one.called) == 0
    await job
    await turns()
    assert called == [two]
    assert job.remove_done_callback(two.called) == 0
    await pool.join()


async def test_a_result_can_be_read_before_the_slot_is_given_back() -> None:
    def next_() -> Awaitable[None]:
        read.append(first.result())
        return turns()

    pool, read = AioPool(1), list[int]()
    first = pool.enqueue(add_one, 1)
    await pool.enqueue(next_)
    assert read == [2]
    await pool.join()


async def test_awaiting_it_in_another_loop_raises() -> None:
    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await job

    pool, gate = AioPool(1), Gate()
    job = pool.enqueue(gate.job)
    await turns()
    await asyncio.to_thread(asyncio.run, elsewhere())
    with pytest.raises(RuntimeError, match="belongs to"):
        await asyncio.to_thread(job.cancel)
    gate.open()
    await job
    assert await asyncio.to_thread(job.cancel) is False
    await pool.join()


async def test_to_yield_it_and_go_on_at_once_raises() -> None:
    pool = AioPool(1)
    job = pool.enqueue(add_one, 1)
    steps = job.__await__()
    assert next(steps) is job
    with pytest.raises(RuntimeError, match="await wasn't used with future"):
        next(steps)
    await job
    await pool.join()


@pytest.mark.parametrize("value", [(1, 2), (), StopIteration(3), ValueError(4), None])
async def test_any_value_can_be_its_result(value: object) -> None:
    pool = AioPool(1)
    job = pool.enqueue(ready, value)
    assert await job is value
    assert await job is value
    await pool.join()


async def test_a_job_that_raises_stop_iteration_fails_as_a_future_does() -> None:
    def fn() -> Awaitable[None]:
        raise StopIteration(1)

    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await pool.enqueue(fn)
    await pool.join()


async def test_it_prints_its_name_and_its_state() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.enqueue(gate.job, 1), pool.options(name="named").enqueue(gate.job)
    await turns()
    assert repr(active) == "<Job pending name='Gate.job'>"
    assert (repr(waiting), waiting.name) == ("<Job pending name='named'>", "named")
    waiting.cancel()
    gate.open()
    await active
    assert repr(active) == "<Job finished name='Gate.job' result=1>"
    assert repr(waiting) == "<Job cancelled name='named'>"
    assert pool.enqueue(partial(ready, 1)).name == "partial"
    failed = pool.enqueue(fails, LookupError())
    itself = list[Job[Any]]()
    itself.append(pool.enqueue(ready, itself))
    await pool.join()
    assert repr(itself[0]) == "<Job finished name='ready' result=[<Job ...>]>"
    assert repr(failed) == "<Job finished name='fails' exception=LookupError()>"
    assert isinstance(failed.exception(), LookupError)


async def test_an_error_that_nobody_reads_is_reported_once_with_the_name(
    loop_errors: list[dict[str, Any]],
) -> None:
    pool = AioPool(1)
    pool.options(name="unlucky").enqueue(fails, LookupError("unread"))
    pool.enqueue(fails, LookupError("read")).add_done_callback(Job.exception)
    await pool.join()
    await turns()
    gc.collect()
    [context] = loop_errors
    assert str(context["exception"]) == "unread"
    assert repr(context["future"]).startswith("<Job finished name='unlucky' exception=")
    assert context["message"] == "Job exception was never retrieved"
    loop_errors.clear()


async def test_an_error_in_a_cycle_with_its_job_is_reported(
    loop_errors: list[dict[str, Any]],
) -> None:
    async def job() -> None:
        mine = holder
        await turns()
        raise LookupError(mine)

    pool, holder = AioPool(1), list[Job[None]]()
    holder.append(pool.enqueue(job))
    await pool.join()
    holder = []
    gc.collect()
    [context] = loop_errors
    assert isinstance(context["exception"], LookupError)
    loop_errors.clear()


# Stopping it.


async def test_cancel_stops_it_in_every_state() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.enqueue(gate.job, "active"), pool.enqueue(gate.job, "waiting")
    assert waiting.cancel("message")
    assert (waiting.done(), waiting.cancelled(), waiting.cancel()) == (True, True, False)
    with pytest.raises(asyncio.CancelledError, match="message"):
        waiting.result()
    with pytest.raises(asyncio.CancelledError, match="message"):
        waiting.exception()
    await turns()
    assert active.cancel("another message")
    assert not active.done()
    with pytest.raises(asyncio.CancelledError, match="another message"):
        await active
    assert active.cancelled()
    assert gate.started == gate.cancelled == ["active"]
    await assert_usable(pool)


async def test_a_job_with_a_slot_that_has_not_begun_is_never_called() -> None:
    pool, gate = AioPool(1), Gate()
    job = pool.enqueue(gate.job)
    assert pool.n_active == 1
    assert job.cancel()
    await pool.join()
    assert job.cancelled()
    assert gate.started == []
    await assert_usable(pool)


async def test_a_second_cancel_does_not_cut_off_its_clean_up() -> None:
    async def job() -> str:
        try:
            await gate.job("before")
        except asyncio.CancelledError:
            await gate.job("cleaning up")
        return "cleaned up"

    pool, gate = AioPool(1), Gate()
    enqueued = pool.enqueue(job)
    await until(lambda: gate.active)
    assert enqueued.cancel()
    await until(lambda: "cleaning up" in gate.started)
    assert enqueued.cancel()
    await turns()
    gate.open()
    assert await enqueued == "cleaned up"
    assert not enqueued.cancelled()
    await assert_usable(pool)


async def test_cancel_of_the_pool_stops_it_and_waits() -> None:
    async def job() -> None:
        try:
            await gate.job()
        finally:
            await turns()
            cleaned.append(True)

    pool, gate, cleaned = AioPool(1), Gate(), list[bool]()
    active, waiting, kept = pool.enqueue(job), pool.enqueue(job), pool.enqueue(ready, 1)
    await until(lambda: gate.active)
    count, results = await pool.cancel(waiting, active, waiting)
    assert (count, [type(result) for result in results]) == (2, [asyncio.CancelledError] * 2)
    assert cleaned == [True]
    assert await pool.cancel(active) == (0, [])
    assert await kept == 1
    assert await pool.cancel(kept) == (0, [])
    await assert_usable(pool)


async def test_cancel_of_all_gives_it_too() -> None:
    pool, gate = AioPool(1), Gate()
    jobs = [pool.enqueue(gate.job, n) for n in range(3)]
    jobs.append(pool.options(weight=2).enqueue(gate.job, 3))
    await turns()
    count, stopped = await pool.cancel(get_result=getres.dont)
    assert (count, stopped) == (4, [*jobs[1:], jobs[0]])
    assert all(job.cancelled() for job in jobs)
    await assert_usable(pool)


async def test_a_job_of_another_pool_is_left_alone() -> None:
    pool, other, gate = AioPool(1), AioPool(1), Gate()
    jobs = [other.enqueue(gate.job, n) for n in range(2)]
    await turns()
    assert await pool.cancel(*jobs) == (0, [])
    gate.open()
    assert await asyncio.gather(*jobs) == [0, 1]
    await other.join()


@pytest.mark.parametrize("suspends", [False, True])
async def test_fn_may_cancel_its_own_job(suspends: bool) -> None:
    def fn() -> Awaitable[str]:
        assert jobs[0].cancel()
        return job()

    async def job() -> str:
        if suspends:
            await turns(1)
        return "result"

    pool, jobs = AioPool(1), list[Job[str]]()
    jobs.append(pool.enqueue(fn))
    other = pool.enqueue(ready, 1)
    await asyncio.wait([asyncio.ensure_future(jobs[0])])
    assert jobs[0].cancelled() == suspends
    assert await other == 1
    await assert_usable(pool)


async def test_fn_may_use_the_pool() -> None:
    def fn() -> Awaitable[Any]:
        waiting.cancel()
        inner = pool.enqueue(ready, 1)
        return pool.exec(wait(inner))

    async def wait(job: Job[int]) -> int:
        return await job

    pool = AioPool(3)
    job = pool.enqueue(fn)
    pool.spawn_n(turns(1))
    pool.spawn_n(turns(1))
    waiting = pool.enqueue(ready, 2)
    assert await job == 1
    assert waiting.cancelled()
    await assert_usable(pool)


async def test_a_job_that_nobody_holds_runs_nevertheless() -> None:
    pool, gate = AioPool(1), Gate()
    for n in range(3):
        pool.enqueue(gate.job, n)
    gc.collect()
    gate.open()
    await pool.join()
    assert gate.started == [0, 1, 2]


async def test_a_cancelled_error_of_fn_cancels_its_job() -> None:
    def fn() -> Awaitable[None]:
        raise asyncio.CancelledError("own")

    pool = AioPool(1)
    job = pool.enqueue(fn)
    with pytest.raises(asyncio.CancelledError, match="own"):
        await job
    assert job.cancelled()
    await assert_usable(pool)


async def test_when_all_tasks_are_cancelled_no_waiting_job_starts() -> None:
    pool, gate = AioPool(2), Gate()
    jobs = [pool.enqueue(gate.job, n) for n in range(5)]
    jobs.append(pool.options(name="with options").enqueue(gate.job))
    await turns()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await pool.join()
    assert gate.started == sorted(gate.cancelled) == [0, 1]
    assert all(job.cancelled() for job in jobs)
    await assert_usable(pool)


@pytest.mark.parametrize("exits", [KeyboardInterrupt, SystemExit])
def test_an_error_of_fn_that_ends_the_program_does(exits: type[BaseException]) -> None:
    def fn() -> Awaitable[None]:
        raise exits

    async def main() -> None:
        pool = AioPool(1)
        jobs.append(pool.enqueue(fn))
        await asyncio.sleep(60)

    jobs = list[Job[None]]()
    with pytest.raises(exits):
        asyncio.run(main())
    assert isinstance(jobs[0].exception(), exits)


async def test_arguments_are_neither_compared_nor_hashed() -> None:
    class Touchy:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __call__(self, argument: object) -> Awaitable[object]:
            return ready(argument)

    pool, fn = AioPool(1), Touchy()
    jobs = [pool.enqueue(fn, Touchy()) for _ in range(4)]
    jobs[3].cancel()
    await pool.cancel(jobs[2])
    assert isinstance(await jobs[0], Touchy)
    await pool.join()


async def test_nothing_of_the_call_is_left_when_it_was_made() -> None:
    class Thing:
        def __call__(self, argument: object) -> Awaitable[None]:
            return gate.job()

    pool, gate = AioPool(1), Gate()
    fn, argument = Thing(), Thing()
    left = [weakref.ref(fn), weakref.ref(argument)]
    job = pool.enqueue(fn, argument)
    cancelled = pool.enqueue(Thing(), Thing())
    del fn, argument
    await until(lambda: gate.active)
    cancelled.cancel()
    assert [thing() for thing in left] == [None, None]
    gate.open()
    await job


def test_a_pool_and_its_jobs_in_a_cycle_are_collected() -> None:
    class Thing:
        pass

    async def main() -> weakref.ref[Thing]:
        thing: Any = Thing()
        pool = AioPool(1)
        thing.jobs = [pool.enqueue(lambda thing: gate.wait(), thing) for _ in range(3)]
        thing.pool = pool
        for job in thing.jobs:
            job.add_done_callback(lambda _, thing=thing: None)
        return weakref.ref(thing)

    gate = asyncio.Event()
    left = asyncio.run(main())
    gc.collect()
    assert left() is None


@pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with 3.14")
async def test_call_graphs_may_meet_it() -> None:
    async def waits() -> None:
        await asyncio.gather(asyncio.shield(job), job)

    pool, gate = AioPool(1), Gate()
    job = pool.enqueue(gate.job)
    task = asyncio.create_task(waits())
    await turns()
    assert "waits" in str(asyncio.format_call_graph(task))  # type: ignore[attr-defined]
    gate.open()
    await task
    await pool.join()


# With what jobs of a pool may do.


@pytest.mark.filterwarnings("ignore:the job:RuntimeWarning")
async def test_a_job_that_awaits_a_call_of_its_own_pool_is_let_outside() -> None:
    async def parent() -> int:
        return await pool.enqueue(add_one, 1)

    pool = AioPool(1)
    assert await pool.enqueue(parent) == 2
    await assert_usable(pool)


async def test_a_job_cannot_cancel_itself_by_the_pool() -> None:
    async def job() -> None:
        await pool.cancel(jobs[0])

    pool, jobs = AioPool(1), list[Job[None]]()
    jobs.append(pool.enqueue(job))
    with pytest.raises(RuntimeError, match="cannot cancel itself"):
        await jobs[0]
    await assert_usable(pool)


async def test_a_closed_pool_takes_no_call_and_reports_those_that_waited() -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = pool.enqueue(gate.job, 0), pool.options(name="named").enqueue(gate.job, 1)
    plain = pool.enqueue(gate.job, 2)
    await turns()
    report = await pool.close(0)
    for enqueue in (pool.enqueue, pool.submit):
        with pytest.raises(RuntimeError, match="closed"):
            enqueue(add_one, 1)
    await asyncio.wait([asyncio.ensure_future(job) for job in (active, waiting, plain)])
    assert all(job.cancelled() for job in (active, waiting, plain))
    assert [info.name for info in report.unstarted] == ["named", "Gate.job"]
