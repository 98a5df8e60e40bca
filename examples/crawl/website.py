"""A generated web site, served on loopback, that counts its requests in flight."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from chance import Chance

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

    def generate(self, number: int) -> tuple[float, str]:
        """Return how long the answer with page `number` takes, in seconds, and its HTML."""
        chance = Chance(f"{self._seed}/{number}")
        slow = chance.share() < 0.02
        share = chance.share()
        seconds = 0.4 + 0.6 * share if slow else -0.04 * math.log(1 - share)
        text = " ".join(WORDS[chance.below(len(WORDS))] for _ in range(50 + chance.below(451)))
        anchors = " ".join(f'<a href="{link}">{link}</a>' for link in self._links(number, chance))
        return seconds, f"<!doctype html><title>Page {number}</title><p>{text}</p>{anchors}"

    def _links(self, number: int, chance: Chance) -> list[str]:
        children = range(4 * number + 1, min(4 * number + 5, self._pages))
        others = [chance.below(self._pages) for _ in range(6)]
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

    async def _page(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if number >= self._pages:
            raise web.HTTPNotFound
        seconds, html = self.generate(number)
        await asyncio.sleep(seconds)
        return web.Response(text=html, content_type="text/html")

    async def _break(self, request: web.Request) -> web.Response:
        raise web.HTTPInternalServerError

    async def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response()

    async def _keep_silent(self, request: web.Request) -> web.Response:
        never: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()
        return await never
