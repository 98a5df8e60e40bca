"""The shape of a job's result when it is one of many."""

import asyncio
from collections.abc import Iterable
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# How the extension stores results. The names are those of `getres`, except "future".
Shape: TypeAlias = Literal["flat", "pair", "future"]


class AnyFuture(Protocol[R_co]):
    """An `asyncio.Future` as a type, so that futures of different results go together.

    `asyncio.Future` itself is invariant.
    """

    def result(self) -> R_co: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...


def mark_read(futures: Iterable[asyncio.Future[Any]]) -> None:
    """Keeps asyncio from reporting unread errors in futures that the caller never gets."""
    for future in futures:
        if future.done() and not future.cancelled():
            future.exception()
