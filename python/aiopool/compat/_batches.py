"""Results of many jobs as they come, batched the way `asyncio.wait` would batch them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from numbers import Real
from typing import Any, Protocol

from aiopool._results import mark_read

# In seconds. No program waits so long, and the timers of some loops cannot.
_FOR_EVER = 10**9
_WHENS = (asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED)


class Source(Protocol):
    """Where results come in: the items of an `itermap`, or futures."""

    @property
    def left(self) -> bool:
        """Whether there are results to come or to take."""
        ...

    def wait(self, when: str) -> asyncio.Future[None] | None:
        """A future that gets None when the wait is over; None if it is."""
        ...

    def take(self) -> list[Any]:
        """The results that have come since the last call."""
        ...

    def close(self) -> None:
        """Nobody will take results any more."""
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
    """Starts a source at the first step, and yields what it has after each wait.

    What is `owned` is futures that nobody else has: nobody misses the errors of those that nobody
    is given.
    """
    source = start()
    results: Iterator[Any] = iter(())
    extracted = results
    try:
        while source.left:
            over = source.wait(yield_when)
            if over is not None:
                await asyncio.wait([over], timeout=timeout)
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
        # If one of them is raised again, its frames lead to this one.
        del start, source, results, extracted


def checked_wait(timeout: float | None, yield_when: object) -> float | None:
    """How long a wait lasts at most; raises at the call what is wrong instead of at the first step.

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
    # A loop that is asked for a timer at nan keeps its timers in no order any more.
    if timeout != timeout:
        raise ValueError("timeout must be a number of seconds or None, not nan")
    return float(timeout) if timeout < _FOR_EVER else None
