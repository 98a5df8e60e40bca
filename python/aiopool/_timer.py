"""The callback of the timer of a pool."""

import weakref

from aiopool import _core


class Fires:
    """Tells a pool that its timer has fired. The loop holds this, and so must not hold the pool."""

    __slots__ = ("_pool",)

    def __init__(self, pool: _core.Pool) -> None:
        self._pool = weakref.ref(pool)

    def __call__(self) -> None:
        pool = self._pool()
        if pool is not None:
            pool.timer_fired()
