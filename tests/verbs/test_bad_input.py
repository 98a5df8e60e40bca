"""What cannot work is refused at the call, costs no slot and leaves no coroutine unclosed."""

from __future__ import annotations

import asyncio
import enum
import functools
import inspect
import math
import sys
from collections.abc import Awaitable, Callable
from fractions import Fraction
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


async def map_(pool: AioPool, *args: Any) -> Any:
    return await pool.map(*args)


async def map_n(pool: AioPool, *args: Any) -> Any:
    return pool.map_n(*args)


async def itermap(pool: AioPool, *args: Any) -> Any:
    return pool.itermap(*args)


OverItems = Callable[..., Awaitable[Any]]
over_items = pytest.mark.parametrize("over", [map_, map_n, itermap])


@pytest.mark.parametrize("size", [0, -1, -(10**30)])
def test_a_size_below_one_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        AioPool(size)


@pytest.mark.parametrize("size", [1.5, 4.0, "4", True, False, None, [4]])
def test_a_size_that_is_no_int_is_a_type_error(size: Any) -> None:
    with pytest.raises(TypeError, match="size"):
        AioPool(size)


@pytest.mark.task_per_job("the argument is the test's own")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on it can be had")
def test_eager_starts_before_python_3_12_are_a_value_error_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"eager needs Python 3\.12 or later"):
        AioPool(eager=True)


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


async def fetch(url: str, times: int = 1) -> None:
    raise AssertionError("never called")


async def callback(_: object) -> None:
    raise AssertionError("never called")


@every_call
@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        ((fetch,), "fetch(...)"),
        ((fetch, "http://.."), "fetch('http://..')"),
        ((fetch, "http://..", 3), "fetch('http://..', 3)"),
        ((fetch, callback), "fetch(...), callback"),
        ((fetch, callback, "ctx"), "fetch(...), callback"),
        ((fetch, print), "fetch(...)"),
        ((Methods().method, 5), "method(5)"),
        ((functools.partial(fetch, "http://.."),), "fn(...)"),
        ((functools.partial(fetch, times=2), "http://.."), "fn('http://..')"),
        ((lambda: fetch("http://.."),), "fn(...)"),
        ((lambda url: fetch(url), "http://.."), "fn('http://..')"),
        ((asyncio.to_thread, print, "text"), "to_thread(...)"),
    ],
)
async def test_a_function_instead_of_its_call_is_a_type_error_that_says_how_to_call_it(
    call: HandIn, arguments: tuple[Any, ...], instead: str
) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError) as raised:
        call(pool, *arguments)
    assert f"call it, as in pool.{call.__name__.strip('_')}({instead})" in str(raised.value)
    await assert_usable(pool)


@every_call
async def test_a_long_argument_is_named_in_few_words(call: HandIn) -> None:
    with pytest.raises(TypeError) as raised:
        call(AioPool(1), fetch, "x" * 100_000)
    assert len(str(raised.value)) < 500


@every_call
async def test_many_coroutines_at_once_are_a_type_error_that_says_one_at_a_time(
    call: HandIn,
) -> None:
    with pytest.raises(TypeError, match=rf"pool\.{call.__name__.strip('_')}\(coro\)"):
        call(AioPool(1), [])


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


@over_items
async def test_an_async_iterable_is_a_type_error_that_says_to_collect_it(over: OverItems) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=r"\[item async for item in items\]"):
        await over(pool, never_called, generator())
    await assert_usable(pool)


async def test_iterwait_refuses_an_async_iterable_too() -> None:
    with pytest.raises(TypeError, match="async for"):
        iterwait(generator())  # type: ignore[arg-type]


@over_items
async def test_coroutines_instead_of_a_function_are_a_type_error_that_says_what_to_write(
    over: OverItems,
) -> None:
    pool, coros = AioPool(1), [ready(n) for n in range(3)]
    with pytest.raises(TypeError, match=r"gather\(\*\(pool\.exec\(coro\) for coro in coros\)\)"):
        await over(pool, coros)
    assert await asyncio.gather(*(pool.exec(coro) for coro in coros)) == [0, 1, 2]
    await pool.join()
    await assert_usable(pool)


