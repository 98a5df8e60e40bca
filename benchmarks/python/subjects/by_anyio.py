"""anyio: a task group whose tasks each borrow from a CapacityLimiter."""

from collections.abc import Awaitable, Callable

from anyio import CapacityLimiter, create_task_group
from anyio.abc import TaskGroup

from subjects.subject import Job, Subject


def start(group: TaskGroup, job: Job, items: range, slots: int) -> None:
    """Starts a task for each job."""
    limiter = CapacityLimiter(slots)

    async def limited(item: int) -> None:
        async with limiter:
            await job(item)

    for item in items:
        group.start_soon(limited, item)


async def limiter(job: Job, items: range, slots: int) -> None:
    async with create_task_group() as group:
        start(group, job, items, slots)


async def hand_in(job: Job, items: range, slots: int) -> Callable[[], Awaitable[object]]:
    group = await create_task_group().__aenter__()
    start(group, job, items, slots)

    async def cancel() -> None:
        group.cancel_scope.cancel()
        await group.__aexit__(None, None, None)

    return cancel


SUBJECTS = {"limiter": Subject(limiter, hand_in=hand_in)}
