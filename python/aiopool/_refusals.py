"""Errors for arguments that are not jobs: each says what to write instead."""

import inspect
import reprlib
from collections.abc import Iterable

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 100
_LOOP = "loop over what it yields with `async for`, in a coroutine function, and call that"


def not_awaitable(verb: str, given: object, cb: object, ctx: object) -> TypeError:
    """Refuses the job of `pool.<verb>(given, cb, ctx)`."""
    what, call = _repr.repr(given), f"call it, as in pool.{verb}({_call(given, cb, ctx)})"
    if inspect.iscoroutinefunction(given):
        return TypeError(f"a coroutine is needed, not the coroutine function {what}: {call}")
    needed = f"a coroutine or another awaitable is needed, not {type(given).__name__} ({what})"
    if _is_async_generator(given):
        return TypeError(f"{needed}: {_LOOP}")
    if callable(given):
        return TypeError(f"{needed}: if it gives one, {call}")
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return TypeError(f"{needed}: hand in one at a time, as in pool.{verb}(coro)")
    return TypeError(f"{needed}: hand in what calling an async function returns")


def gave_no_awaitable(verb: str, fn: object, given: object) -> TypeError:
    """Refuses what `fn` gave for an item of `pool.<verb>(fn, items)`."""
    return _gave_none(f"pool.{verb} needs an awaitable for each item", fn, given)


def made_no_awaitable(fn: object, given: object) -> TypeError:
    """Refuses what `fn` gave in a job of `pool.enqueue(fn)` or `pool.submit(fn)`."""
    return _gave_none("a job is an awaitable", fn, given)


def not_callable(verb: str, given: object) -> TypeError:
    """Refuses the function of `pool.<verb>(given)`."""
    needed = f"pool.{verb} takes a function that gives an awaitable, not {_repr.repr(given)}"
    if inspect.iscoroutine(given):
        given.close()
        return TypeError(
            f"{needed}: the pool calls it, as in pool.{verb}(fn, 1), which makes fn(1). A "
            "coroutine that is there already is for spawn_n"
        )
    return TypeError(f"{needed}: the pool calls it, as in pool.{verb}(fn, 1), which makes fn(1)")


def _gave_none(needed: str, fn: object, given: object) -> TypeError:
    what = f"{needed}, but {_repr.repr(fn)} gave"
    if inspect.iscoroutinefunction(given):
        return TypeError(
            f"{what} the coroutine function {_repr.repr(given)}: let it give "
            f"{_call(given, None, None)}"
        )
    if _is_async_generator(given):
        return TypeError(f"{what} {type(given).__name__} ({_repr.repr(given)}): {_LOOP}")
    return TypeError(
        f"{what} {type(given).__name__} ({_repr.repr(given)}): define it with `async def`, or let "
        "it give what an async function returns"
    )


def _is_async_generator(given: object) -> bool:
    """Whether it is one, or a function that makes them: an `async def` with a `yield`."""
    return inspect.isasyncgenfunction(given) or inspect.isasyncgen(given)


def _call(given: object, cb: object, ctx: object) -> str:
    """The call that was meant; its arguments may stand in the place of those of the verb."""
    name = getattr(given, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        name = "fn"
    if inspect.iscoroutinefunction(cb):
        return f"{name}(...), {getattr(cb, '__name__', 'cb')}"
    if cb is None or callable(cb):
        return f"{name}(...)"
    arguments = [cb] if ctx is None else [cb, ctx]
    return f"{name}({', '.join(map(_repr.repr, arguments))})"
