"""What kind of thing the pool is to Python."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

import asyncio_pool
from asyncio_pool import AioPool, BaseAioPool, MxAsyncGenPool, getres, iterwait
from helpers import Gate, add_one, assert_usable, ready, turns


class NamedPool(AioPool):
    """A subclass whose ``__init__`` takes something else."""

    def __init__(self, name: str, *, workers: int) -> None:
        super().__init__(workers)
        self.name = name

    def spawn_n(self, coro: Any, cb: Any = None, ctx: Any = None) -> Any:
        self.last = coro.__qualname__
        return super().spawn_n(coro, cb, ctx)


async def test_a_subclass_may_have_an_init_of_its_own() -> None:
    pool = NamedPool("crawler", workers=2)
    assert (pool.name, pool.size) == ("crawler", 2)
    assert await pool.map(add_one, range(5)) == [1, 2, 3, 4, 5]
    await assert_usable(pool)


async def test_a_subclass_may_extend_a_method() -> None:
    pool = NamedPool("crawler", workers=2)
    assert await pool.spawn_n(ready(1)) == 1
    assert pool.last == "ready"
    await pool.join()


async def test_a_subclass_without_anything_is_a_pool() -> None:
    class Same(AioPool):
        pass

    pool = Same(3)
    assert pool.size == 3
    await assert_usable(pool)


async def test_a_subclass_that_passes_on_the_loop() -> None:
    class WithLoop(AioPool):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    pool = WithLoop(size=2, loop=None)
    assert pool.size == 2
    await assert_usable(pool)


@pytest.mark.parametrize("size", [0, "4"])
def test_a_subclass_checks_its_size_too(size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="size"):
        NamedPool("crawler", workers=size)


async def test_async_with_works_for_a_subclass() -> None:
    async with NamedPool("crawler", workers=1) as pool:
        assert isinstance(pool, NamedPool)
        future = pool.spawn_n(ready(1))
    assert future.result() == 1


def test_a_pool_is_a_base_aio_pool() -> None:
    assert isinstance(AioPool(1), BaseAioPool)
    assert issubclass(NamedPool, BaseAioPool)


async def test_a_pool_may_be_put_together_of_its_parts() -> None:
    class Same(MxAsyncGenPool, BaseAioPool):
        pass

    pool = Same(2)
    assert [result async for result in pool.itermap(add_one, range(3))] == [1, 2, 3]
    await assert_usable(pool)


def test_the_public_names_can_be_imported() -> None:
    assert {"AioPool", "BaseAioPool", "getres", "iterwait"} <= set(asyncio_pool.__all__)
    for name in asyncio_pool.__all__:
        assert hasattr(asyncio_pool, name)


@pytest.mark.parametrize("name", ["spawn", "exec", "map", "join", "cancel"])
def test_what_is_awaited_is_a_coroutine_function(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(AioPool, name))
    assert inspect.iscoroutinefunction(getattr(AioPool(1), name))


@pytest.mark.parametrize("name", ["spawn_n", "map_n"])
def test_what_returns_futures_is_no_coroutine_function(name: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(AioPool, name))


@pytest.mark.parametrize("name", ["spawn", "exec", "map", "join", "cancel"])
async def test_the_calls_give_coroutines_that_can_be_dropped_by_closing_them(name: str) -> None:
    pool = AioPool(1)
    arguments = {"map": (ready, [1]), "join": (), "cancel": ()}
    job = ready(1)
    coro = getattr(pool, name)(*arguments.get(name, (job,)))
    assert inspect.iscoroutine(coro)
    coro.close()
    job.close()
    await assert_usable(pool)


async def test_itermap_and_iterwait_give_async_iterators() -> None:
    pool = AioPool(1)
    assert isinstance(pool.itermap(ready, []), AsyncIterator)
    assert isinstance(iterwait([]), AsyncIterator)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("spawn", ["coro", "cb", "ctx"]),
        ("spawn_n", ["coro", "cb", "ctx"]),
        ("exec", ["coro", "cb", "ctx"]),
        ("map", ["fn", "iterable", "cb", "ctx", "get_result"]),
        ("map_n", ["fn", "iterable", "cb", "ctx"]),
        (
            "itermap",
            ["fn", "iterable", "cb", "ctx", "flat", "get_result", "timeout", "yield_when"],
        ),
        ("join", ["waiting"]),
        ("options", ["timeout", "priority", "key", "weight", "name"]),
        ("cancel", ["futures", "get_result"]),
    ],
)
def test_the_signatures_can_be_read(name: str, parameters: list[str]) -> None:
    signature = inspect.signature(getattr(AioPool(1), name))
    assert list(signature.parameters) == parameters


def test_everything_public_has_a_docstring() -> None:
    names = [name for name in dir(AioPool) if not name.startswith("_")]
    assert {"spawn", "spawn_n", "exec", "map", "map_n", "itermap", "join", "cancel"} <= set(names)
    assert [name for name in names if not inspect.getdoc(getattr(AioPool, name))] == []
    assert AioPool.__doc__
    assert iterwait.__doc__
    assert getres.__doc__


async def test_a_pool_can_be_held_weakly_and_by_identity() -> None:
    pool, other = AioPool(1), AioPool(1)
    assert weakref.ref(pool)() is pool
    assert {pool: 1, other: 2}[pool] == 1
    assert pool != other


async def test_repr_does_not_fail_in_any_state() -> None:
    pool, gate = AioPool(1), Gate()
    for future in [*pool.map_n(gate.job, range(2))]:
        assert "AioPool" in repr(pool)
        assert repr(future)
    await turns()
    assert "AioPool" in repr(pool)
    gate.open()
    await pool.join()
