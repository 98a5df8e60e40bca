"""What a pool tells of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter
from typing import Any

import pytest

from aiopool import AioPool, Event, Rate, Stats
from helpers import Gate, be_watched, ready, turns, until
from virtual_time import virtually


class Events(list[Event]):
    """An observer that keeps what it is told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self if event.kind == kind]

    def kinds(self, name: str) -> list[str]:
        return [event.kind for event in self if event.name == name]


async def fails(_: object = None) -> None:
    raise OSError


async def test_the_numbers_of_a_pool() -> None:
    pool, gate = AioPool(2, per_key=1), Gate()
    assert pool.stats() == Stats(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, None, None, None)
    for n in range(3):
        pool.options(key="k").spawn_n(gate.job(n))
    await turns()
    assert pool.stats() == Stats(2, 1, 2, 0, 2, 1, 0, 0, 0, 0, None, None, "keys")
    pool.spawn_n(fails()).add_done_callback(asyncio.Future.exception)
    await until(lambda: pool.stats().failed == 1)
    await pool.cancel()
    assert await pool.map(ready, range(5)) == list(range(5))
    assert pool.stats() == Stats(2, 0, 0, 0, 0, 7, 5, 1, 3, 0, None, None, None)


async def test_the_numbers_are_a_plain_snapshot() -> None:
    stats = AioPool(3).stats()
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.size = 4  # type: ignore[misc]
    assert dataclasses.asdict(stats)["size"] == 3


@pytest.mark.parametrize("held_by", ["slots", "rate", "pause", "keys", None])
async def test_what_holds_back_the_next_job(held_by: str | None) -> None:
    pool, gate = AioPool(2, per_key=1), Gate()
    match held_by:
        case "slots":
            pool.map_n(gate.job, range(3))
        case "rate":
            pool.rate = Rate(1, per=1000.0)
            pool.map_n(gate.job, range(2))
        case "pause":
            pool.pause()
            pool.spawn_n(gate.job())
        case "keys":
            pool.options(key=lambda _: 0).map_n(gate.job, range(2))
        case _:
            pool.map_n(gate.job, range(2))
    await turns()
    assert pool.stats().held_by == held_by
    gate.open()
    await pool.cancel()


def test_a_job_is_queued_then_started_then_finished() -> None:
    async def main() -> list[Event]:
        events = Events()
        pool = AioPool(1, observer=events)

        async def job(seconds: float) -> None:
            await asyncio.sleep(seconds)

        pool.options(name="first").spawn_n(job(2))
        pool.options(name="second", key="k").spawn_n(job(1))
        await pool.join()
        assert (pool.stats().wait_seconds, pool.stats().run_seconds) == (2, 3)
        return events

    assert virtually(main) == [
        Event("queued", "first"),
        Event("started", "first", wait=0.0),
        Event("queued", "second", "k"),
        Event("finished", "first", outcome="succeeded", wait=0.0, run=2.0),
        Event("started", "second", "k", wait=2.0),
        Event("finished", "second", "k", outcome="succeeded", wait=2.0, run=1.0),
    ]


def test_the_wait_of_a_job_that_never_starts_is_told() -> None:
    async def main() -> Event:
        events, gate = Events(), Gate()
        pool = AioPool(1, observer=events)
        pool.spawn_n(gate.job())
        waiting = pool.spawn_n(gate.job())
        await asyncio.sleep(3)
        waiting.cancel()
        await pool.cancel()
        return events.of("finished")[0]

    event = virtually(main)
    assert (event.outcome, event.wait, event.run) == ("cancelled", 3, 0)


@pytest.mark.parametrize("verb", ["map", "itermap"])
async def test_an_item_is_queued_when_that_is_told(verb: str) -> None:
    lengths: list[int] = []

    def observe(event: Event) -> None:
        if event.kind == "queued":
            lengths.append(len(pool))

    pool = AioPool(1, observer=observe, per_key=1)
    view = pool.options(key=lambda _: 0)
    if verb == "map":
        await view.map(ready, range(3))
    else:
        [_ async for _ in view.itermap(ready, range(3))]
    assert lengths[0] >= 1
    assert lengths == sorted(lengths)


async def test_each_way_to_end_is_told_once() -> None:
    events, gate = Events(), Gate()
    pool = AioPool(2, observer=events)

    async def callback(result: object, error: object) -> None:
        raise ValueError

    futures = [
        pool.options(name="fails").spawn_n(fails()),
        pool.options(name="callback fails").spawn_n(ready(1), callback),
        pool.options(name="stopped").spawn_n(gate.job()),
        pool.options(name="given up").spawn_n(gate.job("given up")),
    ]
    await until(lambda: pool.n_active == 2 and not pool.n_waiting)
    futures += [pool.options(name="withdrawn").spawn_n(gate.job()) for _ in range(2)]
    futures[4].cancel()
    await pool.cancel(futures[2], futures[5])
    futures[3].cancel()
    gate.open()
    await pool.join()
    ends = {event.name: event.outcome for event in events.of("finished")}
    assert ends == {
        "fails": "failed",
        "callback fails": "failed",
        "stopped": "cancelled",
        "given up": "succeeded",
        "withdrawn": "cancelled",
    }
    assert Counter(event.name for event in events.of("queued")) == Counter(
        event.name for event in events.of("finished")
    )
    assert events.kinds("withdrawn") == ["queued", "queued", "finished", "finished"]
    for future in futures[:2]:
        future.exception()


