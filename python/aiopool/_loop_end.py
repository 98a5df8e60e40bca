"""Tells a pool that its loop ends.

A waiting job is not a task, so ending the tasks of a loop does not reach it. While any job waits,
the pool has one `LoopEnd`. It notices both ways in which a loop ends: its task is cancelled with
all others, or the loop is closed and drops its timers. From its first job on, a pool is also told
when the loop is closed: by then a job may be active that was handed in too late to be cancelled
with the others.
"""

import asyncio
import contextvars
import types
import weakref
from collections.abc import Callable, Generator

from aiopool._core import Pool

# In seconds. Not longer: some loops have no timers beyond 24 days.
_PERIOD = 3600.0


class LoopEnd:
    """Ends `pool` when its loop ends, until it is released.

    If a loop gives no timer, or runs no tasks of asyncio, this is reported to the loop once. The
    pools of that loop go on without a `LoopEnd`.
    """

    #: How often the task was cancelled. If it was, all tasks of the loop are being cancelled.
    cancelling: Callable[[], int]

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._released: asyncio.Future[None] | None = None
        # The set of the timer, not the timer itself: only the loop may hold that.
        self._watched: set[LoopEnd] | None = None
        self.cancelling = int  # never
        if loop in _UNWATCHED:
            return
        try:
            self._watch(loop)
        except (MemoryError, RecursionError):
            raise  # not the fault of the loop: the next job that waits tries again
        except Exception as error:
            _UNWATCHED.add(loop)
            loop.call_exception_handler(
                {
                    "message": "aiopool cannot notice the end of this loop: jobs that still wait "
                    "then will wait for ever. Await them, or leave `async with` before",
                    "exception": error,
                }
            )

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        timer = _Timer.of(loop)
        released = loop.create_future()
        context = contextvars.Context()
        coroutine = _until(released, self)
        # As for a job, the first step is made here. A task that is cancelled before its own first
        # step would end without running a line.
        coroutine.send(None)
        name = "aiopool waits for the end of the loop"
        task = asyncio.Task(coroutine, loop=loop, name=name, context=context)
        # A loop that is closed while the task is pending must not report that.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        timer.watched.add(self)
        # If memory ran out before this line, the steps above have no effect.
        self._released, self._watched = released, timer.watched
        self.cancelling = task.cancelling

    def release(self) -> None:
        """Stops watching: no job waits any more."""
        released, watched = self._released, self._watched
        self._released = self._watched = None
        if watched is not None:
            watched.discard(self)
        if released is not None and not released.done() and not released.get_loop().is_closed():
            released.set_result(None)

    def end(self) -> None:
        """Tells the pool that the loop ends."""
        if self._released is not None:
            self._pool.end()


def tell_close(pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
    """Has the pool told when the loop is closed, if the loop has timers."""
    try:
        pools = _Timer.of(loop).pools
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return  # A `LoopEnd` reports this, if a job ever waits.
    pools.add(pool)


class _Timer:
    """The callback of a timer of the loop; its destruction shows that the loop is closed.

    All pools of a loop share one timer. It is set anew when it fires, after an hour or after a
    change of the system clock, and so it is never cancelled. No object refers to its handle: some
    loops allow no weak references to handles.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: The objects to tell.
        self.watched: set[LoopEnd] = set()
        #: The pools to tell when no job waits.
        self.pools = weakref.WeakSet[Pool]()
        self._set(loop)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "_Timer":
        """The timer of the loop. Only the loop holds it, so closing the loop destroys it."""
        found = _TIMERS.get(loop)
        timer = found() if found is not None else None
        if timer is None:
            timer = cls(loop)
            _TIMERS[loop] = weakref.ref(timer)
        return timer

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not in the context of a job: the timer would keep that alive.
        loop.call_later(_PERIOD, self, context=contextvars.Context())

    def __call__(self) -> None:
        if self.watched or self.pools:
            self._set(asyncio.get_running_loop())

    def __del__(self) -> None:
        for loop_end in list(self.watched):
            loop_end.end()
        for pool in list(self.pools):
            pool.end()


async def _until(released: asyncio.Future[None], loop_end: LoopEnd) -> None:
    try:
        await _first_step()
        await released
    except BaseException:
        loop_end.end()
        raise


@types.coroutine
def _first_step() -> Generator[None, None, None]:
    yield


_TIMERS = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[_Timer]]()
# The loops whose end no `LoopEnd` can notice.
_UNWATCHED = weakref.WeakSet[asyncio.AbstractEventLoop]()
