"""The results of many jobs: their shape, and their futures."""

import asyncio
from collections.abc import Iterable
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from aiopool import _core

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


def pool_of(future: Any) -> _core.Pool | None:
    """The pool of the job of a future that has not settled; None if it is that of no job."""
    owner = getattr(future, "_owner", None)
    owner = owner.pool if isinstance(owner, _core.Job) else owner
    return owner if isinstance(owner, _core.Pool) else None
