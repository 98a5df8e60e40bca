"""A crawler that keeps to the limits of the hosts: python examples/limits/polite_crawler.py.

It makes 20 requests at once and then 10 a second, at most 3 at a time to one host. A host that
answers 429 gets no request for the seconds that it asks for; the other hosts do.
"""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import web

from aiopool import AioPool, Rate


class Host:
    """A host of twelve pages, which may answer its fifth request with 429."""

    def __init__(self, *, is_busy: bool) -> None:
        self.is_busy = is_busy
        self.requests = self.in_flight = self.most_in_flight = 0

    async def answer(self, _: web.BaseRequest) -> web.Response:
        self.requests += 1
        is_too_many = self.is_busy and self.requests == 5
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.1)
        self.in_flight -= 1
        if is_too_many:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.Response(text="a page")

    async def listen(self, stack: AsyncExitStack) -> list[str]:
        runner = web.ServerRunner(web.Server(self.answer))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return [f"http://127.0.0.1:{runner.addresses[0][1]}/{page}" for page in range(12)]


def host_of(url: str) -> str:
    return url.split("/")[2]


async def crawl(session: aiohttp.ClientSession, urls: list[str]) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with AioPool(size=20, rate=Rate(10, per=1.0, burst=20), per_key=3) as pool:

        async def fetch(url: str) -> None:
            async with session.get(url) as response:
                print(f"{loop.time() - begin:4.1f} s  {response.status}  {url}")
                if response.status == 429:
                    seconds = float(response.headers["Retry-After"])
                    pool.pause(seconds, key=host_of(url))
                    pool.options(key=host_of(url)).spawn_n(fetch(url))

        pool.options(key=host_of).map_n(fetch, urls)


async def main() -> list[Host]:
    hosts = [Host(is_busy=True), Host(is_busy=False), Host(is_busy=False)]
    async with AsyncExitStack() as stack:
        lists = [await host.listen(stack) for host in hosts]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await crawl(session, [url for urls in lists for url in urls])
    for host in hosts:
        print(f"{host.requests} requests to a host, at most {host.most_in_flight} at a time")
    return hosts


if __name__ == "__main__":
    asyncio.run(main())
