"""Measures how much time the pool adds to that of its jobs: `python -m aiopool.loadtest -h`.

Each job sleeps, so the ideal time is known: `task_duration * tasks / pool_size`.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiopool import AioPool


async def load_spawn(tasks: int, pool_size: int, duration: float) -> None:
    """Spawns each job when a slot is free."""
    async with AioPool(size=pool_size) as pool:
        for _ in range(tasks):
            await pool.spawn(asyncio.sleep(duration))


async def load_spawn_n(tasks: int, pool_size: int, duration: float) -> None:
    """Queues all jobs at the start."""
    async with AioPool(size=pool_size) as pool:
        for _ in range(tasks):
            pool.spawn_n(asyncio.sleep(duration))


async def load_map(tasks: int, pool_size: int, duration: float) -> None:
    """Pulls the items as slots come free."""
    async with AioPool(size=pool_size) as pool:
        await pool.map(lambda _: asyncio.sleep(duration), range(tasks))


async def load_itermap(tasks: int, pool_size: int, duration: float) -> None:
    """Queues all items at the start, and iterates over the results."""
    async with AioPool(size=pool_size) as pool:
        async for _ in pool.itermap(lambda _: asyncio.sleep(duration), range(tasks)):
            pass


METHODS: dict[str, Callable[[int, int, float], Coroutine[Any, Any, None]]] = {
    "spawn": load_spawn,
    "spawn_n": load_spawn_n,
    "map": load_map,
    "itermap": load_itermap,
}


def parse_arguments() -> argparse.Namespace:
    """Parses and checks the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m aiopool.loadtest",
        description="Run many sleeping jobs and tell how much time the pool has added.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("method", choices=METHODS, help="the method of the pool to load")
    parser.add_argument("--tasks", type=int, default=10**5, help="how many jobs to run")
    parser.add_argument(
        "--task-duration", type=float, default=0.2, help="how long each job sleeps, in seconds"
    )
    parser.add_argument("--pool-size", type=int, default=10**3, help="the number of slots")
    args = parser.parse_args()
    if min(args.tasks, args.pool_size) < 1 or not 0 < args.task_duration < float("inf"):
        parser.error("--tasks, --task-duration and --pool-size must be positive")
    return args


def report(ideal: float, total: float, tasks: int) -> str:
    """Formats the lines of the result."""
    overhead = total - ideal
    return (
        f"{ideal:15.5f}s -- ideal result\n"
        f"{total:15.5f}s -- total executing time\n"
        f"{overhead:15.5f}s -- total overhead\n"
        f"{overhead / tasks:15.5f}s -- overhead per task\n"
        f"{100 * overhead / ideal:13.3f}%   -- overhead total percent"
    )


def main() -> None:
    """Runs the load that the command line asks for."""
    args = parse_arguments()
    ideal = args.task_duration * args.tasks / args.pool_size
    print(
        f">>> Running {args.tasks} tasks in pool of size={args.pool_size}, "
        f"each task takes {args.task_duration:.3f} sec."
    )
    print(f">>> This will run more than {ideal:.5f} seconds", flush=True)
    began = time.perf_counter()
    asyncio.run(METHODS[args.method](args.tasks, args.pool_size, args.task_duration))
    print(report(ideal, time.perf_counter() - began, args.tasks))


if __name__ == "__main__":
    main()
