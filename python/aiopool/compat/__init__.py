"""The surface of asyncio-pool 0.6.0: code that was written for it runs with this unchanged.

The package `asyncio_pool` gives the same under the names that 0.6.0 has.
"""

from aiopool.compat._itermap import MxAsyncGenPool
from aiopool.compat._iterwait import iterwait
from aiopool.compat._pool import AioPool, BaseAioPool
from aiopool.compat._results import getres, result_noraise

__all__ = ["AioPool", "BaseAioPool", "MxAsyncGenPool", "getres", "iterwait", "result_noraise"]
