"""A task beside the jobs: how late it gets its turn."""

import asyncio
import time
from collections.abc import Callable
from statistics import median

SLEEP = 0.001  # seconds


class Sleeper:
    """Sleeps, again and again, from the next turn of the loop on."""

    def __init__(self, done: Callable[[], int]) -> None:
        self._done = done
        self._is_over = False
        self._delays: list[float] = []
        self._jobs: list[int] = []
        self._task = asyncio.create_task(self._sleep())

    async def stop(self) -> dict[str, float]:
        """By how many seconds the sleeps were longer than they should have been.

        The last may outlast the jobs: it can be the one that they held up for the longest time.
        What else the machine does adds to the delays, and nothing to the number of jobs that have
        run during a sleep.
        """
        self._is_over = True
        await self._task
        return {
            "sleeps": len(self._delays),
            "delay_median": median(self._delays),
            "delay_most": max(self._delays),
            "jobs_most": max(self._jobs),
        }

    async def _sleep(self) -> None:
        while not self._delays or not self._is_over:
            began, done = time.perf_counter(), self._done()
            await asyncio.sleep(SLEEP)
            self._delays.append(time.perf_counter() - began - SLEEP)
            self._jobs.append(self._done() - done)
