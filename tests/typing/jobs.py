"""The jobs that the files beside this one hand to pools. All are checked and none is run."""

import asyncio
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[str, None] | tuple[None, BaseException]


async def name(number: int) -> str:
    return str(number)


async def encode(result: str | None, error: tuple[BaseException, str] | None) -> bytes:
    return f"{result}{error}".encode()


def weight(future: asyncio.Future[Any]) -> float:
    return 0.5 if future.cancelled() else 1.5
