"""What the result of a job looks like when it is one of many."""

import asyncio
from typing import Literal, Protocol, TypeAlias, TypeVar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# How the extension stores results. The names are those of `getres`, but for "future".
Shape: TypeAlias = Literal["flat", "pair", "future"]


class AnyFuture(Protocol[R_co]):
    """An `asyncio.Future` as a type, so that futures of different results go together.

    `asyncio.Future` itself is invariant.
    """

    def result(self) -> R_co: ...
    def get_loop(self) -> asyncio.AbstractEventLoop: ...


class getres:  # noqa: N801 (the name users of asyncio-pool know)
    """The three shapes of a result; each takes a settled future and raises nothing.

    Any function of one future serves as `get_result` where these do.
    """

    @staticmethod
    def flat(future: asyncio.Future[R]) -> R | BaseException:
        """The result of the job, or the exception it ended with (CancelledError if cancelled)."""
        try:
            return future.result()
        except BaseException as error:
            return _without_this_frame(error)

    @staticmethod
    def pair(future: asyncio.Future[R]) -> tuple[R, None] | tuple[None, BaseException]:
        """`(result, None)` or `(None, exception)`."""
        try:
            return future.result(), None
        except BaseException as error:
            return None, _without_this_frame(error)

    @staticmethod
    def dont(future: asyncio.Future[R]) -> asyncio.Future[R]:
        """The future itself."""
        return future


def _without_this_frame(error: BaseException) -> BaseException:
    """The frame would keep the future alive as long as the error is."""
    traceback = error.__traceback__
    return error.with_traceback(traceback and traceback.tb_next)
