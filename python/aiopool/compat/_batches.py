"""The results of many jobs as they come, in batches as `asyncio.wait` would make them."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterator
from numbers import Real
from typing import Any, Protocol

from aiopool import _core
from aiopool._outside import while_nested
from aiopool._results import mark_read

# In seconds. No program waits so long, and some loops have no timers of that length.
_FOR_EVER = 10**9
_WHENS = (asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED)


class Source(Protocol):
    """Gives results: the items of an `itermap`, or futures."""

    @property
    def pool(self) -> _core.Pool | None:
        """The pool whose jobs give the results; None if the caller is in no job of it."""
        ...

    @property
    def left(self) -> bool:
        """Whether results are still to come or to be taken."""
        ...

    def wait(self, when: str) -> asyncio.Future[None] | None:
        """A future that gets None when the wait is over; None if the wait is over already."""
        ...

    def take(self) -> list[Any]:
        """The results that have come since the last call."""
        ...

    def close(self) -> None:
        """Ends the source: no caller takes results any more."""
        ...


async def batches(
    start: Callable[[], Source],
    *,
    flat: bool,
    get_result: Callable[[Any], Any] | None,
    timeout: float | None,
    yield_when: str,
    owned: bool = False,
) -> AsyncGenerator[Any, None]:
    """Starts a source at the first step, and yields its results after each wait.

    If `owned`, the results are futures that only this iterator has. The errors in those that it
    does not yield are then not reported as unread.
    """
    source = start()
    results: Iterator[Any] = iter(())
    extracted = results
    try:
        while source.left:
            over = source.wait(yield_when)
            if over is not None:
                waiting = asyncio.wait([over], timeout=timeout)
                pool = source.pool
                await (waiting if pool is None else while_nested(pool, waiting))
                del waiting
            results = iter(source.take())
            extracted = results if get_result is None else map(get_result, results)
            if flat:
                for result in extracted:
                    yield result
            else:
                yield list(extracted)
    finally:
        source.close()
        if owned:
            mark_read(results)
        # If the caller raises one of the results again, its frames lead to this frame.
        del start, source, results, extracted


def checked_wait(timeout: float | None, yield_when: object) -> float | None:
    """Checks the options at the call, not at the first step; gives the timeout of a wait.

    :raises TypeError: if `timeout` is neither a number nor None.
    :raises ValueError: if `timeout` is nan, or `yield_when` is not one of the constants of asyncio.
    """
    if yield_when not in _WHENS:
        raise ValueError(
            "yield_when must be FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED of asyncio, "
            f"not {yield_when!r}"
        )
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    try:
        seconds = float(timeout)
    except OverflowError:  # an exact number beyond all floats
        seconds = math.inf if timeout > 0 else -math.inf
    # A loop that gets a timer at nan can no longer keep its timers in order.
    if math.isnan(seconds):
        raise ValueError("timeout must be a number of seconds or None, not nan")
    return seconds if seconds < _FOR_EVER else None
