"""The part that all pools of this package share, however their `map` and block treat errors."""

import asyncio
import functools
import warnings
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Literal, Self, TypeVar, overload
from weakref import WeakKeyDictionary

from aiopool import _core
from aiopool._checks import checked_loop, checked_reuse_tasks, checked_size
from aiopool._ended import cancellations, ended
from aiopool._results import AnyFuture
from aiopool._verbs import coroutine_function, named
from aiopool._within import is_within

R = TypeVar("R")
G = TypeVar("G")

Callback = Callable[..., Awaitable[G]]


class BasePool:
    """Keeps exactly `size` jobs active while any jobs wait."""

    def __init__(
        self, size: int, loop: asyncio.AbstractEventLoop | None, reuse_tasks: bool
    ) -> None:
        self._core = _core.Pool(
            checked_size(size), checked_loop(loop), checked_reuse_tasks(reuse_tasks)
        )
        # How often each task that is in blocks of this pool was cancelled before each of them.
        self._blocks = WeakKeyDictionary[asyncio.Task[Any], list[int]]()

    async def __aenter__(self) -> Self:
        # A thread that uses the pool from here on must not take it to a loop of its own.
        self._core.enter()
        task = asyncio.current_task()
        if task is not None:
            self._blocks.setdefault(task, []).append(cancellations())
        return self

    def _leave_block(self) -> bool:
        """Whether the block that ends was itself cancelled, whatever it raises."""
        task = asyncio.current_task()
        before = self._blocks.get(task) if task is not None else None
        return cancellations() > (before.pop() if before else 0)

    def __len__(self) -> int:
        """The number of jobs that wait or are active; a running `map` counts as one waiting job."""
        return len(self._core)

    def __repr__(self) -> str:
        counts = f"size={self.size} active={self.n_active} waiting={self.n_waiting}"
        return f"<{type(self).__name__} {counts}>"

    @property
    def size(self) -> int:
        """The number of slots.

        It may be set. In a pool that grows, the assignment starts as many waiting jobs as fit now.
        In a pool that shrinks, the active jobs go on, and no other starts until it fits.

        :raises TypeError: when it is set to anything but an int; the pool keeps its size then.
        :raises ValueError: when it is set to an int below 1.
        :raises RuntimeError: when it is set and the pool belongs to another loop or thread.
        """
        return self._core.size

    @size.setter
    def size(self, size: int) -> None:
        self._core.size = checked_size(size)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the pool; None if the pool has no loop yet and no loop is running."""
        return self._core.loop

    @property
    def n_waiting(self) -> int:
        """The number of waiting jobs; a running `map` counts as one waiting job."""
        return len(self._core) - self._core.active

    @property
    def n_active(self) -> int:
        """The number of active jobs."""
        return self._core.active

    @property
    def is_empty(self) -> bool:
        """Whether no job waits and none is active."""
        return self._core.is_empty

    @property
    def is_full(self) -> bool:
        """Whether at least `size` jobs wait or are active."""
        return self._core.is_full

    @overload
    async def spawn(
        self, coro: Awaitable[R], cb: None = None, ctx: Any = None
    ) -> asyncio.Future[R]: ...
    @overload
    async def spawn(
        self, coro: Awaitable[Any], cb: Callback[G], ctx: Any = None
    ) -> asyncio.Future[G]: ...
    @coroutine_function
    def spawn(
        self, coro: Awaitable[Any], cb: Callback[Any] | None = None, ctx: Any = None
    ) -> Coroutine[Any, Any, asyncio.Future[Any]]:
        """Waits for a slot, and starts the job on the next turn of the loop.

        While a slot is free, the call does not suspend. If the caller is cancelled while it waits,
        the pool takes the job out of the queue and closes the coroutine. If the job has begun in
        that moment, the call cancels it and waits for its end.

        :param coro: the job: a new coroutine, not awaited before, or another awaitable.
        :param cb: a coroutine function that runs after the job, in the same slot. It also runs if
            the job failed or was cancelled while active. Its return value or its error settles the
            future. The pool calls it as `cb(res, err, ctx)`, with as many of the three arguments as
            it accepts: the result or None; None or `(exception, traceback text)`; and `ctx`.
        :param ctx: any object, for the callback.
        :returns: the future of the job. If `cancel` took the job out of the queue meanwhile, the
            future is already cancelled.
        :raises TypeError: if `coro` is not awaitable or `cb` is not callable.
        :raises RuntimeError: if `coro` runs or has run already, or the pool belongs to another
            loop or thread, or its loop is closed.
        """
        return _spawn(self._core.unawaited(coro, cb, ctx))

    @overload
    def spawn_n(
        self, coro: Awaitable[R], cb: None = None, ctx: Any = None
    ) -> asyncio.Future[R]: ...
    @overload
    def spawn_n(
        self, coro: Awaitable[Any], cb: Callback[G], ctx: Any = None
    ) -> asyncio.Future[G]: ...
    def spawn_n(
        self, coro: Awaitable[Any], cb: Callback[Any] | None = None, ctx: Any = None
    ) -> asyncio.Future[Any]:
        """Queues a job and returns its future at once; nothing of the job runs in this call.

        `future.cancel()` takes a waiting job out of the queue. An active job runs on, and only its
        result is lost: to stop an active job, use `cancel`.

        :param coro: as for `spawn`.
        :param cb: as for `spawn`.
        :param ctx: as for `spawn`.
        :returns: the future of the job.
        :raises TypeError: as `spawn` does.
        :raises RuntimeError: as `spawn` does.
        """
        return self._core.spawn_n(coro, cb, ctx)

    @overload
    async def exec(self, coro: Awaitable[R], cb: None = None, ctx: Any = None) -> R: ...
    @overload
    async def exec(self, coro: Awaitable[Any], cb: Callback[G], ctx: Any = None) -> G: ...
    @coroutine_function
    def exec(
        self, coro: Awaitable[Any], cb: Callback[Any] | None = None, ctx: Any = None
    ) -> Coroutine[Any, Any, Any]:
        """Waits for a slot and for the end of the job.

        If the caller is cancelled, the call cancels the job and waits for its end, however often
        the caller is cancelled.

        :param coro: as for `spawn`.
        :param cb: as for `spawn`.
        :param ctx: as for `spawn`.
        :returns: the result of the job, or of its callback if it has one.
        :raises BaseException: the error of the job or of its callback; CancelledError if the job
            was cancelled.
        :raises TypeError: as `spawn` does.
        :raises RuntimeError: as `spawn` does.
        """
        return _exec(self._core.unawaited(coro, cb, ctx))

    async def join(self) -> Literal[True]:
        """Waits until no job waits and none is active.

        Inside a job of the same pool this never returns, because the job waits for itself.

        :returns: True.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        if self._is_in_job():
            warnings.warn(
                "join() inside a job of the same pool never returns: the job waits for itself. "
                "Await the futures of the other jobs instead",
                RuntimeWarning,
                stacklevel=2,
            )
        joining = self._core.join()
        if joining is not None:
            joiner, ticket = joining
            try:
                await joiner
            except BaseException:
                self._core.leave(ticket)
                raise
        return True

    async def _stop(self, futures: Sequence[AnyFuture[Any]]) -> list[asyncio.Future[Any]]:
        """Stops the jobs of these futures, or all; gives their futures when they have ended."""
        self._core.enter()
        stop = functools.partial(self._core.stop, futures) if futures else self._core.stop_all
        # One of the stopped jobs may wait for the code that calls this, so that may leave.
        return await ended(stop, may_leave=self._works_for_a_job)

    async def _stop_block(self) -> None:
        """Ends a cancelled block: no job that is handed in before the block has ended starts."""
        self._core.end()
        if self._works_for_a_job():
            # It is cancelled already, perhaps by the job that waits for it.
            self._core.stop_all()
            await asyncio.sleep(0)
        else:
            await ended(self._core.stop_all)

    def _is_in_job(self) -> bool:
        task = asyncio.current_task()
        return task is not None and self._core.runs_in(task)

    def _works_for_a_job(self) -> bool:
        # The tasks of some loops do not inherit the context.
        return is_within(self._core) or self._is_in_job()


