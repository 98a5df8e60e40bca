"""The Python half of a job: its future, and the genuine coroutine that its task runs.

What the extension does itself stands in `crates/aiopool-python/src/job.rs`. The coroutine is
Python so that debuggers, tracers and `python -m asyncio ps` see through it.
"""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from asyncio_pool._arguments import accepted_positionals
from asyncio_pool._core import Job, Pool, Worker

# Instead of `super()`, for which there may be no memory when a job has just left the line.
_cancel = asyncio.Future[Any].cancel


class JobFuture(asyncio.Future[Any]):
    """The future of a job. To cancel it takes a waiting job out of the line."""

    # Who answers for the job: its pool while it waits, the job itself while it is active,
    # nobody when it has settled.
    __slots__ = ("_owner",)

    _owner: Pool | Job | None

    def cancel(self, msg: Any | None = None) -> bool:
        if self._owner is not None:
            self._owner.given_up(self)
        return _cancel(self, msg)


async def run_job(job: Job, awaitable: Awaitable[Any]) -> None:
    """Runs a job from the first step of its task to its end, and then its callback."""
    result = error = None
    try:
        await job
        result = await awaitable
    except BaseException as raised:
        error = raised
    # Others are started in here, so not inside `except`: their errors have nothing to do with it.
    callback = job.returned(result) if error is None else job.failed(error)
    # From 3.12 on the frames of an error lead to this one: it is to keep nothing alive.
    del job, awaitable, result, error
    if callback is not None:
        await callback


async def run_jobs(worker: Worker) -> None:
    """Runs jobs one after another, if the pool reuses tasks."""
    try:
        await worker
    finally:
        del worker  # as above


async def awaited(awaitable: Awaitable[Any]) -> Any:
    """A coroutine for a job that is none."""
    return await awaitable


async def call_back(
    job: Job,
    function: Callable[..., Awaitable[Any]],
    ctx: Any,
    result: Any,
    error: BaseException | None,
) -> None:
    """Runs the callback of a job in the slot and the task of the job."""
    run, awaitable, outcome, failure = False, None, None, None
    try:
        await _forget_cancellation()
        awaitable = _call(function, ctx, result, error)
        run = True
        outcome = await awaitable
    except BaseException as raised:
        failure = raised
    if failure is None:
        job.callback_returned(outcome)
    else:
        job.callback_failed(failure, run)
    del job, function, ctx, result, error, awaitable, outcome, failure  # as above


def raise_(error: BaseException) -> NoReturn:
    """Raises in a callback of the loop what is to end the program."""
    raise error


async def _forget_cancellation() -> None:
    """The cancellation of a job was for the job: its callback begins as a new task would."""
    task = asyncio.current_task()
    if not isinstance(task, asyncio.Task):
        return
    while task.cancelling():
        task.uncancel()
    # A job that ended before it noticed leaves its cancellation pending (up to 3.12, where
    # `uncancel` does not take that back): let it come, and drop it, but not one for the callback.
    if getattr(task, "_must_cancel", False):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task.cancelling():
                raise


def _call(
    function: Callable[..., Awaitable[Any]],
    ctx: Any,
    result: Any,
    error: BaseException | None,
) -> Awaitable[Any]:
    count = accepted_positionals(function)
    if count == 0:
        raise RuntimeError(
            f"the callback {function!r} accepts no positional argument: give it at least one, "
            "for the result, as in `async def cb(res)`"
        )
    failure = (error, _traceback_text(error)) if error is not None and count > 1 else None
    awaitable = function(*(result, failure, ctx)[:count])
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"the callback {function!r} must be a coroutine function, but it returned "
            f"{awaitable!r}, which cannot be awaited: define it with `async def`"
        )
    return awaitable


def _traceback_text(error: BaseException) -> str:
    heading = "Traceback (most recent call last):\n"
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # An error that cannot be formatted is still one to call back with.
        frames = _TRACEBACK.__get__(error)
        text = "".join(traceback.format_tb(frames)) + type(error).__qualname__ + "\n"
    # An error without frames, or a group, is formatted without this heading.
    return text if text.startswith(heading) else heading + text


# Not as the error itself gives it, which may refuse.
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
