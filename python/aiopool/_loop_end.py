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
from typing import TypeVar

from aiopool._core import Pool

T = TypeVar("T")

# In seconds. Not longer: some loops have no timers beyond 24 days.
_PERIOD = 3600.0
# The two ways in which a loop ends.
_CLOSED = "that this loop is closed"
_CANCELLED = "that all tasks of this loop are cancelled"


class LoopEnd:
    """Ends `pool` when its loop ends, until it is released.

    If a loop gives no timer, or runs no tasks of asyncio, this is reported to the loop once. The
    pools of that loop notice only the other way in which it may end.
    """

    #: How often the task was cancelled. If it was, all tasks of the loop are being cancelled.
    cancelling: Callable[[], int]

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._watches = False
        released = loop.create_future()
        timer = _given(loop, _CLOSED, _Timer.of)
        task = _given(loop, _CANCELLED, lambda _: self._task(released))
        # The set of the timer, not the timer itself: only the loop may hold that.
        self._watched = timer.watched if timer is not None else set[LoopEnd]()
        self._watched.add(self)
        self.cancelling = task.cancelling if task is not None else int  # never
        # If memory ran out before these lines, the steps above have no effect.
        self._released = released
        self._watches = True

    def _task(self, released: asyncio.Future[None]) -> asyncio.Task[None]:
        context = contextvars.Context()
        coroutine = _until(released, self)
        # As for a job, the first step is made here. A task that is cancelled before its own first
        # step would end without running a line.
        coroutine.send(None)
        name = "aiopool waits for the end of the loop"
        task = asyncio.Task(coroutine, loop=released.get_loop(), name=name, context=context)
        # A loop that is closed while the task is pending must not report that.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return task

    def release(self) -> None:
        """Stops watching: no job waits any more."""
        self._watches = False
        self._watched.discard(self)
        released = self._released
        if not released.done() and not released.get_loop().is_closed():
            released.set_result(None)

    def end(self) -> None:
        """Tells the pool that the loop ends."""
        if self._watches:
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

    If the loop still runs then, which cannot be closed, the loop has not kept the timer: that ends
    nothing. All pools of a loop share one timer. It is set anew when it fires, after an hour or
    after a change of the system clock, and so it is never cancelled. No object refers to its
    handle: some loops allow no weak references to handles.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: The objects to tell.
        self.watched: set[LoopEnd] = set()
        #: The pools to tell when no job waits.
        self.pools = weakref.WeakSet[Pool]()
        # Not weakly: a collection clears the weak references of what it destroys, before `__del__`.
        self._loop = loop
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
        # Not in the context of a job: the timer would keep that alive. Not by an argument of
        # `call_later` either, which not all loops have.
        contextvars.Context().run(loop.call_later, _PERIOD, self)

    def __call__(self) -> None:
        if self.watched or self.pools:
            _given(self._loop, _CLOSED, self._set)

    def __del__(self) -> None:
        if not self._loop.is_running():
            for loop_end in list(self.watched):
                loop_end.end()
            for pool in list(self.pools):
                pool.end()


def _given(
    loop: asyncio.AbstractEventLoop, what: str, make: Callable[[asyncio.AbstractEventLoop], T]
) -> T | None:
    """What `make` gives to notice `what`; None, and one report, if the loop is not up to that."""
    try:
        return make(loop)
    except (MemoryError, RecursionError):
        raise  # not the fault of the loop: the next job that waits tries again
    except Exception as error:
        reported = _REPORTED.setdefault(loop, set())
        if what not in reported:
            reported.add(what)
            message = (
                f"aiopool cannot notice {what}: jobs that still wait then will wait for ever. "
                "Await them, or leave `async with` before"
            )
            loop.call_exception_handler({"message": message, "exception": error})
        return None


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
# Of each loop, which ways to end the pools cannot notice, as was reported.
_REPORTED = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, set[str]]()
