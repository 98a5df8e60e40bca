"""Options, limits, and what a pool tells of itself."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal, assert_type

from aiopool import AioPool, Event, JobTimeout, Rate, Stats, getres
from jobs import Pair, encode, name


def host(url: str) -> str:
    return url.split("/")[2]


async def options(pool: AioPool) -> None:
    view = pool.options(timeout=1.5, priority=3, key=("a", 1), weight=2, name="n")
    assert_type(await view.spawn(name(1)), asyncio.Future[str])
    assert_type(view.spawn_n(name(1), cb=encode), asyncio.Future[bytes])
    assert_type(await view.exec(name(1)), str)
    assert_type(await view.map(name, [1]), list[str | BaseException])
    assert_type(await view.map(name, [1], get_result=getres.pair), list[Pair])
    assert_type(view.map_n(name, [1]), list[asyncio.Future[str]])
    assert_type(view.itermap(name, [1]), AsyncGenerator[str | BaseException, None])


async def options_of_each_item(pool: AioPool, urls: list[str]) -> None:
    async def fetch(url: str) -> bytes:
        return url.encode()

    view = pool.options(
        timeout=lambda url: len(url) or None,
        key=host,
        priority=lambda url: -len(url),
        weight=lambda _: 2,
        name=lambda url: url,
    )
    assert_type(await view.map(fetch, urls), list[bytes | BaseException])


async def waiting_outside(pool: AioPool) -> None:
    assert_type(await pool.outside(name(1)), str)
    assert_type(await pool.outside(asyncio.sleep(1, "slept")), str)
    assert_type(await pool.sleep(1.5), None)
    try:
        await pool.options(timeout=1).exec(name(1))
    except JobTimeout as error:
        assert_type(error, JobTimeout)


def limits(pool: AioPool) -> None:
    AioPool(4, rate=Rate(10, per=1.0), per_key=2, per_key_rate=Rate(1, per=0.5, burst=3))
    AioPool(4, rate=[Rate(20, 1), Rate(100, 120)], per_key=lambda key: 2 if key else None)
    AioPool(4, per_key_rate=lambda _: None)
    pool.rate = Rate(1, per=2)
    pool.rate = (Rate(1, per=2), Rate(3, per=60))
    pool.rate = None
    pool.pause()
    pool.pause(1.5, key="host")
    pool.resume(key=("host", 80))


def telling(pool: AioPool) -> None:
    def observe(event: Event) -> None:
        assert_type(event.name, str | None)
        assert_type(event.wait, float | None)
        if event.kind == "finished":
            assert_type(
                event.outcome, Literal["succeeded", "failed", "cancelled", "timed_out"] | None
            )

    AioPool(4, observer=observe)
    AioPool(4, observer=list[Event]().append)
    stats = pool.stats()
    assert_type(stats, Stats)
    assert_type(stats.started, int)
    assert_type(stats.held_by, Literal["slots", "rate", "pause", "keys"] | None)


async def joins(pool: AioPool) -> None:
    assert_type(await pool.join(waiting=False), Literal[True])


async def mistakes(pool: AioPool) -> None:
    Rate("10", per=1)  # type: ignore[arg-type]
    Rate(10, 1, 5)  # type: ignore[call-arg]
    pool.rate = 10  # type: ignore[assignment]
    pool.options(priority="high")  # type: ignore[arg-type]
    pool.options(weight=None)  # type: ignore[arg-type]
    pool.options(key=[])  # type: ignore[arg-type]
    pool.options(3)  # type: ignore[call-arg]
    pool.options(timeout="3")  # type: ignore[arg-type]
    pool.options().options()  # type: ignore[attr-defined]
    pool.pause("1")  # type: ignore[arg-type]
    AioPool(4, observer=5)  # type: ignore[arg-type]
    pool.stats().started = 5  # type: ignore[misc]
