"""A pool in plain asyncio, as simple as can be: what the properties compare the package with."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

from asyncio_pool import getres

Coro = Coroutine[Any, Any, Any]
Fn = Callable[[Any], Coro]
Callback = Callable[..., Coro] | None


class NaivePool:
    def __init__(self, size: int) -> None:
        self.size = size
        self.n_executed = 0
        self.queue: deque[Job | Map] = deque()
        self.active: dict[Job, asyncio.Task[None]] = {}
        self.empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self.queue) + len(self.active)

    @property
    def n_active(self) -> int:
        return len(self.active)

    async def spawn(
        self, coro: Coro, cb: Callback = None, ctx: object = None
    ) -> asyncio.Future[Any]:
        job = Job(self, coro, cb, ctx)
        self.enter(job)
        try:
            await job.admitted.wait()
        except asyncio.CancelledError:
            self.stop([job])
            raise
        return job.future

    def spawn_n(self, coro: Coro, cb: Callback = None, ctx: object = None) -> asyncio.Future[Any]:
        job = Job(self, coro, cb, ctx)
        self.enter(job)
        return job.future

    def enqueue(self, fn: Fn, *args: Any) -> asyncio.Future[Any]:
        job = Job(self, self.called(partial(fn, *args)), None, None)
        job.future = EnqueuedFuture(self, job)
        self.enter(job)
        return job.future

    async def called(self, call: Callable[[], Coro]) -> Any:
        try:
            coro = call()
        except BaseException:
            self.n_executed -= 1  # for nothing of it has run
            raise
        return await coro

    async def exec(self, coro: Coro, cb: Callback = None, ctx: object = None) -> Any:
        job = Job(self, coro, cb, ctx)
        self.enter(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            await self.ended(self.stop([job]))
            raise

    async def map(
        self, fn: Fn, iterable: Iterable[Any], cb: Callback = None, ctx: object = None
    ) -> list[Any]:
        running = Map(iter(iterable), lambda item: Job(self, partial(fn, item), cb, ctx))
        self.enter(running)
        try:
            await running.pulled_all.wait()
            if running.jobs:
                await asyncio.wait([job.future for job in running.jobs])
        except asyncio.CancelledError:
            if running in self.queue:
                self.queue.remove(running)
            await self.ended(self.stop(running.jobs))
            raise
        if running.error is not None:
            raise running.error
        return [getres.flat(job.future) for job in running.jobs]

    def map_n(
        self, fn: Fn, iterable: Iterable[Any], cb: Callback = None, ctx: object = None
    ) -> list[asyncio.Future[Any]]:
        futures: list[asyncio.Future[Any]] = []
        for item in list(iterable):
            try:
                futures.append(self.spawn_n(fn(item), cb, ctx))
            except Exception as error:
                futures.append(asyncio.Future())
                futures[-1].set_exception(error)
        return futures

    async def itermap(
        self,
        fn: Fn,
        iterable: Iterable[Any],
        cb: Callback = None,
        ctx: object = None,
        *,
        flat: bool = True,
        yield_when: str = asyncio.ALL_COMPLETED,
    ) -> AsyncIterator[Any]:
        jobs = [Job(self, partial(fn, item), cb, ctx) for item in list(iterable)]
        for job in jobs:
            self.enter(job)
        pending: set[asyncio.Future[Any]] = {job.future for job in jobs}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=yield_when)
            results = [getres.flat(future) for future in done]
            for result in results if flat else [results]:
                yield result

    async def join(self) -> bool:
        if len(self):
            await self.empty.wait()
        return True

    async def cancel(self, *futures: asyncio.Future[Any]) -> tuple[int, list[Any]]:
        jobs = [
            job
            for job in (*self.queue, *self.active)
            if isinstance(job, Job) and (not futures or job.future in futures)
        ]
        # A job that cancels jobs may be one of them, or waited for by one.
        in_job = asyncio.current_task() in self.active.values()
        await self.ended(self.stop(jobs), may_leave=in_job)
        return len(jobs), [getres.flat(job.future) for job in jobs]

    def enter(self, entry: Job | Map) -> None:
        self.empty.clear()
        self.queue.append(entry)
        self.admit()

    def admit(self) -> None:
        while self.queue and len(self.active) < self.size:
            entry = self.queue.popleft()
            job = entry if isinstance(entry, Job) else self.pull(entry)
            if job is not None:
                self.start(job)
        if not len(self):
            self.empty.set()

    def pull(self, running: Map) -> Job | None:
        job = running.pull()
        if job is not None:
            self.queue.append(running)
        elif running.error is not None:
            self.stop(running.jobs)
        return job

    def start(self, job: Job) -> None:
        job.admitted.set()
        try:
            coro = job.work() if callable(job.work) else job.work
        except Exception as error:
            job.settle(None, error)
            return
        task = asyncio.create_task(self.run(job, coro))
        self.active[job] = task
        task.add_done_callback(partial(self.give_back, job, coro))

    async def run(self, job: Job, coro: Coro) -> None:
        try:
            result, error = await coro, None
        except BaseException as raised:
            result, error = None, raised
        self.n_executed += 1
        if job.cb is not None:
            try:
                result, error = await self.call_back(job, result, error), None
            except BaseException as raised:
                result, error = None, raised
            self.n_executed += 1
        job.settle(result, error)

    async def call_back(self, job: Job, result: object, error: BaseException | None) -> Any:
        assert job.cb is not None
        failure = error and (error, "".join(traceback.format_exception(error)))
        accepted = len(inspect.signature(job.cb).parameters)
        return await job.cb(*(result, failure, job.ctx)[:accepted])

    def give_back(self, job: Job, coro: Coro, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step
            coro.close()
            asyncio.Future.cancel(job.future)
        del self.active[job]
        self.admit()

    def stop(self, jobs: Iterable[Job]) -> list[asyncio.Future[Any]]:
        """Gives the tasks of those that were active and may need a while to end."""
        tasks: list[asyncio.Future[Any]] = []
        for job in jobs:
            if job in self.active:
                self.active[job].cancel()
                tasks.append(self.active[job])
            elif job in self.queue:
                job.future.cancel()
        return tasks

    async def ended(self, futures: list[asyncio.Future[Any]], may_leave: bool = False) -> None:
        """Waits for them, however often the caller is cancelled."""
        cancellation = None
        while not all(future.done() for future in futures):
            try:
                await asyncio.wait(futures)
            except asyncio.CancelledError as error:
                if may_leave:
                    raise
                cancellation = error
        if cancellation is not None:
            raise cancellation

    def withdraw(self, job: Job) -> None:
        if job in self.queue:
            self.queue.remove(job)
            job.admitted.set()
            if not callable(job.work):
                job.work.close()


class Job:
    """A coroutine, or the call that will make one, with its callback and its future."""

    def __init__(
        self, pool: NaivePool, work: Coro | Callable[[], Coro], cb: Callback, ctx: object
    ) -> None:
        self.work = work
        self.cb = cb
        self.ctx = ctx
        self.admitted = asyncio.Event()
        self.future: JobFuture = JobFuture(partial(pool.withdraw, self))

    def settle(self, result: object, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            asyncio.Future.cancel(self.future)
        elif self.future.done():
            pass  # Its holder has given it up.
        elif error is not None:
            self.future.set_exception(error)
            self.future.exception()  # For who never reads it, the loop need not complain.
        else:
            self.future.set_result(result)


class JobFuture(asyncio.Future[Any]):
    def __init__(self, withdraw: Callable[[], None]) -> None:
        super().__init__()
        self.withdraw = withdraw

    def cancel(self, msg: Any | None = None) -> bool:
        self.withdraw()
        return super().cancel(msg)


class EnqueuedFuture(JobFuture):
    """Cancelling it stops its job in every state."""

    def __init__(self, pool: NaivePool, job: Job) -> None:
        super().__init__(partial(pool.withdraw, job))
        self.task = partial(pool.active.get, job)

    def cancel(self, msg: Any | None = None) -> bool:
        task = self.task()
        if task is None or self.done():
            return super().cancel(msg)
        return task.cancel()


class Map:
    """A running ``map``, which stands in the queue for its next item."""

    def __init__(self, source: Iterator[Any], new_job: Callable[[Any], Job]) -> None:
        self.source = source
        self.new_job = new_job
        self.jobs: list[Job] = []
        self.error: Exception | None = None
        self.pulled_all = asyncio.Event()

    def pull(self) -> Job | None:
        try:
            item = next(self.source)
        except StopIteration:
            self.pulled_all.set()
            return None
        except Exception as error:
            self.error = error
            self.pulled_all.set()
            return None
        self.jobs.append(self.new_job(item))
        return self.jobs[-1]
