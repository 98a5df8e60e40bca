"""The pool with the interface of asyncio-pool 0.6.0."""

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, TypeVar, overload

from aiopool import _core
from aiopool._base import BasePool, PerKey, PerKeyRate
from aiopool._observe import Observer
from aiopool._rate import Rates
from aiopool._results import AnyFuture
from aiopool.compat._itermap import MxAsyncGenPool
from aiopool.compat._maps import Maps
from aiopool.compat._results import check_get_result, getres

R = TypeVar("R")
G = TypeVar("G")


class Options(MxAsyncGenPool, Maps):
    """The verbs of a pool, with options for their jobs: see `AioPool.options`."""

    def __init__(self, verbs: _core.Verbs) -> None:
        self._verbs = verbs


class BaseAioPool(Maps, BasePool):
    """`AioPool` without `itermap`, which a mixin adds."""

    def __init__(
        self,
        size: int = 4,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        reuse_tasks: bool = False,
        eager: bool = False,
        rate: Rates = None,
        per_key: PerKey = None,
        per_key_rate: PerKeyRate = None,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(
            size,
            loop,
            reuse_tasks,
            eager=eager,
            rate=rate,
            per_key=per_key,
            per_key_rate=per_key_rate,
            observer=observer,
        )

    def options(
        self,
        *,
        timeout: float | Callable[[Any], float | None] | None = None,
        priority: int | Callable[[Any], int | None] | None = None,
        key: Hashable | Callable[[Any], Hashable] = None,
        weight: int | Callable[[Any], int] = 1,
        name: str | Callable[[Any], str | None] | None = None,
    ) -> Options:
        """The verbs of this pool, with options for the jobs that they hand in.

        A call of `map`, `map_n` or `itermap` has one job for each item: there an option may be a
        function of the item, and whatever can be called is taken for that. For a single job a key
        that can be called is not called: it is itself the key, the same for all such jobs. Items
        that ask for another priority, key or weight than the others wait each for itself; a `map`
        then has at most `4 * size` items that are pulled and have not settled.

        :param timeout: for how many seconds, above 0, a job may hold its slots. Then it is
            cancelled, as by `asyncio.timeout`, and its slots come back when it has ended. It ends
            with `JobTimeout`, unless it handles the cancellation and returns. The time does not
            include its wait for slots, nor its callback. None: no limit.
        :param priority: from -100 to 100; jobs of higher ones start first. While lower ones wait,
            every 17th start goes to the one of these that has been passed longest. None: that of
            the job that hands it in, or 0.
        :param key: what jobs share the limits `per_key` and `per_key_rate` by: any hashable object.
            A job that waits for its key lets others pass, and keys take turns. None: no key.
        :param weight: how many slots a job takes, at least 1. More than `size` count as `size`: the
            job runs alone. Jobs that wait for slots are passed by none of their priority or below.
        :param name: the name of the job, for its task, reports and events. None: that of its
            coroutine.
        :raises TypeError: if an option is of another type, or `key` is not hashable; by the verb of
            a single job, if `timeout`, `priority`, `weight` or `name` is a function.
        :raises ValueError: if `timeout`, `priority` or `weight` is out of its range. If a function
            of an item raises, or gives such a value, that is the error of the item.
        """
        verbs = _core.Verbs.with_options(self._core, timeout, priority, key, weight, name)
        return Options(verbs)

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
        waits for the end of the jobs, unless it works for a job of the pool in a task that the job
        made, or in a job that it handed to another pool.

        A job that calls this waits without its slots. If no future is given, it is not stopped
        itself, nor are those who wait for its end. It waits for none of these, so there may be
        fewer results than stopped jobs.

        :param futures: futures of this pool. The call ignores settled futures and those of other
            pools. If no future is given, the call stops all jobs.
        :param get_result: makes a result from the settled future of a job; see `getres`.
        :returns: the number of jobs that it stopped, and their results. When it stops all jobs,
            the results of the waiting jobs come first.
        :raises TypeError: if an argument in `futures` is not a future, or `get_result` is not
            callable. No job is stopped then.
        :raises RuntimeError: if one of `futures` is that of the job that calls this: no job is
            stopped then; if the pool belongs to another loop or thread.
        """
        check_get_result(get_result)
        stopped = await self._stop(futures)
        ended = [future for future in stopped if future.done()]
        try:
            return len(stopped), list(map(get_result, ended))
        finally:
            del futures, stopped, ended  # as in `map`


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

    With `eager`, from Python 3.12 on, the first step of a job is made at its start: inside
    `spawn_n`, if a slot is free. A job that ends in that step costs no task of its own. One that
    suspends has its task for itself from then on. Jobs that end in their first step share tasks, as
    with `reuse_tasks`; the pool still ends its turn of the loop after as many of them as it has
    free slots. On a loop with a task factory, or one that is neither asyncio's nor uvloop's, and
    while the caller handles an exception, a job begins in the next turn, as without `eager`.

    As an asynchronous context manager the pool joins at exit. If the block is itself cancelled, the
    pool cancels its jobs and waits for their end, however often the block is cancelled meanwhile.
    The maps of other tasks then end with CancelledError. The pool cancels at once each job that is
    handed in before all jobs have ended.

    :param size: the number of slots, at least 1.
    :param loop: the loop of the pool; by default, the loop that runs at its first use.
    :param reuse_tasks: whether a task runs many jobs, one after another.
    :param eager: whether a job makes its first step at its start. Not together with `reuse_tasks`.
    :param rate: how many jobs may start in a time: a `Rate`, several that must all agree, or None.
    :param per_key: how many jobs of one key may be active at once: an int of at least 1, None for
        no limit, or a function of the key that gives one of these. See `options` for keys.
    :param per_key_rate: how many jobs of one key may start in a time: as `rate`, or a function of
        the key that gives that.
    :param observer: a function that is called with an `Event` for what happens to each job, and to
        the pool. An error that it raises goes to the exception handler of the loop.
    :raises TypeError: if `size` is not an int, `loop` is not a loop, `reuse_tasks` or `eager`
        not a bool, a limit not of its type, or `observer` not callable.
    :raises ValueError: if `size` or `per_key` is below 1, or `eager` is True on Python 3.11 or
        together with `reuse_tasks`.
    """
