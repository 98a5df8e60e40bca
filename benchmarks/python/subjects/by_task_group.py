"""`asyncio.TaskGroup` with a Semaphore that is taken before each task, or in it."""

import asyncio

from subjects.subject import Job, Subject


async def semaphore_before(job: Job, items: range, slots: int) -> None:
    semaphore = asyncio.Semaphore(slots)

    async def one(item: int) -> None:
        try:
            await job(item)
        finally:
            semaphore.release()

    async with asyncio.TaskGroup() as group:
        for item in items:
            await semaphore.acquire()
            group.create_task(one(item))


async def semaphore_inside(job: Job, items: range, slots: int) -> None:
    semaphore = asyncio.Semaphore(slots)

    async def one(item: int) -> None:
        async with semaphore:
            await job(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


SUBJECTS = {
    "semaphore_before": Subject(semaphore_before),
    "semaphore_inside": Subject(semaphore_inside),
}
