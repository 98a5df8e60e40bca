"""Iterates over the results of futures as they settle."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Literal, TypeVar, overload

from aiopool import _core
from aiopool._checks import check_iterable
from aiopool._results import AnyFuture, pool_of
from aiopool.compat._batches import batches, checked_wait
from aiopool.compat._results import check_get_result, getres

R = TypeVar("R")
G = TypeVar("G")


@overload
def iterwait(
    futures: Iterable[AnyFuture[R]],
    *,
    flat: Literal[True] = True,
    timeout: float | None = None,
    yield_when: str = asyncio.ALL_COMPLETED,
) -> AsyncGenerator[R | BaseException, None]: ...
@overload
def iterwait(
    futures: Iterable[AnyFuture[R]],
    *,
    flat: Literal[False],
    timeout: float | None = None,
    yield_when: str = asyncio.ALL_COMPLETED,
) -> AsyncGenerator[list[R | BaseException], None]: ...
@overload
def iterwait(
    futures: Iterable[AnyFuture[R]],
    *,
    flat: Literal[True] = True,
    get_result: Callable[[asyncio.Future[R]], G],
    timeout: float | None = None,
    yield_when: str = asyncio.ALL_COMPLETED,
) -> AsyncGenerator[G, None]: ...
@overload
def iterwait(
    futures: Iterable[AnyFuture[R]],
    *,
    flat: Literal[False],
    get_result: Callable[[asyncio.Future[R]], G],
    timeout: float | None = None,
    yield_when: str = asyncio.ALL_COMPLETED,
) -> AsyncGenerator[list[G], None]: ...
def iterwait(
    futures: Iterable[AnyFuture[Any]],
    *,
    flat: bool = True,
    get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
    timeout: float | None = None,
    yield_when: str = asyncio.ALL_COMPLETED,
) -> AsyncGenerator[Any, None]:
    """Iterates over the results of futures as they settle.

    In a job of a pool it waits for others of that pool without the slots of the job.

    :param futures: any iterable of futures. A future that is in it twice gives one result.
    :param flat: whether to yield results one by one. If False, each wait yields a list, which is
        empty if no future settles within `timeout`.
    :param get_result: makes a result from a settled future; see `getres`.
    :param timeout: the longest time that one wait lasts, in seconds; None for no limit.
    :param yield_when: when a wait is over, as in `asyncio.wait`.
    :returns: an asynchronous iterator. Use it in the loop of the futures.
    :raises TypeError: if an item of `futures` is not a future, `get_result` is not callable, or
        `timeout` is not a number.
    :raises ValueError: if `yield_when` is not one of the constants of asyncio.
    """
    seconds = checked_wait(timeout, yield_when)
    check_get_result(get_result)
    if asyncio.isfuture(futures):
        raise TypeError(
            f"iterwait takes an iterable of futures, not {futures!r}: write iterwait([future])"
        )
    check_iterable(futures)
    awaited: list[Any] = list(futures)
    for future in awaited:
        if not asyncio.isfuture(future):
            raise TypeError(f"iterwait takes futures, such as those of map_n, not {future!r}")
    return batches(
        lambda: _Futures(awaited, yield_when),
        flat=flat,
        get_result=get_result,
        timeout=seconds,
        yield_when=yield_when,
    )


class _Futures:
    """Futures as a source, which reads each future once, when it settles."""

    def __init__(self, futures: list[asyncio.Future[Any]], when: str) -> None:
        # The futures that have not settled, each with the pool of its job.
        self._pending = {future: pool_of(future) for future in futures}
        # How many of them each pool has.
        self._of_pools = Counter(self._pending.values())
        self._settled: list[asyncio.Future[Any]] = []
        # As asyncio does, read errors only if the wait depends on them: asyncio does not report an
        # error that was read.
        self._looks_at_errors = when == asyncio.FIRST_EXCEPTION
        self._failed = False
        self._waiter: tuple[asyncio.Future[None], str] | None = None
        for future in self._pending:
            future.add_done_callback(self._settle)

    @property
    def pool(self) -> _core.Pool | None:
        for pool, count in self._of_pools.items():
            if count and pool is not None and pool.runs_current():
                return pool
        return None

    @property
    def pending(self) -> list[asyncio.Future[Any]]:
        return list(self._pending)

    @property
    def left(self) -> bool:
        return bool(self._pending or self._settled)

    def wait(self, when: str) -> asyncio.Future[None] | None:
        if self._is_over(when):
            return None
        waiter = asyncio.get_running_loop().create_future()
        self._waiter = (waiter, when)
        return waiter

    def take(self) -> list[asyncio.Future[Any]]:
        taken, self._settled, self._failed = self._settled, [], False
        return taken

    def close(self) -> None:
        for future in self._pending:
            future.remove_done_callback(self._settle)

    def _settle(self, future: asyncio.Future[Any]) -> None:
        self._of_pools[self._pending.pop(future)] -= 1
        self._settled.append(future)
        if self._looks_at_errors and not future.cancelled() and future.exception() is not None:
            self._failed = True
        if self._waiter is not None and self._is_over(self._waiter[1]):
            waiter = self._waiter[0]
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _is_over(self, when: str) -> bool:
        return (
            not self._pending
            or (when == asyncio.FIRST_COMPLETED and bool(self._settled))
            or (when == asyncio.FIRST_EXCEPTION and self._failed)
        )
