"""asyncio-pool 0.6.0, under its own names: what stands here is `aiopool.compat`."""

from aiopool.compat import AioPool, BaseAioPool, MxAsyncGenPool, getres, iterwait

__all__ = ["AioPool", "BaseAioPool", "MxAsyncGenPool", "getres", "iterwait"]
