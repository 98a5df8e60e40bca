"""A worker on an `asyncio.PriorityQueue`."""

import asyncio
from itertools import count

from subjects.limited import Limited


async def flood(levels: int, most: int) -> list[int]:
    number = count()  # First in, first out within a level.
    queue = asyncio.PriorityQueue[tuple[int, int]]()

    def put(level: int) -> None:
        queue.put_nowait((-level, next(number)))

    for level in range(levels - 1, 0, -1):
        put(level)
        put(level)
    put(0)
    started: list[int] = []
    while len(started) < most:
        level = -(await queue.get())[0]
        started.append(level)
        if level == 0:
            break
        put(level)
    return started


SUBJECTS = {"worker": Limited(flood=flood)}
