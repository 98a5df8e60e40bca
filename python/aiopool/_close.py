"""Closing a pool: by when what ends, and the report of that."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from aiopool import _core


@dataclass(frozen=True, slots=True)
class JobInfo:
    """What a report tells of a job.

    :param name: the name of the job.
    :param key: its key.
    :param age: for how many seconds it had been handed in; None if the pool has no observer.
    """

    name: str | None
    key: Hashable
    age: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What `close` has found.

    :param finished: how many jobs have ended in the meantime that `close` did not cancel.
    :param cancelled: the jobs that `close` cancelled and that have ended.
    :param unstarted: the jobs that waited and were withdrawn.
    :param running: the jobs that `close` cancelled and that had not ended when it returned.
    :param sources: the running maps whose items were not exhausted, such as `"map(fetch)"`.
    """

    finished: int
    cancelled: tuple[JobInfo, ...]
    unstarted: tuple[JobInfo, ...]
    running: tuple[JobInfo, ...]
    sources: tuple[str, ...]


class Closing:
    """The end of a pool, which several calls of `close` may wait for."""

    def __init__(self, core: _core.Pool) -> None:
        self._core = core
        self._has_stopped = False
        self._report: Report | None = None
        self._ended = _ended(core)
        # Whoever cannot come back from a pause is cancelled at once.
        begun = dict(core.begun())
        unstarted, self._sources, cancelled = core.begin_closing()
        self._unstarted = [JobInfo(*info) for info in unstarted]
        self._stopped = {job: JobInfo(*begun[job]) for job in cancelled}

    async def wait(self, timeout: float | None, grace: float) -> Report:
        deadline = None
        if timeout is not None:
            deadline = asyncio.get_running_loop().time() + timeout
        if self._report is None and not await self._is_empty(deadline, grace):
            self._stop()
            await self._is_empty(deadline, 0.0)
        if self._report is None:
            self._report = self._made()
        return self._report

    async def _is_empty(self, deadline: float | None, grace: float) -> bool:
        """Whether all jobs have ended so long before the deadline."""
        joining = self._core.join()
        if joining is None:
            return True
        joiner, ticket = joining
        left = None
        if deadline is not None:
            left = max(0.0, deadline - grace - asyncio.get_running_loop().time())
        try:
            await asyncio.wait([joiner], timeout=left)
        finally:
            self._core.leave(ticket)
        return joiner.done()

    def _stop(self) -> None:
        """Withdraws those who wait, and cancels the others, once however many calls there are."""
        if self._has_stopped:
            return  # a second cancellation would cut off the clean-up of the jobs
        self._has_stopped = True
        waiting, sources = self._core.refuse_all()
        self._unstarted += [JobInfo(*info) for info in waiting]
        self._sources += sources
        self._stopped |= {job: JobInfo(*info) for job, info in self._core.begun()}
        self._core.stop_all()

    def _made(self) -> Report:
        running = [info for job, info in self._stopped.items() if job.is_held]
        cancelled = [info for job, info in self._stopped.items() if not job.is_held]
        ended = _ended(self._core) - self._ended
        return Report(
            finished=ended - len(cancelled) - len(self._unstarted),
            cancelled=tuple(cancelled),
            unstarted=tuple(self._unstarted),
            running=tuple(running),
            sources=tuple(self._sources),
        )


def _ended(core: _core.Pool) -> int:
    _, (_, *ended), _, _ = core.stats()
    return sum(ended)
