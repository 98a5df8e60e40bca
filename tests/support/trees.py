"""Random trees of jobs that wait for each other in one pool, with keys, weights and priorities.

The jobs themselves count what runs. Run as a program this takes seeds: `trees.py FIRST COUNT`.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from typing import Any

from aiopool import AioPool, Rate, iterwait
from virtual_time import virtually

#: In seconds of virtual time: no tree takes so long, unless it hangs.
FOR_EVER = 10_000


class Trees:
    """Some roots, each with children down to some depth, in one pool."""

    def __init__(self, seed: int, reuse_tasks: bool) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        self.limit = choose([None, 1, 2])
        self.pool = AioPool(
            self.random.randint(1, 4),
            per_key=self.limit,
            rate=choose([None, None, Rate(50, per=0.02), Rate(2000, per=1, burst=30)]),
            per_key_rate=choose([None, None, Rate(5, per=0.005)]),
            reuse_tasks=reuse_tasks,
        )
        self.held = 0
        self.of_key = Counter[str]()
        self.begun = 0
        self.ended = 0

    async def run(self) -> int:
        depth = self.random.randint(1, 3)
        asked = [self._options() for _ in range(self.random.randint(1, 8))]
        roots = [self.pool.options(**ask).exec(self._job(depth, ask)) for ask in asked]
        async with asyncio.timeout(FOR_EVER):
            sums = await asyncio.gather(*roots)
        assert sum(sums) == self.begun == self.ended
        assert (self.held, self.of_key.total()) == (0, 0)
        async with asyncio.timeout(FOR_EVER):
            await self.pool.join()
        stats = self.pool.stats()
        assert (stats.active, stats.outside, stats.waiting) == (0, 0, 0)
        return self.ended

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.random.random() < 0.5:
            options["key"] = self.random.choice("ab")
        if self.random.random() < 0.4:
            options["weight"] = self.random.choice([1, 2, 3, 9])
        if self.random.random() < 0.2:
            options["priority"] = self.random.choice([-5, 0, 7])
        return options

    async def _job(self, depth: int, asked: dict[str, Any]) -> int:
        self.begun += 1
        self._take(asked)
        total = 1
        for _ in range(self.random.randint(0, 3)):
            if self.random.random() < 0.2:
                await asyncio.sleep(self.random.choice([0, 0.001]))
            # While a job waits for its pool it runs nothing, so it counts for nothing here.
            self._give(asked)
            total += await self._wait(depth)
            self._take(asked)
        self._give(asked)
        self.ended += 1
        return total

    async def _wait(self, depth: int) -> int:
        pool, child = self.pool, self._options()
        way = self.random.randrange(7) if depth else 0
        if way == 0:
            await pool.sleep(self.random.choice([0, 0.001]))
            return 0
        verbs = pool.options(**child)
        if way == 1:
            return await verbs.exec(self._job(depth - 1, child))
        if way == 2:
            return await pool.outside(verbs.exec(self._job(depth - 1, child)))
        if way == 3:
            future = await verbs.spawn(self._job(depth - 1, child))
            return await pool.outside(future)
        items = [self._options() for _ in range(self.random.randint(0, 3))]
        if way == 4:
            return sum(await verbs.map(lambda _: self._job(depth - 1, child), items))
        if way == 5:
            futures = verbs.map_n(lambda _: self._job(depth - 1, child), items)
            first = self.random.choice([asyncio.FIRST_COMPLETED, asyncio.ALL_COMPLETED])
            counts = iterwait(futures, get_result=asyncio.Future[int].result, yield_when=first)
            return sum([count async for count in counts])
        each = pool.options(
            key=lambda item: item.get("key"), weight=lambda item: item.get("weight", 1)
        )
        results = each.itermap(lambda item: self._job(depth - 1, item), items)
        return sum([result async for result in results])

    def _take(self, asked: dict[str, Any]) -> None:
        self.held += min(asked.get("weight", 1), self.pool.size)
        assert self.held <= self.pool.size
        if "key" in asked:
            self.of_key[asked["key"]] += 1
            assert self.limit is None or self.of_key[asked["key"]] <= self.limit

    def _give(self, asked: dict[str, Any]) -> None:
        self.held -= min(asked.get("weight", 1), self.pool.size)
        if "key" in asked:
            self.of_key[asked["key"]] -= 1


def run_trees(first: int, jobs: int, *, reuse_tasks: bool) -> int:
    """Runs trees from this seed on until so many jobs have ended. Gives the next seed."""
    seed = first
    while jobs > 0:
        try:
            jobs -= virtually(Trees(seed, reuse_tasks).run)
        except BaseException as error:
            error.add_note(f"the trees of seed {seed}, reuse_tasks={reuse_tasks}")
            raise
        seed += 1
    return seed


if __name__ == "__main__":
    first, jobs = (int(argument) for argument in sys.argv[1:])
    for reuse_tasks in (False, True):
        last = run_trees(first, jobs, reuse_tasks=reuse_tasks)
        print(f"{jobs} jobs in {last - first} pools, reuse_tasks={reuse_tasks}: none hangs")
