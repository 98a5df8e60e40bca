"""Jobs that take several slots, and jobs that go before others."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiopool import AioPool, Rate
from helpers import Gate, ready, turns, until
from virtual_time import virtually


async def test_a_job_takes_as_many_slots_as_its_weight() -> None:
    pool, gate = AioPool(4), Gate()
    for name, weight in [("3", 3), ("1", 1), ("1 more", 1)]:
        pool.options(weight=weight).spawn_n(gate.job(name))
    await turns()
    assert (gate.started, pool.n_active, pool.stats().held_by) == (["3", "1"], 2, "slots")
    gate.let("3")
    await until(lambda: gate.started == ["3", "1", "1 more"])
    gate.open()
    await pool.join()


async def test_light_jobs_do_not_keep_a_heavy_one_from_its_turn() -> None:
    pool, gate = AioPool(3), Gate()
    for n in range(3):
        pool.spawn_n(gate.job(n))
    pool.options(weight=3).spawn_n(gate.job("heavy"))
    for n in range(3, 6):
        pool.spawn_n(gate.job(n))
    await turns()
    gate.let(0)
    gate.let(1)
    await turns(10)
    assert (gate.started, pool.n_active) == ([0, 1, 2], 1)
    gate.let(2)
    await until(lambda: gate.started == [0, 1, 2, "heavy"])
    assert pool.n_active == 1
    gate.let("heavy")
    await until(lambda: len(gate.started) == 7)
    gate.open()
    await pool.join()


async def test_a_weight_above_the_size_runs_alone_also_right_after_a_shrink() -> None:
    pool, gate = AioPool(4), Gate()
    pool.spawn_n(gate.job("light"))
    pool.options(weight=10**30).spawn_n(gate.job("all"))
    pool.options(weight=4).spawn_n(gate.job("four"))
    pool.spawn_n(gate.job("last"))
    await turns()
    gate.let("light")
    await until(lambda: gate.started[1:] == ["all"])
    await turns(5)
    assert pool.n_active == 1
    pool.size = 2
    gate.let("all")
    await until(lambda: gate.started[2:] == ["four"])
    await turns(5)
    assert pool.n_active == 1
    gate.open()
    await pool.join()


async def test_items_of_a_map_may_differ_in_weight_and_keep_their_order() -> None:
    pool, gate = AioPool(4), Gate()
    view = pool.options(weight=lambda n: n)
    mapping = asyncio.create_task(view.map(gate.job, [3, 1, 4, 2]))
    await turns(10)
    assert gate.started == [3, 1]
    gate.let(1)
    await turns(10)
    assert gate.started == [3, 1]
    gate.let(3)
    await until(lambda: gate.started == [3, 1, 4])
    gate.open()
    assert await mapping == [3, 1, 4, 2]


@pytest.mark.parametrize("verb", ["spawn_n", "map", "itermap", "map_n"])
async def test_the_slots_that_are_held_never_exceed_the_size(verb: str) -> None:
    held, most = 0, 0

    async def job(weight: int) -> int:
        nonlocal held, most
        held += min(weight, 5)
        most = max(most, held)
        await asyncio.sleep(0)
        held -= min(weight, 5)
        return weight

    pool, weights = AioPool(5), [1 + n * 7 % 6 for n in range(60)]
    view = pool.options(weight=lambda weight: weight)
    match verb:
        case "spawn_n":
            for weight in weights:
                pool.options(weight=weight).spawn_n(job(weight))
        case "map":
            assert await view.map(job, weights) == weights
        case "itermap":
            assert sorted([w async for w in view.itermap(job, weights)]) == sorted(weights)
        case _:
            view.map_n(job, weights)
    await pool.join()
    assert (held, most) == (0, 5)


async def order_of(
    hand_in: Callable[[AioPool, Callable[[object], Awaitable[None]]], Any], size: int = 1
) -> list[Any]:
    """The order in which jobs start that are handed in while the pool is paused."""
    order: list[object] = []

    async def job(name: object) -> None:
        order.append(name)

    pool = AioPool(size)
    pool.pause()
    hand_in(pool, job)
    pool.resume()
    await pool.join()
    return order


async def test_higher_priorities_go_first_and_equal_ones_in_order() -> None:
    def hand_in(pool: AioPool, job: Callable[[object], Awaitable[None]]) -> None:
        for name, priority in [("a", 0), ("b", -100), ("c", 7), ("d", 100), ("e", 7), ("f", 0)]:
            pool.options(priority=priority).spawn_n(job(name))

    assert await order_of(hand_in) == ["d", "c", "e", "a", "f", "b"]


@pytest.mark.parametrize("levels", [2, 3, 32, 201])
async def test_the_lowest_priority_starts_in_time_and_the_highest_keeps_16_of_17(
    levels: int,
) -> None:
    def hand_in(pool: AioPool, job: Callable[[object], Awaitable[None]]) -> None:
        pool.options(priority=100 - (levels - 1)).spawn_n(job("lowest"))
        for level in range(levels - 1):
            flood = pool.options(priority=100 - level)
            for _ in range(40 if level else 17 * levels):
                flood.spawn_n(job(level))

    order = await order_of(hand_in)
    place = order.index("lowest")
    assert place < 17 * (levels - 1)
    assert order[:place].count(0) >= place * 16 // 17


@pytest.mark.parametrize("rate", [None, Rate(1, per=1.0)])
@pytest.mark.parametrize("verb", ["map", "map_n"])
def test_a_map_of_the_highest_priority_keeps_16_of_17_whether_it_waits_for_a_rate_or_not(
    verb: str, rate: Rate | None
) -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def job(name: str) -> None:
            order.append(name)

        pool = AioPool(1, rate=rate)
        pool.pause()
        view, items = pool.options(priority=5), ["high"] * 100
        high = (
            asyncio.create_task(view.map(job, items)) if verb == "map" else view.map_n(job, items)
        )
        await asyncio.sleep(0)
        for _ in range(20):
            pool.spawn_n(job("low"))
        pool.resume()
        await pool.join()
        if isinstance(high, asyncio.Task):
            await high
        return order

    order = virtually(main)
    assert [place for place, name in enumerate(order) if name == "low"][:5] == [16, 33, 50, 67, 84]


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_map_of_the_lowest_priority_starts_in_time_under_a_rate_too(levels: int) -> None:
    async def main() -> int:
        order: list[int] = []

        async def job(level: int) -> None:
            order.append(level)

        pool = AioPool(1, rate=Rate(1, per=1.0))
        pool.pause()
        for level in range(1, levels):
            pool.options(priority=level).map_n(job, [level] * 100)
        mapping = asyncio.create_task(pool.map(job, [0]))
        await asyncio.sleep(0)
        pool.resume()
        await mapping
        await pool.cancel()
        return order.index(0) + 1

    assert virtually(main) == 17 * (levels - 1)


async def test_what_a_job_hands_in_has_its_priority_unless_it_asks_for_another() -> None:
    order: list[str] = []

    async def job(name: str) -> None:
        order.append(name)

    async def parent(pool: AioPool) -> None:
        pool.spawn_n(job("inherited"))
        pool.options(priority=0).spawn_n(job("zero"))
        pool.options(weight=1).spawn_n(job("inherited too"))
        # A task that the job makes works for it.
        await asyncio.create_task(grandchildren(pool))

    async def grandchildren(pool: AioPool) -> None:
        pool.map_n(job, ["of its task"])
        waiting.append(asyncio.create_task(pool.map(job, ["map"])))
        await asyncio.sleep(0)

    waiting: list[asyncio.Task[Any]] = []
    pool = AioPool(1)
    pool.spawn_n(ready(None))
    pool.options(priority=5).spawn_n(parent(pool))
    for n in range(3):
        pool.options(priority=4).spawn_n(job(f"four {n}"))
    await pool.join()
    await asyncio.gather(*waiting)
    high = ["inherited", "inherited too", "of its task", "map"]
    assert (order[:4], order[-1]) == (high, "zero")


async def test_a_priority_that_is_asked_for_holds_for_all_that_follows_from_it() -> None:
    order: list[str] = []

    async def job(name: str) -> None:
        order.append(name)

    async def hands_in(name: str) -> None:
        pool.spawn_n(job(name))

    async def parent() -> None:
        # Zero is a priority like others: what this one hands in does not have that of the parent.
        pool.options(priority=0).spawn_n(hands_in("of zero"))
        await pool.options(priority=7).map(hands_in, ["of the map"])

    pool = AioPool(2)
    pool.options(priority=9).spawn_n(parent())
    for n in range(3):
        pool.options(priority=5).spawn_n(job(f"five {n}"))
    await pool.join()
    assert order.index("of the map") < order.index("five 2")
    assert order[-1] == "of zero"


async def test_a_spawn_blocks_while_too_few_slots_are_free_for_its_weight() -> None:
    pool, gate = AioPool(2), Gate()
    pool.spawn_n(gate.job())
    spawning = asyncio.create_task(pool.options(weight=2).spawn(ready(1)))
    await turns()
    assert not spawning.done()
    assert pool.is_full
    gate.open()
    assert await (await spawning) == 1


async def test_a_pool_is_full_if_those_who_wait_would_fill_it() -> None:
    pool, gate = AioPool(4, per_key=1), Gate()
    pool.options(key="k").spawn_n(gate.job())
    heavy = pool.options(key="k", weight=2).spawn_n(gate.job())
    assert not pool.is_full
    heavier = pool.options(key="k", weight=10**6).spawn_n(gate.job())
    assert pool.is_full
    heavier.cancel()
    assert not pool.is_full
    gate.open()
    await heavy


async def test_what_the_job_of_a_low_priority_hands_in_is_as_low() -> None:
    order: list[str] = []

    async def job(name: str) -> None:
        order.append(name)

    async def parent(pool: AioPool) -> None:
        pool.spawn_n(job("low"))
        await asyncio.sleep(0)

    pool, other = AioPool(1), AioPool(1)
    first = pool.options(priority=-3).spawn_n(parent(pool))
    pool.spawn_n(job("default"))
    await first
    await pool.join()
    assert order == ["default", "low"]
    # Of another pool it is not a job, and has no priority.
    assert await other.exec(ready(1)) == 1


async def test_the_priority_of_a_job_is_not_that_of_the_code_that_has_handed_it_in() -> None:
    pool, gate = AioPool(1), Gate()
    await pool.options(priority=9).exec(ready(None))
    pool.spawn_n(gate.job("blocks"))
    pool.spawn_n(gate.job("first"))
    pool.options(priority=1).spawn_n(gate.job("second"))
    gate.open()
    await pool.join()
    assert gate.started == ["blocks", "second", "first"]


async def test_items_of_a_map_may_differ_in_priority() -> None:
    pool, gate = AioPool(1), Gate()
    mapping = asyncio.create_task(
        pool.options(priority=lambda n: n % 3).map(gate.job, range(6)),
    )
    await turns(10)
    pool.options(priority=1).spawn_n(gate.job("between"))
    gate.open()
    assert await mapping == list(range(6))
    await pool.join()
    # Only so many items are pulled at once: a later one cannot go before those.
    assert gate.started.index("between") < gate.started.index(0) or gate.started[0] == 0
    assert sorted(gate.started[1:], key=str) == sorted([1, 2, 3, 4, 5, "between"], key=str)


async def test_a_lower_priority_pulls_no_more_items_than_it_may_be_ahead() -> None:
    pulled: list[int] = []

    def items() -> Any:
        for n in range(1_000):
            pulled.append(n)
            yield n

    pool, gate = AioPool(2), Gate()
    mapping = asyncio.create_task(pool.options(priority=lambda _: -1).map(gate.job, items()))
    await turns(50)
    assert (gate.started, len(pulled)) == ([0, 1], 8)
    gate.open()
    assert await mapping == list(range(1_000))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight": 0}, ValueError, "weight must be at least 1, not 0"),
        ({"weight": -1}, ValueError, "weight must be at least 1, not -1"),
        ({"weight": 1.5}, TypeError, "weight must be an int, not 1.5"),
        ({"weight": True}, TypeError, "weight must be an int, not True"),
        ({"weight": "2"}, TypeError, "weight must be an int, not '2'"),
        ({"weight": None}, TypeError, "weight must be an int, not None"),
        ({"priority": 101}, ValueError, "priority must be from -100 to 100, .*not 101"),
        ({"priority": -101}, ValueError, "priority must be from -100 to 100, .*not -101"),
        ({"priority": 10**30}, ValueError, "priority must be from -100 to 100"),
        ({"priority": False}, TypeError, "priority must be an int, not False"),
        ({"priority": 0.0}, TypeError, "priority must be an int, not 0.0"),
        ({"name": 5}, TypeError, "name must be a str, not 5"),
        ({"name": b"x"}, TypeError, "name must be a str"),
    ],
)
async def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    pool = AioPool(2)
    with pytest.raises(error, match=message):
        pool.options(**options)
    if options != {"weight": None}:
        ((option, value),) = options.items()
        view = pool.options(
            **{option: lambda n: value if n == 1 else 1 if option != "name" else "n"}
        )
        results = await view.map(ready, range(3))
        assert (results[0], results[2], type(results[1])) == (0, 2, error)
        results = [r async for r in view.itermap(ready, range(3))]
        assert sorted(map(str, results))[:2] == ["0", "2"]
        futures = view.map_n(ready, range(3))
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(result) for result in results] == [int, error, int]
    assert pool.is_empty


@pytest.mark.parametrize("option", ["priority", "weight", "name"])
async def test_a_function_of_an_item_is_refused_for_a_single_job(option: str) -> None:
    pool = AioPool(1)
    view = pool.options(**{option: lambda _: 1})  # type: ignore[arg-type]
    message = f"{option} must be a value here, not the function"
    with pytest.raises(TypeError, match=message):
        view.spawn_n(ready(None))
    with pytest.raises(TypeError, match=message):
        await view.spawn(ready(None))
    with pytest.raises(TypeError, match=message):
        await view.exec(ready(None))
    assert pool.is_empty


@pytest.mark.parametrize(
    ("option", "value"), [("priority", 1), ("key", 1), ("weight", 1), ("name", "n")]
)
async def test_a_function_of_an_item_that_raises_is_the_error_of_the_item(
    option: str, value: Any
) -> None:
    pool = AioPool(2)
    view = pool.options(**{option: {0: value, 2: value}.__getitem__})
    results = await view.map(ready, range(3))
    assert [type(result) for result in results] == [int, KeyError, int]
    assert pool.is_empty


async def test_the_name_of_a_job_is_that_of_its_task_and_of_its_report() -> None:
    names: list[str] = []

    async def job(_: object = None) -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    async def fails() -> None:
        raise OSError

    pool = AioPool(2)
    await pool.options(name="mine").exec(job())
    await pool.exec(job())
    await pool.options(name=lambda n: f"item {n}").map(job, range(2))
    assert names == [
        "mine",
        "test_the_name_of_a_job_is_that_of_its_task_and_of_its_report.<locals>.job",
        "item 0",
        "item 1",
    ]
    future = pool.options(name="breaks").spawn_n(fails())
    await asyncio.wait([future])
    assert "name='breaks'" in repr(future)
    future.exception()


class Item:
    """Can be referred to weakly."""


@pytest.mark.parametrize("option", ["key", "weight", "priority", "name"])
@pytest.mark.parametrize("verb", ["map", "map_n", "itermap"])
async def test_the_error_of_an_option_keeps_nothing_in_a_cycle(verb: str, option: str) -> None:
    def fails(_: Item) -> Any:
        raise LookupError

    async def job(_: Item) -> None:
        pass

    async def call() -> weakref.ref[Item]:
        item, pool = Item(), AioPool(2)
        view = pool.options(**{option: fails})
        match verb:
            case "map":
                (error,) = await view.map(job, [item])
            case "map_n":
                (future,) = view.map_n(job, [item])
                await asyncio.wait([future])
                error = future.exception()
            case _:
                (error,) = [error async for error in view.itermap(job, [item])]
        assert isinstance(error, LookupError)
        return weakref.ref(item)

    gc.collect()
    gc.disable()
    try:
        item = await call()
        await turns(3)
        assert item() is None
    finally:
        gc.enable()