# `spawn` and `exec` return the coroutines of the functions below. A coroutine that is cancelled
# before its first step runs no line, and so cannot close the awaitable that its verb was called
# with. `Unawaited` in the extension closes it.


@named("BasePool.spawn")
async def _spawn(unawaited: _core.Unawaited) -> asyncio.Future[Any]:
    future, admitted = unawaited.spawn()
    if admitted is not None:
        try:
            await admitted
        except asyncio.CancelledError:
            # The job may have begun in the turn in which it got its slot.
            await ended(functools.partial(_give_up, unawaited.pool, future))
            raise
        except BaseException:
            _give_up(unawaited.pool, future)
            raise
    return future


@named("BasePool.exec")
async def _exec(unawaited: _core.Unawaited) -> Any:
    future = unawaited.exec()
    try:
        return await future
    except asyncio.CancelledError:
        await ended(functools.partial(_give_up, unawaited.pool, future))
        raise
    except BaseException:
        if not future.done():  # the error is not that of the job
            _give_up(unawaited.pool, future)
        raise
    finally:
        # The future refers to the error, and the error to this frame: that would be a cycle.
        del future


def _give_up(
    pool: _core.Pool, future: asyncio.Future[Any]
) -> tuple[None, Collection[asyncio.Task[Any]]]:
    """Stops the job of a future that nobody has but a verb whose caller goes."""
    _, tasks = pool.stop([future])
    # Or an error of the job would be reported as unread.
    future.cancel()
    return None, tasks
