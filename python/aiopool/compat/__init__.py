"""The interface of asyncio-pool 0.6.0: code that was written for 0.6.0 runs unchanged.

The package `asyncio_pool` gives the same objects under the module names of 0.6.0.
"""

from aiopool.compat._itermap import MxAsyncGenPool
from aiopool.compat._iterwait import iterwait
from aiopool.compat._pool import AioPool, BaseAioPool
from aiopool.compat._results import getres, result_noraise

__all__ = ["AioPool", "BaseAioPool", "MxAsyncGenPool", "getres", "iterwait", "result_noraise"]
