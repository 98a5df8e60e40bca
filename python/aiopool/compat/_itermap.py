"""`itermap` of asyncio-pool 0.6.0, as a mixin."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, Literal, TypeVar, overload

from aiopool._checks import MISSING, check_map
from aiopool._hand_in import Callback, HandIn
from aiopool.compat._batches import batches, checked_wait
from aiopool.compat._results import getres, shape_of

T = TypeVar("T")
R = TypeVar("R")
G = TypeVar("G")


class MxAsyncGenPool(HandIn):
    """The mixin that gives a `BaseAioPool` its `itermap`."""

    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
        *,
        flat: Literal[True] = True,
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[R | BaseException, None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
        *,
        flat: Literal[True] = True,
        get_result: Callable[[asyncio.Future[R]], G],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[G, None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
        *,
        flat: Literal[True] = True,
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[R | BaseException, None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
        *,
        flat: Literal[True] = True,
        get_result: Callable[[asyncio.Future[R]], G],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[G, None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
        *,
        flat: Literal[False],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[list[R | BaseException], None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
        *,
        flat: Literal[False],
        get_result: Callable[[asyncio.Future[R]], G],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[list[G], None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
        *,
        flat: Literal[False],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[list[R | BaseException], None]: ...
    @overload
    def itermap(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
        *,
        flat: Literal[False],
        get_result: Callable[[asyncio.Future[R]], G],
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[list[G], None]: ...
    def itermap(
        self,
        fn: Callable[[Any], Awaitable[Any]],
        iterable: Iterable[Any] = MISSING,
        cb: Callback[Any] | None = None,
        ctx: Any = None,
        *,
        flat: bool = True,
        get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[Any, None]:
        """Runs `fn(item)` for each item and iterates over the results as they come.

        At its first step the iterator takes all items and queues each. The pool calls `fn` for an
        item when a slot is free. Breaking out of the iteration leaves the jobs running.

        :param fn: as for `map`.
        :param iterable: the items.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :param flat: whether to yield results one by one. If False, each wait yields a list, which
            is empty if no job settles within `timeout`.
        :param get_result: makes a result from the settled future of a job; see `getres`.
        :param timeout: the longest time that one wait lasts, in seconds; None for no limit.
        :param yield_when: when a wait is over, as in `asyncio.wait`. By default, a wait is over
            when all jobs have settled.
        :returns: an asynchronous iterator. If `iterable` raises, its first step raises that error.
        :raises TypeError: if `fn` or `cb` is not callable, `iterable` cannot be iterated over, or
            `timeout` is not a number.
        :raises ValueError: if `yield_when` is not one of the constants of asyncio.
        """
        check_map("itermap", fn, iterable, cb)
        seconds = checked_wait(timeout, yield_when)
        shape, get_result_later = shape_of(get_result)
        context = contextvars.copy_context()
        return batches(
            lambda: self._verbs.itermap(fn, list(iterable), cb, ctx, context, shape),
            flat=flat,
            get_result=get_result_later,
            timeout=seconds,
            yield_when=yield_when,
            owned=shape == "future",
        )
