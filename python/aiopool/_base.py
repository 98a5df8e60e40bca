"""The part that all pools of this package share, however their `map` and block treat errors."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Literal, Self, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from aiopool import _core
from aiopool._checks import (
    check_outside,
    checked_eager,
    checked_loop,
    checked_observer,
    checked_rates,
    checked_reuse_tasks,
    checked_seconds,
    checked_size,
    checked_sleep,
    checked_span,
)
from aiopool._close import Closing, Report
from aiopool._ended import cancellations, ended
from aiopool._hand_in import HandIn
from aiopool._observe import Observer, Stats
from aiopool._outside import outside, while_nested
from aiopool._rate import Rates
from aiopool._results import AnyFuture
from aiopool._within import is_within

T = TypeVar("T")

#: How many jobs of a key may be active, the same for all keys or for each.
PerKey: TypeAlias = int | Callable[[Any], int | None] | None
#: How many jobs of a key may start in a time, the same for all keys or for each.
PerKeyRate: TypeAlias = Rates | Callable[[Any], Rates]


class BasePool(HandIn):
    """Keeps exactly `size` jobs active while any jobs wait that its limits allow."""

    def __init__(
        self,
        size: int,
        loop: asyncio.AbstractEventLoop | None,
        reuse_tasks: bool,
        *,
        eager: bool = False,
        rate: Rates = None,
        per_key: PerKey = None,
        per_key_rate: PerKeyRate = None,
        observer: Observer | None = None,
    ) -> None:
        self._core = _core.Pool(
            checked_size(size),
            checked_loop(loop),
            checked_reuse_tasks(reuse_tasks),
            checked_eager(eager, reuse_tasks),
            per_key,
            per_key_rate if callable(per_key_rate) else checked_rates("per_key_rate", per_key_rate),
            checked_observer(observer),
        )
        self._verbs = _core.Verbs(self._core)
        self._closing: Closing | None = None
        self._rate: Rates = None
        if rate is not None:
            self.rate = rate
        # How often each task that is in blocks of this pool was cancelled before each of them.
        self._blocks = WeakKeyDictionary[asyncio.Task[Any], list[int]]()

    async def __aenter__(self) -> Self:
        # A thread that uses the pool from here on must not take it to a loop of its own.
        self._core.enter()
        if self._core.is_closed:
            raise RuntimeError("the pool is closed")
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
        """The number of jobs that wait, are active, or are outside.

        A running `map` counts as one waiting job, and each of its items that waits for itself as
        one more.
        """
        return len(self._core)

    def __repr__(self) -> str:
        counts = f"size={self.size} active={self.n_active} waiting={self.n_waiting}"
        outside = len(self) - self.n_active - self.n_waiting
        counts += f" outside={outside}" if outside else ""
        return f"<{type(self).__name__} {counts}{' closed' if self._core.is_closed else ''}>"

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
    def rate(self) -> Rates:
        """The limit on starts in a time: a `Rate`, several that must all agree, or None.

        It may be set, and takes effect at once. A new rate counts the starts that the rates before
        it remember, so nothing is granted twice; a rate that is set where none was begins empty.

        :raises TypeError: when it is set to anything else; the pool keeps its rate then.
        :raises RuntimeError: when it is set and the pool belongs to another loop or thread.
        """
        return self._rate

    @rate.setter
    def rate(self, rate: Rates) -> None:
        rates = checked_rates("rate", rate)
        self._core.set_rates(rates)
        self._rate = rates

    def pause(self, seconds: float | None = None, *, key: Hashable = None) -> None:
        """Starts nothing for a time, or until `resume`.

        Active jobs run on, jobs can be handed in and cancelled, and `join` waits. A second pause
        lasts until the later of the two ends.

        :param seconds: for how many seconds; None: until `resume` is called.
        :param key: if it is not None, only the jobs of this key do not start.
        :raises TypeError: if `seconds` is not a number, or `key` is not hashable.
        :raises ValueError: if `seconds` is negative or nan.
        :raises RuntimeError: if the pool belongs to another loop or thread, or it has no loop yet
            and the pause is for a time.
        """
        self._core.pause(checked_seconds(seconds), key)

    def resume(self, *, key: Hashable = None) -> None:
        """Ends a pause.

        :param key: if it is not None, the pause of this key.
        :raises RuntimeError: if there is no such pause, or the pool belongs to another loop or
            thread.
        """
        self._core.resume(key)

    def stats(self) -> Stats:
        """The numbers of the pool at this moment."""
        counts, totals, seconds, held_by = self._core.stats()
        waited, ran = seconds or (None, None)
        return Stats(*counts, *totals, waited, ran, held_by)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the pool; None if the pool has no loop yet and no loop is running."""
        return self._core.loop

    @property
    def n_waiting(self) -> int:
        """The number of jobs that wait and have not begun, counted as by `len`.

        `stats().outside` counts the jobs that have begun and hold no slots.
        """
        return self._core.waiting

    @property
    def n_active(self) -> int:
        """The number of active jobs."""
        return self._core.active

    @property
    def is_empty(self) -> bool:
        """Whether no job waits, is active, or is outside."""
        return self._core.is_empty

    @property
    def is_full(self) -> bool:
        """Whether the jobs that wait or are active need all slots, or more."""
        return self._core.is_full

    async def outside(self, awaitable: Awaitable[T]) -> T:
        """In a job: awaits without its slots, which others have meanwhile.

        Then the job stands in the queue for its slots, behind all others of its priority and key,
        and waits for the rates as at its start. Its timeout stands still meanwhile. If the job is
        cancelled, the error is raised in it at once, and it has its slots from there on, beyond
        `size` if need be: nothing starts until they fit.

        :param awaitable: what to wait for, such as `asyncio.sleep(1)`.
        :returns: what the awaitable gives.
        :raises TypeError: if `awaitable` is none.
        :raises RuntimeError: if the current task runs no job of this pool; a task that a job has
            made is not the job, nor is that of `asyncio.wait_for` on Python 3.11.
        """
        check_outside(awaitable)
        return await outside(self._core, awaitable)

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`, in a job without its slots: see `outside`.

        Give it to a library that retries, and jobs hold no slots while they back off. In a task
        that runs no job of this pool it is `asyncio.sleep`. So it keeps the slot of a job in a task
        that the job has made.

        :param seconds: for how long.
        :raises TypeError: if `seconds` is not a number.
        :raises ValueError: if it is nan.
        """
        seconds = checked_sleep(seconds)
        if self._core.runs_current():
            await outside(self._core, asyncio.sleep(seconds))
        else:
            await asyncio.sleep(seconds)

    async def join(self, *, waiting: bool = True) -> Literal[True]:
        """Waits until no job waits, is active, or is outside.

        `join` waits through a pause.

        :param waiting: if False, waits only until no job is active, and not for those outside. In a
            pool that is paused, no job runs in its slots after that.
        :returns: True.
        :raises RuntimeError: inside a job of the same pool, which would wait for itself; if the
            pool belongs to another loop or thread.
        """
        if self._is_in_job():
            raise RuntimeError(
                "join() inside a job of the same pool would wait for that job itself: await the "
                "futures of the other jobs, or use exec or map"
            )
        core = self._core
        join, leave = (core.join, core.leave) if waiting else (core.join_active, core.leave_active)
        joining = join()
        if joining is not None:
            joiner, ticket = joining
            try:
                await joiner
            except BaseException:
                leave(ticket)
                raise
        return True

    async def close(self, timeout: float | None = None, *, grace: float = 1.0) -> Report:
        """Ends the pool for ever: what is handed in from now on is refused, and the jobs end.

        At once, callers that are blocked in `spawn` get that error, and running maps pull no more:
        they raise it when their jobs have ended, and the results of these are lost. What waits for
        the end of a pause, of the pool or of its key, is withdrawn, and what is outside there is
        cancelled. Then the pauses end. Jobs that have begun may go on to wait for jobs of the pool.
        `grace` seconds before the end of `timeout`, those who wait are withdrawn, and the others
        are cancelled.

        If the caller is cancelled, the pool stays closed, and `close` can be called again. Of calls
        that overlap, each has its own `timeout`, and that which comes to it first stops the jobs.
        Once one has returned, each call gives the same report.

        :param timeout: after how many seconds it returns at the latest; None: when all jobs have
            ended.
        :param grace: how many seconds of these the jobs have that are cancelled; if that is all of
            them, or more, the jobs are cancelled at once.
        :returns: how the jobs have ended.
        :raises TypeError: if `timeout` or `grace` is not a number.
        :raises ValueError: if `timeout` or `grace` is negative or nan.
        :raises RuntimeError: inside a job of the same pool, which would wait for itself; if the
            pool belongs to another loop or thread.
        """
        timeout = None if timeout is None else checked_span("timeout", timeout)
        grace = checked_span("grace", grace)
        self._core.enter()
        if self._is_in_job():
            raise RuntimeError(
                "close() inside a job of the same pool would wait for that job itself: have "
                "another task call it, such as the one that made the pool"
            )
        if self._closing is None:
            self._closing = Closing(self._core)
        return await self._closing.wait(timeout, grace)

    async def _stop(self, futures: Sequence[AnyFuture[Any]]) -> list[asyncio.Future[Any]]:
        """Stops the jobs of these futures, or all; gives their futures when they have ended."""
        self._core.enter()
        stop = functools.partial(self._core.stop, futures) if futures else self._core.stop_all
        if self._is_in_job():
            # Jobs that wait for this one are told, and are not waited for.
            return await ended(stop, waited=functools.partial(while_nested, self._core))
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
