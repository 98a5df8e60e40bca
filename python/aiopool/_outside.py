"""Waiting in a job without its slots."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiopool import _core
from aiopool._ended import cancellations

T = TypeVar("T")


async def outside(core: _core.Pool, awaitable: Awaitable[T], *, front: bool = False) -> T:
    """Awaits without the slots of the job that the current task runs.

    :param front: whether the job comes back before all others of its priority, and pays no rate.
    :raises RuntimeError: if the task runs no job of this pool.
    """
    try:
        job = core.go_outside()
    except RuntimeError:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise
    if job is None:  # it is outside already, and whoever let it outside gets it back
        return await awaitable
    before = cancellations()
    try:
        result = await awaitable
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        job.force_back()
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and cancellations() > before:
            job.force_back()
        else:
            await _come_back(job, front)
        raise
    await _come_back(job, front)
    return result


async def while_nested(core: _core.Pool, awaitable: Awaitable[T]) -> T:
    """Awaits what jobs of a pool do. A job of the same pool gives them its slots for that long."""
    return await (outside(core, awaitable, front=True) if core.runs_current() else awaitable)


async def _come_back(job: _core.Job, front: bool) -> None:
    try:
        await job.come_back(front)
    except BaseException:
        # It is cancelled while it stands in the queue.
        job.force_back()
        raise
