"""The submodule of this name in asyncio-pool 0.6.0."""

from aiopool.compat import MxAsyncGenPool, getres, iterwait

__all__ = ["MxAsyncGenPool", "getres", "iterwait"]
