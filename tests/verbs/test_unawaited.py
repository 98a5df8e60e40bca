"""A coroutine handed to a verb whose own coroutine never ran is closed without a word."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import types
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any
from unittest import mock

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, is_closed, ready, turns, until

Verb = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(params=["spawn", "exec"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The warnings of a test, which is to expect each of them."""
    expected: list[str] = []
    seen: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # A list of the warnings themselves would keep the coroutines alive that they are of.
        warnings.showwarning = lambda message, *_, **__: seen.append(first_line(message))
        yield expected
        gc.collect()
        assert seen == expected


def first_line(message: Warning | str) -> str:
    return str(message).partition("\n")[0]  # in debug mode more of them follow


async def fail() -> None:
    raise LookupError


async def group(make: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(BaseExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            await asyncio.sleep(0)  # it has failed, and the group is about to cancel its tasks
            for _ in range(3):
                tasks.create_task(wrapped(make()))


def wrapped(verb: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    assert inspect.iscoroutine(verb)
    return verb


async def cancelled_task(make: Callable[[], Awaitable[Any]]) -> None:
    task = asyncio.create_task(wrapped(make()))
    task.cancel()
    await asyncio.wait([task])


async def cancelled_gather(make: Callable[[], Awaitable[Any]]) -> None:
    gathered = asyncio.gather(make(), make())
    gathered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathered


async def closed(make: Callable[[], Awaitable[Any]]) -> None:
    wrapped(make()).close()


async def thrown_into(make: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(LookupError):
        wrapped(make()).throw(LookupError())


every_end = pytest.mark.parametrize(
    "end", [group, cancelled_task, cancelled_gather, closed, thrown_into]
)


@every_end
async def test_the_coroutine_of_a_verb_that_never_ran_is_closed_without_a_word(
    end: Callable[[Callable[[], Awaitable[Any]]], Awaitable[None]], verb: str, warned: list[str]
) -> None:
    def make() -> Awaitable[Any]:
        coros.append(ready(1))
        called: Awaitable[Any] = getattr(pool, verb)(coros[-1])
        return called

    pool, coros = AioPool(1), []
    await end(make)
    await turns()  # the loop still has what it calls in this one
    gc.collect()
    assert coros
    assert all(is_closed(coro) for coro in coros)
    assert len(pool) == 0
    await assert_usable(pool)


async def test_a_verb_that_never_ran_in_a_cycle_of_references_closes_the_coroutine(
    verb: str,
) -> None:
    pool, coro, cycle = AioPool(1), ready(1), []
    cycle += [getattr(pool, verb)(coro), cycle]
    with pytest.raises(LookupError):
        cycle[0].throw(LookupError())
    del cycle
    gc.collect()
    assert is_closed(coro)


async def test_a_verb_that_nobody_awaits_warns_of_itself_alone(
    verb: str, warned: list[str]
) -> None:
    pool, coro = AioPool(1), ready(1)
    warned.append(f"coroutine 'BasePool.{verb}' was never awaited")
    getattr(pool, verb)(coro)
    assert is_closed(coro)
    await assert_usable(pool)


class Awaited:
    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


class ACoroutine(Awaited, Coroutine[Any, Any, None]):  # type: ignore[misc]
    """A coroutine in Python, as others may be in Cython."""

    closed = False

    def send(self, value: Any) -> Any:
        raise StopIteration

    def throw(self, *error: Any) -> Any:
        raise StopIteration

    def close(self) -> None:
        self.closed = True


@types.coroutine
def generator_based() -> Generator[None]:
    yield


async def test_coroutines_of_every_kind_are_closed(verb: str) -> None:
    pool, generator, other = AioPool(1), generator_based(), ACoroutine()
    await closed(lambda: getattr(pool, verb)(generator))
    await closed(lambda: getattr(pool, verb)(other))
    assert inspect.getgeneratorstate(generator) == inspect.GEN_CLOSED  # type: ignore[arg-type]
    assert other.closed


async def test_what_is_no_coroutine_stays_with_its_owner(verb: str) -> None:
    pool, awaited = AioPool(1), Awaited()
    future = asyncio.get_running_loop().create_future()
    for job in future, awaited, None:
        await closed(lambda job=job: getattr(pool, verb)(job))  # type: ignore[misc]
    assert not future.cancelled()
    assert await pool.exec(awaited) is None


async def test_a_coroutine_that_somebody_else_has_begun_goes_on(verb: str) -> None:
    async def own() -> str:
        await closed(lambda: getattr(pool, verb)(coros["own"]))
        return "its owner"

    pool, gate = AioPool(1), Gate()
    coros: dict[str, Coroutine[Any, Any, str]] = {"own": own(), "other": gate.job("its owner")}
    owner = asyncio.create_task(coros["other"])
    await until(lambda: gate.active)
    await closed(lambda: getattr(pool, verb)(coros["other"]))
    gate.open()
    assert await owner == await coros["own"] == "its owner"


async def test_an_error_that_is_on_its_way_is_not_lost(verb: str) -> None:
    class Closing(ACoroutine):
        def close(self) -> None:
            super().close()
            with pytest.raises(KeyError):
                raise KeyError

    pool, job = AioPool(1), Closing()
    with pytest.raises(LookupError, match="on its way"):
        getattr(pool, verb)(job).throw(LookupError("on its way"))
    gc.collect()
    assert job.closed


async def test_a_close_that_raises_is_reported(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(ACoroutine):
        def close(self) -> None:
            raise LookupError

    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: reported.append(unraisable))
    pool = AioPool(1)
    await closed(lambda: getattr(pool, verb)(Failing()))
    assert [report.exc_type for report in reported] == [LookupError]


async def test_a_verb_that_has_begun_answers_for_the_coroutine(verb: str) -> None:
    pool, gate = AioPool(1), Gate()
    active, waiting = gate.job("active"), gate.job("waiting")
    pool.spawn_n(active)
    called = asyncio.create_task(getattr(pool, verb)(waiting))
    await until(lambda: len(pool) == 2)
    called.cancel()
    await asyncio.wait([called])
    assert is_closed(waiting)
    gate.open()
    await pool.join()
    assert gate.started == ["active"]
    await assert_usable(pool)


def called_in(verb: str) -> list[Any]:
    pool = AioPool(1)
    return [getattr(AioPool, verb), getattr(pool, verb), functools.partial(getattr(pool, verb), 1)]


def test_the_verbs_are_coroutine_functions(verb: str) -> None:
    for function in called_in(verb):
        assert inspect.iscoroutinefunction(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from 3.14 on
            assert asyncio.iscoroutinefunction(function)


async def test_a_mock_of_a_pool_has_verbs_that_can_be_awaited(verb: str) -> None:
    pool = mock.create_autospec(AioPool, instance=True)
    method = getattr(pool, verb)
    method.return_value = "result"
    assert await method(None) == "result"


async def test_the_coroutine_of_a_verb_is_genuine_and_has_its_name(verb: str) -> None:
    coro = getattr(AioPool(1), verb)(ready(1))
    assert type(coro) is types.CoroutineType
    assert (coro.__name__, coro.__qualname__) == (verb, f"BasePool.{verb}")
    assert coro.cr_code.co_qualname == f"BasePool.{verb}"
    coro.close()


async def test_a_subclass_may_extend_a_verb() -> None:
    class Counting(AioPool):
        count = 0

        async def spawn(self, coro: Any, cb: Any = None, ctx: Any = None) -> Any:
            self.count += 1
            return await super().spawn(coro, cb, ctx)

        async def exec(self, coro: Any, cb: Any = None, ctx: Any = None) -> Any:
            self.count += 1
            return await super().exec(coro, cb, ctx)

    pool = Counting(1)
    assert await (await pool.spawn(add_one(1))) == 2
    assert await pool.exec(add_one(2)) == 3
    assert pool.count == 2
    await pool.join()
