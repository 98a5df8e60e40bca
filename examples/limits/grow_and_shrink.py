"""A pool that grows and shrinks with its load: python examples/limits/grow_and_shrink.py.

It doubles while more jobs wait than it has slots, and halves while none waits. To grow starts jobs
at once; to shrink stops none.
"""

import asyncio

from aiopool import AioPool

LEAST, MOST = 2, 32


async def follow(pool: AioPool, seconds: float) -> None:
    """Looks at the pool every so many seconds."""
    while True:
        now = pool.stats()
        print(f"{now.waiting:4} wait, {now.active:2} of {now.size:2} slots are held")
        if now.held_by == "slots" and now.waiting > now.size:
            pool.size = min(MOST, now.size * 2)
        elif not now.waiting:
            pool.size = max(LEAST, now.size // 2)
        await asyncio.sleep(seconds)


async def main() -> AioPool:
    async with AioPool(LEAST) as pool:
        following = asyncio.create_task(follow(pool, 0.05))
        for load in (200, 20):
            pool.map_n(lambda _: asyncio.sleep(0.04), range(load))
            await pool.join()
            await asyncio.sleep(0.3)
        following.cancel()
    print(f"{pool.n_executed} jobs done, {pool.size} slots left")
    return pool


if __name__ == "__main__":
    asyncio.run(main())
