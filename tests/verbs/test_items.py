"""What holds for the items of every verb that takes many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from asyncio_pool import AioPool, getres
from helpers import assert_usable, at_once, ready

Gather = Callable[..., Awaitable[list[Any]]]


async def by_map(pool: AioPool, fn: Any, items: Any, cb: Any = None) -> list[Any]:
    return await pool.map(fn, items, cb)


async def by_map_n(pool: AioPool, fn: Any, items: Any, cb: Any = None) -> list[Any]:
    futures = pool.map_n(fn, items, cb)
    await pool.join()
    return [getres.flat(future) for future in futures]


async def by_itermap(pool: AioPool, fn: Any, items: Any, cb: Any = None) -> list[Any]:
    return [result async for result in pool.itermap(fn, items, cb)]


#: Parametrizes ``gather(pool, fn, items, cb=None)``, which gives the results in the order of the
#: items if the pool has one slot.
every_verb_of_many = pytest.mark.parametrize(
    "gather", [by_map, by_map_n, by_itermap], ids=["map", "map_n", "itermap"]
)


async def never_called(_: object) -> None:
    raise AssertionError


class ByIndex:
    def __getitem__(self, index: int) -> int:
        if index == 3:
            raise IndexError
        return index


@every_verb_of_many
async def test_no_items_give_no_results(gather: Gather) -> None:
    pool = AioPool(2)
    assert await gather(pool, ready, []) == []
    assert await gather(pool, ready, iter(())) == []
    await assert_usable(pool)


@every_verb_of_many
@pytest.mark.parametrize("items", [{0: "a", 1: "b", 2: "c"}, (0, 1, 2), range(3), ByIndex()])
async def test_any_iterable_will_do(gather: Gather, items: Any) -> None:
    pool = AioPool(1)
    assert await gather(pool, ready, items) == [0, 1, 2]
    assert await gather(pool, ready, (item for item in items)) == [0, 1, 2]
    await pool.join()


@every_verb_of_many
@pytest.mark.parametrize("items", [None, 5, object()])
async def test_what_is_not_iterable_is_a_type_error(gather: Gather, items: Any) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError):
        await gather(pool, never_called, items)
    await assert_usable(pool)


@every_verb_of_many
async def test_a_callback_that_cannot_be_called_is_refused_before_anything_is_pulled(
    gather: Gather,
) -> None:
    pool, items = AioPool(1), iter(range(3))
    with pytest.raises(TypeError):
        at_once(gather(pool, never_called, items, 5))
    assert list(items) == [0, 1, 2]
    await assert_usable(pool)


async def test_itermap_refuses_a_callback_that_cannot_be_called_at_the_call() -> None:
    with pytest.raises(TypeError):
        AioPool(1).itermap(never_called, [], 5)


@every_verb_of_many
@pytest.mark.parametrize("error", [LookupError, StopIteration])
async def test_what_fn_raises_settles_its_item_and_stops_nothing(
    gather: Gather, error: type[Exception]
) -> None:
    def fn(item: int) -> Coroutine[Any, Any, int]:
        if item == 1:
            raise error
        return ready(item)

    pool = AioPool(1)
    first, raised, last = await gather(pool, fn, range(3))
    assert (first, last) == (0, 2)
    assert isinstance(raised, (error, RuntimeError))  # a future can have no StopIteration
    await assert_usable(pool)


@every_verb_of_many
async def test_an_fn_that_gives_no_awaitable_settles_its_item_with_a_type_error(
    gather: Gather,
) -> None:
    pool = AioPool(1)
    error, *results = await gather(pool, lambda item: ready(item) if item else None, range(3))
    assert isinstance(error, TypeError)
    assert results == [1, 2]
    await assert_usable(pool)
