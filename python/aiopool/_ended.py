"""A call that owns jobs does not return while they run, however often its caller is cancelled."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any


async def ended(
    tasks: Collection[asyncio.Task[Any]], may_leave: Callable[[], bool] = lambda: False
) -> None:
    """Waits until these tasks have ended. A caller that is cancelled meanwhile waits again.

    :param tasks: tasks of the running loop.
    :param may_leave: whether a cancelled caller may leave at once all the same.
    :raises CancelledError: if the caller was cancelled. It is raised when the tasks have ended, as
        a TaskGroup does.
    """
    countdown = _Countdown(tasks)
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
