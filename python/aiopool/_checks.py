"""Checks of arguments, which raise at the call instead of later."""

import asyncio
import inspect
import math
import operator
import sys
from collections.abc import Collection, Iterator, Mapping
from numbers import Real
from typing import Any, cast

from aiopool._observe import Observer
from aiopool._rate import Rate, Rates


def checked_size(size: int) -> int:
    if isinstance(size, bool):
        raise TypeError(f"size must be an int, such as 20, not {size!r}")
    try:
        slots = operator.index(size)
    except TypeError:
        raise TypeError(f"size must be an int, such as 20, not {size!r}") from None
    if slots < 1:
        raise ValueError(f"size must be at least 1, not {slots}: without a slot no job ever starts")
    return min(slots, sys.maxsize)


def checked_loop(loop: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop | None:
    if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"loop must be an asyncio event loop or None, not {loop!r}")
    return loop


def checked_reuse_tasks(reuse_tasks: bool) -> bool:
    if not isinstance(reuse_tasks, bool):
        raise TypeError(f"reuse_tasks must be True or False, not {reuse_tasks!r}")
    return reuse_tasks


def checked_eager(eager: bool, reuse_tasks: bool) -> bool:
    if not isinstance(eager, bool):
        raise TypeError(f"eager must be True or False, not {eager!r}")
    if eager and sys.version_info < (3, 12):
        raise ValueError("eager needs Python 3.12 or later, which has tasks that begin at once")
    if eager and reuse_tasks:
        raise ValueError(
            "eager and reuse_tasks exclude each other: an eager job begins before there is a task "
            "to reuse. Choose eager for jobs most of which never suspend, reuse_tasks for others"
        )
    return eager


def checked_rates(name: str, rates: Rates) -> Rates:
    """The same rates, which can be read more than once."""
    if rates is None or isinstance(rates, Rate):
        return rates
    try:
        if isinstance(rates, str | bytes | Mapping):
            raise TypeError
        return tuple(rates)
    except TypeError:
        advice = "; a function of the key gives one of these" if name == "per_key_rate" else ""
        raise TypeError(
            f"{name} must be a Rate, such as Rate(10, per=1.0), several of them in a list, or "
            f"None, not {rates!r}{advice}"
        ) from None


def checked_observer(observer: Observer | None) -> Observer | None:
    if observer is None or (callable(observer) and not inspect.iscoroutinefunction(observer)):
        return observer
    raise TypeError(f"observer must be a plain function of one event, not {observer!r}")


def checked_seconds(seconds: float | None) -> float | None:
    return None if seconds is None else _seconds("seconds", seconds)


def checked_sleep(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        raise TypeError(f"seconds must be a number, such as 1.5, not {seconds!r}")
    if seconds != seconds:  # nan, which spoils the order of the timers of a loop
        raise ValueError("seconds must be a number of seconds, not nan")
    return cast(float, seconds)


def check_outside(awaitable: object) -> None:
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"outside() takes an awaitable, such as asyncio.sleep(1), not {awaitable!r}"
        )


def checked_span(what: str, seconds: object) -> float:
    span = _seconds(what, seconds)
    if not span >= 0:  # nor is nan
        raise ValueError(f"{what} must be a number of seconds, 0 or more, not {seconds!r}")
    return span


def checked_timeout(timeout: object) -> float:
    seconds = _seconds("timeout", timeout)
    if not seconds > 0:  # nan is not above 0 either
        raise ValueError(
            f"timeout must be a number of seconds above 0, not {timeout!r}: None is no timeout"
        )
    return seconds


def _seconds(what: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise TypeError(f"{what} must be a number, such as 1.5, or None, not {given!r}")
    try:
        return float(given)
    except OverflowError:  # an exact number beyond all floats
        return math.inf if cast(Any, given) > 0 else -math.inf


def check_map(verb: str, fn: object, iterable: object, cb: object) -> None:
    """Checks the arguments of `pool.<verb>(fn, iterable, cb)`."""
    if not callable(fn):
        advice = ""
        if callable(iterable) or inspect.isawaitable(fn):
            advice = f": the function comes first, and is not called, as in pool.{verb}(fn, items)"
        elif _may_give_awaitables(fn):
            advice = (
                ": coroutines that are there already are for exec, as in "
                "await asyncio.gather(*(pool.exec(coro) for coro in coros))"
            )
        elif iterable is MISSING:
            advice = f": the function comes first, as in pool.{verb}(fn, items)"
        raise TypeError(
            f"pool.{verb} takes a function of one item that gives an awaitable, not {fn!r}{advice}"
        )
    if cb is not None and not callable(cb):
        raise TypeError(
            f"cb must be a coroutine function such as `async def cb(res, err, ctx)`, not {cb!r}"
        )
    if iterable is MISSING:
        raise TypeError(f"the items are missing: what shall pool.{verb} call {fn!r} with?")
    check_iterable(iterable)


def check_iterable(iterable: object) -> None:
    # As `iter` does it: a class is not iterable because its objects are.
    kind = type(iterable)
    if hasattr(kind, "__aiter__"):
        raise TypeError(
            f"the items must be an iterable, not the asynchronous {iterable!r}: {_COLLECT} items]"
        )
    can_iterate = getattr(kind, "__iter__", getattr(kind, "__getitem__", None)) is not None
    # A future has an `__iter__` that is there for `await`.
    if can_iterate and not asyncio.isfuture(iterable):
        return
    advice = ""
    if inspect.isawaitable(iterable):
        advice = ": await it first"
    elif inspect.isasyncgenfunction(iterable):
        advice = f": call it and {_COLLECT} {iterable.__name__}()]"
    elif callable(iterable):
        advice = ": call it, if it gives the items"
    elif isinstance(iterable, int):
        advice = f": for so many items write range({iterable})"
    raise TypeError(f"the items must be an iterable, not {iterable!r}{advice}")


def _may_give_awaitables(iterable: object) -> bool:
    """Whether the items are awaitables, or cannot be looked at without taking them."""
    if isinstance(iterable, list | tuple | set | frozenset):
        items = cast("Collection[object]", iterable)
        return any(map(inspect.isawaitable, items))
    return isinstance(iterable, Iterator)


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


_COLLECT = "collect them first, as in [item async for item in"
# The default of an argument that is required: the other arguments show what to write instead.
MISSING: Any = _Missing()
