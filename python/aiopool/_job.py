"""The Python half of a job: its future, and the genuine coroutine that its task runs.

The other half is in `crates/aiopool-python/src/run/job.rs`. The coroutine is written in Python so
that debuggers, tracers and `python -m asyncio ps` see the job that it awaits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, NoReturn

from aiopool._callback import called
from aiopool._core import Job, Pool, Worker

# Instead of `super()`, which needs memory. There may be none when a job has just left the queue.
_cancel = asyncio.Future[Any].cancel
# Type checkers know the one of Python 3.11, which cannot begin at once.
_Task: Any = asyncio.Task


class JobFuture(asyncio.Future[Any]):
    """The future of a job. Cancelling it takes a waiting job out of the queue."""

    # The owner of the job: its pool while the job waits, the job itself while it is active, None
    # when it has settled. When the job has failed: its name.
    __slots__ = ("_owner",)

    _owner: Pool | Job | str | None

    def cancel(self, msg: Any | None = None) -> bool:
        owner = self._owner
        if owner is not None and not isinstance(owner, str):
            owner.future_cancelled(self)
        return _cancel(self, msg)

    def __repr__(self) -> str:
        # asyncio's report of an unread error prints this. The name stands where a task has it.
        state, exception, rest = super().__repr__().partition(" exception=")
        name = f" name={self._owner!r}" if exception and self._owner is not None else ""
        return f"{state}{name}{exception}{rest}"


class FailedCall(JobFuture):
    """Has the error of a job of `enqueue`. asyncio reports it by the name that users know."""

    __slots__ = ()


FailedCall.__name__ = FailedCall.__qualname__ = "Job"


async def run_job(job: Job, awaitable: Awaitable[Any]) -> None:
    """Runs a job from the first step of its task to its end, and then its callback."""
    result = error = None
    try:
        await job
        result = await awaitable
    except BaseException as raised:
        error = raised
    # This call starts other jobs, so it is not inside `except`: this error must not become the
    # context of theirs.
    callback = job.returned(result) if error is None else job.failed(error)
    # From 3.12 on the frames of an error lead to this frame, which must keep no object alive.
    del job, awaitable, result, error
    if callback is not None:
        try:
            await callback
        except GeneratorExit:
            pass  # The callback's coroutine has told the job, which has settled.


async def run_call(job: Job) -> None:
    """The same for a job that is a call, which is made here."""
    result = error = None
    try:
        await job
        result = await job.call()
    except BaseException as raised:
        error = raised
    if error is None:
        job.returned(result)
    else:
        job.failed(error)
    del job, result, error  # as above


async def run_jobs(worker: Worker) -> None:
    """Runs jobs one after another, if the pool reuses tasks."""
    ended = False
    try:
        while not ended:
            try:
                await worker
                ended = True
            except GeneratorExit:
                pass  # The worker has closed its job. It runs the callback now, or ends.
    finally:
        del worker  # as above


async def awaited(awaitable: Awaitable[Any]) -> Any:
    """A coroutine for a job that is another awaitable."""
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
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
) -> Generator[tuple[Any, BaseException | None]]:
    """Calls a function with each tuple of arguments, in a frame that leads to no other.

    From 3.12 on the frames of an error lead to the frames of their callers, and so to all objects
    in these: in the end to the futures or the results of a call, which contain the error. That is
    a cycle. The frame of a generator leads to its caller only while it runs, and this one stops at
    its `yield`.

    :returns: for each call what it returned, and the error that it raised or None.
    """
    arguments, result, errors = None, None, list[BaseException]()
    try:
        for arguments in calls:
            try:
                result = function(*arguments)
            except BaseException as error:
                result = None
                errors.append(error)
            yield result, errors.pop() if errors else None
    finally:
        del function, calls, arguments, result  # as above


def begin_tasks() -> Generator[BaseException | None, tuple[Any, ...]]:
    """Makes tasks that make their first step at once.

    As in `apart`, the frames of errors must lead to none of the caller that starts a job. This
    generator never ends, so its frame leads to a caller only while it makes a task.

    :returns: for each task the error that went through it, which ends the program, or None.
    """
    errors = list[BaseException]()
    while True:
        loop, coroutine, context, name = yield errors.pop() if errors else None
        try:
            # Its job holds the task.
            _Task(coroutine, loop=loop, context=context, name=name, eager_start=True)
        except BaseException as error:
            errors.append(error)
        del loop, coroutine, context, name  # as above


def read_cancellation(future: asyncio.Future[Any]) -> None:
    """Reads the end of a future that was cancelled because its job will never begin.

    `gather` does not end as cancelled, but with a CancelledError as its error. No code has the
    future, so asyncio would report it. Another error is none of ours, and stays unread.
    """
    if isinstance(getattr(future, "_exception", None), asyncio.CancelledError):
        future.exception()


def raise_(error: BaseException) -> NoReturn:
    """Raises, in a callback of the loop, an error that must end the program."""
    raise error


async def _forget_cancellation(job: Job) -> None:
    """Takes back the cancellation of the job, so that its callback begins as a new task would."""
    task = asyncio.current_task()
    if not isinstance(task, asyncio.Task):
        return
    while task.cancelling():
        # The code that cancelled the task may wait for its end. It must not wait for later jobs.
        job.retire()
        task.uncancel()
    # A job that ended before it saw its cancellation leaves it pending. Up to 3.12 `uncancel` does
    # not take that back. So let the cancellation come, and drop it, but not a new one for the
    # callback.
    if getattr(task, "_must_cancel", False):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task.cancelling():
                raise
