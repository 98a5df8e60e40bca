"""The pool with the interface of asyncio-pool 0.6.0."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, overload

from aiopool._base import BasePool, Callback
from aiopool._checks import MISSING, check_map
from aiopool._ended import ended
from aiopool._results import AnyFuture, mark_read
from aiopool.compat._itermap import MxAsyncGenPool
from aiopool.compat._results import check_get_result, getres, shape_of

T = TypeVar("T")
R = TypeVar("R")
G = TypeVar("G")


class BaseAioPool(BasePool):
    """`AioPool` without `itermap`, which a mixin adds."""

    def __init__(
        self,
        size: int = 4,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        reuse_tasks: bool = False,
    ) -> None:
        super().__init__(size, loop, reuse_tasks)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        was_cancelled = self._leave_block()
        if exc_type is not None and issubclass(exc_type, GeneratorExit):
            return  # The block is destroyed together with its task, and must not await.
        if exc_type is not None and was_cancelled:
            await self._stop_block()
            return
        try:
            await self.join()
        except asyncio.CancelledError:
            await self._stop_block()
            raise

    @property
    def n_executed(self) -> int:
        """The number of coroutines that have run to their end, callbacks included."""
        return self._core.executed

    _executed = n_executed

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
        items = self._core.map(fn, iter(iterable), cb, ctx, context, shape)
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
        return self._core.map_n(fn, list(iterable), cb, ctx)

    # Without futures there is no R: the results of all jobs can be anything.
    @overload
    async def cancel(self) -> tuple[int, list[Any]]: ...
    @overload
    async def cancel(
        self, *, get_result: Callable[[asyncio.Future[Any]], G]
    ) -> tuple[int, list[G]]: ...
    @overload
    async def cancel(self, *futures: AnyFuture[R]) -> tuple[int, list[R | BaseException]]: ...
    @overload
    async def cancel(
        self, *futures: AnyFuture[R], get_result: Callable[[asyncio.Future[R]], G]
    ) -> tuple[int, list[G]]: ...
    async def cancel(
        self,
        *futures: AnyFuture[Any],
        get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
    ) -> tuple[int, list[Any]]:
        """Stops the jobs of these futures, or all jobs, and waits until they have ended.

        A waiting job leaves the queue and never starts. An active job gets CancelledError; if its
        callback is running, the callback gets it. A running `map` goes on with the items that it
        has not pulled yet: to stop it, cancel the task that awaits it. A cancelled caller still
        waits for the end of the jobs, unless the caller works for a job of the pool: as that job,
        in a task that the job made, or in a job that it handed to another pool.

        :param futures: futures of this pool. The call ignores settled futures and those of other
            pools. If no future is given, the call stops all jobs.
        :param get_result: makes a result from the settled future of a job; see `getres`.
        :returns: the number of jobs that it stopped, and their results. When it stops all jobs,
            the results of the waiting jobs come first.
        :raises TypeError: if an argument in `futures` is not a future, or `get_result` is not
            callable. No job is stopped then.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        check_get_result(get_result)
        stopped = await self._stop(futures)
        try:
            return len(stopped), list(map(get_result, stopped))
        finally:
            del futures, stopped  # as in `map`


class AioPool(MxAsyncGenPool, BaseAioPool):
    """Keeps exactly `size` jobs active while any jobs wait.

    A job is a coroutine, or another awaitable, that is handed to the pool. It waits its turn, first
    come first served, until it has one of the `size` slots. Then it is active, in an `asyncio.Task`
    of its own. A job may have a callback, which runs after it in the same slot.

    With `reuse_tasks` the jobs that follow one another in a slot run in one task. That costs
    between a third and two thirds of a task for each job. Each job still has its own context,
    cancellation, callback and error, and the task has the name of the job while it runs. The jobs
    share the task itself, and so all data that is kept by `asyncio.current_task()`, such as
    sessions scoped to the task. Do not use `reuse_tasks` with such data, or with jobs that let
    their task be cancelled after they have ended. A job may begin in the same turn of the loop in
    which the job before it ended.

    As an asynchronous context manager the pool joins at exit. If the block is itself cancelled, the
    pool cancels its jobs and waits for their end, however often the block is cancelled meanwhile.
    The maps of other tasks then end with CancelledError. The pool cancels at once each job that is
    handed in before all jobs have ended.

    :param size: the number of slots, at least 1.
    :param loop: the loop of the pool; by default, the loop that runs at its first use.
    :param reuse_tasks: whether a task runs many jobs, one after another.
    :raises TypeError: if `size` is not an int, `loop` is not a loop or `reuse_tasks` not a bool.
    :raises ValueError: if `size` is below 1.
    """
