"""A server on loopback that answers /N with N, until its standard input is closed."""

import asyncio
import sys

from aiohttp import web


async def answer(request: web.BaseRequest) -> web.Response:
    return web.Response(text=request.path[1:])


async def main() -> None:
    """Prints the URL and serves."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
