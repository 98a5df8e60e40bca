"""What tells a pool that its loop ends while jobs wait.

A waiting job is not a task, so nothing that ends the tasks of a loop reaches it. While somebody
waits, the pool has one keeper, which is reached in both of the ways in which a loop ends: its
task is cancelled with all others, and its timer is dropped when the loop is closed.
"""

import asyncio
import contextvars
import types
import weakref
from collections.abc import Generator

from asyncio_pool._core import Pool

_YEAR = 365 * 24 * 3600.0


class Keeper:
    """Ends `pool` when its loop ends, until it is released."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._released = loop.create_future()
        ending = _Ending(pool)
        # The loop may hold a cancelled timer for long: that is to keep no context alive.
        context = contextvars.Context()
        timer = loop.call_later(_YEAR, _Dropped(ending, self._released), context=context)
        # Held by the loop alone, so that to close the loop destroys it.
        self._timer = weakref.ref(timer)
        coroutine = _wait(ending, self._released)
        # As for a job, the first step is made here: a task that is cancelled before its own first
        # step would end without running a line.
        coroutine.send(None)
        self._task = asyncio.Task(coroutine, loop=loop, context=context)
        #: How often the task was cancelled: if at all, then all tasks of the loop are.
        self.cancelling = self._task.cancelling
        # A loop that is closed with the task pending has nothing to complain of.
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]
        ending.is_meant = True

    def release(self) -> None:
        """Nobody waits any more."""
        if self._released.done() or self._released.get_loop().is_closed():
            return
        self._released.set_result(None)
        if timer := self._timer():
            timer.cancel()


class _Ending:
    """Ends the pool; but where there is no memory for a keeper, its parts come to nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.is_meant = False

    def __call__(self) -> None:
        if self.is_meant:
            self._pool.end()


class _Dropped:
    """The callback of a timer that never fires; its destruction says that the loop is closed."""

    def __init__(self, ending: _Ending, released: asyncio.Future[None]) -> None:
        self._ending = ending
        self._released = released

    def __call__(self) -> None:
        pass

    def __del__(self) -> None:
        if not self._released.done():
            self._ending()


async def _wait(ending: _Ending, released: asyncio.Future[None]) -> None:
    try:
        await _first_step()
        await released
    except BaseException:
        ending()
        raise


@types.coroutine
def _first_step() -> Generator[None, None, None]:
    yield
