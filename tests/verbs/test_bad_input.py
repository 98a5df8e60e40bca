"""What cannot work is refused at the call, costs no slot and leaves no coroutine unclosed."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncio_pool import AioPool, iterwait
from helpers import Gate, assert_usable, at_once, is_closed, ready, until


async def generator() -> Any:
    yield 1


class Methods:
    async def method(self) -> None:
        raise AssertionError("never called")


async def never_called(_: object = None) -> None:
    raise AssertionError("never called")


def spawn(pool: AioPool, *args: Any) -> Any:
    return at_once(pool.spawn(*args))


def spawn_n(pool: AioPool, *args: Any) -> Any:
    return pool.spawn_n(*args)


def exec_(pool: AioPool, *args: Any) -> Any:
    return at_once(pool.exec(*args))


HandIn = Callable[..., Any]
every_call = pytest.mark.parametrize("call", [spawn, spawn_n, exec_])


@pytest.mark.parametrize("size", [0, -1, -(10**30)])
def test_a_size_below_one_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        AioPool(size)


@pytest.mark.parametrize("size", [1.5, 4.0, "4", True, False, None, [4]])
def test_a_size_that_is_no_int_is_a_type_error(size: Any) -> None:
    with pytest.raises(TypeError, match="size"):
        AioPool(size)


@every_call
@pytest.mark.parametrize("job", [None, 5, "text", object(), [], print, AioPool, generator()])
async def test_what_is_not_awaitable_is_a_type_error(call: HandIn, job: Any) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=r"awaitable|coroutine"):
        call(pool, job)
    await assert_usable(pool)


@every_call
@pytest.mark.parametrize(
    "function",
    [never_called, Methods().method, functools.partial(never_called, 1)],
    ids=["function", "method", "partial"],
)
async def test_a_coroutine_function_is_a_type_error_that_says_to_call_it(
    call: HandIn, function: Any
) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=r"\bcall\b"):
        call(pool, function)
    await assert_usable(pool)


@every_call
async def test_bad_input_is_refused_before_the_wait_for_a_slot(call: HandIn) -> None:
    pool, gate = AioPool(1), Gate()
    active = pool.spawn_n(gate.job("active"))
    await until(lambda: gate.active)
    with pytest.raises(TypeError):
        call(pool, None)
    coro = never_called()
    with pytest.raises(TypeError):
        call(pool, coro, "no callback")
    assert is_closed(coro)
    assert len(pool) == 1
    gate.open()
    assert await active == "active"
    await pool.join()
    await assert_usable(pool)


@every_call
@pytest.mark.parametrize("callback", [5, "text", object(), [], 0, ""])
async def test_a_callback_that_cannot_be_called_is_a_type_error(
    call: HandIn, callback: Any
) -> None:
    pool, coro = AioPool(1), never_called()
    with pytest.raises(TypeError, match=r"callback|cb|callable"):
        call(pool, coro, callback)
    assert is_closed(coro)
    assert len(pool) == 0
    await assert_usable(pool)


@every_call
async def test_a_coroutine_given_as_callback_is_a_type_error(call: HandIn) -> None:
    pool, coro, callback = AioPool(1), never_called(), never_called()
    with pytest.raises(TypeError):
        call(pool, coro, callback)
    assert is_closed(coro)
    callback.close()
    await assert_usable(pool)


async def test_map_refuses_a_callback_that_cannot_be_called_before_it_pulls_anything() -> None:
    pool, items = AioPool(1), iter(range(3))
    with pytest.raises(TypeError):
        at_once(pool.map(never_called, items, 5))
    assert list(items) == [0, 1, 2]
    await assert_usable(pool)


async def test_map_n_refuses_a_callback_that_cannot_be_called_before_it_pulls_anything() -> None:
    pool, items = AioPool(1), iter(range(3))
    with pytest.raises(TypeError):
        pool.map_n(never_called, items, 5)
    assert list(items) == [0, 1, 2]
    await assert_usable(pool)


async def test_itermap_refuses_a_callback_that_cannot_be_called_at_the_call() -> None:
    pool, items = AioPool(1), iter(range(3))
    with pytest.raises(TypeError):
        pool.itermap(never_called, items, 5)
    assert list(items) == [0, 1, 2]
    await assert_usable(pool)


@pytest.mark.parametrize("iterable", [None, 5, object()])
async def test_what_is_not_iterable_is_a_type_error(iterable: Any) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError):
        await pool.map(never_called, iterable)
    with pytest.raises(TypeError):
        pool.map_n(never_called, iterable)
    with pytest.raises(TypeError):
        await anext(pool.itermap(never_called, iterable))
    await assert_usable(pool)


async def test_an_async_iterable_is_a_type_error() -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError):
        await pool.map(never_called, generator())
    await assert_usable(pool)


async def test_a_suspended_coroutine_is_a_runtime_error_and_its_owner_is_not_harmed() -> None:
    pool, gate = AioPool(1), Gate()
    coro = gate.job("its owner")
    owner = asyncio.create_task(coro)
    await until(lambda: gate.active)
    with pytest.raises(RuntimeError):
        await pool.exec(coro)
    with pytest.raises(RuntimeError):
        await pool.spawn_n(coro)
    await pool.join()
    assert inspect.getcoroutinestate(coro) == inspect.CORO_SUSPENDED
    gate.open()
    assert await owner == "its owner"
    await assert_usable(pool)


async def test_a_finished_coroutine_is_a_runtime_error() -> None:
    pool, coro = AioPool(1), ready(1)
    assert await coro == 1
    with pytest.raises(RuntimeError):
        await pool.exec(coro)
    with pytest.raises(RuntimeError):
        await pool.spawn_n(coro)
    await pool.join()
    await assert_usable(pool)


async def test_a_coroutine_that_was_closed_is_a_runtime_error() -> None:
    pool, coro = AioPool(1), ready(1)
    coro.close()
    with pytest.raises(RuntimeError):
        await pool.exec(coro)
    await pool.join()
    await assert_usable(pool)


async def test_a_coroutine_handed_in_twice_runs_once_and_is_a_runtime_error_once() -> None:
    async def hand_in() -> Any:
        return await pool.spawn_n(coro)

    pool, gate = AioPool(1), Gate()
    gate.open()
    coro = gate.job("once")
    first, second = await asyncio.gather(hand_in(), hand_in(), return_exceptions=True)
    assert first == "once"
    assert isinstance(second, RuntimeError)
    assert gate.started == ["once"]
    await pool.join()
    await assert_usable(pool)


async def test_an_unknown_yield_when_is_a_value_error() -> None:
    async def first(results: Callable[[], Any]) -> None:
        await anext(results())

    pool, gate = AioPool(1), Gate()
    gate.open()
    with pytest.raises(ValueError, match="NEVER"):
        await first(lambda: pool.itermap(gate.job, range(2), yield_when="NEVER"))
    futures = pool.map_n(gate.job, range(2))
    with pytest.raises(ValueError, match="NEVER"):
        await first(lambda: iterwait(futures, yield_when="NEVER"))
    await pool.join()
    await assert_usable(pool)


async def test_a_missing_or_an_unknown_argument_is_a_type_error() -> None:
    pool = AioPool(1)
    calls: list[Callable[[], Any]] = [
        lambda: pool.spawn_n(),  # type: ignore[call-arg]
        lambda: pool.map_n(ready),  # type: ignore[call-arg]
        lambda: pool.itermap(ready),  # type: ignore[call-arg]
        lambda: pool.map_n(ready, [], unknown=1),  # type: ignore[call-arg]
        lambda: AioPool(1, None),  # type: ignore[misc]
        lambda: AioPool(unknown=1),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    await assert_usable(pool)


def returns_nothing(_: object) -> None:
    return None


def returns_a_function(_: object) -> Callable[[], Awaitable[None]]:
    return never_called


@pytest.mark.parametrize("fn", [returns_nothing, returns_a_function, str])
async def test_an_fn_that_gives_no_awaitable_costs_no_slot(fn: Callable[[Any], Any]) -> None:
    pool = AioPool(1)
    assert [type(error) for error in await pool.map(fn, range(3))] == [TypeError] * 3
    futures = pool.map_n(fn, range(3))
    results = [result async for result in pool.itermap(fn, range(3))]
    assert [type(error) for error in results] == [TypeError] * 3
    await pool.join()
    assert [type(future.exception()) for future in futures] == [TypeError] * 3
    await assert_usable(pool)
