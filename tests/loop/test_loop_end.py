"""What notices the end of the loop, on any loop, and what it costs."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, assert_usable, run, turns, until
from loops import NarrowLoop

DAY = 24 * 3600.0


class MovedClock:
    """A loop whose clock can be moved, as those are that a test freezes."""

    moved = 0.0

    def time(self) -> float:
        return super().time() + self.moved  # type: ignore[misc,no-any-return]


class MovedLoop(MovedClock, asyncio.SelectorEventLoop):
    pass


class MovedNarrowLoop(MovedClock, NarrowLoop):
    pass


@pytest.fixture(params=[MovedLoop, MovedNarrowLoop])
def moved_loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    loop = request.param()
    yield loop
    loop.close()


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_a_clock_that_moves_harms_no_waiting_job(moved_loop: Any, days: int) -> None:
    async def main() -> list[int]:
        pool, gate = AioPool(1), Gate()
        futures = pool.map_n(gate.job, range(3))
        await until(lambda: gate.active)
        for _ in range(3):
            moved_loop.moved += days * DAY
            await turns(5)
        gate.open()
        return await asyncio.gather(*futures)

    # Without `run`, whose timeout would pass.
    assert moved_loop.run_until_complete(main()) == [0, 1, 2]


def test_the_end_is_noticed_also_after_the_clock_has_moved() -> None:
    async def main() -> None:
        futures.extend(pool.map_n(gate.job, range(3)))
        await until(lambda: gate.active)
        for _ in range(3):
            loop.moved += DAY
            await turns(5)

    loop, pool, gate, futures = MovedLoop(), AioPool(1), Gate(), list[asyncio.Future[Any]]()
    loop.run_until_complete(main())
    loop.close()
    assert [future.cancelled() for future in futures] == [True] * 3
    assert pool.is_empty


def timers(loop: asyncio.AbstractEventLoop) -> int:
    return len(loop._scheduled)  # type: ignore[attr-defined]


def test_all_pools_of_a_loop_share_one_timer_however_often_they_are_empty() -> None:
    async def main() -> None:
        before = timers(loop)
        pools, gate = [AioPool(1) for _ in range(50)], Gate()
        for pool in pools:
            pool.map_n(gate.job, range(2))
        # One for the end of the loop, one for jobs that wait for each other.
        assert timers(loop) == before + 2
        gate.open()
        for pool in pools:
            for _ in range(10):
                pool.map_n(gate.job, range(2))
                await pool.join()
        assert timers(loop) == before + 2

    loop = asyncio.SelectorEventLoop()
    run(loop, main())
    loop.close()


def test_the_timer_lapses_when_its_pools_are_gone() -> None:
    async def main() -> int:
        before = timers(loop)
        pool, gate = AioPool(1), Gate()
        gate.open()
        pool.map_n(gate.job, range(2))
        await pool.join()
        del pool
        gc.collect()
        loop.moved += DAY
        await turns(5)
        return timers(loop) - before

    loop = MovedLoop()
    assert loop.run_until_complete(main()) == 0
    loop.close()


async def test_the_timer_keeps_no_empty_pool_alive() -> None:
    pool, gate = AioPool(1), Gate()
    gate.open()
    pool.map_n(gate.job, range(2))
    await pool.join()
    reference = weakref.ref(pool)
    del pool
    gc.collect()
    assert reference() is None


async def test_what_watches_for_the_end_says_so() -> None:
    pool, gate = AioPool(1), Gate()
    pool.map_n(gate.job, range(2))
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert "aiopool waits for the end of the loop" in names
    gate.open()
    await pool.join()
    await turns()
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert "aiopool waits for the end of the loop" not in names


class Refusal(Exception):
    pass


def no_timers(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise Refusal

    monkeypatch.setattr(loop, "call_later", refuse)


def no_tasks(_loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(asyncio.Task):  # type: ignore[type-arg]
        def __init__(self, coro: Any, *, name: Any = None, **kwargs: Any) -> None:
            if name and "end of the loop" in name:
                coro.close()
                raise Refusal
            super().__init__(coro, name=name, **kwargs)

    monkeypatch.setattr(asyncio, "Task", Refused)


class UnknownLoop(asyncio.SelectorEventLoop):
    """Its timers have no context."""

    def call_later(self, delay: float, callback: Any, *args: Any) -> Any:  # type: ignore[override]
        return super().call_later(delay, callback, *args)


class LoopWithoutTimers(asyncio.SelectorEventLoop):
    def call_later(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Refusal


@pytest.mark.parametrize("kind", [UnknownLoop, LoopWithoutTimers])
def test_the_end_of_a_run_is_noticed_whatever_timers_the_loop_has(
    kind: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *told: reports.append(told))
        futures.extend(pool.map_n(gate.job, range(3)))
        await until(lambda: gate.active)

    pool, gate, futures, reports = AioPool(1), Gate(), list[asyncio.Future[Any]](), list[Any]()
    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(main())
    assert [future.cancelled() for future in futures] == [True] * 3
    assert pool.is_empty
    assert len(reports) == (kind is LoopWithoutTimers)


def test_a_close_by_hand_is_noticed_though_the_timers_have_no_context() -> None:
    async def main() -> None:
        futures.extend(pool.map_n(gate.job, range(3)))
        await until(lambda: gate.active)

    loop, pool, gate = UnknownLoop(), AioPool(1), Gate()
    futures = list[asyncio.Future[Any]]()
    loop.run_until_complete(main())
    loop.close()
    assert [future.cancelled() for future in futures] == [True] * 3


async def set_variable(variable: contextvars.ContextVar[Any], pool: AioPool) -> None:
    variable.set(Gate())
    pool.map_n(variable.get().job, range(2))
    variable.get().open()
    await pool.join()


def test_the_timer_keeps_no_variable_of_a_job_alive() -> None:
    async def main() -> None:
        variable = contextvars.ContextVar[Any]("variable")
        await asyncio.create_task(set_variable(variable, AioPool(1)))
        await turns()
        contexts = [handle._context for handle in loop._scheduled]  # type: ignore[attr-defined]
        assert not any(variable in context for context in contexts)

    loop = asyncio.SelectorEventLoop()
    run(loop, main())
    loop.close()


class ForgetfulLoop(MovedLoop):
    """Keeps a number of far timers only."""

    kept, error = 0, None

    def call_later(self, delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if delay > 60:
            if not self.kept:
                if self.error is not None:
                    raise self.error
                return asyncio.TimerHandle(self.time() + delay, callback, args, self)
            self.kept -= 1
        return super().call_later(delay, callback, *args, **kwargs)


@pytest.mark.parametrize(
    ("kept", "error"),
    # A first timer that memory does not suffice for is tried again: the loop is not at fault.
    [(0, None), (0, Refusal()), (1, None), (1, Refusal()), (1, MemoryError())],
)
def test_a_timer_that_a_running_loop_does_not_keep_ends_no_job(
    kept: int, error: Exception | None
) -> None:
    async def main() -> list[int]:
        # What is reported becomes a cycle with the timer, which so is destroyed by a collection.
        loop.set_exception_handler(lambda _, context: context.update(itself=context))
        pool, gate = AioPool(1), Gate()
        futures = pool.map_n(gate.job, range(3))
        await until(lambda: gate.active)
        loop.moved += DAY
        await turns(5)
        gc.collect()
        gate.open()
        return await asyncio.gather(*futures)

    loop = ForgetfulLoop()
    loop.kept, loop.error = kept, error  # type: ignore[assignment]
    assert loop.run_until_complete(main()) == [0, 1, 2]
    loop.close()


@pytest.mark.parametrize("refuse", [no_timers, no_tasks])
def test_a_loop_that_cannot_be_watched_is_told_so_once(
    refuse: Callable[[Any, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        refuse(loop, monkeypatch)
        for _ in range(3):
            pool, gate = AioPool(2), Gate()
            futures = pool.map_n(gate.job, range(10))
            gate.open()
            assert await asyncio.gather(*futures) == list(range(10))
            await pool.join()
        monkeypatch.undo()
        await assert_usable(pool)

    told: list[dict[str, Any]] = []
    loop = asyncio.SelectorEventLoop()
    loop.run_until_complete(main())
    loop.close()
    [context] = told
    assert isinstance(context["exception"], Refusal)
    assert "aiopool cannot notice that" in context["message"]
