"""pyrate-limiter: a window in memory."""

from pyrate_limiter import Limiter
from pyrate_limiter import Rate as Window

from subjects.limited import Rate, Run, in_pool, in_task_group
from subjects.subject import Job


def limiter(rate: Rate) -> Run:
    window = Limiter(Window(rate.limit, round(rate.per * 1000)))

    async def run(job: Job, item: int) -> int:
        await window.try_acquire_async("job")
        return await job(item)

    return run


SUBJECTS = {"pool": in_pool(limiter), "TaskGroup": in_task_group(limiter)}
