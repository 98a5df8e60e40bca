"""aiostream: `map` with `task_limit`, in the order of the items and as results come."""

from collections.abc import AsyncIterator

from aiostream import Stream, stream

from subjects.subject import Job, Subject, total


def mapped(job: Job, items: range, slots: int, *, ordered: bool) -> Stream[int]:
    """The stream, not yet entered."""
    return stream.map(stream.iterate(items), job, ordered=ordered, task_limit=slots)


async def results(job: Job, items: range, slots: int) -> AsyncIterator[int]:
    """As they come."""
    async with mapped(job, items, slots, ordered=False).stream() as found:
        async for result in found:
            yield result


async def results_in_order(job: Job, items: range, slots: int) -> AsyncIterator[int]:
    """Those of earlier items first."""
    async with mapped(job, items, slots, ordered=True).stream() as found:
        async for result in found:
            yield result


async def map_(job: Job, items: range, slots: int) -> int:
    return await total(results(job, items, slots))


async def map_ordered(job: Job, items: range, slots: int) -> int:
    return await total(results_in_order(job, items, slots))


SUBJECTS = {"map": Subject(map_, stream=results), "map_ordered": Subject(map_ordered)}
