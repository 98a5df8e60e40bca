"""The submodule of this name in asyncio-pool 0.6.0."""

from aiopool.compat import getres, result_noraise

__all__ = ["getres", "result_noraise"]
