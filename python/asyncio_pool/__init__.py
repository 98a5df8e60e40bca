"""A pool of asyncio jobs with a familiar interface.

    async with AioPool(size=20) as pool:
        results = await pool.map(fetch, urls)

`AioPool` keeps no more and no less than `size` jobs active while any are waiting. `getres` says
what the results of many jobs look like, `iterwait` iterates over futures as they settle.
"""

from asyncio_pool._results import getres
from asyncio_pool._stream import iterwait
from asyncio_pool.pool import AioPool

BaseAioPool = AioPool

__all__ = ["AioPool", "BaseAioPool", "getres", "iterwait"]
