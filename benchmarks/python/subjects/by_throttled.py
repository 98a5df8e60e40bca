"""throttled-py: its default, a bucket, and its sliding window."""

from collections.abc import Callable
from datetime import timedelta

from throttled.asyncio import Throttled, rate_limiter, store

from subjects.limited import Rate, Run, in_pool, in_task_group
from subjects.subject import Job


def limiter(using: str) -> Callable[[Rate], Run]:
    def make(rate: Rate) -> Run:
        throttle = Throttled(
            key="job",
            using=using,
            quota=rate_limiter.per_duration(timedelta(seconds=rate.per), rate.limit),
            timeout=LONG,
            store=store.MemoryStore(),
        )

        async def run(job: Job, item: int) -> int:
            # One that is still limited after the timeout raises.
            async with throttle:
                return await job(item)

        return run

    return make


LONG = 1e6  # seconds
SUBJECTS = {
    "pool": in_pool(limiter("token_bucket")),
    "TaskGroup": in_task_group(limiter("token_bucket")),
    "window_pool": in_pool(limiter("sliding_window")),
    "window_TaskGroup": in_task_group(limiter("sliding_window")),
}
