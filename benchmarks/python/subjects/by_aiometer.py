"""aiometer: functions with `max_at_once`."""

from collections.abc import AsyncIterator

import aiometer

from subjects.subject import Job, Subject, total


async def run_on_each(job: Job, items: range, slots: int) -> None:
    """The results are not kept."""
    await aiometer.run_on_each(job, items, max_at_once=slots)


async def results(job: Job, items: range, slots: int) -> AsyncIterator[int]:
    """As they come."""
    async with aiometer.amap(job, items, max_at_once=slots) as found:
        async for result in found:
            yield result


async def amap(job: Job, items: range, slots: int) -> int:
    return await total(results(job, items, slots))


SUBJECTS = {"run_on_each": Subject(run_on_each), "amap": Subject(amap, stream=results)}
