"""The pool as its users see it."""

import asyncio
import contextvars
import operator
import sys
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from asyncio_pool import _core
from asyncio_pool._results import AnyFuture, Shape, getres
from asyncio_pool._stream import batches, check_wait

T = TypeVar("T")
R = TypeVar("R")
G = TypeVar("G")

Callback = Callable[..., Awaitable[G]]


class AioPool:
    """Keeps no more and no less than `size` jobs active while any are waiting.

    A job is a coroutine, or another awaitable, that is handed to the pool. It waits in line, first
    come first served, until it has one of the `size` slots; then it is active, in an
    `asyncio.Task` of its own. A job may have a callback, which runs after it in the same slot.

    With `reuse_tasks` the jobs that follow one another in a slot run in one task, which costs
    between a third and two thirds of a task for each. Each job still has its own context,
    cancellation, callback and error. What they share is the task itself: its identity and its
    name, and so everything that is kept by `asyncio.current_task()`, such as sessions scoped to
    the task. Do not use it with those, and not with jobs that let their task be cancelled after
    they have ended. A job may begin in the same turn of the loop in which the one before it
    ended.

    As an asynchronous context manager the pool joins at exit. If the block is itself cancelled,
    the jobs of the pool are cancelled and waited for.

    :param size: the number of slots, at least 1.
    :param loop: the loop the pool belongs to; by default the one that runs at its first use.
    :param reuse_tasks: whether a task runs many jobs, one after another.
    :raises TypeError: if `size` is not an int, `loop` is not a loop or `reuse_tasks` not a bool.
    :raises ValueError: if `size` is below 1.
    """

    def __init__(
        self,
        size: int = 4,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        reuse_tasks: bool = False,
    ) -> None:
        if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop must be an asyncio event loop or None, not {loop!r}")
        if not isinstance(reuse_tasks, bool):
            raise TypeError(f"reuse_tasks must be True or False, not {reuse_tasks!r}")
        self._core = _core.Pool(_checked_size(size), loop, reuse_tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc_type is not None and issubclass(exc_type, GeneratorExit):
            return  # The block is destroyed with its task, and may not await any more.
        if (
            exc_type is not None
            and issubclass(exc_type, asyncio.CancelledError)
            and _is_cancelled()
        ):
            await self.cancel()
            return
        try:
            await self.join()
        except asyncio.CancelledError:
            await self.cancel()
            raise

    def __len__(self) -> int:
        """How many jobs wait or are active; a running `map` counts as one that waits."""
        return len(self._core)

    def __repr__(self) -> str:
        active = self.n_active
        waiting = len(self) - active
        return f"<{type(self).__name__} size={self.size} active={active} waiting={waiting}>"

    @property
    def size(self) -> int:
        """The number of slots."""
        return self._core.size

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the pool; None while it has none and none is running."""
        return self._core.loop

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

    @property
    def n_executed(self) -> int:
        """How many coroutines have run to their end, those of callbacks included."""
        return self._core.executed

    _executed = n_executed

    @overload
    async def spawn(
        self, coro: Awaitable[R], cb: None = None, ctx: Any = None
    ) -> asyncio.Future[R]: ...
    @overload
    async def spawn(
        self, coro: Awaitable[Any], cb: Callback[G], ctx: Any = None
    ) -> asyncio.Future[G]: ...
    async def spawn(
        self, coro: Awaitable[Any], cb: Callback[Any] | None = None, ctx: Any = None
    ) -> asyncio.Future[Any]:
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
            the line meanwhile.
        :raises TypeError: if `coro` is not awaitable or `cb` is not callable.
        :raises RuntimeError: if `coro` runs or has run already, or the pool belongs to another
            loop or thread, or its loop is closed.
        """
        future, left_line = self._core.spawn(coro, cb, ctx)
        if left_line is not None:
            try:
                await left_line
            except BaseException:
                self._core.stop([future])
                raise
        return future

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
        """Puts a job in line and returns its future at once; nothing of the job runs in this call.

        `future.cancel()` takes a waiting job out of the line, and only gives up the result of an
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
    async def exec(
        self, coro: Awaitable[Any], cb: Callback[Any] | None = None, ctx: Any = None
    ) -> Any:
        """Waits for a slot and for the end of the job.

        If the caller is cancelled, so is the job, and its end is waited for.

        :param coro: as for `spawn`.
        :param cb: as for `spawn`.
        :param ctx: as for `spawn`.
        :returns: what the job returned, or its callback if there is one.
        :raises BaseException: what the job or its callback raised; CancelledError if it was
            cancelled.
        :raises TypeError: as `spawn` does.
        :raises RuntimeError: as `spawn` does.
        """
        future = self._core.spawn_n(coro, cb, ctx)
        try:
            return await future
        except asyncio.CancelledError:
            await _ended(self._core.stop([future])[1])
            raise
        finally:
            # The future holds the error, and the error this frame.
            del future

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
        iterable: Iterable[Any],
        cb: Callback[Any] | None = None,
        ctx: Any = None,
        *,
        get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
    ) -> list[Any]:
        """Runs `fn(item)` for each item and waits for all of them.

        The iterable is pulled, and `fn` called, when a slot is at hand; the map stands in line
        with one item at a time and goes to the back after each. If the caller is cancelled, so are
        the jobs, and their end is waited for.

        :param fn: a function of one item that gives an awaitable. What it raises is the outcome
            of that item.
        :param iterable: the items.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :param get_result: what to make of the settled future of a job; see `getres`.
        :returns: the results in the order of `iterable`.
        :raises Exception: what `iterable` raises, after the jobs started so far were cancelled.
        :raises TypeError: if `fn` or `cb` is not callable or `iterable` cannot be iterated over.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        _check_calls(fn, cb)
        shape, get_result_later = _shape_of(get_result)
        context = contextvars.copy_context()
        items = self._core.map(fn, iter(iterable), cb, ctx, context, shape)
        try:
            over = items.wait(asyncio.ALL_COMPLETED)
            if over is not None:
                await over
        except asyncio.CancelledError:
            await _ended(items.stop())
            raise
        except BaseException:
            items.stop()
            raise
        results = items.take()
        if get_result_later is not None:
            return [get_result_later(future) for future in results]
        return results

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
        iterable: Iterable[Any],
        cb: Callback[Any] | None = None,
        ctx: Any = None,
    ) -> list[asyncio.Future[Any]]:
        """Calls `fn(item)` for each item and puts all the jobs in line at once.

        :param fn: as for `map`; it is called for all items in this call.
        :param iterable: the items; all are taken before the first job is put in line.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :returns: the futures in the order of `iterable`.
        :raises Exception: what `iterable` raises, before any job is put in line.
        :raises TypeError: if `fn` or `cb` is not callable or `iterable` cannot be iterated over.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        _check_calls(fn, cb)
        return self._core.map_n(fn, list(iterable), cb, ctx)

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
        iterable: Iterable[Any],
        cb: Callback[Any] | None = None,
        ctx: Any = None,
        *,
        flat: bool = True,
        get_result: Callable[[asyncio.Future[Any]], Any] = getres.flat,
        timeout: float | None = None,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncGenerator[Any, None]:
        """Runs `fn(item)` for each item and iterates over the results as they come.

        At its first step the iterator takes all items and puts each in line; `fn` is called when a
        slot is at hand. To break out of the iteration leaves the jobs running.

        :param fn: as for `map`.
        :param iterable: the items.
        :param cb: as for `spawn`, for each job.
        :param ctx: as for `spawn`, the same for all jobs.
        :param flat: whether to yield results one by one, or a list after each wait (an empty list
            when `timeout` passes with nothing settled).
        :param get_result: what to make of the settled future of a job; see `getres`.
        :param timeout: how long one wait lasts at most, in seconds; None for no limit.
        :param yield_when: when a wait is over, as in `asyncio.wait`; with the default, when all
            jobs have settled.
        :returns: an asynchronous iterator; its first step raises what `iterable` raises.
        :raises TypeError: if `fn` or `cb` is not callable, `iterable` cannot be iterated over, or
            `timeout` is not a number.
        :raises ValueError: if `yield_when` is not one of the constants of asyncio.
        """
        _check_calls(fn, cb)
        _check_iterable(iterable)
        check_wait(timeout, yield_when)
        shape, get_result_later = _shape_of(get_result)
        context = contextvars.copy_context()
        return batches(
            lambda: self._core.itermap(fn, list(iterable), cb, ctx, context, shape),
            flat=flat,
            get_result=get_result_later,
            timeout=timeout,
            yield_when=yield_when,
        )

    async def join(self) -> Literal[True]:
        """Waits until no job waits and none is active.

        Inside a job of the same pool this never returns, because the job waits for itself.

        :returns: True.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        task = asyncio.current_task()
        if task is not None and self._core.runs_in(task):
            warnings.warn(
                "join() inside a job of the same pool never returns: the job waits for itself. "
                "Await the futures of the other jobs instead",
                RuntimeWarning,
                stacklevel=2,
            )
        joiner = self._core.join()
        if joiner is not None:
            try:
                await joiner
            except BaseException:
                self._core.leave(joiner)
                raise
        return True

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

        A waiting job leaves the line and never starts. An active one gets CancelledError, as does
        its callback if it is that which runs. A running `map` goes on with the items it has not
        pulled yet: to stop it, cancel the task that awaits it.

        :param futures: futures of this pool; settled and foreign ones are passed over. None for
            all jobs.
        :param get_result: what to make of the settled future of a job; see `getres`.
        :returns: how many jobs were stopped, and their results; of all jobs, those that waited
            come first.
        :raises TypeError: if something in `futures` is not a future.
        :raises RuntimeError: if the pool belongs to another loop or thread.
        """
        self._core.enter()
        stopped, tasks = self._core.stop(futures) if futures else self._core.stop_all()
        await _ended(tasks)
        return len(stopped), [get_result(future) for future in stopped]


def _is_cancelled() -> bool:
    """Whether the current task is, and not only something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _checked_size(size: int) -> int:
    if isinstance(size, bool):
        raise TypeError(f"size must be an int, not {size!r}")
    try:
        slots = operator.index(size)
    except TypeError:
        raise TypeError(f"size must be an int, not {size!r}") from None
    if slots < 1:
        raise ValueError(f"size must be at least 1, not {slots}: without a slot no job ever starts")
    return min(slots, sys.maxsize)


def _check_calls(fn: object, cb: object) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be a function of one item that gives an awaitable, not {fn!r}")
    if cb is not None and not callable(cb):
        raise TypeError(
            f"cb must be a coroutine function such as `async def cb(res, err, ctx)`, not {cb!r}"
        )


def _check_iterable(iterable: object) -> None:
    if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
        raise TypeError(f"the items must be an iterable, not {iterable!r}")


def _shape_of(
    get_result: Callable[[asyncio.Future[Any]], Any],
) -> tuple[Shape, Callable[[asyncio.Future[Any]], Any] | None]:
    """How the extension is to store results, and what is left to be called with them.

    The usual extractors need no future, so none is made for them.
    """
    if get_result is getres.flat:
        return "flat", None
    if get_result is getres.pair:
        return "pair", None
    if get_result is getres.dont:
        return "future", None
    if not callable(get_result):
        raise TypeError(f"get_result must be a function of one future, not {get_result!r}")
    return "future", get_result