@over_items
@pytest.mark.parametrize("wrong", [[1, 2], {1: 2}, "text", (), generator()])
async def test_items_without_a_function_are_a_type_error_that_says_where_it_stands(
    over: OverItems, wrong: Any
) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=rf"function comes first.*{verb(over)}\(fn, items\)$"):
        await over(pool, wrong)
    with pytest.raises(TypeError, match=rf"{verb(over)} takes a function of one item"):
        await over(pool, wrong, [1])
    await assert_usable(pool)


@over_items
@pytest.mark.parametrize(
    ("items", "instead"),
    [
        (list, "call it"),
        (range, "call it"),
        (lambda: [1], "call it"),
        (generator, r"call it and collect .* as in \[item async for item in generator\(\)\]"),
        (type(generator()), "call it"),
        (5, r"not 5: .* range\(5\)$"),
        (None, "not None$"),
    ],
    ids=["list", "range", "lambda", "generator", "class", "number", "none"],
)
async def test_what_gives_the_items_when_it_is_called_is_a_type_error_at_the_call(
    over: OverItems, items: Any, instead: str
) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=rf"items must be an iterable, .*{instead}"):
        await over(pool, never_called, items)
    await assert_usable(pool)


@over_items
async def test_a_future_instead_of_the_items_is_a_type_error_that_says_to_await_it(
    over: OverItems,
) -> None:
    pool, coro = AioPool(1), ready([1])
    for items in coro, asyncio.get_running_loop().create_future():
        with pytest.raises(TypeError, match="await it first"):
            await over(pool, never_called, items)
    coro.close()
    await assert_usable(pool)


class Numbers:
    """Iterable as before there was `__iter__`."""

    def __getitem__(self, index: int) -> int:
        return range(3)[index]


class Kind(enum.Enum):
    FIRST = 0
    SECOND = 1


@pytest.mark.parametrize(("items", "count"), [(Numbers(), 3), (Kind, 2)], ids=["old", "enum"])
async def test_any_iterable_has_items(items: Any, count: int) -> None:
    pool = AioPool(1)
    assert len(await pool.map(ready, items)) == count
    assert len(pool.map_n(ready, items)) == count
    assert len([result async for result in pool.itermap(ready, items)]) == count
    await pool.join()


async def test_iterwait_of_one_future_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"write iterwait\(\[future\]\)"):
        iterwait(asyncio.get_running_loop().create_future())


@pytest.mark.parametrize("get_result", [5, None, "flat"])
async def test_a_get_result_that_cannot_be_called_is_refused_before_anything_is_done(
    get_result: Any,
) -> None:
    pool, gate = AioPool(1), Gate()
    futures = pool.map_n(gate.job, range(2))
    await until(lambda: gate.active)
    with pytest.raises(TypeError, match="get_result"):
        await pool.cancel(get_result=get_result)
    with pytest.raises(TypeError, match="get_result"):
        await pool.cancel(*futures, get_result=get_result)
    with pytest.raises(TypeError, match="get_result"):
        iterwait(futures, get_result=get_result)
    with pytest.raises(TypeError, match="get_result"):
        pool.itermap(gate.job, [1], get_result=get_result)
    with pytest.raises(TypeError, match="get_result"):
        await pool.map(gate.job, [1], get_result=get_result)
    assert len(pool) == 2
    gate.open()
    assert await asyncio.gather(*futures) == [0, 1]
    await pool.join()


@every_call
@pytest.mark.parametrize("job", [generator, generator()], ids=["function", "generator"])
async def test_an_asynchronous_generator_is_a_type_error_that_says_to_loop_over_it(
    call: HandIn, job: Any
) -> None:
    with pytest.raises(TypeError, match="`async for`") as raised:
        call(AioPool(1), job)
    assert "call it" not in str(raised.value)


