"""Heavy jobs among light ones: python examples/limits/heavy_and_light.py.

A pool has 4 GB to give away. A picture takes one of them, a film all four. Nobody passes the film
while it waits for its slots, so the pictures behind it do not keep it waiting for ever.
"""

import asyncio
from typing import NamedTuple

from aiopool import AioPool

GIGABYTES = 4


class File(NamedTuple):
    name: str
    gigabytes: int


class Machine:
    def __init__(self) -> None:
        self.used = self.most_used = 0

    async def convert(self, file: File) -> str:
        self.used += file.gigabytes
        self.most_used = max(self.most_used, self.used)
        print(f"{file.name:10} starts, {self.used} of {GIGABYTES} GB are in use")
        await asyncio.sleep(0.1)
        self.used -= file.gigabytes
        return file.name


async def main() -> Machine:
    files = [File(f"picture {n}", 1) for n in range(6)]
    files += [File("film", 4)]
    files += [File(f"picture {n}", 1) for n in range(6, 12)]
    machine = Machine()
    pool = AioPool(GIGABYTES)
    by_weight = pool.options(
        weight=lambda file: file.gigabytes,
        name=lambda file: file.name,
    )
    names = await by_weight.map(machine.convert, files)
    print(f"{len(names)} files converted, with {machine.most_used} GB at most")
    return machine


if __name__ == "__main__":
    asyncio.run(main())
