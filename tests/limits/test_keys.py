"""What jobs share a limit by."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiopool import AioPool, Rate
from helpers import Gate, ready, turns, until
from virtual_time import now, virtually


class Key:
    """One that is equal to others of its name, and can be referred to weakly."""

    def __init__(self, name: object) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Hosts:
    """Jobs that count how many of a key are active at once."""

    def __init__(self) -> None:
        self.active, self.most = Counter[object](), Counter[object]()
        self.order: list[object] = []

    async def job(self, key: object) -> object:
        self.order.append(key)
        self.active[key] += 1
        self.most[key] = max(self.most[key], self.active[key])
        await asyncio.sleep(0.001)
        self.active[key] -= 1
        return key


async def test_so_many_jobs_of_a_key_are_active_and_they_let_others_pass() -> None:
    pool, gate = AioPool(4, per_key=2), Gate()
    for name in ["a1", "a2", "a3", "a4", "b1", "c1", "c2"]:
        pool.options(key=name[0]).spawn_n(gate.job(name))
    await turns()
    assert gate.started == ["a1", "a2", "b1", "c1"]
    gate.let("a1")
    await until(lambda: len(gate.started) == 5)
    # It came before, and no other job of its key is in its way.
    assert gate.started[-1] == "c2"
    gate.let("b1")
    await until(lambda: len(gate.started) == 6)
    assert gate.started[-1] == "a3"
    gate.open()
    await pool.join()


async def test_a_free_slot_stays_free_if_all_who_wait_wait_for_their_keys() -> None:
    pool, gate = AioPool(4, per_key=1), Gate()
    for n in range(5):
        pool.options(key=n % 2).spawn_n(gate.job(n))
    await turns()
    stats = pool.stats()
    assert (stats.active, stats.parked, stats.held_by) == (2, 3, "keys")
    pool.spawn_n(gate.job("plain"))
    await turns()
    assert pool.n_active == 3
    gate.open()
    await pool.join()


async def test_keys_take_turns_however_many_jobs_one_of_them_has() -> None:
    pool, hosts = AioPool(1), Hosts()
    pool.pause()
    for _ in range(100):
        pool.options(key="many").spawn_n(hosts.job("many"))
    for _ in range(3):
        pool.options(key="few").spawn_n(hosts.job("few"))
        pool.spawn_n(hosts.job(None))
    pool.resume()
    await pool.join()
    assert hosts.order[:9] == ["many", "few", None] * 3


@pytest.mark.parametrize("verb", ["spawn", "spawn_n", "exec", "map", "map_n", "itermap"])
async def test_each_verb_keeps_to_the_limit_of_each_key(verb: str) -> None:
    pool, hosts = AioPool(20, per_key=3), Hosts()
    keys = [n % 5 for n in range(60)]
    match verb:
        case "spawn":
            await asyncio.gather(*(pool.options(key=key).spawn(hosts.job(key)) for key in keys))
        case "spawn_n":
            for key in keys:
                pool.options(key=key).spawn_n(hosts.job(key))
        case "exec":
            await asyncio.gather(*(pool.options(key=key).exec(hosts.job(key)) for key in keys))
        case "map":
            view = pool.options(key=lambda item: item)
            assert await view.map(hosts.job, keys) == keys
        case "map_n":
            futures = pool.options(key=lambda item: item).map_n(hosts.job, keys)
            assert await asyncio.gather(*futures) == keys
        case _:
            results = pool.options(key=lambda item: item).itermap(hosts.job, keys)
            assert sorted([result async for result in results]) == sorted(keys)
    await pool.join()
    assert len(hosts.order) == 60
    assert set(hosts.most.values()) == {3}


async def test_a_map_looks_as_many_items_past_a_full_key_as_it_may_be_ahead() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1_000):
            pulled.append(n)
            yield n

    pool, gate = AioPool(3, per_key=1), Gate()
    view = pool.options(key=lambda n: "full" if n < 500 else n)
    mapping = asyncio.create_task(view.map(gate.job, items()))
    await turns(50)
    assert (gate.started, len(pulled)) == ([0], 12)
    gate.let(0)
    await until(lambda: gate.started == [0, 1])
    await turns(10)
    assert len(pulled) == 13
    gate.open()
    assert await mapping == list(range(1_000))


async def test_items_without_the_full_key_pass_those_that_have_it() -> None:
    pool, gate = AioPool(2, per_key=1), Gate()
    view = pool.options(key=lambda name: name[0] if name[0] != "-" else None)
    mapping = asyncio.create_task(view.map(gate.job, ["a1", "a2", "-1", "b1", "-2"]))
    await until(lambda: len(gate.started) == 2)
    assert gate.started == ["a1", "-1"]
    gate.let("-1")
    await until(lambda: len(gate.started) == 3)
    assert gate.started[-1] in {"b1", "-2"}
    gate.open()
    assert await mapping == ["a1", "a2", "-1", "b1", "-2"]


async def test_a_map_of_one_key_waits_for_it() -> None:
    pool, gate = AioPool(9, per_key=2), Gate()
    mapping = asyncio.create_task(pool.options(key="all").map(gate.job, range(6)))
    await turns(10)
    assert gate.started == [0, 1]
    gate.open()
    assert await mapping == list(range(6))


async def test_a_map_with_keys_that_is_cancelled_ends_what_it_has_pulled() -> None:
    pool, gate, fine = AioPool(2, per_key=1), Gate(), AioPool(1)
    mapping = asyncio.create_task(
        pool.options(key=lambda n: n % 2).map(gate.job, itertools.count())
    )
    await turns(20)
    other = pool.options(key=0).spawn_n(ready("other"))
    mapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mapping
    assert (gate.started, gate.cancelled) == ([0, 1], [0, 1])
    assert await other == "other"
    assert len(pool) == 0
    assert fine.is_empty


async def test_an_error_of_the_source_ends_what_is_pulled_and_waits() -> None:
    def items() -> Iterator[int]:
        yield from range(8)
        raise OSError("the source")

    pool, gate = AioPool(2, per_key=1), Gate()
    mapping = asyncio.create_task(pool.options(key=lambda _: "one").map(gate.job, items()))
    await turns(20)
    assert (gate.started, len(pool)) == ([0], 8)
    gate.let(0)
    with pytest.raises(OSError, match="the source"):
        await mapping
    assert len(pool) == 0
    assert gate.ended == gate.started
    assert len(gate.started) <= 2


async def test_cancel_of_all_reaches_items_that_wait_for_their_key_and_the_map_goes_on() -> None:
    pool, gate = AioPool(2, per_key=1), Gate()
    mapping = asyncio.create_task(pool.options(key=lambda _: "one").map(gate.job, range(20)))
    await turns(20)
    stopped, results = await pool.cancel()
    assert stopped == len(results) == 8
    gate.open()
    results = await mapping
    assert [type(result).__name__ for result in results] == ["CancelledError"] * 8 + ["int"] * 12


async def test_equal_keys_are_one_key_whatever_objects_they_are() -> None:
    pool, gate = AioPool(9, per_key=1), Gate()
    for n, key in enumerate([1, 1.0, True, Key("a"), Key("a"), (1, "b"), (1.0, "b")]):
        pool.options(key=key).spawn_n(gate.job(n))
    await turns()
    assert gate.started == [0, 3, 5]
    gate.open()
    await pool.join()


async def test_keys_with_the_same_hash_are_told_apart() -> None:
    class Same(Key):
        __eq__ = Key.__eq__

        def __hash__(self) -> int:
            return 7

    pool, gate = AioPool(99, per_key=1), Gate()
    for n in range(60):
        pool.options(key=Same(n % 20)).spawn_n(gate.job(n))
    await turns()
    assert gate.started == list(range(20))
    gate.open()
    await pool.join()


async def test_an_async_function_for_keys_is_refused() -> None:
    async def host(n: int) -> int:
        return n

    results = await AioPool(2, per_key=1).options(key=host).map(ready, [1])
    assert "must not be an async function" in str(results[0])


async def test_a_callable_is_a_key_like_others_for_a_single_job() -> None:
    pool, gate = AioPool(9, per_key=1), Gate()
    for n, key in enumerate([len, len, print]):
        pool.options(key=key).spawn_n(gate.job(n))
    await turns()
    assert gate.started == [0, 2]
    gate.open()
    await pool.join()


def test_a_rate_for_each_key_holds_that_key_only() -> None:
    async def main() -> list[tuple[float, str]]:
        started: list[tuple[float, str]] = []

        async def job(key: str) -> None:
            started.append((now(), key))

        pool = AioPool(9, per_key_rate=Rate(1, per=1.0))
        view = pool.options(key=lambda key: key)
        await view.map(job, "aab")
        return started

    assert virtually(main) == [(0, "a"), (0, "b"), (1, "a")]


def test_the_limits_may_depend_on_the_key_and_are_asked_for_when_it_is_opened() -> None:
    asked: list[str] = []

    def limit(key: str) -> int | None:
        asked.append(f"limit of {key}")
        return {"wide": 3, "narrow": 1}.get(key)

    def rate(key: str) -> Rate | list[Rate] | None:
        asked.append(f"rate of {key}")
        return [Rate(2, per=1.0), Rate(9, per=100.0)] if key == "wide" else None

    async def main() -> dict[str, list[float]]:
        started: dict[str, list[float]] = {"wide": [], "narrow": [], "free": []}

        async def job(key: str) -> None:
            started[key].append(now())
            await asyncio.sleep(0.1)

        pool = AioPool(99, per_key=limit, per_key_rate=rate)
        for key in ["wide", "narrow", "free"] * 4:
            pool.options(key=key).spawn_n(job(key))
        await pool.join()
        return {key: [round(time, 6) for time in times] for key, times in started.items()}

    assert virtually(main) == {
        "wide": [0, 0, 1, 1],
        "narrow": [0, 0.1, 0.2, 0.3],
        "free": [0, 0, 0, 0],
    }
    assert asked == [f"{what} of {key}" for key in started_keys() for what in ("limit", "rate")]


def started_keys() -> list[str]:
    return ["wide", "narrow", "free"]


async def test_keys_that_are_not_used_any_more_are_forgotten() -> None:
    keys = [Key(n) for n in range(100)]
    forgotten = [weakref.ref(key) for key in keys]
    pool = AioPool(9, per_key=1)
    for key in keys:
        pool.options(key=key).spawn_n(ready(None))
    del keys, key
    await pool.join()
    await turns(3)
    gc.collect()
    assert [ref() for ref in forgotten] == [None] * 100


def test_a_key_is_forgotten_when_its_rate_counts_no_start_of_it_any_more() -> None:
    async def main() -> None:
        keys = [Key(n) for n in range(1_000)]
        forgotten = [weakref.ref(key) for key in keys]
        pool = AioPool(9, per_key_rate=Rate(1, per=5.0))
        await pool.options(key=lambda key: key).map(ready, keys)
        del keys
        gc.collect()
        await asyncio.sleep(4.9)
        assert None not in [ref() for ref in forgotten]
        await asyncio.sleep(0.2)
        await turns(100)
        gc.collect()
        assert [ref() for ref in forgotten] == [None] * 1_000

    virtually(main)


def test_a_key_that_comes_back_before_it_is_forgotten_has_its_starts() -> None:
    async def main() -> list[float]:
        pool, times = AioPool(9, per_key_rate=Rate(1, per=5.0)), list[float]()
        for _ in range(3):
            await pool.options(key="k").exec(ready(None))
            times.append(now())
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        await pool.options(key="k").exec(ready(None))
        return [*times, now()]

    assert virtually(main) == [0, 5, 10, 21]


async def test_what_cannot_be_hashed_is_refused_at_once() -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match="key must be hashable"):
        pool.options(key=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key must be hashable"):
        pool.pause(key={})  # type: ignore[arg-type]


class Hostile:
    """A key whose hash or equality does something else than it should."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act, self.works = act, True

    def __hash__(self) -> int:
        if not self.works:
            self.act()
        return 7

    def __eq__(self, other: object) -> bool:
        if not self.works:
            self.act()
        return self is other


