"""What can be handed to a pool: jobs, functions of an item, callbacks, extractors of results."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any, assert_type

from asyncio_pool import AioPool
from jobs import encode, name


class Site:
    async def fetch(self, path: str) -> bytes:
        return path.encode()

    @classmethod
    async def named(cls, path: str) -> "Site":
        return cls()

    @staticmethod
    async def length(path: str) -> int:
        return len(path)

    async def __call__(self, path: str) -> bool:
        return bool(path)


class Later:
    def __await__(self) -> Generator[Any, Any, int]:
        yield
        return 1


async def join(separator: str, number: int) -> str:
    return separator * number


async def jobs(
    pool: AioPool,
    coroutine: Coroutine[Any, Any, int],
    future: asyncio.Future[int],
    task: asyncio.Task[int],
    awaitable: Awaitable[int],
) -> None:
    assert_type(pool.spawn_n(coroutine), asyncio.Future[int])
    assert_type(pool.spawn_n(future), asyncio.Future[int])
    assert_type(pool.spawn_n(task, encode), asyncio.Future[bytes])
    assert_type(await pool.spawn(awaitable), asyncio.Future[int])
    assert_type(await pool.exec(Later()), int)
    assert_type(await pool.exec(asyncio.gather(name(1), name(2))), tuple[str, str])


async def functions_of_an_item(pool: AioPool, site: Site, paths: list[str]) -> None:
    assert_type(await pool.map(site.fetch, paths), list[bytes | BaseException])
    assert_type(await pool.map(Site.named, paths), list[Site | BaseException])
    assert_type(await pool.map(Site.length, paths), list[int | BaseException])
    assert_type(await pool.map(site, paths), list[bool | BaseException])
    assert_type(await pool.map(lambda path: site.fetch(path), paths), list[bytes | BaseException])
    assert_type(await pool.map(partial(join, "-"), [1]), list[str | BaseException])
    assert_type(await pool.map(asyncio.sleep, [0.5]), list[BaseException | None])


def functions_that_give_futures(pool: AioPool, loop: asyncio.AbstractEventLoop) -> None:
    assert_type(
        pool.map_n(lambda number: loop.run_in_executor(None, str, number), [1]),
        list[asyncio.Future[str]],
    )
    assert_type(
        pool.map_n(lambda number: asyncio.create_task(name(number)), [1]),
        list[asyncio.Future[str]],
    )


def iterables(pool: AioPool, lazy: Iterator[int], names: dict[str, float]) -> None:
    assert_type(pool.map_n(name, lazy), list[asyncio.Future[str]])
    assert_type(pool.map_n(name, range(3)), list[asyncio.Future[str]])
    assert_type(pool.map_n(Site.length, names), list[asyncio.Future[int]])
    assert_type(pool.map_n(Site.length, "abc"), list[asyncio.Future[int]])


def callbacks(pool: AioPool, site: Site) -> None:
    assert_type(pool.spawn_n(name(1), site.fetch), asyncio.Future[bytes])
    assert_type(pool.spawn_n(name(1), Site.length), asyncio.Future[int])
    assert_type(pool.spawn_n(name(1), site), asyncio.Future[bool])
    assert_type(pool.spawn_n(name(1), partial(encode, error=None)), asyncio.Future[bytes])
    assert_type(pool.map_n(name, [1], partial(encode, error=None)), list[asyncio.Future[bytes]])


async def extractors(pool: AioPool) -> None:
    def is_short(future: asyncio.Future[str]) -> bool:
        return len(future.result()) < 2

    def is_done(future: asyncio.Future[object]) -> bool:
        return future.done()

    assert_type(await pool.map(name, [1], get_result=is_short), list[bool])
    assert_type(await pool.map(name, [1], get_result=is_done), list[bool])
