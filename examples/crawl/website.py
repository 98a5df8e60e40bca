"""A generated web site, served on loopback, that counts its requests in flight."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

WORDS = ["bay", "cloud", "dune", "elm", "fern", "gorge", "heath", "isle", "marsh", "oak"]


class Website:
    """A site of linked pages, the same for the same seed, with a few broken links among them."""

    def __init__(self, pages: int, seed: int) -> None:
        self._pages = pages
        self._seed = seed
        self._in_flight = 0
        self.most_in_flight = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve the site on a free port; gives the URL of its first page."""
        app = web.Application(middlewares=[self._count])
        app.router.add_get(r"/page/{number:\d+}", self._page)
        app.router.add_get("/broken/{number}", self._break)
        app.router.add_get("/hangup/{number}", self._hang_up)
        app.router.add_get("/silent", self._keep_silent)
        # A client that gives up closes its connection, so the next request of its slot opens a
        # new one. In the loop they share, the server hears of the close and cancels the handler
        # before it has accepted the new connection: nobody is counted who has left.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            yield f"http://{host}:{port}/page/0"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return await handler(request)
        finally:
            self._in_flight -= 1

    async def _page(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if number >= self._pages:
            raise web.HTTPNotFound
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311
        slow = chance.random() < 0.02
        await asyncio.sleep(chance.uniform(0.4, 1) if slow else chance.expovariate(1 / 0.04))
        text = " ".join(chance.choices(WORDS, k=chance.randint(50, 500)))
        anchors = " ".join(f'<a href="{link}">{link}</a>' for link in self._links(number, chance))
        return web.Response(
            text=f"<!doctype html><title>Page {number}</title><p>{text}</p>{anchors}",
            content_type="text/html",
        )

    def _links(self, number: int, chance: random.Random) -> list[str]:
        children = range(4 * number + 1, min(4 * number + 5, self._pages))
        others = [chance.randrange(self._pages) for _ in range(6)]
        links = [f"/page/{other}" for other in (*children, *others)]
        if number == 0:
            links.append("/silent")
        if number % 60 == 0:
            links.append(f"/page/{self._pages + number}")
        if number % 100 == 0:
            links.append(f"/broken/{number}")
        if number % 400 == 0:
            links.append(f"/hangup/{number}")
        return links

    async def _break(self, request: web.Request) -> web.Response:
        raise web.HTTPInternalServerError

    async def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response()

    async def _keep_silent(self, request: web.Request) -> web.Response:
        never: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()
        return await never
