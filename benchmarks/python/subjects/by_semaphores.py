"""A Semaphore for each key, in a dictionary that nobody empties: what one writes by hand."""

import asyncio
from collections import defaultdict

from asyncio_pool import AioPool
from subjects.limited import Limited
from subjects.subject import Job


async def pool(job: Job, items: range, slots: int, keys: int | None) -> None:
    """A job that waits for its key holds a slot."""
    semaphores = defaultdict[int, asyncio.Semaphore](lambda: asyncio.Semaphore(1))

    async def one(item: int, key: int) -> None:
        async with semaphores[key]:
            await job(item)

    async with AioPool(slots) as limited:
        for item in items:
            limited.spawn_n(job(item) if keys is None else one(item, item % keys))


async def task_group(job: Job, items: range, slots: int, keys: int | None) -> None:
    """A job that waits for its key holds none."""
    semaphores = defaultdict[int, asyncio.Semaphore](lambda: asyncio.Semaphore(1))
    semaphore = asyncio.Semaphore(slots)

    async def one(item: int) -> None:
        async with semaphore:
            await job(item)

    async def keyed(item: int, key: int) -> None:
        async with semaphores[key], semaphore:
            await job(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item) if keys is None else keyed(item, item % keys))


SUBJECTS = {"pool": Limited(keyed=pool), "TaskGroup": Limited(keyed=task_group)}
