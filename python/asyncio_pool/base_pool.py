"""The submodule of this name in asyncio-pool 0.6.0."""

from aiopool.compat import BaseAioPool, getres

__all__ = ["BaseAioPool", "getres"]
