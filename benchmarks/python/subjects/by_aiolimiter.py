"""aiolimiter: a leaky bucket that is entered with `async with`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from subjects.limited import HandIn, Limited, Rate, Run, in_pool, in_task_group
from subjects.subject import Job


def limiter(rate: Rate) -> Run:
    bucket = AsyncLimiter(rate.limit, rate.per)

    async def run(job: Job, item: int) -> int:
        async with bucket:
            return await job(item)

    return run


@asynccontextmanager
async def opened(_slots: int, rate: Rate | None, _started: object) -> AsyncIterator[HandIn]:
    """Its `async with` and nothing else: one job after another."""
    handed_in: list[tuple[Job, int]] = []
    yield lambda job, item: handed_in.append((job, item))
    if rate is None:
        for job, item in handed_in:
            await job(item)
        return
    bucket = AsyncLimiter(rate.limit, rate.per)
    for job, item in handed_in:
        async with bucket:
            await job(item)


SUBJECTS = {
    "pool": in_pool(limiter),
    "TaskGroup": in_task_group(limiter),
    "alone": Limited(opened),
}
