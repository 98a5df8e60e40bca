"""Random programs, run by the package and by a naive pool.

What must hold in any program is looked at while it runs, after every turn of the loop, and at its
end. A *calm* program acts only when nothing moves any more. Then what happens does not depend on
how many turns a pool takes for what, and must be the same in both.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from asyncio_pool import AioPool
from loops import NewLoop, asyncio_loop
from naive_pool import NaivePool
from play import Play, does_what_a_naive_pool_does, holds_what_is_promised
from programs import Act, Program, Script, calm_programs, examples, hasty_programs


@pytest.mark.also_eager
@examples
@given(program=hasty_programs())
def test_any_program_finds_what_is_promised(new_loop: NewLoop, program: Program) -> None:
    holds_what_is_promised(program, NaivePool, new_loop)
    holds_what_is_promised(program, AioPool, new_loop)


# Whoever cancels jobs is cancelled twice while a callback of them runs.
CANCELLED_TWICE = Program(
    1,
    (
        Act("map", jobs=(Script(gated=True),), callback=Script(gated=True)),
        Act("settle"),
        Act("cancel_all"),
        Act("settle"),
        Act("stop_caller", pick=1),
        Act("settle"),
        Act("stop_caller", pick=1),
        Act("settle"),
    ),
)


@examples
@example(program=CANCELLED_TWICE)
@given(program=calm_programs())
def test_a_calm_program_finds_what_it_finds_in_a_naive_pool(
    new_loop: NewLoop, program: Program
) -> None:
    does_what_a_naive_pool_does(program, AioPool, new_loop)


@pytest.mark.also_eager
@examples
@given(program=hasty_programs(), turns=st.integers(0, 40))
def test_any_program_may_end_in_the_midst_of_it(
    new_loop: NewLoop, program: Program, turns: int
) -> None:
    play = Play(AioPool(program.size))

    async def perform() -> None:
        end_after(turns, asyncio.current_task())
        await play.perform(program)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        with contextlib.suppress(asyncio.CancelledError):
            runner.run(perform())
        begun, known = list(play.begun), set(play.jobs)
    gc.collect()
    # A job that a callback hands in at the end may begin, as would a task that the callback makes.
    assert [name for name in play.begun if name in known] == begun
    assert not [name for name, job in play.jobs.items() if not play.has_ended(job)]
    assert not play.running
    assert not play.violations, "\n".join(play.violations)


def end_after(turns: int, task: asyncio.Task[Any]) -> None:
    if turns:
        asyncio.get_running_loop().call_soon(end_after, turns - 1, task)
    else:
        task.cancel()


# That they can fail.


class LastComeFirstServed(NaivePool):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.queue = Stack()


class Stack(deque[Any]):
    popleft = deque.pop


class OneSlotTooMany(NaivePool):
    def admit(self) -> None:
        self.size += 1
        super().admit()
        self.size -= 1


class ASlotLeftIdle(NaivePool):
    def admit(self) -> None:
        if len(self.active) != 1:
            super().admit()


class ASlotLostByCancel(NaivePool):
    def give_back(self, job: Any, coro: Any, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            super().give_back(job, coro, task)


class WithdrawnJobsStart(NaivePool):
    def withdraw(self, job: Any) -> None:
        pass


class NoCallbackAfterAnError(NaivePool):
    async def call_back(self, job: Any, result: object, error: BaseException | None) -> Any:
        if error is not None:
            raise error
        return await super().call_back(job, result, error)


class MapsStayInFront(NaivePool):
    def pull(self, running: Any) -> Any:
        job = super().pull(running)
        if job is not None:
            self.queue.rotate()
        return job


class CancelDoesNotWait(NaivePool):
    async def ended(self, futures: list[asyncio.Future[Any]], may_leave: bool = False) -> None:
        pass


class CancelledAgainItDoesNotWait(NaivePool):
    async def ended(self, futures: list[asyncio.Future[Any]], may_leave: bool = False) -> None:
        await super().ended(futures, may_leave=True)


class ExecLeavesItsJob(NaivePool):
    async def exec(self, coro: Any, cb: Any = None, ctx: object = None) -> Any:
        return await self.spawn_n(coro, cb, ctx)


class JoinDoesNotWait(NaivePool):
    async def join(self) -> bool:
        return True


@pytest.mark.parametrize(
    "broken",
    [
        LastComeFirstServed,
        OneSlotTooMany,
        ASlotLeftIdle,
        ASlotLostByCancel,
        WithdrawnJobsStart,
        NoCallbackAfterAnError,
        MapsStayInFront,
        CancelDoesNotWait,
        ExecLeavesItsJob,
        JoinDoesNotWait,
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_broken_pool_is_found_out(broken: type[NaivePool]) -> None:
    def breaks(promise: Callable[..., None], program: Program) -> bool:
        try:
            promise(program, broken, asyncio_loop)
        except AssertionError:
            return True
        return False

    once = settings(examples, phases=[Phase.generate])
    for programs, promise in [
        (hasty_programs(), holds_what_is_promised),
        (calm_programs(), does_what_a_naive_pool_does),
    ]:
        with contextlib.suppress(NoSuchExample):
            find(programs, partial(breaks, promise), settings=once)
            gc.collect()
            return
    pytest.fail(f"{broken.__name__} passes for a pool")


def test_a_pool_whose_calls_are_left_when_they_are_cancelled_again_is_found_out() -> None:
    with pytest.raises(AssertionError):
        does_what_a_naive_pool_does(CANCELLED_TWICE, CancelledAgainItDoesNotWait, asyncio_loop)