@over_items
async def test_a_function_without_items_is_a_type_error(over: OverItems) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=rf"items are missing.* {verb(over)} "):
        await over(pool, never_called)
    await assert_usable(pool)


def verb(over: OverItems) -> str:
    return rf"pool\.{over.__name__.removesuffix('_')}\b"


@over_items
async def test_items_and_function_in_the_wrong_order_are_a_type_error_that_says_the_right_one(
    over: OverItems,
) -> None:
    pool, coro = AioPool(1), fetch("http://..")
    for wrong in ([1, 2], fetch), (coro, [1, 2]):
        with pytest.raises(TypeError, match=rf"function comes first.*{verb(over)}\(fn, items\)"):
            await over(pool, *wrong)
    coro.close()
    await assert_usable(pool)


async def error_of_map(pool: AioPool, fn: Any) -> Any:
    return (await pool.map(fn, [1]))[0]


async def error_of_map_n(pool: AioPool, fn: Any) -> Any:
    return pool.map_n(fn, [1])[0].exception()


async def error_of_itermap(pool: AioPool, fn: Any) -> Any:
    return await anext(pool.itermap(fn, [1]))


@pytest.mark.parametrize("error_of", [error_of_map, error_of_map_n, error_of_itermap])
async def test_what_an_fn_gives_instead_of_an_awaitable_is_named_with_the_verb(
    error_of: Callable[[AioPool, Any], Awaitable[Any]],
) -> None:
    pool = AioPool(1)
    called = "pool." + error_of.__name__.removeprefix("error_of_")
    assert "`async for`" in str(await error_of(pool, lambda _: generator()))
    for fn, word in (lambda _: fetch, "fetch(...)"), (str, "str ('1')"), (print, "NoneType"):
        error = await error_of(pool, fn)
        assert type(error) is TypeError
        assert str(error).startswith(called + " ")
        assert word in str(error)
    await pool.join()
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


async def test_a_timeout_that_is_nan_is_a_value_error() -> None:
    pool, loop = AioPool(1), asyncio.get_running_loop()
    with pytest.raises(ValueError, match="nan"):
        pool.itermap(ready, range(2), timeout=math.nan)
    with pytest.raises(ValueError, match="nan"):
        iterwait([loop.create_future()], timeout=math.nan)
    await assert_usable(pool)


async def test_a_timeout_that_hides_that_it_is_nan_is_a_value_error() -> None:
    class Hidden(float):
        def __ne__(self, _: object) -> bool:
            return False

    pool, loop = AioPool(1), asyncio.get_running_loop()
    with pytest.raises(ValueError, match="nan"):
        pool.itermap(ready, range(2), timeout=Hidden("nan"))
    with pytest.raises(ValueError, match="nan"):
        iterwait([loop.create_future()], timeout=Hidden("nan"))
    await assert_usable(pool)


@pytest.mark.parametrize("timeout", [-1, -0.5, -math.inf, -(10**400), Fraction(-(10**400))])
async def test_a_timeout_below_zero_leaves_no_time(timeout: Any) -> None:
    pool, gate = AioPool(1), Gate()
    batches = pool.itermap(gate.job, range(2), timeout=timeout, flat=False)
    assert await anext(batches) == []
    futures = pool.map_n(gate.job, range(2))
    assert await anext(iterwait(futures, timeout=timeout, flat=False)) == []
    gate.open()
    assert [batch async for batch in batches if batch]
    await pool.join()


@pytest.mark.parametrize("timeout", [math.inf, 10**400, Fraction(1, 3)])
async def test_a_timeout_is_any_number_of_seconds(timeout: Any) -> None:
    pool = AioPool(1)
    results = [result async for result in pool.itermap(ready, range(3), timeout=timeout)]
    assert sorted(results) == [0, 1, 2]
    futures = pool.map_n(ready, range(3))
    results = [result async for result in iterwait(futures, timeout=timeout)]
    assert sorted(results) == [0, 1, 2]
    await pool.join()


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
