"""tuskpool: a pool that takes a slot before it makes a task."""

from collections.abc import AsyncIterator

from tuskpool import TaskPool

from subjects.subject import Job, Subject, total


async def create_task(job: Job, items: range, slots: int) -> None:
    async with TaskPool(slots) as pool:
        for item in items:
            await pool.create_task(job, item)


async def map_(job: Job, items: range, slots: int) -> int:
    async with TaskPool(slots) as pool:
        return await total(pool.map(job, items))


def results(job: Job, items: range, slots: int) -> AsyncIterator[int]:
    """As they come."""
    found: AsyncIterator[int] = TaskPool(slots).as_completed(job, items)
    return found


async def as_completed(job: Job, items: range, slots: int) -> int:
    return await total(results(job, items, slots))


SUBJECTS = {
    "create_task": Subject(create_task),
    "map": Subject(map_),
    "as_completed": Subject(as_completed, stream=results),
}
