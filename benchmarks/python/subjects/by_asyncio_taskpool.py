"""asyncio-taskpool: a pool that keeps its tasks under ids."""

from asyncio_taskpool import TaskPool

from subjects.subject import Job, Subject


async def map_(job: Job, items: range, slots: int) -> None:
    """It gives no results."""
    pool = TaskPool(slots)
    pool.map(job, items, num_concurrent=slots)
    await pool.gather_and_close()


SUBJECTS = {"map": Subject(map_)}
