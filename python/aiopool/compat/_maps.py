"""`map` and `map_n` of asyncio-pool 0.6.0, for its pool and for the view that `options` give."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

from aiopool import _core
from aiopool._checks import MISSING, check_map
from aiopool._ended import ended
from aiopool._hand_in import Callback, HandIn
from aiopool._outside import while_nested
from aiopool._results import mark_read
from aiopool.compat._results import getres, shape_of

T = TypeVar("T")
R = TypeVar("R")
G = TypeVar("G")


class Maps(HandIn):
    """Hands jobs in, one at a time or one for each item."""

    @overload
    async def map(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
    ) -> list[R | BaseException]: ...
    @overload
    async def map(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
    ) -> list[R | BaseException]: ...
    @overload
    async def map(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
        *,
        get_result: Callable[[asyncio.Future[R]], G],
    ) -> list[G]: ...
    @overload
    async def map(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[R],
        ctx: Any = None,
        *,
        get_result: Callable[[asyncio.Future[R]], G],
    ) -> list[G]: ...
    async def map(
        self,
        fn: Callable[[Any], Awaitable[Any]],
        iterable: Iterable[Any] = MISSING,
        cb: Callback[Any] | None = None,
        ctx: Any = None,
        *,
        get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
    ) -> list[Any]:
        """Runs `fn(item)` for each item and waits for all of them.

        The pool pulls an item and calls `fn` when a slot is free. The map stands in the queue with
        one item at a time and goes to the back after each item. If the caller is cancelled, the
        call cancels the jobs and waits for their end, however often the caller is cancelled.

        :param fn: a function of one item that gives an awaitable. If it raises, that error is the
            outcome of the item.
        :param iterable: the items.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :param get_result: makes a result from the settled future of a job; see `getres`.
        :returns: the results in the order of `iterable`.
        :raises Exception: the error of `iterable`, after the jobs started so far were cancelled.
        :raises TypeError: if `fn` or `cb` is not callable or `iterable` cannot be iterated over.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        check_map("map", fn, iterable, cb)
        shape, get_result_later = shape_of(get_result)
        context = contextvars.copy_context()
        items = self._verbs.map(fn, iter(iterable), cb, ctx, context, shape)
        await while_nested(items.pool, _all_settled(items))
        if get_result_later is None:
            return items.take()
        unread = iter(items.take())
        try:
            return list(map(get_result_later, unread))
        finally:
            # After this no future is left in this frame. The future of a job would lead to its
            # error, which may be the error that is raised here: that would be a cycle.
            mark_read(unread)

    @overload
    def map_n(
        self,
        fn: Callable[[T], Awaitable[R]],
        iterable: Iterable[T],
        cb: None = None,
        ctx: Any = None,
    ) -> list[asyncio.Future[R]]: ...
    @overload
    def map_n(
        self,
        fn: Callable[[T], Awaitable[Any]],
        iterable: Iterable[T],
        cb: Callback[G],
        ctx: Any = None,
    ) -> list[asyncio.Future[G]]: ...
    def map_n(
        self,
        fn: Callable[[Any], Awaitable[Any]],
        iterable: Iterable[Any] = MISSING,
        cb: Callback[Any] | None = None,
        ctx: Any = None,
    ) -> list[asyncio.Future[Any]]:
        """Calls `fn(item)` for each item and queues all the jobs at once.

        :param fn: as for `map`; this call calls it for all items.
        :param iterable: the items; the call takes all of them before it queues the first job.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :returns: the futures in the order of `iterable`.
        :raises Exception: the error of `iterable`, before any job is queued.
        :raises TypeError: if `fn` or `cb` is not callable or `iterable` cannot be iterated over.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        check_map("map_n", fn, iterable, cb)
        return self._verbs.map_n(fn, list(iterable), cb, ctx)


async def _all_settled(items: _core.Items) -> None:
    try:
        over = items.wait(asyncio.ALL_COMPLETED)
        if over is not None:
            await over
    except asyncio.CancelledError:
        await ended(lambda: (None, items.stop()))
        raise
    except BaseException:
        items.stop()
        raise
