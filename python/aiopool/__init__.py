"""A pool of asyncio jobs with a familiar interface.

    async with AioPool(size=20) as pool:
        results = await pool.map(fetch, urls)

`AioPool` keeps no more and no less than `size` jobs active while any are waiting. `getres` says
what the results of many jobs look like, `iterwait` iterates over futures as they settle.
"""

from aiopool.compat import AioPool, getres, iterwait

__all__ = ["AioPool", "getres", "iterwait"]
