"""The shapes that a job's result can have when it is one of many."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from aiopool._results import Shape

R = TypeVar("R")


class getres:  # noqa: N801 (the name users of asyncio-pool know)
    """The three shapes of a result. Each function takes a settled future and raises nothing.

    `get_result` also takes any other function of one future.
    """

    @staticmethod
    def flat(future: asyncio.Future[R]) -> R | BaseException:
        """The result of the job, or the exception that ended it (CancelledError if cancelled)."""
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


@overload
def result_noraise(future: asyncio.Future[R], flat: Literal[True] = True) -> R | BaseException: ...
@overload
def result_noraise(
    future: asyncio.Future[R], flat: Literal[False]
) -> tuple[R, None] | tuple[None, BaseException]: ...
def result_noraise(future: asyncio.Future[Any], flat: bool = True) -> Any:
    """`getres.flat(future)`, or `getres.pair(future)` unless `flat`."""
    return getres.flat(future) if flat else getres.pair(future)


def shape_of(
    get_result: Callable[[asyncio.Future[Any]], Any],
) -> tuple[Shape, Callable[[asyncio.Future[Any]], Any] | None]:
    """The shape in which the extension stores results, and a function to call with them, if any.

    `getres.flat` and `getres.pair` need no future for each item, so the extension makes none.
    """
    if get_result is getres.flat:
        return "flat", None
    if get_result is getres.pair:
        return "pair", None
    if get_result is getres.dont:
        return "future", None
    check_get_result(get_result)
    return "future", get_result


def check_get_result(get_result: object) -> None:
    if not callable(get_result):
        raise TypeError(f"get_result must be a function of one future, not {get_result!r}")


def _without_this_frame(error: BaseException) -> BaseException:
    """The frame of the caller would keep the future alive as long as the error is alive."""
    traceback = error.__traceback__
    return error.with_traceback(traceback and traceback.tb_next)