@pytest.mark.parametrize("verb", ["map", "map_n", "itermap"])
async def test_items_are_told_like_jobs_also_those_that_fn_fails_for(verb: str) -> None:
    events = Events()
    pool = AioPool(2, observer=events)

    def function(n: int) -> Any:
        if n == 1:
            raise OSError
        return ready(n)

    view = pool.options(name=str, key=lambda n: n % 2)
    match verb:
        case "map":
            await view.map(function, range(6))
        case "map_n":
            await asyncio.gather(*view.map_n(function, range(6)), return_exceptions=True)
        case _:
            [_ async for _ in view.itermap(function, range(6))]
    await pool.join()
    stats = pool.stats()
    # Of map_n, `fn` is called before there is a job.
    names = [str(n) for n in range(6) if verb != "map_n" or n != 1]
    for kind in ["queued", "started", "finished"]:
        assert sorted(str(event.name) for event in events.of(kind)) == names, kind
    assert {(event.name, event.key) for event in events} == {
        (name, int(name) % 2) for name in names
    }
    assert (stats.started, stats.succeeded, stats.failed) == (len(names), 5, len(names) - 5)


async def test_what_happens_to_the_pool_is_told_before_what_follows_from_it() -> None:
    events, gate = Events(), Gate()
    pool = AioPool(1, observer=events)
    pool.pause()
    pool.pause(5, key="k")
    pool.spawn_n(gate.job())
    pool.spawn_n(gate.job())
    pool.resume()
    pool.resume(key="k")
    pool.size = 2
    kinds = [(event.kind, event.key) for event in events]
    assert kinds == [
        ("paused", None),
        ("paused", "k"),
        ("queued", None),
        ("queued", None),
        ("resumed", None),
        ("started", None),
        ("resumed", "k"),
        ("resized", None),
        ("started", None),
    ]
    gate.open()
    await pool.join()


async def test_an_observer_that_raises_is_reported_and_harms_nobody(
    loop_errors: list[dict[str, Any]],
) -> None:
    def observe(event: Event) -> None:
        raise ZeroDivisionError(event.kind)

    pool = AioPool(2, observer=observe)
    assert await pool.map(ready, range(3)) == [0, 1, 2]
    pool.pause()
    pool.resume()
    pool.size = 3
    await pool.join()
    told = [str(context["exception"]) for context in loop_errors]
    assert Counter(told) == {
        "queued": 3,
        "started": 3,
        "finished": 3,
        "paused": 1,
        "resumed": 1,
        "resized": 1,
    }
    assert {context["message"] for context in loop_errors} == {"the observer of a pool has raised"}
    loop_errors.clear()


async def test_an_observer_may_use_the_pool() -> None:
    handed_in: list[asyncio.Future[Any]] = []

    def observe(event: Event) -> None:
        if next(numbers) < 20:
            handed_in.append(pool.spawn_n(ready(1)))
        elif event.kind == "started" and handed_in and not handed_in[-1].done():
            handed_in[-1].cancel()
        pool.stats()

    numbers = itertools.count()
    pool = AioPool(2, observer=observe)
    assert await pool.exec(ready("own")) == "own"
    await pool.join()
    stats = pool.stats()
    assert (stats.succeeded + stats.cancelled, len(pool)) == (21, 0)


async def test_an_observer_that_stops_the_job_that_starts_stops_it() -> None:
    stopping: list[asyncio.Task[Any]] = []

    def observe(event: Event) -> None:
        if event.kind == "started":
            stopping.append(asyncio.create_task(pool.cancel()))

    pool, gate = AioPool(2, observer=observe), Gate()
    future = pool.spawn_n(gate.job())
    await asyncio.wait([future])
    assert future.cancelled()
    await asyncio.gather(*stopping)


async def test_without_an_observer_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    await be_watched()  # the loop has the timers of all pools from here on
    pool = AioPool(2)
    loop = asyncio.get_running_loop()
    read: list[float] = []
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: read.append(time()) or read[-1])
    future = pool.spawn_n(ready(1))
    pool.options(priority=3, weight=2, name="n").spawn_n(ready(1))
    # What is read by the loop itself, in its turns, does not count.
    assert read == []
    await asyncio.wait([future])
    await pool.join()


async def observes(_: Event) -> None:
    """Would have to be awaited."""


@pytest.mark.parametrize("observer", [5, "print", [], observes])
def test_what_cannot_be_called_is_no_observer(observer: Any) -> None:
    with pytest.raises(TypeError, match="observer must be a plain function"):
        AioPool(1, observer=observer)


async def test_the_name_of_a_job_is_that_of_its_coroutine_and_of_an_item_that_of_fn() -> None:
    events = Events()
    pool = AioPool(2, observer=events)
    await pool.exec(ready(1))
    await pool.map(ready, [1])
    await asyncio.wait([pool.spawn_n(asyncio.get_running_loop().create_future())], timeout=0)
    await pool.cancel()
    assert [event.name for event in events.of("queued")] == ["ready", "ready", "Future"]
