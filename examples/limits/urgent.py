"""Urgent jobs before the others: python examples/limits/urgent.py.

The job of a user who waits starts next, however many reports are in the queue. A flood of such jobs
leaves every 17th start to the reports, so these are late, and do not starve.
"""

import asyncio

from aiopool import AioPool


class Starts:
    """Which jobs have started, a letter each."""

    def __init__(self) -> None:
        self.letters = ""

    async def report(self) -> None:
        self.letters += "r"
        await asyncio.sleep(0.002)

    async def for_a_user(self) -> None:
        self.letters += "U"
        await asyncio.sleep(0.002)


async def main() -> Starts:
    starts = Starts()
    async with AioPool(size=2) as pool:
        urgent = pool.options(priority=10)

        for _ in range(20):
            pool.spawn_n(starts.report())
        await urgent.exec(starts.for_a_user())
        print("one urgent job: ", starts.letters)

        before = len(starts.letters)
        for _ in range(64):
            urgent.spawn_n(starts.for_a_user())
        await pool.join()
        print("a flood of them:", starts.letters[before:])
    return starts


if __name__ == "__main__":
    asyncio.run(main())