def raises() -> None:
    raise ZeroDivisionError("a key")


async def test_a_key_whose_hash_raises_is_the_error_of_its_call_and_loses_nothing() -> None:
    pool, key = AioPool(1), Hostile(raises)
    view = pool.options(key=key)
    key.works = False
    with pytest.raises(ZeroDivisionError):
        view.spawn_n(ready(None))
    with pytest.raises(ZeroDivisionError):
        await view.exec(ready(None))
    with pytest.raises(ZeroDivisionError):
        await view.spawn(ready(None))
    with pytest.raises(ZeroDivisionError):
        await view.map(ready, [1])
    assert (len(pool), await pool.exec(ready(5))) == (0, 5)


async def test_a_key_whose_equality_raises_is_the_error_of_its_call_or_item() -> None:
    pool, gate = AioPool(2, per_key=1), Gate()
    first, second = Hostile(raises), Hostile(raises)
    pool.options(key=first).spawn_n(gate.job())
    await turns()
    first.works = False
    with pytest.raises(ZeroDivisionError):
        pool.options(key=second).spawn_n(ready(None))
    view = pool.options(key=lambda n: second if n == 1 else None)
    gate_of_map = await view.map(ready, range(3))
    assert [type(result).__name__ for result in gate_of_map] == [
        "int",
        "ZeroDivisionError",
        "int",
    ]
    results = [r async for r in view.itermap(ready, range(3))]
    assert sorted(type(result).__name__ for result in results) == [
        "ZeroDivisionError",
        "int",
        "int",
    ]
    futures = view.map_n(ready, range(3))
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["int", "ZeroDivisionError", "int"]
    first.works = True
    gate.open()
    await pool.join()
    assert len(pool) == 0


