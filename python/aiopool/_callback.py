"""Calling a callback."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from aiopool._accepted import accepted_positionals
from aiopool._error_text import error_text


def called(
    function: Callable[..., Awaitable[Any]],
    ctx: Any,
    result: Any,
    error: BaseException | None,
) -> Awaitable[Any]:
    """Calls `function` for the outcome of a job, with as many arguments as it accepts.

    :returns: the awaitable that `function` gives.
    :raises RuntimeError: if `function` accepts no positional argument.
    :raises TypeError: if `function` gives an object that cannot be awaited.
    """
    count = accepted_positionals(function)
    if count == 0:
        raise RuntimeError(
            f"the callback {function!r} accepts no positional argument: give it at least one, "
            "for the result, as in `async def cb(res)`"
        )
    failure = (error, error_text(error)) if error is not None and count > 1 else None
    awaitable = function(*(result, failure, ctx)[:count])
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"the callback {function!r} must be a coroutine function, but it returned "
            f"{awaitable!r}, which cannot be awaited: define it with `async def`"
        )
    return awaitable
