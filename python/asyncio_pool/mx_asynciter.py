"""The submodule of this name in asyncio-pool 0.6.0: the mixin, named as for older Pythons."""

from aiopool.compat import MxAsyncGenPool as MxAsyncIterPool
from aiopool.compat import getres, iterwait

__all__ = ["MxAsyncIterPool", "getres", "iterwait"]