async def test_a_key_that_calls_the_pool_while_it_is_compared_is_one_key_nevertheless() -> None:
    pool, gate = AioPool(9, per_key=1), Gate()

    class Curious(Key):
        busy = False

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            if not Curious.busy:
                Curious.busy = True
                # Opens a key with the same hash while this one is looked for.
                pool.options(key=Curious("new")).spawn_n(gate.job("new"))
                Curious.busy = False
            return super().__eq__(other)

    pool.options(key=Curious("first")).spawn_n(gate.job("first"))
    pool.options(key=Curious("new")).spawn_n(gate.job("new too"))
    await turns()
    assert gate.started == ["first", "new"]
    gate.open()
    await pool.join()


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (0, "per_key must be at least 1, not 0; None is no limit"),
        (-1, "per_key must be at least 1"),
        (True, "per_key must be an int"),
        (1.5, "per_key must be an int"),
        ("2", "per_key must be an int, not '2'"),
    ],
)
async def test_a_limit_per_key_that_cannot_be_is_refused(limit: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        AioPool(1, per_key=limit)
    pool = AioPool(1, per_key=lambda _: limit)
    with pytest.raises((TypeError, ValueError), match=message):
        pool.options(key=1).spawn_n(ready(None))
    results = await pool.options(key=lambda n: n or None).map(ready, range(2))
    assert results[0] == 0
    assert message in str(results[1])
    assert pool.is_empty


@pytest.mark.parametrize("rate", [5, "fast", [3]])
async def test_a_rate_per_key_that_cannot_be_is_refused(rate: Any) -> None:
    message = "per_key_rate must be a Rate"
    with pytest.raises(TypeError, match=f"{message}.*" + "a function of the key" * (rate == 5)):
        AioPool(1, per_key_rate=rate)
    pool = AioPool(1, per_key_rate=lambda _: rate)
    with pytest.raises(TypeError, match=message):
        await pool.options(key=1).exec(ready(None))
    assert pool.is_empty


async def test_a_function_for_limits_that_raises_is_the_error_of_its_call_or_item() -> None:
    def limit(key: int) -> int:
        return 1 // key

    pool = AioPool(1, per_key=limit)
    with pytest.raises(ZeroDivisionError):
        pool.options(key=0).spawn_n(ready(None))
    results = await pool.options(key=lambda n: n).map(ready, range(2))
    assert [type(result).__name__ for result in results] == ["ZeroDivisionError", "int"]
    assert pool.is_empty


async def test_a_function_for_limits_may_open_other_keys_and_is_asked_once() -> None:
    asked = list[str]()

    def limit(key: str) -> int:
        asked.append(key)
        if key == "a" and len(asked) < 100:
            pool.pause(key="b")
            pool.resume(key="b")
        return 1

    pool = AioPool(4, per_key=limit)
    assert await pool.options(key="a").exec(ready(1)) == 1
    assert asked == ["a", "b"]


async def test_a_key_that_raises_when_its_map_goes_on_ends_the_map_and_its_items() -> None:
    pool, key, gate = AioPool(3), Hostile(raises), Gate()

    def items() -> Iterator[int]:
        yield 0
        yield 1
        key.works = False
        yield 2

    mapping = asyncio.create_task(pool.options(key=key).map(gate.job, items()))
    with pytest.raises(ZeroDivisionError):
        await mapping
    assert (len(pool), gate.ended) == (0, gate.started)
    assert 2 not in gate.started


async def test_a_map_that_is_as_far_ahead_as_it_may_goes_on_when_the_pool_grows() -> None:
    pool, gate = AioPool(1), Gate()
    pool.pause(key="paused")
    view = pool.options(key=lambda n: "paused" if n < 6 else "other")
    mapping = asyncio.create_task(view.map(gate.job, range(9)))
    await turns(20)
    assert (gate.started, pool.n_waiting) == ([], 4)
    pool.size = 2
    await turns(20)
    assert gate.started == [6, 7]
    gate.open()
    pool.resume(key="paused")
    assert await mapping == list(range(9))


async def test_a_million_jobs_may_wait_for_few_keys() -> None:
    pool, order = AioPool(100, per_key=1), list[int]()

    async def job(n: int) -> None:
        order.append(n)

    for n in range(20_000):
        pool.options(key=n % 200).spawn_n(job(n))
    await pool.join()
    assert len(order) == 20_000
    for key in range(0, 200, 50):
        of_key = [n for n in order if n % 200 == key]
        assert of_key == sorted(of_key)
