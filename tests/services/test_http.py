"""An aiohttp server, and its own client and httpx, whose streams are those of anyio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
from aiohttp import web

from asyncio_pool import AioPool

SIZE = 20
PAGES = 2_000


class Site:
    """What it serves, and how many requests are in flight at once."""

    def __init__(self) -> None:
        self.url = ""
        self.in_flight = 0
        self.highest = 0

    async def page(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.highest = max(self.highest, self.in_flight)
        try:
            await asyncio.sleep(0.001)
            return web.json_response({"page": int(request.match_info["page"])})
        finally:
            self.in_flight -= 1

    async def never(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        try:
            await asyncio.sleep(3600)
            return web.Response()
        finally:
            self.in_flight -= 1


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Site]:
    site = Site()
    application = web.Application()
    application.add_routes(
        [web.get("/page/{page}", site.page), web.get("/never/{page}", site.never)]
    )
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    site.url = f"http://127.0.0.1:{port}"
    try:
        yield site
    finally:
        await runner.cleanup()


async def test_pages_by_aiohttp() -> None:
    async with served() as site, aiohttp.ClientSession() as session:

        async def get(page: int) -> Any:
            async with session.get(f"{site.url}/page/{page}") as response:
                return (await response.json())["page"]

        async with AioPool(SIZE) as pool:
            assert await pool.map(get, range(PAGES)) == list(range(PAGES))
        assert site.highest <= SIZE


async def test_pages_by_httpx() -> None:
    # Without the pool it opens a connection for each request, or fails for want of one in time.
    limits = httpx.Limits(max_connections=SIZE)
    async with served() as site, httpx.AsyncClient(limits=limits, timeout=5) as client:

        async def get(page: int) -> Any:
            return (await client.get(f"{site.url}/page/{page}")).json()["page"]

        async with AioPool(SIZE) as pool:
            pages = [page async for page in pool.itermap(get, range(PAGES // 4))]
        assert sorted(pages) == list(range(PAGES // 4))
        assert site.highest <= SIZE


async def test_requests_that_time_out_leave_the_clients_as_they_were() -> None:
    limits = httpx.Limits(max_connections=SIZE)
    async with (
        served() as site,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIZE)) as session,
        httpx.AsyncClient(limits=limits) as client,
        AioPool(SIZE) as pool,
    ):

        async def by_aiohttp(path: str) -> Any:
            async with asyncio.timeout(0.2), session.get(site.url + path) as response:
                return (await response.json())["page"]

        async def by_httpx(path: str) -> Any:
            async with asyncio.timeout(0.2):
                return (await client.get(site.url + path)).json()["page"]

        for get in (by_aiohttp, by_httpx):
            paths = [f"/never/{page}" for page in range(2 * SIZE)]
            results = await pool.map(get, paths)
            assert all(isinstance(result, TimeoutError) for result in results)
            assert await pool.exec(get("/page/7")) == 7


async def test_requests_that_are_cancelled_end_on_both_sides() -> None:
    async with served() as site, httpx.AsyncClient(timeout=60) as client:
        pool = AioPool(SIZE)
        futures = pool.map_n(lambda page: client.get(f"{site.url}/never/{page}"), range(2 * SIZE))
        await until(lambda: site.in_flight == SIZE)
        stopped, results = await pool.cancel(*futures)
        await until(lambda: site.in_flight == 0)
        assert stopped == 2 * SIZE
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (what the server counts is no event)
        await asyncio.sleep(0.01)
