"""The same as `by_task_group`, with the eager task factory of asyncio."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from subjects import by_task_group
from subjects.subject import Job, Subject, UnavailableError

# Not by its name: type checkers know asyncio as it is in Python 3.11.
FACTORY: Any = vars(asyncio).get("eager_task_factory")
if FACTORY is None:
    raise UnavailableError("eager tasks came with Python 3.12")


def eagerly(run: Callable[[Job, range, int], Awaitable[int | None]]) -> Subject:
    async def run_eagerly(job: Job, items: range, slots: int) -> int | None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(FACTORY)
        try:
            return await run(job, items, slots)
        finally:
            loop.set_task_factory(None)

    return Subject(run_eagerly)


SUBJECTS = {name: eagerly(subject.run) for name, subject in by_task_group.SUBJECTS.items()}
