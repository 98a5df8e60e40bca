"""What a subject can do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

Job = Callable[[int], Coroutine[Any, Any, int]]


@dataclass(frozen=True)
class Subject:
    """Each function takes `job`, the items to call it with, and the number of slots."""

    #: Runs a job for each item; gives the sum of their results, or None if it does not see them.
    run: Callable[[Job, range, int], Awaitable[int | None]]
    #: Gives the results as they come.
    stream: Callable[[Job, range, int], AsyncIterator[int]] | None = None
    #: Hands in a job for each item; gives what cancels them all and waits for their end.
    hand_in: Callable[[Job, range, int], Awaitable[Callable[[], Awaitable[object]]]] | None = None


class UnavailableError(Exception):
    """The subject cannot be run here; the message says why."""


async def total(results: AsyncIterator[int]) -> int:
    """The sum of the results of a stream."""
    found = 0
    async for result in results:
        found += result
    return found
