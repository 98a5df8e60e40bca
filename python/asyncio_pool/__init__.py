"""The names of asyncio-pool 0.6.0; the code is in `aiopool.compat`."""

from aiopool.compat import AioPool, BaseAioPool, MxAsyncGenPool, getres, iterwait

__all__ = ["AioPool", "BaseAioPool", "MxAsyncGenPool", "getres", "iterwait"]
