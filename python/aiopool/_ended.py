"""A call that owns jobs does not return while they run, however often its caller is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


async def ended(
    stop: Callable[[], tuple[R, Collection[asyncio.Task[Any]]]],
    may_leave: Callable[[], bool] = lambda: False,
    waited: Callable[[Coroutine[Any, Any, None]], Awaitable[None]] | None = None,
) -> R:
    """Stops jobs and waits until their tasks have ended. A caller that is cancelled waits again.

    If one of the stopped jobs waits for the caller, stopping the job cancels the caller too. Then
    the caller leaves at once: each would wait for the other.

    :param stop: stops the jobs; gives what this call returns, and the tasks of the running loop
        that have to end.
    :param may_leave: whether a cancelled caller may leave at once for another reason.
    :param waited: awaits the wait for the tasks, in another way than `await`.
    :raises CancelledError: if the caller was cancelled. It is raised when the tasks have ended, as
        a TaskGroup does.
    """
    before = cancellations()
    stopped, tasks = stop()
    is_awaited = cancellations() > before
    del stop  # an error leads to this frame, which must keep no future alive
    try:
        if tasks:
            waiting = _wait(_Countdown(tasks), lambda: is_awaited or may_leave())
            del tasks
            await (waiting if waited is None else waited(waiting))
        return stopped
    finally:
        del stopped


async def _wait(countdown: "_Countdown", may_leave: Callable[[], bool]) -> None:
    cancellation = None
    try:
        while countdown.left:
            try:
                await countdown.wait()
            except asyncio.CancelledError as error:
                if may_leave():
                    raise
                # A cancel scope of anyio cancels in each turn of the loop, and takes back only
                # errors that name the scope. An error that names no scope must not be lost among
                # them.
                if cancellation is None or not error.args:
                    cancellation = error
        if cancellation is not None:
            raise cancellation
    finally:
        del cancellation  # its frames lead to this frame


def cancellations() -> int:
    """How often the current task was cancelled and has not taken that back."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class _Countdown:
    """Counts tasks as they end, so that waiting again costs nothing for each task."""

    def __init__(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        self.left = len(tasks)
        self._over: asyncio.Future[None] | None = None
        for task in tasks:
            task.add_done_callback(self._count)

    async def wait(self) -> None:
        """Returns when all tasks have ended. After a cancellation it can be called again."""
        self._over = asyncio.get_running_loop().create_future()
        await self._over

    def _count(self, _task: asyncio.Task[Any]) -> None:
        self.left -= 1
        if not self.left and self._over is not None and not self._over.done():
            self._over.set_result(None)
