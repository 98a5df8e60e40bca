"""Ten million jobs of mixed kinds through one pool, whose counts and memory are looked at.

`make soak` runs this for both kinds of tasks. It is no test that pytest collects: it takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiopool import AioPool, JobTimeout

SLOTS = 20
IN_A_ROUND = 2_000  # jobs of each kind
STATUS = Path("/proc/self/status")


class Deliberate(Exception):
    """What some of the jobs raise."""


@dataclass(slots=True)
class Sample:
    """What the process had after a round."""

    jobs: int
    seconds: float
    resident: int  # bytes


class Soak:
    """One pool, what was given to it, and what became of that."""

    def __init__(self, seed: int, *, reuse_tasks: bool) -> None:
        self.pool = AioPool(SLOTS, reuse_tasks=reuse_tasks, per_key=4)
        self.given = 0
        self.active = 0
        self.highest = 0
        self.fates: Counter[str] = Counter()
        self.ran = 0
        self.called_back = 0
        self._random = random.Random(seed)

    async def job(self, item: int) -> int:
        """Returns, raises or yields a few times, as its number says."""
        self.active += 1
        self.highest = max(self.highest, self.active)
        try:
            for _ in range(item % 5):
                await asyncio.sleep(0)
            if item % 101 == 0:
                raise Deliberate(item)
            return item
        finally:
            self.active -= 1
            self.ran += 1

    async def call_back(self, result: int | None, error: Any) -> int | None:
        """Goes on with what the job gave."""
        self.called_back += 1
        if error is not None:
            raise error[0]
        return result

    def tell(self, results: list[Any]) -> None:
        """Counts what jobs have ended with."""
        for result in results:
            if isinstance(result, asyncio.CancelledError):
                self.fates["cancelled"] += 1
            elif isinstance(result, Deliberate):
                self.fates["failed"] += 1
            elif isinstance(result, JobTimeout):
                self.fates["timed out"] += 1
            elif isinstance(result, int):
                self.fates["returned"] += 1
            else:
                raise AssertionError(f"no job ends with {result!r}")

    async def tell_futures(self, futures: list[asyncio.Future[Any]]) -> None:
        """Counts what jobs that have futures have ended with."""
        self.tell(await asyncio.gather(*futures, return_exceptions=True))

    async def round(self) -> None:
        """Some jobs of each kind, side by side, and then none any more."""
        items = range(self.given, self.given + IN_A_ROUND)
        kinds = [
            *(self._map, self._stream, self._spawn, self._exec, self._hand_in, self._cancel),
            *(self._nest, self._go_outside, self._time_out, self._ask),
        ]
        self._random.shuffle(kinds)
        async with asyncio.TaskGroup() as group:
            for kind in kinds:
                group.create_task(self._counted(kind, items))
        await self.pool.join()
        self._check()

    async def _counted(self, kind: Callable[[range], Awaitable[None]], items: range) -> None:
        self.given += len(items)
        await kind(items)

    async def _map(self, items: range) -> None:
        self.tell(await self.pool.map(self.job, items, self.call_back))

    async def _stream(self, items: range) -> None:
        results: AsyncIterator[Any] = self.pool.itermap(
            self.job, items, yield_when=asyncio.FIRST_COMPLETED
        )
        async for result in results:
            self.tell([result])

    async def _spawn(self, items: range) -> None:
        await self.tell_futures([await self.pool.spawn(self.job(item)) for item in items])

    async def _exec(self, items: range) -> None:
        for item in items:
            try:
                self.tell([await self.pool.exec(self.job(item), self.call_back)])
            except Deliberate as error:
                self.tell([error])

    async def _hand_in(self, items: range) -> None:
        await self.tell_futures(self.pool.map_n(self.job, items, self.call_back))

    async def _cancel(self, items: range) -> None:
        """Some are given up, some are stopped, whether they wait or are active."""
        futures = [self.pool.spawn_n(self.job(item)) for item in items]
        for future in self._random.sample(futures, len(futures) // 10):
            future.cancel()
            if not self._random.randrange(20):
                await asyncio.sleep(0)
        await self.pool.cancel(*self._random.sample(futures, len(futures) // 10))
        await self.tell_futures(futures)

    async def _nest(self, items: range) -> None:
        """Jobs that wait for jobs of their pool."""

        async def parent(item: int) -> int:
            try:
                return await self.pool.exec(self.job(item), self.call_back)
            finally:
                self.ran += 1

        self.tell(await self.pool.map(parent, items))

    async def _go_outside(self, items: range) -> None:
        async def leaves(item: int) -> int:
            await self.pool.sleep(0)
            return await self.job(item)

        self.tell(await self.pool.map(leaves, items))

    async def _time_out(self, items: range) -> None:
        async def may_hang(item: int) -> int:
            result = await self.job(item)
            await asyncio.sleep(60 * (item % 97 == 0))
            return result

        self.tell(await self.pool.options(timeout=0.001).map(may_hang, items))

    async def _ask(self, items: range) -> None:
        """Jobs with keys, weights and priorities."""
        options = self.pool.options(
            key=lambda item: item % 50,
            weight=lambda item: item % 3 + 1,
            priority=lambda item: item % 2,
        )
        self.tell(await options.map(self.job, items))

    def _check(self) -> None:
        """Nothing is lost, nothing is there twice, and no more were active than may be."""
        told = sum(self.fates.values())
        if told != self.given:
            raise AssertionError(f"{self.given:,} jobs were given, and {told:,} have settled")
        if self.active or not self.pool.is_empty or len(self.pool):
            raise AssertionError(f"nobody waits, and yet {self.pool}")
        if self.highest > SLOTS:
            raise AssertionError(f"{self.highest} jobs were active in {SLOTS} slots")
        ran = self.ran + self.called_back
        if ran != self.pool.n_executed:
            raise AssertionError(
                f"{ran:,} coroutines ran, and {self.pool.n_executed:,} are counted"
            )


def resident() -> int:
    """Bytes of memory that the process has, or has had at most where the system tells no more."""
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def soak(args: argparse.Namespace) -> list[Sample]:
    """Goes on until that many jobs have ended, or the time is over."""
    run = Soak(args.seed, reuse_tasks=args.reuse_tasks)
    start = time.monotonic()
    samples: list[Sample] = []
    while run.given < args.jobs and time.monotonic() < start + args.seconds:
        await run.round()
        gc.collect()
        samples.append(Sample(run.given, time.monotonic() - start, resident()))
    fates = ", ".join(f"{count:,} {fate}" for fate, count in sorted(run.fates.items()))
    print(f"{run.given:,} jobs in {samples[-1].seconds:.0f} s: {fates}; none lost")
    print(f"{run.ran:,} jobs and {run.called_back:,} callbacks ran, as the pool counts them")
    print(f"at most {run.highest} active in {SLOTS} slots")
    return samples


def growth(samples: list[Sample]) -> float:
    """How much more memory the last tenth has than the second, in bytes: 0 if it is flat."""
    tenth = max(1, len(samples) // 10)
    early = [sample.resident for sample in samples[tenth : 2 * tenth]]
    late = [sample.resident for sample in samples[-tenth:]]
    return max(late, default=0) - max(early, default=0)


def draw(samples: list[Sample], path: Path) -> None:
    """The memory over the jobs, as SVG."""
    import matplotlib as mpl  # noqa: PLC0415 (only who wants the chart needs it)
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "soak", "svg.fonttype": "none"})
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    axes.plot([s.jobs / 1e6 for s in samples], [s.resident / 2**20 for s in samples])
    axes.set_ylim(0, 1.25 * max(sample.resident for sample in samples) / 2**20)
    axes.set_xlabel("million jobs")
    axes.set_ylabel("resident memory, MiB")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None, "Creator": None}
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata=metadata)


def parse_arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python tests/support/soak.py", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000_000, help="(default: 10,000,000)")
    parser.add_argument(
        "--seconds", type=float, default=600, help="stop after this many (default: 600)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the choices (default: 1)")
    parser.add_argument("--reuse-tasks", action="store_true", help="a task for each slot")
    parser.add_argument(
        "--chart", type=Path, metavar="PATH", help="draw the memory over the jobs; takes matplotlib"
    )
    parser.add_argument(
        "--allowed",
        type=float,
        default=1.0,
        metavar="MIB",
        help="by how much the memory may grow from the second tenth to the last (default: 1)",
    )
    return parser.parse_args()


def main() -> None:
    """Soaks a pool, and fails if a job was lost or the memory grew."""
    args = parse_arguments()
    samples = asyncio.run(soak(args))
    grown = growth(samples) / 2**20
    most = max(sample.resident for sample in samples) / 2**20
    print(f"resident memory: {most:.1f} MiB at most; {grown:+.2f} MiB from early on to the end")
    if args.chart:
        draw(samples, args.chart)
    if grown > args.allowed:
        sys.exit(f"the memory grew by more than {args.allowed} MiB")


if __name__ == "__main__":
    main()
