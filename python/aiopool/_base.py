"""What every pool of this package has, however its `map` and its block treat errors."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, Self, TypeVar, overload

from aiopool import _core
from aiopool._checks import checked_loop, checked_reuse_tasks, checked_size
from aiopool._ended import ended
from aiopool._results import AnyFuture
from aiopool._verbs import coroutine_function, named

R = TypeVar("R")
G = TypeVar("G")

Callback = Callable[..., Awaitable[G]]


class BasePool:
    """Keeps no more and no less than `size` jobs active while any are waiting."""

    def __init__(
        self, size: int, loop: asyncio.AbstractEventLoop | None, reuse_tasks: bool
    ) -> None:
        self._core = _core.Pool(
            checked_size(size), checked_loop(loop), checked_reuse_tasks(reuse_tasks)
        )

    async def __aenter__(self) -> Self:
        return self

    def __len__(self) -> int:
        """How many jobs wait or are active; a running `map` counts as one that waits."""
        return len(self._core)

    def __repr__(self) -> str:
        counts = f"size={self.size} active={self.n_active} waiting={self.n_waiting}"
        return f"<{type(self).__name__} {counts}>"

    @property
    def size(self) -> int:
        """The number of slots."""
        return self._core.size

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the pool; None while it has none and none is running."""
        return self._core.loop

    @property
    def n_waiting(self) -> int:
        """How many jobs wait; a running `map` counts as one that waits."""
        return len(self._core) - self._core.active

    @property
    def n_active(self) -> int:
        """How many jobs are active."""
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

        With a free slot this does not suspend. If the caller is cancelled while it waits, the job
        is withdrawn and the coroutine closed.

        :param coro: the job: a coroutine that nobody has awaited, or another awaitable.
        :param cb: a coroutine function that runs after the job, in the same slot, also when the
            job failed or was cancelled while active; what it returns or raises settles the future.
            It is called as `cb(res, err, ctx)` with as many of the three as it accepts: the result
            or None; None or `(exception, traceback text)`; and `ctx`.
        :param ctx: anything, for the callback.
        :returns: the future of the job. It is cancelled already if `cancel` took the job out of
            the queue meanwhile.
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

        `future.cancel()` takes a waiting job out of the queue, and only gives up the result of an
        active one: to stop that, use `cancel`.

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

        If the caller is cancelled, so is the job; its end is waited for, however often the caller
        is cancelled.

        :param coro: as for `spawn`.
        :param cb: as for `spawn`.
        :param ctx: as for `spawn`.
        :returns: what the job returned, or its callback if there is one.
        :raises BaseException: what the job or its callback raised; CancelledError if it was
            cancelled.
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
        """Stops the jobs of these futures, or all, and gives their futures when they have ended."""
        self._core.enter()
        stopped, tasks = self._core.stop(futures) if futures else self._core.stop_all()
        # A job that cancels jobs may be waited for by one of them: it does not insist.
        await ended(tasks, may_leave=self._is_in_job)
        return stopped

    async def _stop_block(self) -> None:
        """Ends a block that is cancelled: nothing that is handed in before it has ended starts."""
        self._core.end()
        _, tasks = self._core.stop_all()
        await ended(tasks, may_leave=self._is_in_job)

    def _is_in_job(self) -> bool:
        task = asyncio.current_task()
        return task is not None and self._core.runs_in(task)


# What `spawn` and `exec` do stands apart from them: a coroutine that is cancelled before its first
# step runs no line, and so cannot close what it was called with. The extension does that.


@named("BasePool.spawn")
async def _spawn(unawaited: _core.Unawaited) -> asyncio.Future[Any]:
    future, admitted = unawaited.spawn()
    if admitted is not None:
        try:
            await admitted
        except BaseException:
            unawaited.pool.stop([future])
            raise
    return future


@named("BasePool.exec")
async def _exec(unawaited: _core.Unawaited) -> Any:
    future = unawaited.exec()
    try:
        return await future
    except asyncio.CancelledError:
        await ended(unawaited.pool.stop([future])[1])
        raise
    finally:
        # The future holds the error, and the error this frame.
        del future
