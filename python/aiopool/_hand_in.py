"""Handing in single jobs: the verbs that a pool has, and the view that its `options` give."""

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, overload

from aiopool import _core
from aiopool._ended import ended
from aiopool._outside import outside, while_nested
from aiopool._submit import submitted
from aiopool._verbs import coroutine_function, named

R = TypeVar("R")
G = TypeVar("G")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

Callback = Callable[..., Awaitable[G]]


class HandIn:
    """Hands jobs in, one at a time."""

    _verbs: _core.Verbs

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

        While a slot is free, the call does not suspend. If it does in a job of the same pool, it
        returns when that job has a slot again. If the caller is cancelled while it waits, the pool
        takes the job out of the queue and closes the coroutine. If the job has begun in that
        moment, the call cancels it and waits for its end.

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
        return _spawn(self._verbs.unawaited(coro, cb, ctx))

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
        """Queues a job and returns its future at once.

        Nothing of the job runs in this call, unless the pool is `eager`.

        `future.cancel()` takes a waiting job out of the queue. An active job runs on, and only its
        result is lost: to stop an active job, use `cancel`.

        :param coro: as for `spawn`.
        :param cb: as for `spawn`.
        :param ctx: as for `spawn`.
        :returns: the future of the job.
        :raises TypeError: as `spawn` does.
        :raises RuntimeError: as `spawn` does.
        """
        return self._verbs.spawn_n(coro, cb, ctx)

    def enqueue(
        self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> _core.Enqueued[R]:
        """Queues a call, which is made when the job begins, and returns at once.

        A waiting call takes less memory and time than a coroutine and a future. `fn` is called in
        the task of the job, with the variables of the caller of `enqueue`. What it raises is the
        error of the job.

        :param fn: a function that gives an awaitable, such as a coroutine function.
        :param args: its arguments.
        :param kwargs: its arguments by name.
        :returns: a `Job`: await it, or use it as a future. `job.cancel()` stops the job in every
            state.
        :raises TypeError: if `fn` cannot be called.
        :raises RuntimeError: if the pool belongs to another loop or thread, or its loop is closed.
        """
        return self._verbs.enqueue(fn, args, kwargs)

    def submit(
        self, fn: Callable[[*Ts], Awaitable[R]], /, *args: *Ts
    ) -> concurrent.futures.Future[R]:
        """Queues a call from any thread, also from that of another loop.

        The pool makes the call in its own thread, as that of `enqueue`. The calls of one thread
        keep their order. In another loop, await `asyncio.wrap_future(future)`.

        :param fn: a function that gives an awaitable.
        :param args: its arguments. For arguments by name use `functools.partial`.
        :returns: a future that is settled with the job. `future.cancel()` stops the job in every
            state.
            If the loop of the pool ends before the job, it is cancelled. In the thread of the pool
            its `result()` raises RuntimeError while the job has not ended, instead of waiting for
            ever.
        :raises TypeError: if `fn` cannot be called.
        :raises RuntimeError: if the pool has no loop yet, from its block or from another verb, or
            its loop is closed.
        """
        return submitted(self._verbs, fn, args)

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
        return _exec(self._verbs.unawaited(coro, cb, ctx))


# `spawn` and `exec` return the coroutines of the functions below. A coroutine that is cancelled
# before its first step runs no line, and so cannot close the awaitable that its verb was called
# with. `Unawaited` in the extension closes it.


@named("BasePool.spawn")
async def _spawn(
    unawaited: _core.Unawaited,
    handed_in: tuple[asyncio.Future[Any], asyncio.Future[None] | None, bool] | None = None,
) -> asyncio.Future[Any]:
    future, admitted, is_nested = unawaited.spawn() if handed_in is None else handed_in
    if is_nested and admitted is not None:
        waiting = _spawn(unawaited, (future, admitted, False))
        try:
            return await outside(unawaited.pool, waiting, front=True)
        except asyncio.CancelledError:
            # The job may run already while its caller waits for its own slot.
            give_up = functools.partial(_give_up, unawaited.pool, future)
            await ended(give_up, waited=functools.partial(while_nested, unawaited.pool))
            raise
        except BaseException:
            _give_up(unawaited.pool, future)
            raise
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
async def _exec(unawaited: _core.Unawaited, handed_in: asyncio.Future[Any] | None = None) -> Any:
    future, is_nested = unawaited.exec() if handed_in is None else (handed_in, False)
    del handed_in  # as below
    if is_nested:
        waiting = _exec(unawaited, future)
        del future
        return await outside(unawaited.pool, waiting, front=True)
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
