"""The Python half of a job: its future, and the genuine coroutine that its task runs.

What the extension does itself stands in `crates/aiopool-python/src/run/job.rs`. The coroutine is
Python so that debuggers, tracers and `python -m asyncio ps` see through it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NoReturn

from aiopool._callback import called
from aiopool._core import Job, Pool, Worker

# Instead of `super()`, for which there may be no memory when a job has just left the queue.
_cancel = asyncio.Future[Any].cancel


class JobFuture(asyncio.Future[Any]):
    """The future of a job. To cancel it takes a waiting job out of the queue."""

    # Who answers for the job: its pool while it waits, the job itself while it is active,
    # nobody when it has settled. When it has failed: its name.
    __slots__ = ("_owner",)

    _owner: Pool | Job | str | None

    def cancel(self, msg: Any | None = None) -> bool:
        owner = self._owner
        if owner is not None and not isinstance(owner, str):
            owner.future_cancelled(self)
        return _cancel(self, msg)

    def __repr__(self) -> str:
        # The report of an error that nobody has read tells it: there the name stands as in a task.
        state, exception, rest = super().__repr__().partition(" exception=")
        name = f" name={self._owner!r}" if exception and self._owner is not None else ""
        return f"{state}{name}{exception}{rest}"


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
        try:
            await callback
        except GeneratorExit:
            pass  # It has told the job, which has settled with that.


async def run_jobs(worker: Worker) -> None:
    """Runs jobs one after another, if the pool reuses tasks."""
    try:
        await worker
    except GeneratorExit:
        pass  # The worker has closed its job, which has settled with that.
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
        await _forget_cancellation(job)
        awaitable = called(function, ctx, result, error)
        run = True
        outcome = await awaitable
    except BaseException as raised:
        failure = raised
    if failure is None:
        job.callback_returned(outcome)
    else:
        job.callback_failed(failure, run)
    del job, function, ctx, result, error, awaitable, outcome, failure  # as above


def apart(
    function: Callable[[Any], Awaitable[Any]], item: Any
) -> Generator[tuple[Awaitable[Any] | None, BaseException | None]]:
    """Calls a function in a frame that leads to no other; gives what it returned and raised.

    From 3.12 on the frames of an error lead to those that have called them, and so to all that
    these know: in the end to the results of a `map`, among which is the error. The frame of a
    generator leads to its caller only while it runs, and this one is left where it yields.
    """
    called = list[tuple[Awaitable[Any] | None, BaseException | None]]()
    try:
        called.append((function(item), None))
    except BaseException as error:
        called.append((None, error))
    del function, item  # as above
    yield called.pop()


def raise_(error: BaseException) -> NoReturn:
    """Raises in a callback of the loop what is to end the program."""
    raise error


async def _forget_cancellation(job: Job) -> None:
    """The cancellation of a job was for the job: its callback begins as a new task would."""
    task = asyncio.current_task()
    if not isinstance(task, asyncio.Task):
        return
    while task.cancelling():
        # Whoever has cancelled the task may wait for its end, and so not for that of later jobs.
        job.retire()
        task.uncancel()
    # A job that ended before it noticed leaves its cancellation pending (up to 3.12, where
    # `uncancel` does not take that back): let it come, and drop it, but not one for the callback.
    if getattr(task, "_must_cancel", False):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task.cancelling():
                raise
