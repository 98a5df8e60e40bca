"""`asyncio.gather`, without a limit and with a Semaphore taken in each task."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from subjects.subject import Job, Subject


async def unlimited(job: Job, items: range, slots: int) -> int:
    """All jobs are active at once."""
    return sum(await asyncio.gather(*map(job, items)))


def limited(job: Job, items: range, slots: int) -> list[Coroutine[Any, Any, int]]:
    """Coroutines that wait for the semaphore themselves."""
    semaphore = asyncio.Semaphore(slots)

    async def one(item: int) -> int:
        async with semaphore:
            return await job(item)

    return [one(item) for item in items]


async def with_semaphore(job: Job, items: range, slots: int) -> int:
    return sum(await asyncio.gather(*limited(job, items, slots)))


async def hand_in(job: Job, items: range, slots: int) -> Callable[[], Awaitable[object]]:
    tasks = [asyncio.create_task(coro) for coro in limited(job, items, slots)]

    async def cancel() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return cancel


SUBJECTS = {"unlimited": Subject(unlimited), "semaphore": Subject(with_semaphore, hand_in=hand_in)}
