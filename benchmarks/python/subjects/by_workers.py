"""The floor: as many workers as slots over one shared iterator, written by hand.

They have no queue, no futures, no cancelling of one job, and end with the first error.
"""

import asyncio
from collections.abc import Iterator

from subjects.subject import Job, Subject


async def shared_iterator(job: Job, items: range, slots: int) -> int:
    results = [0] * len(items)
    pending = enumerate(items)

    async def work(mine: Iterator[tuple[int, int]]) -> None:
        for place, item in mine:
            results[place] = await job(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(slots):
            group.create_task(work(pending))
    return sum(results)


SUBJECTS = {"shared_iterator": Subject(shared_iterator)}
